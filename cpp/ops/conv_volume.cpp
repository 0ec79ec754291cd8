// Convolution of volumes by planes: the taps along the depth become channels,
//   u[(n, t), (c, k), h, w] = x[n, c, t sd + k dd - pd, h, w]     (zeros outside: depth_taps)
// and one two-dimensional convolution of u by w (M, C KD, KH, KW) sums over them all. u holds KD
// times the elements of x for stride 1; everything else is the two-dimensional convolution's cost.
// The transposed convolution runs the other way: planes first, then depth_sum, the transpose of
// depth_taps. The two are each other's derivatives.
#include <cstring>

#include "core/threads.h"
#include "ops/conv.h"
#include "ops/conv_volume_args.h"
#include "ops/ops.h"

namespace lamina {
namespace {

int64_t depth_of(const DepthTaps& a, int64_t t, int64_t k) {
  return t * a.stride + k * a.dilation - a.before;
}

void taps_infer(Call& c) {
  const auto& a = c.args<DepthTaps>();
  c.output({a.N * a.T, a.C * a.K, a.H, a.W}, c.in[0].dtype());
}
void taps_launch(Call& c) {
  const auto& a = c.args<DepthTaps>();
  const size_t plane = size_t(a.H * a.W * item_size(c.in[0].dtype()));
  const char* const x = c.in[0].data<char>();
  char* const u = c.out[0].data<char>();
  parallel_rows(a.N * a.T, 0.2 * double(a.C * a.K) * double(plane), [&](int64_t b, int64_t e) {
    for (int64_t row = b; row < e; ++row) {
      const int64_t n = row / a.T, t = row % a.T;
      for (int64_t i = 0; i < a.C * a.K; ++i) {
        const int64_t d = depth_of(a, t, i % a.K);
        char* const to = u + size_t(row * a.C * a.K + i) * plane;
        if (d < 0 || d >= a.D)
          std::memset(to, 0, plane);
        else
          std::memcpy(to, x + size_t((n * a.C + i / a.K) * a.D + d) * plane, plane);
      }
    }
  });
}

void sum_infer(Call& c) {
  const auto& a = c.args<DepthTaps>();
  c.output({a.N, a.C, a.D, a.H, a.W}, c.in[0].dtype());
}
// x[n, c, d] = sum over t, k with depth_of(t, k) = d of u[(n, t), (c, k)], in the order of t.
template <class T>
void sum_planes(const DepthTaps& a, const T* u, T* x, int64_t begin, int64_t end) {
  const int64_t plane = a.H * a.W;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t n = row / a.C, c = row % a.C;
    T* const to = x + row * a.D * plane;
    std::memset(to, 0, size_t(a.D * plane) * sizeof(T));
    for (int64_t t = 0; t < a.T; ++t)
      for (int64_t k = 0; k < a.K; ++k) {
        const int64_t d = depth_of(a, t, k);
        if (d < 0 || d >= a.D) continue;
        const T* const from = u + ((n * a.T + t) * a.C * a.K + c * a.K + k) * plane;
        for (int64_t i = 0; i < plane; ++i) to[d * plane + i] += from[i];
      }
  }
}
void sum_launch(Call& c) {
  const auto& a = c.args<DepthTaps>();
  const Tensor &u = c.in[0], &x = c.out[0];
  const double cost = double(a.D + a.T * a.K) * double(a.H * a.W);
  parallel_rows(a.N * a.C, cost, [&](int64_t b, int64_t e) {
    if (u.dtype() == DType::float64)
      sum_planes(a, u.data<double>(), x.data<double>(), b, e);
    else
      sum_planes(a, u.data<float>(), x.data<float>(), b, e);
  });
}

Tensor depth_taps(const Tensor& x, const DepthTaps& a);
Tensor depth_sum(const Tensor& u, const DepthTaps& a);
void taps_vjp(Vjp& c) { c.set(0, depth_sum(c.g(), c.args<DepthTaps>())); }
void sum_vjp(Vjp& c) { c.set(0, depth_taps(c.g(), c.args<DepthTaps>())); }
const Op kDepthTaps{
    .name = "depth_taps", .infer = taps_infer, .launch = taps_launch, .vjp = taps_vjp};
const Op kDepthSum{.name = "depth_sum", .infer = sum_infer, .launch = sum_launch, .vjp = sum_vjp};
Tensor depth_taps(const Tensor& x, const DepthTaps& a) {
  return apply(kDepthTaps, {contiguous(x)}, a);
}
Tensor depth_sum(const Tensor& u, const DepthTaps& a) {
  return apply(kDepthSum, {contiguous(u)}, a);
}

// ---- arguments ---------------------------------------------------------------------------------
struct Triple {
  int64_t v[3];
  Dims plane() const { return {v[1], v[2]}; }
};
Triple triple(const char* name, const char* what, const Dims& given, int64_t least) {
  check(given.n == 1 || given.n == 3, ErrorKind::value, name, ": ", what,
        " must be one int or 3, got ", given);
  Triple t{};
  for (int i = 0; i < 3; ++i) {
    t.v[i] = given.v[given.n == 1 ? 0 : i];
    check(t.v[i] >= least, ErrorKind::value, name, ": ", what, " must be at least ", least,
          ", got ", given);
  }
  return t;
}

void check_operands(const char* name, const Tensor& x, const Tensor& w,
                    const std::optional<Tensor>& bias, int64_t groups) {
  check(is_floating(x.dtype()) && x.dtype() == w.dtype() && (!bias || bias->dtype() == x.dtype()),
        ErrorKind::dtype, name, ": input and weight", bias ? " and bias" : "",
        " must have one floating dtype, got ", x, " and ", w,
        "; convert with .to() or move the module with .to(dtype)");
  check(x.dim() == 4 || x.dim() == 5, ErrorKind::shape, name,
        ": expected an input (N, C, D, H, W) or (C, D, H, W), got shape ", x.shape());
  check(w.dim() == 5, ErrorKind::shape, name, ": expected a weight of 5 dimensions, got shape ",
        w.shape());
  check(groups > 0, ErrorKind::value, name, ": groups must be positive, got ", groups);
  check(w.size(0) % groups == 0, ErrorKind::shape, name, ": the first size of weight ", w.shape(),
        " must be divisible by groups=", groups);
  check(w.size(2) > 0 && w.size(3) > 0 && w.size(4) > 0, ErrorKind::shape, name,
        ": the kernel must not be empty, got weight ", w.shape());
}
void check_bias(const char* name, const std::optional<Tensor>& bias, int64_t channels) {
  check(!bias || (bias->dim() == 1 && bias->size(0) == channels), ErrorKind::shape, name,
        ": bias must have shape (", channels, ",), one number per output channel, got ",
        bias ? bias->shape() : Dims{});
}
// The kernel as that of planes with C KD channels: row-major order already agrees.
Tensor plane_weight(const Tensor& w) {
  return reshape(w, {w.size(0), w.size(1) * w.size(2), w.size(3), w.size(4)});
}
bool is_half(const Tensor& x) { return x.dtype() != DType::float32 && x.dtype() != DType::float64; }
std::optional<Tensor> as_type(const std::optional<Tensor>& t, DType dtype) {
  return t ? std::optional<Tensor>(to_dtype(*t, dtype)) : t;
}
// (N, T, C, H, W) <-> (N, C, T, H, W), dense.
Tensor swap_depth(const Tensor& x) { return contiguous(transpose(x, 1, 2)); }

}  // namespace

Tensor conv3d(const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias,
              const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups,
              bool same) {
  const char* const name = "conv3d";
  check_operands(name, x, w, bias, groups);
  check_bias(name, bias, w.size(0));
  const auto convolved = [&](const Tensor& v) {
    return conv3d(v, to_dtype(w, v.dtype()), as_type(bias, v.dtype()), stride, padding, dilation,
                  groups, same);
  };
  if (x.dim() == 4) return squeeze(convolved(unsqueeze(x, 0)), Dims{0});
  if (is_half(x)) return to_dtype(convolved(to_dtype(x, DType::float32)), x.dtype());
  check(x.size(1) == w.size(1) * groups, ErrorKind::shape, name, ": weight ", w.shape(),
        " with groups=", groups, " takes an input of ", w.size(1) * groups, " channels, input ",
        x.shape(), " has ", x.size(1));
  const Triple s = triple(name, "stride", stride, 1), d = triple(name, "dilation", dilation, 1);
  const Triple p = triple(name, "padding", padding, 0);
  int64_t out[3];
  for (int i = 0; i < 3; ++i) {
    const int64_t reach = (w.size(2 + i) - 1) * d.v[i] + 1;
    check(!same || s.v[i] == 1, ErrorKind::value, name, ": padding='same' needs stride 1, got ",
          stride);
    const int64_t room = x.size(2 + i) + 2 * p.v[i] - reach;
    check(same || room >= 0, ErrorKind::shape, name, ": input ", x.shape(), " with padding ",
          padding, " is smaller than the kernel of weight ", w.shape(),
          d.v[0] * d.v[1] * d.v[2] > 1 ? " with its dilation" : "");
    out[i] = same ? x.size(2 + i) : room / s.v[i] + 1;
  }
  const int64_t N = x.size(0), C = x.size(1), D = x.size(2), H = x.size(3), W = x.size(4);
  const int64_t K = w.size(2), M = w.size(0);
  const bool all_planes = K == 1 && s.v[0] == 1 && out[0] == D && (same || p.v[0] == 0);
  const bool pointwise = all_planes && w.size(3) == 1 && w.size(4) == 1 && s.v[1] == 1 &&
                         s.v[2] == 1 && out[1] == H && out[2] == W;
  if (pointwise) {  // a matrix product at every element
    const Tensor y =
        conv(reshape(x, {N, C, D * H, W}), plane_weight(w), bias, 2, {1}, {0}, {1}, groups, false);
    return reshape(y, {N, M, D, H, W});
  }
  const int64_t before = same ? (K - 1) * d.v[0] / 2 : p.v[0];
  const DepthTaps a{N, C, D, H, W, out[0], K, s.v[0], d.v[0], before};
  const Tensor u = depth_taps(x, a);
  const Tensor y = conv(u, plane_weight(w), bias, 2, s.plane(), p.plane(), d.plane(), groups, same);
  return swap_depth(reshape(y, {N, out[0], M, y.size(2), y.size(3)}));
}

Tensor conv_transpose3d(const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias,
                        const Dims& stride, const Dims& padding, const Dims& output_padding,
                        int64_t groups, const Dims& dilation) {
  const char* const name = "conv_transpose3d";
  check_operands(name, x, w, bias, groups);
  check_bias(name, bias, w.size(1) * groups);
  const auto convolved = [&](const Tensor& v) {
    return conv_transpose3d(v, to_dtype(w, v.dtype()), as_type(bias, v.dtype()), stride, padding,
                            output_padding, groups, dilation);
  };
  if (x.dim() == 4) return squeeze(convolved(unsqueeze(x, 0)), Dims{0});
  if (is_half(x)) return to_dtype(convolved(to_dtype(x, DType::float32)), x.dtype());
  check(x.size(1) == w.size(0), ErrorKind::shape, name, ": weight ", w.shape(),
        " takes an input of ", w.size(0), " channels, input ", x.shape(), " has ", x.size(1));
  const Triple s = triple(name, "stride", stride, 1), d = triple(name, "dilation", dilation, 1);
  const Triple p = triple(name, "padding", padding, 0);
  const Triple extra = triple(name, "output_padding", output_padding, 0);
  int64_t out[3];
  for (int i = 0; i < 3; ++i) {
    check(extra.v[i] == 0 || extra.v[i] < std::max(s.v[i], d.v[i]), ErrorKind::value, name,
          ": output_padding ", output_padding,
          " must be smaller than the stride or the dilation, got stride ", stride, " and dilation ",
          dilation);
    out[i] =
        (x.size(2 + i) - 1) * s.v[i] - 2 * p.v[i] + d.v[i] * (w.size(2 + i) - 1) + extra.v[i] + 1;
    check(x.size(2 + i) > 0 && out[i] > 0, ErrorKind::shape, name, ": input ", x.shape(),
          " and weight ", w.shape(), " with padding ", padding, " would give an output of size ",
          out[i], " along dimension ", 2 + i, "; use less padding");
  }
  const int64_t N = x.size(0), T = x.size(2), C = w.size(1) * groups;
  const Tensor planes = reshape(swap_depth(x), {N * T, x.size(1), x.size(3), x.size(4)});
  const Tensor u = conv_transpose(planes, plane_weight(w), std::nullopt, 2, s.plane(), p.plane(),
                                  extra.plane(), groups, d.plane());
  const DepthTaps a{N, C, out[0], out[1], out[2], T, w.size(2), s.v[0], d.v[0], p.v[0]};
  const Tensor y = depth_sum(u, a);
  return bias ? add(y, reshape(*bias, {-1, 1, 1, 1})) : y;
}

}  // namespace lamina
