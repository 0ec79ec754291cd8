// Views that may show an element more than once: diagonal, unfold, as_strided.
//   gx = 0, gx[element] += g at each place the view shows it
#include <cstring>

#include "ops/complex.h"
#include "ops/ops.h"
#include "ops/strided_args.h"

namespace lamina {
namespace {

void strided_add_infer(Call& c) {
  c.output(unpack(c.args<StridedAddArgs>().shape), c.in[0].dtype());
}
template <class T>
void strided_add(T* y, const T* g, const Dims& shape, const Dims& strides) {
  if (shape.n == 0) {
    *y += *g;
    return;
  }
  int64_t index[kMaxDims] = {}, at = 0;
  const int last = shape.n - 1;
  const int64_t n = shape.v[last], step = strides.v[last];
  for (;;) {
    for (int64_t i = 0; i < n; ++i) y[at + i * step] += g[i];
    g += n;
    int d = last - 1;
    for (; d >= 0; --d) {
      at += strides.v[d];
      if (++index[d] < shape.v[d]) break;
      at -= shape.v[d] * strides.v[d];
      index[d] = 0;
    }
    if (d < 0) return;
  }
}
void strided_add_launch(Call& c) {
  const auto& a = c.args<StridedAddArgs>();
  const Tensor &g = c.in[0], &y = c.out[0];
  std::memset(y.data(), 0, size_t(y.numel() * item_size(y.dtype())));
  if (g.numel() == 0) return;
  const Dims strides = unpack(a.strides);
  if (g.dtype() == DType::float64)
    strided_add(y.data<double>() + a.offset, g.data<double>(), g.shape(), strides);
  else
    strided_add(y.data<float>() + a.offset, g.data<float>(), g.shape(), strides);
}
void strided_add_vjp(Vjp& c) {
  const auto& a = c.args<StridedAddArgs>();
  const Tensor gg = contiguous(c.g());
  c.set(0, as_strided(gg, c.shape(0), unpack(a.strides), gg->offset + a.offset));
}
const Op kStridedAdd{.name = "as_strided_grad",
                     .infer = strided_add_infer,
                     .launch = strided_add_launch,
                     .vjp = strided_add_vjp};

// zeros(shape) with g added at (offset, strides) of its dense memory, in g's order.
Tensor as_strided_grad(const Tensor& g, const Dims& shape, const Dims& strides, int64_t offset) {
  if (is_complex(g.dtype())) {
    Dims parts = shape, steps = strides;
    for (int d = 0; d < steps.n; ++d) steps.v[d] *= 2;
    parts.push(2);
    steps.push(1);
    return on_parts(contiguous(g),
                    [&](const Tensor& x) { return as_strided_grad(x, parts, steps, offset * 2); });
  }
  const DType t = g.dtype() == DType::float64 ? DType::float64 : DType::float32;
  const Tensor gx = apply(kStridedAdd, {contiguous(to_dtype(g, t))},
                          StridedAddArgs{pack(shape), pack(strides), offset});
  return to_dtype(gx, g.dtype());
}

struct DiagonalArgs {
  int64_t offset, dim1, dim2;
};
struct Geometry {
  Dims shape, strides;
  int64_t offset;
};
Geometry diagonal_of(const Dims& shape, const Dims& strides, const DiagonalArgs& a) {
  Geometry y{shape, strides, 0};
  const int p = int(a.dim1), q = int(a.dim2);
  const int64_t rows = shape.v[p] - (a.offset < 0 ? -a.offset : 0);
  const int64_t columns = shape.v[q] - (a.offset > 0 ? a.offset : 0);
  const int64_t n = rows < columns ? rows : columns;
  if (n > 0) y.offset = a.offset < 0 ? -a.offset * strides.v[p] : a.offset * strides.v[q];
  const int64_t step = strides.v[p] + strides.v[q];
  for (int d : {p > q ? p : q, p > q ? q : p}) {
    y.shape.erase(d);
    y.strides.erase(d);
  }
  y.shape.push(n > 0 ? n : 0);
  y.strides.push(step);
  return y;
}
void diagonal_infer(Call& c) {
  const Tensor& x = c.in[0];
  const Geometry y = diagonal_of(x.shape(), x.strides(), c.args<DiagonalArgs>());
  c.output_view(x, y.shape, y.strides, x->offset + y.offset);
}
void diagonal_vjp(Vjp& c) {
  const Dims& shape = c.shape(0);
  const Geometry y = diagonal_of(shape, contiguous_strides(shape), c.args<DiagonalArgs>());
  c.set(0, as_strided_grad(c.g(), shape, y.strides, y.offset));
}
const Op kDiagonal{
    .name = "diagonal", .infer = diagonal_infer, .vjp = diagonal_vjp, .complex = true};

struct UnfoldArgs {
  int64_t dim, size, step;
};
Geometry unfold_of(Dims shape, Dims strides, const UnfoldArgs& a) {
  const int d = int(a.dim);
  strides.push(shape.n ? strides.v[d] : 1);
  if (shape.n) {
    shape.v[d] = (shape.v[d] - a.size) / a.step + 1;
    strides.v[d] *= a.step;
  }
  shape.push(a.size);
  return {shape, strides, 0};
}
void unfold_infer(Call& c) {
  const Tensor& x = c.in[0];
  const Geometry y = unfold_of(x.shape(), x.strides(), c.args<UnfoldArgs>());
  c.output_view(x, y.shape, y.strides, x->offset);
}
void unfold_vjp(Vjp& c) {
  const Dims& shape = c.shape(0);
  const Geometry y = unfold_of(shape, contiguous_strides(shape), c.args<UnfoldArgs>());
  c.set(0, as_strided_grad(c.g(), shape, y.strides, 0));
}
const Op kUnfold{.name = "unfold", .infer = unfold_infer, .vjp = unfold_vjp, .complex = true};

struct AsStridedArgs {
  PackedDims shape, strides;
  int64_t offset;  // from x's first element
};
void as_strided_infer(Call& c) {
  const auto& a = c.args<AsStridedArgs>();
  c.output_view(c.in[0], unpack(a.shape), unpack(a.strides), c.in[0]->offset + a.offset);
}
// Only views of dense inputs are recorded (as_strided checks), so x's memory is its elements in
// order.
void as_strided_vjp(Vjp& c) {
  const auto& a = c.args<AsStridedArgs>();
  c.set(0, as_strided_grad(c.g(), c.shape(0), unpack(a.strides), a.offset));
}
const Op kAsStrided{
    .name = "as_strided", .infer = as_strided_infer, .vjp = as_strided_vjp, .complex = true};

}  // namespace

Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  check(x.dim() >= 2, ErrorKind::shape, "diagonal: needs at least 2 dimensions, got shape ",
        x.shape());
  const int p = wrap_dim("diagonal", dim1, x.dim()), q = wrap_dim("diagonal", dim2, x.dim());
  check(p != q, ErrorKind::shape, "diagonal: dim1 and dim2 are both ", p, "; they must differ");
  return apply(kDiagonal, {x}, DiagonalArgs{offset, p, q});
}

Tensor unfold_view(const Tensor& x, int64_t dim, int64_t size, int64_t step) {
  const int d = wrap_dim("unfold", dim, x.dim());
  const int64_t have = x.dim() ? x.shape().v[d] : 1;
  check(size >= 0 && size <= have, ErrorKind::shape, "unfold: size ", size,
        " does not fit dimension ", d, " with size ", have);
  check(step > 0, ErrorKind::value, "unfold: step must be greater than zero, got ", step);
  return apply(kUnfold, {x}, UnfoldArgs{d, size, step});
}

Tensor as_strided(const Tensor& x, const Dims& shape, const Dims& strides, int64_t offset) {
  check(shape.n == strides.n, ErrorKind::shape, "as_strided: shape ", shape, " and strides ",
        strides, " differ in length");
  int64_t last = offset, elements = 1;
  for (int i = 0; i < shape.n; ++i) {
    check(shape.v[i] >= 0 && strides.v[i] >= 0, ErrorKind::value,
          "as_strided: sizes and strides must not be negative, got ", shape, " and ", strides);
    elements *= shape.v[i];
    last += (shape.v[i] - 1) * strides.v[i];
  }
  const int64_t capacity = int64_t(x->storage->bytes) / item_size(x.dtype());
  check(elements == 0 || (offset >= 0 && last < capacity), ErrorKind::shape, "as_strided: shape ",
        shape, " with strides ", strides, " and offset ", offset, " reaches element ", last,
        ", but the storage holds ", capacity);
  if (grad_enabled() && needs_grad(x))
    check(x.is_contiguous() && x->offset <= offset && last < x->offset + x.numel(),
          ErrorKind::not_implemented,
          "as_strided: its gradient needs a contiguous input that holds every element of the view; "
          "got shape ",
          x.shape(), " with strides ", x.strides(), "; call .contiguous() first");
  return apply(kAsStrided, {x}, AsStridedArgs{pack(shape), pack(strides), offset - x->offset});
}

}  // namespace lamina
