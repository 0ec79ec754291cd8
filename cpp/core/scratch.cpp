// The stack that small scratch memory comes from, one per thread.
#include <cstdlib>
#include <memory>

#include "core/storage.h"

namespace lamina {
namespace {

constexpr size_t kAlign = 64, kSmall = 64 * 1024, kStack = 4 * kSmall;

struct Stack {
  std::unique_ptr<char, void (*)(void*)> memory{nullptr, std::free};
  size_t top = 0;
  int alive = 0;
};
thread_local Stack stack;

size_t rounded(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

void* scratch_take(size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  return nullptr;  // the pool watches the ends of its blocks
#endif
  if (bytes > kSmall) return nullptr;
  Stack& s = stack;
  const size_t size = rounded(bytes);
  if (s.top + size > kStack) return nullptr;
  if (!s.memory) s.memory.reset(static_cast<char*>(std::aligned_alloc(kAlign, kStack)));
  if (!s.memory) return nullptr;
  void* p = s.memory.get() + s.top;
  s.top += size;
  ++s.alive;
  return p;
}

// Pieces are mostly given back in reverse; one that is not waits until all are.
void scratch_give(void* p, size_t bytes) {
  Stack& s = stack;
  const size_t size = rounded(bytes);
  if (static_cast<char*>(p) + size == s.memory.get() + s.top) s.top -= size;
  if (--s.alive == 0) s.top = 0;
}

}  // namespace lamina
