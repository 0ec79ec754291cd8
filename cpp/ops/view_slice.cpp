// Slices along one dimension: y = x[..., start : start + length * step : step, ...], and select,
// the same with length 1 and the dimension dropped.   gx = 0, gx[region] = g
// split and unbind: all pieces in one call.   gx = cat(g_i), stack(g_i)
#include <cstring>

#include "core/threads.h"
#include "ops/join.h"
#include "ops/ops.h"
#include "ops/packed_dims.h"
#include "ops/strided_copy.h"
#include "ops/view_args.h"

namespace lamina {
namespace {

struct SliceArgs {
  int64_t dim, start, length, step;  // length < 0: select, the dimension goes away
};
void slice_infer(Call& c) {
  const auto& a = c.args<SliceArgs>();
  const Tensor& x = c.in[0];
  const int d = int(a.dim);
  Dims shape = x.shape(), strides = x.strides();
  const int64_t offset = x->offset + a.start * strides.v[d];
  if (a.length < 0) {
    shape.erase(d);
    strides.erase(d);
  } else {
    shape.v[d] = a.length;
    strides.v[d] *= a.step;
  }
  c.output_view(x, shape, strides, offset);
}

void slice_grad_infer(Call& c) {
  const auto& a = c.args<SliceGradArgs>();
  Dims shape = c.in[0].shape();
  shape.v[a.dim] = a.size;
  c.output(shape, c.in[0].dtype());
}
// y is (outer, size, inner), g (outer, n, inner); rows not in g become zero. One pass where g lies
// in one piece.
void slice_grad_launch(Call& c) {
  const auto& a = c.args<SliceGradArgs>();
  const Tensor &g = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const int64_t n = g.size(int(a.dim)), item = item_size(y.dtype());
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < y.dim(); ++i) (i < a.dim ? outer : inner) *= i == a.dim ? 1 : y.size(i);
  const int64_t row = inner * item;
  const char* const gp = g.numel() ? g.data<char>() : nullptr;
  char* const yp = y.data<char>();
  const bool whole = a.step == 1;
  parallel_rows(outer, 0.05 * double(a.size * row) + 2, [&](int64_t b, int64_t e) {
    for (int64_t o = b; o < e; ++o) {
      char* const to = yp + o * a.size * row;
      const int64_t first = whole ? a.start : a.size, end = whole ? a.start + n : a.size;
      std::memset(to, 0, size_t(first * row));
      if (whole) std::memcpy(to + first * row, gp + o * n * row, size_t(n * row));
      std::memset(to + end * row, 0, size_t((a.size - end) * row));
    }
  });
  if (whole || g.numel() == 0) return;
  const int64_t to[3] = {a.size * inner, a.step * inner, 1}, from[3] = {n * inner, inner, 1};
  strided_copy(yp + a.start * row, to, gp, from, {outer, n, inner}, item);
}
void slice_grad_vjp(Vjp& c) {
  const auto& a = c.args<SliceGradArgs>();
  const int64_t n = c.shape(0).v[a.dim];
  c.set(0, slice(c.g(), a.dim, a.start, a.start + (n - 1) * a.step + 1, a.step));
}
const Op kSliceGrad{.name = "slice_grad",
                    .infer = slice_grad_infer,
                    .launch = slice_grad_launch,
                    .vjp = slice_grad_vjp,
                    .complex = true};

void slice_vjp(Vjp& c) {
  const auto& a = c.args<SliceArgs>();
  Tensor g = c.g();
  if (a.length == 0) return c.set(0, zeros(c.shape(0), g.dtype()));
  if (a.length < 0) g = unsqueeze(g, a.dim);
  c.set(0, apply(kSliceGrad, {contiguous(g)},
                 SliceGradArgs{a.dim, a.start, a.step, c.shape(0).v[a.dim]}));
}
const Op kSlice{.name = "slice", .infer = slice_infer, .vjp = slice_vjp, .complex = true};
const Op kSelect{.name = "select", .infer = slice_infer, .vjp = slice_vjp, .complex = true};

// ---- split and unbind --------------------------------------------------------------------------
struct SplitArgs {
  int64_t dim, size;  // size > 0: every piece but the last; size 0: pieces.v
  PackedDims pieces;
};
void split_infer(Call& c) {
  const auto& a = c.args<SplitArgs>();
  const Tensor x = c.in[0];
  const int d = int(a.dim);
  Dims shape = x.shape();
  const int64_t total = shape.v[d];
  int64_t at = 0;
  for (int i = 0; a.size ? i == 0 || at < total : i < int(a.pieces.n); ++i) {
    const int64_t want = a.size ? a.size : a.pieces.v[i];
    shape.v[d] = want < total - at ? want : total - at;
    c.output_view(x, shape, x.strides(), x->offset + at * x.strides().v[d]);
    at += shape.v[d];
  }
}
Tensors gradients_of(Vjp& c) {
  Tensors g;
  for (int i = 0; i < c.call().out_shapes.size(); ++i) g.push_back(c.g(i));
  return g;
}
void split_vjp(Vjp& c) { c.set(0, cat(gradients_of(c), c.args<SplitArgs>().dim)); }
const Op kSplit{.name = "split", .infer = split_infer, .vjp = split_vjp, .complex = true};

void unbind_infer(Call& c) {
  const Tensor x = c.in[0];
  const int d = int(c.args<int64_t>());
  Dims shape = x.shape(), strides = x.strides();
  shape.erase(d);
  strides.erase(d);
  for (int64_t i = 0; i < x.size(d); ++i)
    c.output_view(x, shape, strides, x->offset + i * x.strides().v[d]);
}
void unbind_vjp(Vjp& c) { c.set(0, stack(gradients_of(c), c.args<int64_t>())); }
const Op kUnbind{.name = "unbind", .infer = unbind_infer, .vjp = unbind_vjp, .complex = true};

Tensors run_pieces(const CallRef& call) {
  Tensors list;
  for (const Tensor& t : run(call)) list.push_back(t);
  return list;
}

}  // namespace

Tensors split(const Tensor& x, int64_t size, int64_t dim) {
  check(x.dim() > 0, ErrorKind::shape, "split: a 0-dim tensor cannot be split");
  const int d = wrap_dim("split", dim, x.dim());
  check(size > 0 || (size == 0 && x.size(d) == 0), ErrorKind::value, "split: split_size ", size,
        " must be positive");
  if (size == 0) size = 1;
  return run_pieces(make_call(kSplit, std::initializer_list<Tensor>{x}, SplitArgs{d, size, {}}));
}

Tensors split_sizes(const Tensor& x, const Dims& sizes, int64_t dim) {
  check(x.dim() > 0, ErrorKind::shape, "split: a 0-dim tensor cannot be split");
  const int d = wrap_dim("split", dim, x.dim());
  int64_t total = 0;
  for (int64_t n : sizes) {
    check(n >= 0, ErrorKind::value, "split: sizes ", sizes, " must not be negative");
    total += n;
  }
  check(total == x.size(d), ErrorKind::shape, "split: sizes ", sizes, " sum to ", total,
        ", but dimension ", d, " has size ", x.size(d));
  return run_pieces(
      make_call(kSplit, std::initializer_list<Tensor>{x}, SplitArgs{d, 0, pack(sizes)}));
}

Tensors unbind(const Tensor& x, int64_t dim) {
  check(x.dim() > 0, ErrorKind::shape, "unbind: a 0-dim tensor cannot be taken apart");
  const int d = wrap_dim("unbind", dim, x.dim());
  if (x.size(d) == 0) return {};
  return run_pieces(make_call(kUnbind, std::initializer_list<Tensor>{x}, int64_t(d)));
}

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  check(x.dim() > 0, ErrorKind::index, "select: a 0-dim tensor cannot be indexed; use .item()");
  const int d = wrap_dim("select", dim, x.dim());
  const int64_t size = x.shape().v[d];
  check(index >= -size && index < size, ErrorKind::index, "select: index ", index,
        " is out of bounds for dimension ", d, " with size ", size);
  return apply(kSelect, {x}, SliceArgs{d, index < 0 ? index + size : index, -1, 1});
}

Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step) {
  check(x.dim() > 0, ErrorKind::index, "slice: a 0-dim tensor cannot be sliced");
  check(step > 0, ErrorKind::value, "slice: step must be greater than zero, got ", step,
        "; use .flip() to reverse");
  const int d = wrap_dim("slice", dim, x.dim());
  const int64_t size = x.shape().v[d];
  auto clamp = [&](int64_t at) {
    if (at < 0) at += size;
    return at < 0 ? 0 : at > size ? size : at;
  };
  start = clamp(start);
  end = clamp(end);
  const int64_t length = end > start ? (end - start - 1) / step + 1 : 0;
  return apply(kSlice, {x}, SliceArgs{d, start, length, step});
}

Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  check(x.dim() > 0, ErrorKind::index, "narrow: a 0-dim tensor cannot be narrowed");
  const int d = wrap_dim("narrow", dim, x.dim());
  const int64_t size = x.shape().v[d];
  check(start >= -size && start <= size, ErrorKind::index, "narrow: start ", start,
        " is out of bounds for dimension ", d, " with size ", size);
  if (start < 0) start += size;
  check(length >= 0 && start + length <= size, ErrorKind::shape, "narrow: start ", start,
        " + length ", length, " exceeds dimension ", d, " with size ", size);
  return apply(kSlice, {x}, SliceArgs{d, start, length, 1});
}

}  // namespace lamina
