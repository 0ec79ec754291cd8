// Batch normalisation (formulas and layout: norm_cpu.h). Backward is one op; under create_graph the
// same formula is written in differentiable ops, the statistics as functions of x.
#include "ops/norm.h"

#include <cstring>

#include "core/threads.h"
#include "ops/half.h"
#include "ops/norm_args.h"
#include "ops/ops.h"

namespace lamina {
namespace {

int64_t spatial(const Tensor& x) {
  int64_t s = 1;
  for (int d = 2; d < x.dim(); ++d) s *= x.size(d);
  return s;
}
void* data(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

// Channels, or blocks of 64 columns when a channel is one lane of a vector.
template <class F>
void over_channels(const BatchNormArgs& a, double ns_per_element, F&& fn) {
  const double ns = ns_per_element * double(a.N) * double(a.S);
  const int64_t block = a.S > 1 ? 1 : 64;
  parallel_rows((a.C + block - 1) / block, ns * double(block),
                [&](int64_t b, int64_t e) { fn(b * block, e * block < a.C ? e * block : a.C); });
}

BatchNormArgs kernel_args(const Tensor& x, const BatchNormOpArgs& a) {
  BatchNormArgs k{};
  k.x = x.data();
  k.N = x.size(0);
  k.C = x.size(1);
  k.S = spatial(x);
  k.eps = a.eps;
  k.momentum = a.momentum;
  k.training = a.training;
  k.relu = a.extra.relu;
  k.summand_first = a.extra.summand_first;
  return k;
}
const void* optional_input(const Call& c, int i) {
  return i < c.in.size() ? data(c.in[i]) : nullptr;
}

// ---- forward: x, weight, bias, running_mean, running_var -> y, mean, rstd ----------------------
void batch_norm_infer(Call& c) {
  c.output(c.in[0].shape(), c.in[0].dtype());
  c.output({c.in[0].size(1)}, kept_dtype(c.in[0].dtype()));
  c.output({c.in[0].size(1)}, kept_dtype(c.in[0].dtype()));
}
void batch_norm_launch(Call& c) {
  const auto& a = c.args<BatchNormOpArgs>();
  const Tensor& x = c.in[0];
  BatchNormArgs k = kernel_args(x, a);
  k.weight = data(c.in[1]);
  k.bias = data(c.in[2]);
  k.running_mean = data(c.in[3]);
  k.running_var = data(c.in[4]);
  k.y = c.out[0].data();
  k.mean = c.out[1].data();
  k.rstd = c.out[2].data();
  k.summand = optional_input(c, 5);
  if (x.numel() == 0) return;
  const BatchNormFn run = cpu_kernels().norm.batch_norm[compute_type(x.dtype())];
  over_channels(k, 0.15, [&](int64_t b, int64_t e) { run(k, b, e); });
}

// ---- backward: g, x, weight, mean, rstd -> gx, gweight, gbias ----------------------------------
void grad_infer(Call& c) {
  const auto& a = c.args<BatchNormOpArgs>();
  const Tensor& x = c.in[1];
  c.output(a.gx ? x.shape() : Dims{0}, x.dtype());
  c.output({a.gweight ? x.size(1) : 0}, kept_dtype(x.dtype()));
  c.output({a.gbias ? x.size(1) : 0}, kept_dtype(x.dtype()));
}
void grad_launch(Call& c) {
  const auto& a = c.args<BatchNormOpArgs>();
  const Tensor& x = c.in[1];
  BatchNormArgs k = kernel_args(x, a);
  k.g = c.in[0].data();
  k.weight = data(c.in[2]);
  k.mean = c.in[3].data();
  k.rstd = c.in[4].data();
  k.gx = a.gx ? c.out[0].data() : nullptr;
  k.gweight = a.gweight ? c.out[1].data() : nullptr;
  k.gbias = a.gbias ? c.out[2].data() : nullptr;
  k.result = optional_input(c, 5);
  k.summand = optional_input(c, 6);
  k.g_sum = c.out.size() > 3 ? c.out[3].data() : nullptr;
  if (x.numel() == 0) {
    for (Tensor& t : c.out)
      if (t.numel()) std::memset(t.data(), 0, size_t(t.numel() * item_size(t.dtype())));
    return;
  }
  const BatchNormFn run = cpu_kernels().norm.batch_norm_grad[compute_type(x.dtype())];
  over_channels(k, 0.35, [&](int64_t b, int64_t e) { run(k, b, e); });
}
const Op kBatchNormGrad{.name = "batch_norm_grad", .infer = grad_infer, .launch = grad_launch};

Tensor rsqrt_of(const Tensor& x) {
  static const int f = function_index("rsqrt");
  return elementwise(f, {x});
}
Tensor per_channel(const Tensor& v, int dims) {
  Dims shape = Dims::filled(dims, 1);
  shape.v[1] = v.numel();
  return reshape(v, shape);
}

// The gradient in differentiable ops. mean and rstd undefined: those of x.
void recorded_vjp(Vjp& c, const BatchNormOpArgs& a, Tensor mean, Tensor rstd) {
  const DType t = kept_dtype(c.dtype(0));
  const Tensor g = to_dtype(c.g(), t), x = to_dtype(c.in(0), t);
  const Dims channels{x.size(1)};
  Dims others{0};
  for (int d = 2; d < x.dim(); ++d) others.push(d);
  const double n = double(x.numel()) / double(x.size(1));
  if (a.training) {
    mean = sum(x, others, true) / n;
    rstd = rsqrt_of(sum((x - mean) * (x - mean), others, true) / n + a.eps);
  }
  const Tensor h = (x - mean) * rstd;
  const Tensor gb = sum(g, others, true), gw = sum(g * h, others, true);
  if (c.needs(0)) {
    const Tensor inner = a.training ? g - gb / n - h * gw / n : g;
    const Tensor scale =
        c.shape(1).n && c.call().in[1].defined() ? rstd * per_channel(c.in(1), x.dim()) : rstd;
    c.set(0, to_dtype(inner * scale, c.dtype(0)));
  }
  if (c.needs(1)) c.set(1, reshape(gw, channels));
  if (c.needs(2)) c.set(2, reshape(gb, channels));
}
void fast_vjp(Vjp& c, BatchNormOpArgs a, const Tensor& mean, const Tensor& rstd) {
  a.gx = c.needs(0);
  a.gweight = c.needs(1);
  a.gbias = c.needs(2);
  const Tensor weight = c.call().in[1].defined() ? c.in(1) : Tensor();
  const Outputs out = run(
      make_call(kBatchNormGrad,
                std::initializer_list<Tensor>{contiguous(c.g()), c.in(0), weight, mean, rstd}, a));
  if (a.gx) c.set(0, out[0]);
  if (a.gweight) c.set(1, out[1]);
  if (a.gbias) c.set(2, out[2]);
}

void batch_norm_vjp(Vjp& c) {
  const auto& a = c.args<BatchNormOpArgs>();
  if (grad_enabled()) return recorded_vjp(c, a, {}, {});
  fast_vjp(c, a, c.out(1), c.out(2));
}
const Op kBatchNorm{.name = "batch_norm",
                    .infer = batch_norm_infer,
                    .launch = batch_norm_launch,
                    .vjp = batch_norm_vjp,
                    .saves = {3, 6},
                    .writes = 8 | 16};

// ---- with given statistics ---------------------------------------------------------------------
void eval_infer(Call& c) { c.output(c.in[0].shape(), c.in[0].dtype()); }
void eval_launch(Call& c) {
  const auto& a = c.args<BatchNormOpArgs>();
  const Tensor& x = c.in[0];
  if (x.numel() == 0) return;
  BatchNormArgs k = kernel_args(x, a);
  k.weight = data(c.in[1]);
  k.bias = data(c.in[2]);
  k.y = c.out[0].data();
  k.mean = c.in[3].data();
  k.summand = optional_input(c, 5);
  Scratch rstd(size_t(k.C) * 8);
  k.rstd = rstd.as<void>();
  batch_norm_rstd(c.in[4], a.eps, rstd.as<void>());
  const BatchNormFn run = cpu_kernels().norm.batch_norm[compute_type(x.dtype())];
  over_channels(k, 0.12, [&](int64_t b, int64_t e) { run(k, b, e); });
}
void eval_vjp(Vjp& c) {
  const auto& a = c.args<BatchNormOpArgs>();
  const Tensor mean = c.in(3), rstd = rsqrt_of(c.in(4) + a.eps);
  check(!c.needs(3) && !c.needs(4), ErrorKind::not_implemented,
        "batch_norm: has no gradient for running_mean and running_var; pass detached tensors");
  if (grad_enabled())
    return recorded_vjp(c, a, per_channel(mean, c.shape(0).n), per_channel(rstd, c.shape(0).n));
  fast_vjp(c, a, mean, rstd);
}
const Op kBatchNormEval{.name = "batch_norm_eval",
                        .infer = eval_infer,
                        .launch = eval_launch,
                        .vjp = eval_vjp,
                        .saves = {1 | 2 | 8 | 16, 0}};

// A tensor of one value per channel, dense and of dtype t.
Tensor channel_input(const char* what, const MaybeTensor& v, const Tensor& x, DType t) {
  if (!v || !v->defined()) return {};
  check(v->dim() == 1 && v->size(0) == x.size(1), ErrorKind::shape, "batch_norm: ", what,
        " has shape ", v->shape(), ", expected (", x.size(1), ",) for an input of shape ",
        x.shape());
  return contiguous(to_dtype(*v, t));
}

}  // namespace

void batch_norm_rstd(const Tensor& variance, double eps, void* to) {
  const int64_t n = variance.numel();
  if (variance.dtype() == DType::float64)
    for (int64_t i = 0; i < n; ++i)
      static_cast<double*>(to)[i] = 1 / __builtin_sqrt(variance.data<double>()[i] + eps);
  else
    for (int64_t i = 0; i < n; ++i)
      static_cast<float*>(to)[i] =
          float(1 / __builtin_sqrt(double(variance.data<float>()[i]) + eps));
}
bool batch_norm_given(const Op& op, const void* args, const Dims& shape, double* eps,
                      BatchNormExtra* extra) {
  if (&op != &kBatchNormEval || shape.n < 3 || shape[0] * shape[1] == shape.product()) return false;
  BatchNormOpArgs a;
  std::memcpy(&a, args, sizeof a);
  *eps = a.eps, *extra = a.extra;
  return true;
}
BatchNormUse batch_norm_use(const Op& op, const void* args, const Dims& shape) {
  if (&op != &kBatchNorm && &op != &kBatchNormEval && &op != &kBatchNormGrad)
    return BatchNormUse::none;
  BatchNormOpArgs a;
  std::memcpy(&a, args, sizeof a);
  const bool plain = !a.extra.relu && !a.extra.summand_first;
  if (!plain || shape.n < 3 || shape.product() == 0 || shape[0] * shape[1] == shape.product())
    return BatchNormUse::none;
  if (&op != &kBatchNormGrad) return BatchNormUse::forward;
  return a.training && a.gx ? BatchNormUse::backward : BatchNormUse::none;
}
void extend_batch_norm(void* args, BatchNormExtra extra) {
  BatchNormOpArgs a;
  std::memcpy(&a, args, sizeof a);
  a.extra = extra;
  std::memcpy(args, &a, sizeof a);
}

Tensor batch_norm(const Tensor& x, const MaybeTensor& weight, const MaybeTensor& bias,
                  const MaybeTensor& running_mean, const MaybeTensor& running_var, bool training,
                  double momentum, double eps) {
  check(x.dim() >= 2, ErrorKind::shape, "batch_norm: expected an input (N, C, ...), got shape ",
        x.shape());
  check(is_floating(x.dtype()), ErrorKind::dtype, "batch_norm: expected a floating input, got ", x,
        "; convert with .float()");
  const DType t = kept_dtype(x.dtype());
  const Op& op = training ? kBatchNorm : kBatchNormEval;
  const Tensor in = contiguous(to_dtype(x, computed_in(op, x)));
  const Tensor w = channel_input("weight", weight, x, t), b = channel_input("bias", bias, x, t);
  const Tensor rm = channel_input("running_mean", running_mean, x, t);
  const Tensor rv = channel_input("running_var", running_var, x, t);
  check(training || (rm.defined() && rv.defined()), ErrorKind::value,
        "batch_norm: running_mean and running_var are needed when training is False");
  check(rm.defined() == rv.defined(), ErrorKind::value,
        "batch_norm: running_mean and running_var must both be given, or neither");
  const BatchNormOpArgs args{eps, momentum, training, false, false, false, {}};
  const std::initializer_list<Tensor> inputs{in, w, b, rm, rv};
  const Tensor y = run(make_call(op, inputs, args))[0];
  if (training && rm.defined()) {  // statistics that had to be converted go back
    GradMode off(false);
    if (!rm.same(*running_mean)) copy_(*running_mean, rm);
    if (!rv.same(*running_var)) copy_(*running_var, rv);
  }
  return to_dtype(y, x.dtype());
}

}  // namespace lamina
