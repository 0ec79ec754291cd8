// Tensor handles, dense allocation, views, broadcasting.
#include "core/tensor.h"

#include "core/call.h"

namespace lamina {

// A long chain of calls is released by a loop, not by recursion: dropping the last handle of a
// deep graph would otherwise overflow the stack.
namespace {
struct Pending {
  std::vector<TensorImpl*> tensors;
  std::vector<Call*> calls;
  bool draining = false;

  void drain() {
    if (draining) return;
    draining = true;
    while (!calls.empty() || !tensors.empty()) {
      if (!calls.empty()) {
        Call* c = calls.back();
        calls.pop_back();
        delete c;
      } else {
        TensorImpl* t = tensors.back();
        tensors.pop_back();
        delete t;
      }
    }
    draining = false;
  }
};
thread_local Pending pending;
}  // namespace

void destroy(TensorImpl* t) {
  if (!t->call && !t->view) {
    delete t;
    return;
  }
  pending.tensors.push_back(t);
  pending.drain();
}
void destroy(Call* c) {
  pending.calls.push_back(c);
  pending.drain();
}

Tensor Tensor::meta(const Dims& shape, DType dtype, Device device) {
  auto* impl = new TensorImpl;
  impl->shape = shape;
  contiguous_strides(shape, impl->strides);
  impl->dtype = dtype;
  impl->device = device;
  return Tensor(impl);
}

Tensor Tensor::view_of(const Tensor& base, const Dims& shape, const Dims& strides, int64_t offset) {
  auto* impl = new TensorImpl;
  impl->storage = base->storage;
  impl->unwatched = base->unwatched;
  impl->offset = offset;
  impl->shape = shape;
  impl->strides = strides;
  impl->dtype = base->dtype;
  impl->device = base->device;
  return Tensor(impl);
}

bool Tensor::is_contiguous() const {
  const Dims& s = shape();
  int64_t step = 1;
  for (int i = s.n - 1; i >= 0; --i) {
    if (s.v[i] == 0) return true;
    if (s.v[i] != 1 && strides().v[i] != step) return s.product() == 0;
    step *= s.v[i];
  }
  return true;
}

void give_storage(const Tensor& t) {
  int64_t n = 1;
  for (int64_t d : t.shape())
    if (d == 0) n = 0;  // the other sizes may be anything
  if (n)
    for (int64_t d : t.shape())
      check(!__builtin_mul_overflow(n, d, &n) && n < (int64_t(1) << 46), ErrorKind::memory,
            "memory: shape ", t.shape(), " has too many elements");
  t->storage = allocate(size_t(n) * item_size(t.dtype()), t.device());
}

Tensor empty(const Dims& shape, DType dtype, Device device) {
  for (int64_t d : shape) check(d >= 0, ErrorKind::shape, "empty: negative size in shape ", shape);
  Tensor t = Tensor::meta(shape, dtype, device);
  give_storage(t);
  return t;
}

Tensor alias(const Tensor& t) {
  Tensor a = Tensor::view_of(t, t.shape(), t.strides(), t->offset);
  a->wrapped_number = t->wrapped_number;
  return a;
}

std::ostream& operator<<(std::ostream& out, const Tensor& t) {
  if (!t.defined()) return out << "undefined tensor";
  return out << t.shape() << ' ' << t.dtype();
}

int wrap_dim(const char* op, int64_t dim, int n) {
  const int64_t count = n ? n : 1;
  check(dim >= -count && dim < count, ErrorKind::index, op, ": dim ", dim,
        " is out of range for a tensor with ", n, " dimensions (expected ", -count, " to ",
        count - 1, ")");
  return int(dim < 0 ? dim + count : dim);
}

Dims broadcast_shapes(const char* op, const Dims& a, const Dims& b) {
  Dims out;
  const int n = a.n > b.n ? a.n : b.n;
  for (int i = 0; i < n; ++i) {
    const int64_t x = i < n - a.n ? 1 : a.v[i - (n - a.n)];
    const int64_t y = i < n - b.n ? 1 : b.v[i - (n - b.n)];
    check(x == y || x == 1 || y == 1, ErrorKind::shape, op, ": shapes ", a, " and ", b,
          " do not broadcast: sizes ", x, " and ", y, " differ at dimension ", i,
          "; each pair of sizes must be equal or one of them 1");
    out.push(x == 1 ? y : x);
  }
  return out;
}

}  // namespace lamina
