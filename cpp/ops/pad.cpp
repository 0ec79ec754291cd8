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

// Where position i of a padded dimension comes from, -1: from the constant; n is the size in x.
inline int64_t source(int64_t i, int64_t before, int64_t n, int mode) {
  int64_t s = i - before;
  if (s >= 0 && s < n) return s;
  if (mode == kConstant) {
    s = -1;
  } else if (mode == kReflect) {
    if (s < 0) s = -s;
    if (s >= n) s = 2 * (n - 1) - s;
  } else if (mode == kReplicate) {
    s = s < 0 ? 0 : s >= n ? n - 1 : s;
  } else {
    s = (s % n + n) % n;
  }
  return s;
}

// fn(r, place) for rows [b, e) of y (all dimensions but the last): where in x the row comes from,
// steps apart from one index to the next, or -1: outside it.
template <class F>
void each_row(const Dims& xs, const Dims& ys, const Dims& steps, const PadArgs& a, int64_t b,
              int64_t e, F fn) {
  const auto from = [&](int d, int64_t at) {
    const int i = ys.n - 1 - d;
    return i < a.n ? source(at, a.before[i], xs.v[d], a.mode) : at;
  };
  const int last = ys.n - 2;
  const int64_t H = last < 0 ? 1 : ys.v[last], step = last < 0 ? 0 : steps.v[last];
  for (int64_t r = b; r < e;) {
    const int64_t first = r % H, end = std::min(H, first + e - r);
    int64_t rest = r / H, base = 0;
    bool outside = false;
    for (int d = last - 1; d >= 0; --d) {
      const int64_t s = from(d, rest % ys.v[d]);
      rest /= ys.v[d];
      outside |= s < 0;
      base += s * steps.v[d];
    }
    for (int64_t h = first; h < end; ++h, ++r) {
      const int64_t s = last < 0 ? 0 : from(last, h);
      fn(r, outside || s < 0 ? -1 : base + s * step);
    }
  }
}

// A row of y: x itself in [begin, end), and what the mode says on both sides.
struct Inside {
  int64_t begin, end;
  Inside(int64_t before, int64_t n, int64_t W)
      : begin(std::min(W, std::max<int64_t>(0, before))),
        end(std::max(begin, std::min(W, before + n))) {}
};
template <class T>
void pad_rows(const Tensor& x, const Tensor& y, const PadArgs& a, T value, int64_t b, int64_t e) {
  const int64_t n = x.size(-1), W = y.size(-1), before = a.before[0];
  const int mode = a.mode;
  const Inside in(before, n, W);
  T* const yp = y.data<T>();
  const T* const xp = x.data<T>();
  each_row(x.shape(), y.shape(), x.strides(), a, b, e, [&](int64_t r, int64_t place) {
    T* const to = yp + r * W;
    if (place < 0) {
      for (int64_t i = 0; i < W; ++i) to[i] = value;
      return;
    }
    const T* const from = xp + place;
    const auto edge = [&](int64_t i) {
      to[i] = mode == kConstant ? value : from[source(i, before, n, mode)];
    };
    for (int64_t i = 0; i < in.begin; ++i) edge(i);
    copy_run(to + in.begin, from + (in.begin - before), (in.end - in.begin) * int64_t(sizeof(T)));
    for (int64_t i = in.end; i < W; ++i) edge(i);
  });
}

// The constant as an element of y.
void constant_of(const PadArgs& a, DType dtype, void* element) {
  const Compute via = compute_type(dtype);
  const float f = float(a.value);
  const int64_t i = int64_t(a.value);
  const void* const value = via == kF32   ? static_cast<const void*>(&f)
                            : via == kF64 ? static_cast<const void*>(&a.value)
                                          : static_cast<const void*>(&i);
  cpu_kernels().store[int(dtype)][via](element, 1, value, 1);
}

void pad_launch(Call& c) {  // x has dense rows
  const auto& a = c.args<PadArgs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const int64_t item = item_size(x.dtype()), W = y.size(-1);
  union {
    uint8_t b1;
    uint16_t b2;
    uint32_t b4;
    uint64_t b8;
  } value;
  constant_of(a, y.dtype(), &value);
  parallel_rows(y.numel() / W, 0.05 * double(W * item) + 5, [&](int64_t b, int64_t e) {
    if (item == 4) return pad_rows<uint32_t>(x, y, a, value.b4, b, e);
    if (item == 8) return pad_rows<uint64_t>(x, y, a, value.b8, b, e);
    if (item == 2) return pad_rows<uint16_t>(x, y, a, value.b2, b, e);
    pad_rows<uint8_t>(x, y, a, value.b1, b, e);
  });
}

void pad_grad_infer(Call& c) {
  c.output(padded_shape(c.in[0].shape(), c.args<PadArgs>(), -1), c.in[0].dtype());
}
template <class T>
void pad_grad(T* gx, const T* g, const Dims& xs, const Dims& ys, const PadArgs& a, int64_t b,
              int64_t e) {
  const int64_t n = xs.back(), W = ys.back(), before = a.before[0];
  const Dims steps = contiguous_strides(xs);
  const Inside in(before, n, W);
  each_row(xs, ys, steps, a, b, e, [&](int64_t r, int64_t place) {
    T* const __restrict to = gx + place;
    const T* const __restrict from = g + r * W;
    for (int64_t i = 0; i < in.begin; ++i) to[source(i, before, n, a.mode)] += from[i];
    for (int64_t i = in.begin; i < in.end; ++i) to[i - before] += from[i];
    for (int64_t i = in.end; i < W; ++i) to[source(i, before, n, a.mode)] += from[i];
  });
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

Tensor apply_pad(const Tensor& x, const PadArgs& a) {
  const bool dense = x.is_contiguous() || (a.mode == kConstant && x.stride(-1) == 1);
  return apply(kPad, {dense ? x : clone(x)}, a);
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
  if (pads.n == 0) return clone(x);
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
