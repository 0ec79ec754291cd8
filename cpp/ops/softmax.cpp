// softmax      y_j = exp(x_j - m) / sum_k exp(x_k - m),  m = max_k x_k     gx = y (g - sum g y)
// log_softmax  y_j = x_j - m - log sum_k exp(x_k - m)                      gx = g - exp(y) sum g
// logsumexp    y = m + log sum_k exp(x_k - m)                               gx = g exp(x - y)
// along `dim`.
#include "ops/softmax.h"

#include "core/threads.h"
#include "ops/half.h"
#include "ops/ops.h"
#include "ops/softmax_args.h"

namespace lamina {
namespace {

int64_t count(const Dims& shape, int begin, int end) {
  int64_t n = 1;
  for (int d = begin; d < end; ++d) n *= shape.v[d];
  return n;
}

void infer(Call& c) { c.output(c.in[0].shape(), c.in[0].dtype()); }

template <SoftmaxKind kind>
void launch(Call& c) {
  const int dim = c.args<SoftmaxOpArgs>().dim;
  const Dims& shape = c.in[0].shape();
  SoftmaxArgs a;
  a.g = c.in[0].data();
  a.x = c.in[kind == kSoftmaxGrad || kind == kLogSoftmaxGrad ? 1 : 0].data();
  a.y = c.out[0].data();
  a.N = shape.v[dim];
  a.S = count(shape, dim + 1, shape.n);
  if (c.out[0].numel() == 0) return;
  const Compute via = compute_type(c.out[0].dtype());
  a.past = past_caches(c.out[0].numel() * item_size(c.out[0].dtype()));
  const SoftmaxFn f = cpu_kernels().softmax.f[kind][via];
  const int64_t P = count(shape, 0, dim), tiles = (a.S + kSoftmaxTile - 1) / kSoftmaxTile;
  const int64_t width = a.S == 1 ? 1 : a.S < kSoftmaxTile ? a.S : kSoftmaxTile;
  const double each = kind == kSoftmaxGrad ? 0.4 : via == kF64 ? 10 : 0.8;
  parallel_rows(P * tiles, each * double(a.N * width) + 10,
                [&](int64_t b, int64_t e) { f(a, b, e); });
}

// v is the gradient of gx = y (g - sum g y):  gg = y (v - sum v y),
//                                             gy = v (g - sum g y) - g sum v y
void softmax_grad_vjp(Vjp& c) {
  const int dim = c.args<SoftmaxOpArgs>().dim;
  const Tensor v = c.g(), g = c.in(0), y = c.in(1);
  if (c.needs(0)) c.set(0, softmax_grad(v, y, dim));
  if (c.needs(1)) c.set(1, v * (g - sum(g * y, {dim}, true)) - g * sum(v * y, {dim}, true));
}
// of gx = g - exp(y) sum g:  gg = v - sum v exp(y),  gy = -v exp(y) sum g
void log_softmax_grad_vjp(Vjp& c) {
  static const int exp = function_index("exp");
  const int dim = c.args<SoftmaxOpArgs>().dim;
  const Tensor v = c.g(), g = c.in(0), p = v * elementwise(exp, {c.in(1)});
  if (c.needs(0)) c.set(0, v - sum(p, {dim}, true));
  if (c.needs(1)) c.set(1, -(p * sum(g, {dim}, true)));
}
const Op kSoftmaxGradOp{.name = "softmax_grad",
                        .infer = infer,
                        .launch = launch<kSoftmaxGrad>,
                        .vjp = softmax_grad_vjp,
                        .saves = kSavesInputs};
const Op kLogSoftmaxGradOp{.name = "log_softmax_grad",
                           .infer = infer,
                           .launch = launch<kLogSoftmaxGrad>,
                           .vjp = log_softmax_grad_vjp,
                           .saves = kSavesInputs};

void softmax_vjp(Vjp& c) { c.set(0, softmax_grad(c.g(), c.out(), c.args<SoftmaxOpArgs>().dim)); }
void log_softmax_vjp(Vjp& c) {
  c.set(0, log_softmax_grad(c.g(), c.out(), c.args<SoftmaxOpArgs>().dim));
}
const Op kSoftmax{.name = "softmax",
                  .infer = infer,
                  .launch = launch<kSoftmaxValue>,
                  .vjp = softmax_vjp,
                  .saves = kSavesOutputs};
const Op kLogSoftmax{.name = "log_softmax",
                     .infer = infer,
                     .launch = launch<kLogSoftmaxValue>,
                     .vjp = log_softmax_vjp,
                     .saves = kSavesOutputs};

void logsumexp_infer(Call& c) {
  const auto& o = c.args<SoftmaxOpArgs>();
  Dims shape = c.in[0].shape();
  if (o.keep)
    shape.v[o.dim] = 1;
  else
    shape.erase(o.dim);
  c.output(shape, c.in[0].dtype());
}
void logsumexp_vjp(Vjp& c) {
  static const int exp = function_index("exp");
  const auto& o = c.args<SoftmaxOpArgs>();
  const Tensor x = c.in(0), g = o.keep ? c.g() : unsqueeze(c.g(), o.dim);
  const Tensor y = o.keep ? c.out() : unsqueeze(c.out(), o.dim);
  c.set(0, g * elementwise(exp, {x - y}));
}
const Op kLogSumExp{.name = "logsumexp",
                    .infer = logsumexp_infer,
                    .launch = launch<kLogSumExpValue>,
                    .vjp = logsumexp_vjp,
                    .saves = kSavesBoth};

Tensor value(const Op& op, const Tensor& x, int64_t dim) {
  check(is_floating(x.dtype()), ErrorKind::dtype, op.name, ": expected a floating tensor, got ", x,
        "; convert with .float() or give dtype=");
  const int d = wrap_dim(op.name, dim, x.dim());
  if (x.dim() == 0) return reshape(value(op, reshape(x, {1}), 0), {});
  const DType dtype = x.dtype(), via = computed_in(op, x);
  if (via != dtype) return to_dtype(value(op, to_dtype(x, via), d), dtype);
  return apply(op, {contiguous(x)}, SoftmaxOpArgs{d});
}

}  // namespace

Tensor logsumexp_dim(const Tensor& x, int64_t dim, bool keepdim) {
  const int d = wrap_dim("logsumexp", dim, x.dim());
  return apply(kLogSumExp, {contiguous(x)}, SoftmaxOpArgs{d, keepdim});
}
Tensor softmax(const Tensor& x, int64_t dim) { return value(kSoftmax, x, dim); }
Tensor log_softmax(const Tensor& x, int64_t dim) { return value(kLogSoftmax, x, dim); }
Tensor softmax_grad(const Tensor& g, const Tensor& y, int64_t dim) {
  return apply(kSoftmaxGradOp, {contiguous(g), contiguous(y)}, SoftmaxOpArgs{int(dim)});
}
Tensor log_softmax_grad(const Tensor& g, const Tensor& y, int64_t dim) {
  return apply(kLogSoftmaxGradOp, {contiguous(g), contiguous(y)}, SoftmaxOpArgs{int(dim)});
}

}  // namespace lamina
