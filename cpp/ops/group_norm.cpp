// Group normalisation (formulas: group_norm_cpu.h). Backward is one op; under create_graph the same
// formula is written in differentiable ops.
#include <cstring>

#include "core/threads.h"
#include "ops/half.h"
#include "ops/norm.h"
#include "ops/norm_args.h"
#include "ops/ops.h"

namespace lamina {
namespace {

void* data(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

GroupNormArgs kernel_args(const Tensor& x, const GroupNormOpArgs& a) {
  GroupNormArgs k{};
  k.x = x.data();
  k.G = a.groups;
  k.D = x.size(1) / a.groups;
  k.S = x.numel() / (x.size(0) * x.size(1));
  k.eps = a.eps;
  return k;
}

// ---- forward: x, weight, bias -> y, mean, rstd -------------------------------------------------
void norm_infer(Call& c) {
  const int64_t groups = c.in[0].size(0) * c.args<GroupNormOpArgs>().groups;
  c.output(c.in[0].shape(), c.in[0].dtype());
  c.output({groups}, kept_dtype(c.in[0].dtype()));
  c.output({groups}, kept_dtype(c.in[0].dtype()));
}
void norm_launch(Call& c) {
  const auto& a = c.args<GroupNormOpArgs>();
  const Tensor& x = c.in[0];
  if (x.numel() == 0) return;
  GroupNormArgs k = kernel_args(x, a);
  k.weight = data(c.in[1]);
  k.bias = data(c.in[2]);
  k.y = c.out[0].data();
  k.mean = c.out[1].data();
  k.rstd = c.out[2].data();
  const GroupNormFn run = cpu_kernels().norm.group_norm[compute_type(x.dtype())];
  parallel_rows(x.size(0) * a.groups, 30 + 0.15 * double(k.D * k.S),
                [&](int64_t b, int64_t e) { run(k, b, e); });
}

// ---- backward: g, x, weight, mean, rstd -> gx, gweight, gbias ----------------------------------
void grad_infer(Call& c) {
  const auto& a = c.args<GroupNormOpArgs>();
  const Tensor& x = c.in[1];
  c.output(a.gx ? x.shape() : Dims{0}, x.dtype());
  c.output({a.gweight ? x.size(1) : 0}, kept_dtype(x.dtype()));
  c.output({a.gbias ? x.size(1) : 0}, kept_dtype(x.dtype()));
}
template <class T>
void sum_samples(const Tensor& y, const double* sums, int64_t N, int64_t C) {
  T* const to = y.data<T>();
  for (int64_t i = 0; i < C; ++i) {
    double total = 0;
    for (int64_t n = 0; n < N; ++n) total += sums[n * C + i];
    to[i] = T(total);
  }
}
void grad_launch(Call& c) {
  const auto& a = c.args<GroupNormOpArgs>();
  const Tensor& x = c.in[1];
  if (x.numel() == 0) {
    for (Tensor& t : c.out)
      if (t.numel()) std::memset(t.data(), 0, size_t(t.numel() * item_size(t.dtype())));
    return;
  }
  GroupNormArgs k = kernel_args(x, a);
  const int64_t N = x.size(0), C = x.size(1);
  k.g = c.in[0].data();
  k.weight = data(c.in[2]);
  k.mean = c.in[3].data();
  k.rstd = c.in[4].data();
  k.gx = a.gx ? c.out[0].data() : nullptr;
  Scratch sums(size_t(N * C) * 16);
  k.sum_g = sums.as<double>();
  k.sum_gx = sums.as<double>() + N * C;
  const GroupNormFn run = cpu_kernels().norm.group_norm_grad[compute_type(x.dtype())];
  parallel_rows(N * a.groups, 50 + 0.35 * double(k.D * k.S),
                [&](int64_t b, int64_t e) { run(k, b, e); });
  const auto collect = x.dtype() == DType::float64 ? sum_samples<double> : sum_samples<float>;
  if (a.gweight) collect(c.out[1], k.sum_gx, N, C);
  if (a.gbias) collect(c.out[2], k.sum_g, N, C);
}
const Op kGroupNormGrad{.name = "group_norm_grad", .infer = grad_infer, .launch = grad_launch};

void norm_vjp(Vjp& c) {
  auto a = c.args<GroupNormOpArgs>();
  const Tensor weight = c.call().in[1].defined() ? c.in(1) : Tensor();
  if (!grad_enabled()) {
    a.gx = c.needs(0);
    a.gweight = c.needs(1);
    a.gbias = c.needs(2);
    const Outputs out = run(make_call(
        kGroupNormGrad,
        std::initializer_list<Tensor>{contiguous(c.g()), c.in(0), weight, c.out(1), c.out(2)}, a));
    for (int i = 0; i < 3; ++i)
      if (c.needs(i)) c.set(i, out[i]);
    return;
  }
  const Dims& shape = c.shape(0);
  const int64_t N = shape[0], C = shape[1], D = C / a.groups;
  const Dims split{N, a.groups, D, N * C > 0 ? shape.product() / (N * C) : 0}, inner{2, 3};
  const DType t = kept_dtype(c.dtype(0));
  const Tensor g = reshape(to_dtype(c.g(), t), split), x = reshape(to_dtype(c.in(0), t), split);
  const double n = double(split[2] * split[3]);
  static const int rsqrt = function_index("rsqrt");
  const Tensor d = x - sum(x, inner, true) / n;
  const Tensor rstd = elementwise(rsqrt, {sum(d * d, inner, true) / n + a.eps}), h = d * rstd;
  if (c.needs(0)) {
    const Tensor gw = weight.defined() ? g * reshape(weight, {1, a.groups, D, 1}) : g;
    const Tensor v = rstd * (gw - sum(gw, inner, true) / n - h * (sum(gw * h, inner, true) / n));
    c.set(0, reshape(to_dtype(v, c.dtype(0)), shape));
  }
  if (c.needs(1)) c.set(1, reshape(sum(g * h, {0, 3}), {C}));
  if (c.needs(2)) c.set(2, reshape(sum(g, {0, 3}), {C}));
}
const Op kGroupNorm{.name = "group_norm",
                    .infer = norm_infer,
                    .launch = norm_launch,
                    .vjp = norm_vjp,
                    .saves = {3, 6}};

}  // namespace

Tensor group_norm(const Tensor& x, int64_t groups, const MaybeTensor& weight,
                  const MaybeTensor& bias, double eps) {
  check(x.dim() >= 2, ErrorKind::shape, "group_norm: expected an input (N, C, ...), got shape ",
        x.shape());
  check(is_floating(x.dtype()), ErrorKind::dtype, "group_norm: expected a floating input, got ", x,
        "; convert with .float()");
  check(groups > 0 && x.size(1) % groups == 0, ErrorKind::shape, "group_norm: ", x.size(1),
        " channels cannot be split into ", groups, " groups; input ", x.shape());
  const DType t = kept_dtype(x.dtype());
  const auto dense = [&](const char* what, const MaybeTensor& v) {
    if (!v || !v->defined()) return Tensor();
    check(v->dim() == 1 && v->size(0) == x.size(1), ErrorKind::shape, "group_norm: ", what,
          " has shape ", v->shape(), ", expected (", x.size(1), ",) for an input of shape ",
          x.shape());
    return contiguous(to_dtype(*v, t));
  };
  const std::initializer_list<Tensor> inputs{contiguous(to_dtype(x, computed_in(kGroupNorm, x))),
                                             dense("weight", weight), dense("bias", bias)};
  const GroupNormOpArgs args{groups, eps, false, false, false};
  return to_dtype(run(make_call(kGroupNorm, inputs, args))[0], x.dtype());
}

}  // namespace lamina
