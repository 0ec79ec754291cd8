// Calls come from per-thread free lists; what a vjp reads from a recorded call.
#include "core/call.h"

namespace lamina {
namespace {

// Freed Call blocks of this thread, kept for the next op: a singly linked list through the blocks.
struct FreeList {
  void* head = nullptr;
  int count = 0;
  ~FreeList() {
    while (head) {
      void* next = *static_cast<void**>(head);
      ::operator delete(head);
      head = next;
    }
    count = 1 << 30;  // blocks freed after this thread's end go straight back
  }
};
thread_local FreeList free_list;
thread_local bool t_grad_enabled = true;

}  // namespace

void* Call::operator new(size_t bytes) {
  FreeList& list = free_list;
  if (list.head) {
    void* p = list.head;
    list.head = *static_cast<void**>(p);
    --list.count;
    return p;
  }
  return ::operator new(bytes);
}

void Call::operator delete(void* p) {
  FreeList& list = free_list;
  if (list.count > 256) return ::operator delete(p);
  *static_cast<void**>(p) = list.head;
  list.head = p;
  ++list.count;
}

bool grad_enabled() { return t_grad_enabled; }
void set_grad_enabled(bool on) { t_grad_enabled = on; }

// A saved tensor as vjp sees it: the data of the time of recording, on its recorded place in the
// graph (the handle itself may have moved on since, through an in-place op or detach_).
static Tensor unpack(const Call& call, const Tensor& saved, uint32_t version, const Edge& edge,
                     const char* what, int i) {
  check(saved.defined(), ErrorKind::runtime, call.name(), ": ", what, " ", i,
        " was not kept for backward; the op's `saves` does not list it");
  check(saved->version() == version, ErrorKind::runtime, call.name(),
        ": one of the tensors needed for its gradient (", saved,
        ") was modified by an in-place operation: it is at version ", saved->version(),
        ", version ", version,
        " was saved; use the out-of-place form or .clone() before modifying");
  // Where nothing is recorded the place does not matter; a function written in Python may record.
  if (!grad_enabled() && !call.extra.has_value()) return saved;
  if (saved->call == edge.call && saved->index == edge.index) return saved;
  if (edge.leaf.defined() && saved.same(edge.leaf)) return saved;
  Tensor t = alias(saved);
  t->call = edge.call;
  t->index = edge.index;
  return t;
}

Tensor Vjp::in(int i) const {
  check(!call_.freed, ErrorKind::runtime, call_.name(),
        ": backward through this graph a second time, but its saved tensors were freed; pass "
        "retain_graph=True to the first backward");
  const Source& s = call_.source[i];
  return unpack(call_, call_.in[i], s.version, s.edge, "input", i);
}

Tensor Vjp::out(int i) const {
  check(!call_.freed, ErrorKind::runtime, call_.name(),
        ": backward through this graph a second time, but its saved tensors were freed; pass "
        "retain_graph=True to the first backward");
  return unpack(call_, call_.out[i], call_.out_versions[i], Edge{CallRef(&call_), {}, uint32_t(i)},
                "output", i);
}

}  // namespace lamina
