// Layer and RMS normalisation of rows (formulas: layer_norm_cpu.h), one op with and without a mean.
// Backward is one op; under create_graph the same formula is written in differentiable ops.
#include <cstring>

#include "core/threads.h"
#include "ops/half.h"
#include "ops/norm.h"
#include "ops/norm_args.h"
#include "ops/ops.h"

namespace lamina {
namespace {

Dims tail(const Dims& shape, int64_t dims) {
  Dims d;
  for (int i = shape.n - int(dims); i < shape.n; ++i) d.push(shape.v[i]);
  return d;
}
void* data(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

// ---- forward: x, weight, bias -> y, mean, rstd -------------------------------------------------
void norm_infer(Call& c) {
  const auto& a = c.args<LayerNormOpArgs>();
  const Dims& shape = c.in[0].shape();
  const int64_t size = tail(shape, a.dims).product(), rows = size ? shape.product() / size : 0;
  c.output(shape, c.in[0].dtype());
  c.output({a.centred ? rows : 0}, kept_dtype(c.in[0].dtype()));
  c.output({rows}, kept_dtype(c.in[0].dtype()));
}
LayerNormArgs kernel_args(const Tensor& x, const LayerNormOpArgs& a) {
  LayerNormArgs k{};
  k.x = x.data();
  k.size = tail(x.shape(), a.dims).product();
  k.rows = x.numel() / k.size;
  k.eps = a.eps;
  k.past = past_caches(x.numel() * item_size(x.dtype()));
  return k;
}
void norm_launch(Call& c) {
  const auto& a = c.args<LayerNormOpArgs>();
  const Tensor& x = c.in[0];
  if (x.numel() == 0) return;
  LayerNormArgs k = kernel_args(x, a);
  k.weight = data(c.in[1]);
  k.bias = data(c.in[2]);
  k.y = c.out[0].data();
  k.mean = a.centred ? c.out[1].data() : nullptr;
  k.rstd = c.out[2].data();
  const LayerNormFn run = cpu_kernels().norm.layer_norm[compute_type(x.dtype())];
  parallel_rows(k.rows, 25 + 0.12 * double(k.size), [&](int64_t b, int64_t e) { run(k, b, e); });
}

// ---- backward: g, x, weight, mean, rstd -> gx, gweight, gbias ----------------------------------
void grad_infer(Call& c) {
  const auto& a = c.args<LayerNormOpArgs>();
  const Tensor& x = c.in[1];
  const Dims weight = tail(x.shape(), a.dims);
  c.output(a.gx ? x.shape() : Dims{0}, x.dtype());
  c.output(a.gweight ? weight : Dims{0}, kept_dtype(x.dtype()));
  c.output(a.gbias ? weight : Dims{0}, kept_dtype(x.dtype()));
}
void grad_launch(Call& c) {
  const auto& a = c.args<LayerNormOpArgs>();
  const Tensor& x = c.in[1];
  const Compute type = compute_type(x.dtype());
  if (x.numel() == 0) {
    for (Tensor& t : c.out)
      if (t.numel()) std::memset(t.data(), 0, size_t(t.numel() * item_size(t.dtype())));
    return;
  }
  LayerNormArgs k = kernel_args(x, a);
  k.g = c.in[0].data();
  k.weight = data(c.in[2]);
  k.mean = a.centred ? c.in[3].data() : nullptr;
  k.rstd = c.in[4].data();
  k.gx = a.gx ? c.out[0].data() : nullptr;
  k.gweight = a.gweight ? c.out[1].data() : nullptr;
  k.gbias = a.gbias ? c.out[2].data() : nullptr;
  const int64_t blocks = (k.rows + kLayerNormBlock - 1) / kLayerNormBlock;
  const bool sums = a.gweight || a.gbias;
  Scratch partial(sums ? size_t(blocks * 2 * k.size * item_size(x.dtype())) : 0);
  k.partial = sums ? partial.as<void>() : nullptr;
  const NormKernels& kernels = cpu_kernels().norm;
  const double ns = 30 + 0.25 * double(k.size);
  parallel_rows(blocks, ns * kLayerNormBlock,
                [&](int64_t b, int64_t e) { kernels.layer_norm_grad[type](k, b, e); });
  if (sums)
    parallel_rows((k.size + 63) / 64, 10 * double(blocks), [&](int64_t b, int64_t e) {
      kernels.layer_norm_sums[type](k, b * 64, e * 64 < k.size ? e * 64 : k.size);
    });
}
const Op kLayerNormGrad{.name = "layer_norm_grad", .infer = grad_infer, .launch = grad_launch};

void norm_vjp(Vjp& c) {
  auto a = c.args<LayerNormOpArgs>();
  const DType t = kept_dtype(c.dtype(0));
  const Tensor g = c.g(), x = c.in(0);
  const bool weighted = c.call().in[1].defined();
  const Tensor weight = weighted ? c.in(1) : Tensor();
  if (!grad_enabled()) {
    a.gx = c.needs(0);
    a.gweight = c.needs(1);
    a.gbias = c.needs(2);
    const Outputs out = run(
        make_call(kLayerNormGrad,
                  std::initializer_list<Tensor>{contiguous(g), x, weight, c.out(1), c.out(2)}, a));
    for (int i = 0; i < 3; ++i)
      if (c.needs(i)) c.set(i, out[i]);
    return;
  }
  Dims last, rows;
  for (int d = 0; d < x.dim(); ++d) (d < x.dim() - a.dims ? rows : last).push(d);
  const Dims shape = tail(x.shape(), a.dims);
  const double n = double(shape.product());
  static const int rsqrt = function_index("rsqrt");
  const Tensor gw = to_dtype(g, t), xw = to_dtype(x, t);
  const Tensor d = a.centred ? xw - sum(xw, last, true) / n : xw;
  const Tensor rstd = elementwise(rsqrt, {sum(d * d, last, true) / n + a.eps}), h = d * rstd;
  const auto over_rows = [&](const Tensor& t) { return rows.n ? sum(t, rows) : t; };
  if (c.needs(0)) {
    const Tensor v = weighted ? gw * weight : gw;
    Tensor inner = v - h * (sum(v * h, last, true) / n);
    if (a.centred) inner = inner - sum(v, last, true) / n;
    c.set(0, to_dtype(inner * rstd, c.dtype(0)));
  }
  if (c.needs(1)) c.set(1, over_rows(gw * h));
  if (c.needs(2)) c.set(2, over_rows(gw));
}
constexpr Op norm_op(const char* name) {
  return Op{
      .name = name, .infer = norm_infer, .launch = norm_launch, .vjp = norm_vjp, .saves = {3, 6}};
}
const Op kLayerNorm = norm_op("layer_norm"), kRmsNorm = norm_op("rms_norm");

Tensor normalise(const Op& op, const Tensor& x, int64_t dims, const MaybeTensor& weight,
                 const MaybeTensor& bias, bool centred, double eps) {
  check(is_floating(x.dtype()), ErrorKind::dtype, op.name, ": expected a floating input, got ", x,
        "; convert with .float()");
  check(dims >= 1 && dims <= x.dim(), ErrorKind::shape, op.name,
        ": cannot normalise over the last ", dims, " dimensions of shape ", x.shape());
  const DType t = kept_dtype(x.dtype());
  const Dims shape = tail(x.shape(), dims);
  const auto dense = [&](const char* what, const MaybeTensor& v) {
    if (!v || !v->defined()) return Tensor();
    check(v->shape() == shape, ErrorKind::shape, op.name, ": ", what, " has shape ", v->shape(),
          ", expected normalized_shape ", shape);
    return contiguous(to_dtype(*v, t));
  };
  Tensor w = dense("weight", weight), b = dense("bias", bias);
  if (b.defined() && !w.defined()) w = ones(shape, t);
  const std::initializer_list<Tensor> inputs{contiguous(to_dtype(x, computed_in(op, x))), w, b};
  const LayerNormOpArgs args{dims, eps, centred, false, false, false};
  return to_dtype(run(make_call(op, inputs, args))[0], x.dtype());
}

}  // namespace

Tensor layer_norm(const Tensor& x, int64_t dims, const MaybeTensor& weight, const MaybeTensor& bias,
                  double eps) {
  return normalise(kLayerNorm, x, dims, weight, bias, true, eps);
}
Tensor rms_norm(const Tensor& x, int64_t dims, const MaybeTensor& weight, double eps) {
  return normalise(kRmsNorm, x, dims, weight, std::nullopt, false, eps);
}

}  // namespace lamina
