// pad: x inside a larger (or cropped) tensor. Every element of y is one element of x or a constant.
//   constant                      gx = pad(g, -pads): the part of g that x went to
//   reflect, replicate, circular  gx[source of i] += g[i]
#include <algorithm>

#include "core/threads.h"
#include "ops/complex.h"
#include "ops/join.h"
#include "ops/ops.h"
#include "ops/strided_copy.h"
#include "ops/view_args.h"

namespace lamina {
namespace {

// Sizes after padding: back = -1 undoes it.
Dims padded_shape(const Dims& x, const PadArgs& a, int sign) {
  Dims y = x;
  for (int i = 0; i < a.n; ++i) y.v[y.n - 1 - i] += sign * (a.before[i] + a.after[i]);
  return y;
}
void pad_infer(Call& c) {
  c.output(padded_shape(c.in[0].shape(), c.args<PadArgs>(), 1), c.in[0].dtype());
}

// Where position i of a padded dimension comes from; n is the size in x.
int64_t source(int64_t i, int64_t before, int64_t n, int mode) {
  int64_t s = i - before;
  if (mode == kReflect) {
    if (s < 0) s = -s;
    if (s >= n) s = 2 * (n - 1) - s;
  } else if (mode == kReplicate) {
    s = s < 0 ? 0 : s >= n ? n - 1 : s;
  } else {
    s = (s % n + n) % n;
  }
  return s;
}

// The row of x (all dimensions but the last) that row r of y comes from.
int64_t source_row(int64_t r, const Dims& xs, const Dims& ys, const PadArgs& a) {
  int64_t row = 0, step = 1;
  for (int d = ys.n - 2; d >= 0; --d) {
    const int i = ys.n - 1 - d;
    const int64_t at = r % ys.v[d];
    r /= ys.v[d];
    row += step * (i < a.n ? source(at, a.before[i], xs.v[d], a.mode) : at);
    step *= xs.v[d];
  }
  return row;
}

// A row of y: x itself in [begin, end), and what the mode says on both sides.
struct Inside {
  int64_t begin, end;
  Inside(int64_t before, int64_t n, int64_t W)
      : begin(std::min(W, std::max<int64_t>(0, before))),
        end(std::max(begin, std::min(W, before + n))) {}
};
template <class T>
void pad_row(T* y, const T* x, int64_t n, int64_t W, const PadArgs& a) {
  const int64_t before = a.before[0];
  const Inside in(before, n, W);
  for (int64_t i = 0; i < in.begin; ++i) y[i] = x[source(i, before, n, a.mode)];
  if (in.end > in.begin)
    std::memcpy(y + in.begin, x + in.begin - before, size_t(in.end - in.begin) * sizeof(T));
  for (int64_t i = in.end; i < W; ++i) y[i] = x[source(i, before, n, a.mode)];
}

void pad_launch(Call& c) {
  const auto& a = c.args<PadArgs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const int64_t item = item_size(x.dtype());
  if (a.mode == kConstant) {  // pads were checked: the kept part lies inside both
    Dims part = x.shape();
    int64_t from = 0, to = 0;
    for (int i = 0; i < a.n; ++i) {
      const int d = x.dim() - 1 - i;
      const int64_t cut = a.before[i] < 0 ? -a.before[i] : 0;
      const int64_t cut_end = a.after[i] < 0 ? -a.after[i] : 0;
      part.v[d] -= cut + cut_end;
      if (part.v[d] <= 0) return;
      from += cut * x.stride(d);
      to += (a.before[i] > 0 ? a.before[i] : 0) * y.stride(d);
    }
    strided_copy(y.data<char>() + to * item, y.strides().v, x.data<char>() + from * item,
                 x.strides().v, part, item);
    return;
  }
  const int64_t n = x.size(-1), W = y.size(-1);
  parallel_rows(y.numel() / W, 0.1 * double(W) + 20, [&](int64_t b, int64_t e) {
    for (int64_t r = b; r < e; ++r) {
      const int64_t row = source_row(r, x.shape(), y.shape(), a);
      if (item == 4)
        pad_row(y.data<uint32_t>() + r * W, x.data<uint32_t>() + row * n, n, W, a);
      else if (item == 8)
        pad_row(y.data<uint64_t>() + r * W, x.data<uint64_t>() + row * n, n, W, a);
      else if (item == 2)
        pad_row(y.data<uint16_t>() + r * W, x.data<uint16_t>() + row * n, n, W, a);
      else
        pad_row(y.data<uint8_t>() + r * W, x.data<uint8_t>() + row * n, n, W, a);
    }
  });
}

// The constant goes everywhere first (PadArgs alone says where x does not).
void fill_launch(Call& c) {
  const auto& a = c.args<PadArgs>();
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  const Compute via = compute_type(y.dtype());
  const float f = float(a.value);
  const int64_t i = int64_t(a.value);
  const void* value = via == kF32   ? static_cast<const void*>(&f)
                      : via == kF64 ? static_cast<const void*>(&a.value)
                                    : static_cast<const void*>(&i);
  constexpr DType holder[3] = {DType::float32, DType::float64, DType::int64};
  const LoadFn load = cpu_kernels().load[int(holder[via])][via];
  const StoreFn store = cpu_kernels().store[int(y.dtype())][via];
  const int64_t item = item_size(y.dtype());
  parallel_rows(y.numel(), 0.05 * double(item), [&](int64_t b, int64_t e) {
    alignas(64) char block[1024 * 8];
    load(block, value, 0, e - b < 1024 ? e - b : 1024);
    for (int64_t k = b; k < e; k += 1024)
      store(y.data<char>() + k * item, 1, block, e - k < 1024 ? e - k : 1024);
  });
}
void constant_launch(Call& c) {
  fill_launch(c);
  pad_launch(c);
}

void pad_grad_infer(Call& c) {
  c.output(padded_shape(c.in[0].shape(), c.args<PadArgs>(), -1), c.in[0].dtype());
}
template <class T>
void pad_grad(T* gx, const T* g, const Dims& xs, const Dims& ys, const PadArgs& a, int64_t b,
              int64_t e) {
  const int64_t n = xs.back(), W = ys.back();
  for (int64_t r = b; r < e; ++r) {
    T* const to = gx + source_row(r, xs, ys, a) * n;
    const T* const from = g + r * W;
    for (int64_t i = 0; i < W; ++i) to[source(i, a.before[0], n, a.mode)] += from[i];
  }
}
void pad_grad_launch(Call& c) {
  const auto& a = c.args<PadArgs>();
  const Tensor &g = c.in[0], &gx = c.out[0];
  if (gx.numel() == 0) return;
  std::memset(gx.data(), 0, size_t(gx.numel() * item_size(gx.dtype())));
  if (g.numel() == 0) return;
  int64_t planes = 1, rows = 1;  // padded dimensions stay together: their sums have one order
  for (int d = 0; d < g.dim() - 1; ++d) (d < g.dim() - a.n ? planes : rows) *= g.size(d);
  parallel_rows(planes, double(rows * g.size(-1)) * 1.5, [&](int64_t b, int64_t e) {
    if (g.dtype() == DType::float64)
      pad_grad(gx.data<double>(), g.data<double>(), gx.shape(), g.shape(), a, b * rows, e * rows);
    else
      pad_grad(gx.data<float>(), g.data<float>(), gx.shape(), g.shape(), a, b * rows, e * rows);
  });
}
Tensor apply_pad(const Tensor& x, const PadArgs& a);
void pad_grad_vjp(Vjp& c) { c.set(0, apply_pad(c.g(), c.args<PadArgs>())); }
const Op kPadGrad{
    .name = "pad_grad", .infer = pad_grad_infer, .launch = pad_grad_launch, .vjp = pad_grad_vjp};

void pad_vjp(Vjp& c) {
  PadArgs a = c.args<PadArgs>();
  Tensor g = c.g();
  if (a.mode == kConstant) {
    for (int i = 0; i < a.n; ++i) {
      a.before[i] = -a.before[i];
      a.after[i] = -a.after[i];
    }
    a.value = 0;
    return c.set(0, apply_pad(g, a));
  }
  const DType t = g.dtype() == DType::float64 ? DType::float64 : DType::float32;
  c.set(0, to_dtype(apply(kPadGrad, {contiguous(to_dtype(g, t))}, a), g.dtype()));
}
const Op kPad{.name = "pad", .infer = pad_infer, .launch = pad_launch, .vjp = pad_vjp};
const Op kPadConstant{.name = "pad", .infer = pad_infer, .launch = constant_launch, .vjp = pad_vjp};

Tensor apply_pad(const Tensor& x, const PadArgs& a) {
  if (a.mode == kConstant) return apply(kPadConstant, {x}, a);
  return apply(kPad, {contiguous(x)}, a);
}

}  // namespace

Tensor pad(const Tensor& x, const Dims& pads, int64_t mode, double value) {
  check(pads.n % 2 == 0, ErrorKind::value, "pad: pads come in pairs (before, after), got ", pads);
  check(pads.n / 2 <= x.dim(), ErrorKind::shape, "pad: ", pads.n / 2,
        " dimensions to pad, but the tensor has shape ", x.shape());
  if (is_complex(x.dtype())) {
    if (mode == kConstant && value != 0)
      return make_complex(pad(real(x), pads, mode, value), pad(imag(x), pads, mode, 0));
    Dims parts{0, 0};
    for (int64_t n : pads) parts.push(n);
    return on_parts(x, [&](const Tensor& p) { return pad(p, parts, mode, 0); });
  }
  PadArgs a{};
  a.n = int8_t(pads.n / 2);
  a.mode = int8_t(mode);
  a.value = value;
  for (int i = 0; i < a.n; ++i) {
    const int d = x.dim() - 1 - i;
    const int64_t n = x.size(d), before = pads.v[2 * i], after = pads.v[2 * i + 1];
    a.before[i] = before;
    a.after[i] = after;
    check(n + before + after >= 0, ErrorKind::shape, "pad: padding (", before, ", ", after,
          ") of dimension ", d, " with size ", n, " gives a negative size");
    if (mode == kConstant || (before == 0 && after == 0)) continue;
    const int64_t most = mode == kReflect ? n - 1 : mode == kCircular ? n : INT64_MAX;
    check(n > 0 && before <= most && after <= most, ErrorKind::shape,
          mode == kReflect ? "pad: reflect padding (" : "pad: padding (", before, ", ", after,
          ") is too large for dimension ", d, " with size ", n,
          mode == kReflect ? "; it must be smaller than the size" : "");
  }
  return apply_pad(x, a);
}

}  // namespace lamina
