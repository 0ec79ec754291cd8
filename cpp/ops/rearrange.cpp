// Copies with another arrangement of elements, and their gradients:
//   flip      y[i] = x[n-1-i]                      gx = flip(g)
//   roll      y[i] = x[i-shift mod n]              gx = roll(g, -shift)
//   tril      y = x where column - row <= k        gx = tril(g, k)      (triu: >=)
//   diag_embed  y = 0, diagonal(y) = x             gx = diagonal(g)
#include "core/threads.h"
#include "ops/join.h"
#include "ops/ops.h"
#include "ops/strided_copy.h"
#include "ops/view_args.h"

namespace lamina {
namespace {

void same_infer(Call& c) { c.output(c.in[0].shape(), c.in[0].dtype()); }

void flip_launch(Call& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  Dims strides = x.strides();
  const char* from = x.data<char>();
  for (int d = 0; d < x.dim(); ++d)
    if (c.args<FlipArgs>().mask >> d & 1) {
      from += (x.size(d) - 1) * strides.v[d] * item_size(x.dtype());
      strides.v[d] = -strides.v[d];
    }
  strided_copy(y.data(), y.strides().v, from, strides.v, x.shape(), item_size(x.dtype()));
}
Tensor flip_mask(const Tensor& x, uint32_t mask);
void flip_vjp(Vjp& c) { c.set(0, flip_mask(c.g(), c.args<FlipArgs>().mask)); }
const Op kFlip{
    .name = "flip", .infer = same_infer, .launch = flip_launch, .vjp = flip_vjp, .complex = true};
Tensor flip_mask(const Tensor& x, uint32_t mask) { return apply(kFlip, {x}, FlipArgs{mask}); }

void roll_launch(Call& c) {
  const auto& a = c.args<RollArgs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const int d = int(a.dim);
  const int64_t item = item_size(x.dtype()), n = x.size(d);
  Dims part = x.shape();
  part.v[d] = n - a.shift;  // x[0, n - shift) goes to y[shift, n)
  strided_copy(y.data<char>() + a.shift * y.stride(d) * item, y.strides().v, x.data(),
               x.strides().v, part, item);
  part.v[d] = a.shift;
  strided_copy(y.data(), y.strides().v, x.data<char>() + (n - a.shift) * x.stride(d) * item,
               x.strides().v, part, item);
}
Tensor roll_one(const Tensor& x, int d, int64_t shift);
void roll_vjp(Vjp& c) {
  const auto& a = c.args<RollArgs>();
  c.set(0, roll_one(c.g(), int(a.dim), -a.shift));
}
const Op kRoll{
    .name = "roll", .infer = same_infer, .launch = roll_launch, .vjp = roll_vjp, .complex = true};
Tensor roll_one(const Tensor& x, int d, int64_t shift) {
  const int64_t n = x.size(d) ? x.size(d) : 1;
  return apply(kRoll, {x}, RollArgs{d, (shift % n + n) % n});
}

void triangle_launch(Call& c) {  // rows of x: a kept run, the rest 0
  const auto& a = c.args<TriangleArgs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const int64_t item = item_size(x.dtype()), H = x.size(-2), W = x.size(-1);
  const char* const xp = x.data<char>();
  char* const yp = y.data<char>();
  parallel_rows(y.numel() / W, 0.05 * double(W * item) + 2, [&](int64_t b, int64_t e) {
    for (int64_t r = b; r < e; ++r) {
      // lower keeps columns [0, row + k], upper [row + k, W)
      int64_t cut = r % H + a.diagonal + (a.lower ? 1 : 0);
      cut = cut < 0 ? 0 : cut > W ? W : cut;
      const int64_t from = a.lower ? 0 : cut, to = a.lower ? cut : W;
      char* const row = yp + r * W * item;
      std::memset(row, 0, size_t(from * item));
      std::memcpy(row + from * item, xp + (r * W + from) * item, size_t((to - from) * item));
      std::memset(row + to * item, 0, size_t((W - to) * item));
    }
  });
}
Tensor triangle(const char* name, const Tensor& x, int64_t diagonal, bool lower);
void triangle_vjp(Vjp& c) {
  const auto& a = c.args<TriangleArgs>();
  c.set(0, triangle("tril", c.g(), a.diagonal, a.lower));
}
const Op kTril{.name = "tril",
               .infer = same_infer,
               .launch = triangle_launch,
               .vjp = triangle_vjp,
               .complex = true};
const Op kTriu{.name = "triu",
               .infer = same_infer,
               .launch = triangle_launch,
               .vjp = triangle_vjp,
               .complex = true};
Tensor triangle(const char* name, const Tensor& x, int64_t diagonal, bool lower) {
  check(x.dim() >= 2, ErrorKind::shape, name, ": needs at least 2 dimensions, got shape ",
        x.shape());
  return apply(lower ? kTril : kTriu, {contiguous(x)}, TriangleArgs{diagonal, lower});
}

void diag_embed_infer(Call& c) {
  const auto& a = c.args<DiagEmbedArgs>();
  Dims shape = c.in[0].shape();
  const int64_t n = shape.back() + (a.offset < 0 ? -a.offset : a.offset);
  shape.erase(shape.n - 1);
  shape.insert(int(a.dim1 < a.dim2 ? a.dim1 : a.dim2), n);
  shape.insert(int(a.dim1 < a.dim2 ? a.dim2 : a.dim1), n);
  c.output(shape, c.in[0].dtype());
}
void diag_embed_launch(Call& c) {
  const auto& a = c.args<DiagEmbedArgs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  const int64_t item = item_size(x.dtype());
  if (y.numel()) std::memset(y.data(), 0, size_t(y.numel() * item));
  if (x.numel() == 0) return;
  const int p = int(a.dim1), q = int(a.dim2);
  Dims strides = y.strides();
  const int64_t step = strides.v[p] + strides.v[q];
  const int64_t at = a.offset < 0 ? -a.offset * strides.v[p] : a.offset * strides.v[q];
  strides.erase(p > q ? p : q);
  strides.erase(p > q ? q : p);
  strides.push(step);
  strided_copy(y.data<char>() + at * item, strides.v, x.data(), x.strides().v, x.shape(), item);
}
void diag_embed_vjp(Vjp& c) {
  const auto& a = c.args<DiagEmbedArgs>();
  c.set(0, diagonal(c.g(), a.offset, a.dim1, a.dim2));
}
const Op kDiagEmbed{.name = "diag_embed",
                    .infer = diag_embed_infer,
                    .launch = diag_embed_launch,
                    .vjp = diag_embed_vjp,
                    .complex = true};

}  // namespace

Tensor flip(const Tensor& x, const Dims& dims) {
  uint32_t mask = 0;
  for (int64_t dim : dims) {
    const uint32_t bit = 1u << wrap_dim("flip", dim, x.dim());
    check(!(mask & bit), ErrorKind::shape, "flip: dimension ", dim, " appears twice in ", dims);
    mask |= bit;
  }
  if (x.dim() == 0) mask = 0;
  return flip_mask(x, mask);
}

Tensor roll(const Tensor& x, const Dims& shifts, const Dims& dims) {
  if (dims.n == 0) {
    check(shifts.n == 1, ErrorKind::value, "roll: without dims there is one shift, got ", shifts);
    return reshape(roll_one(reshape(x, {-1}), 0, shifts.v[0]), x.shape());
  }
  check(shifts.n == dims.n, ErrorKind::value, "roll: shifts ", shifts, " and dims ", dims,
        " differ in length");
  Tensor y = x;
  for (int i = 0; i < dims.n; ++i) {
    check(x.dim() > 0, ErrorKind::index, "roll: a 0-dim tensor has no dimension ", dims.v[i]);
    y = roll_one(y, wrap_dim("roll", dims.v[i], x.dim()), shifts.v[i]);
  }
  return y;
}

// (r0 * n0, r1 * n1, ...) is a copy of x seen as (r0, n0, r1, n1, ...) with r repeated.
Tensor repeat(const Tensor& x, const Dims& repeats) {
  const int lead = repeats.n - x.dim();
  check(lead >= 0, ErrorKind::shape, "repeat: ", repeats.n, " repeats ", repeats,
        " for a tensor with ", x.dim(), " dimensions; give at least one per dimension");
  Dims apart, wide, out;
  for (int i = 0; i < repeats.n; ++i) {
    const int64_t r = repeats.v[i], n = i < lead ? 1 : x.size(i - lead);
    check(r >= 0, ErrorKind::value, "repeat: negative repeats in ", repeats);
    out.push(r * n);
    if (r != 1) {
      apart.push(1);
      wide.push(r);
    }
    if (i >= lead && n != 1) {
      apart.push(n);
      wide.push(n);
    }
  }
  return contiguous(reshape(clone(expand(reshape(x, apart), wide)), out));
}

Tensor tril(const Tensor& x, int64_t diagonal) { return triangle("tril", x, diagonal, true); }
Tensor triu(const Tensor& x, int64_t diagonal) { return triangle("triu", x, diagonal, false); }

Tensor diag_embed(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  check(x.dim() >= 1, ErrorKind::shape, "diag_embed: needs at least 1 dimension");
  const int p = wrap_dim("diag_embed", dim1, x.dim() + 1);
  const int q = wrap_dim("diag_embed", dim2, x.dim() + 1);
  check(p != q, ErrorKind::shape, "diag_embed: dim1 and dim2 are both ", p, "; they must differ");
  return apply(kDiagEmbed, {x}, DiagEmbedArgs{offset, p, q});
}

}  // namespace lamina
