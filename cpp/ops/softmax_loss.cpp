// Cross-entropy of class scores x (P, N, S) against target classes t (P, S), one op:
//   loss = sum_c q_c (log sum exp(x) - x_c),  q_c = (1 - e) w_t [c = t] + e w_c / N
//   gx = g (Q softmax(x) - q),  Q = sum_c q_c      (one pass: max x and 1 / sum exp are kept)
// e: label smoothing (Szegedy et al., CVPR 2016). mean divides by the sum of w_t. Rows whose target
// is ignore_index count for nothing. Probabilities as targets go through log_softmax.
#include <algorithm>
#include <atomic>

#include "core/threads.h"
#include "ops/half.h"
#include "ops/index.h"
#include "ops/nll_loss.h"
#include "ops/ops.h"
#include "ops/softmax.h"
#include "ops/softmax_args.h"

namespace lamina {
namespace {

int64_t units(const CrossEntropyArgs& a) {
  return a.S == 1 ? a.R : a.R / a.S * ((a.S + kSoftmaxTile - 1) / kSoftmaxTile);
}
double unit_cost(const CrossEntropyArgs& a, Compute via) {
  const double width = a.S == 1 ? 1 : double(std::min(a.S, kSoftmaxTile));
  return double(a.N) * width * (via == kF64 ? 10 : 0.7) + 10;
}
// What both directions share; x (P, N, S) dense, target (R) dense.
CrossEntropyArgs arguments(const Tensor& x, const Tensor& target, const Tensor& weight,
                           const Tensor& stats, const LossArgs& o) {
  CrossEntropyArgs a{};
  a.x = x.data();
  a.target = target.data<int64_t>();
  a.stats = stats.data();
  a.N = x.size(1);
  a.R = target.numel();
  a.S = 1;
  for (int d = 2; d < x.dim(); ++d) a.S *= x.size(d);
  a.ignore = o.ignore;
  a.smoothing = o.smoothing;
  a.weights = double(a.N);
  if (weight.defined()) {
    a.weight = weight.data();
    a.weights = 0;
    for (int64_t c = 0; c < a.N; ++c)
      a.weights += x.dtype() == DType::float64 ? weight.data<double>()[c] : weight.data<float>()[c];
  }
  return a;
}

void infer(Call& c) {
  const Tensor& x = c.in[0];
  c.output(c.args<LossArgs>().reduction == kNone ? c.in[1].shape() : Dims{}, x.dtype());
  c.output({2, c.in[1].numel()}, kept_dtype(x.dtype()));
  c.output({}, kept_dtype(x.dtype()));
}

template <class T>
double total_weight(const CrossEntropyArgs& a) {
  const T* const w = static_cast<const T*>(a.weight);
  if (!w) return double(a.R - std::count(a.target, a.target + a.R, a.ignore));
  double total = 0;
  for (int64_t r = 0; r < a.R; ++r)
    if (a.target[r] != a.ignore) total += double(w[a.target[r]]);
  return total;
}

void launch(Call& c) {
  const auto& o = c.args<LossArgs>();
  const Tensor &x = c.in[0], &target = c.in[1];
  const Compute via = compute_type(x.dtype());
  CrossEntropyArgs a = arguments(x, target, c.in[2], c.out[1], o);
  Scratch scratch(o.reduction == kNone ? 0 : size_t(a.R) * 8);
  a.loss = o.reduction == kNone ? c.out[0].data() : scratch.as<void>();
  std::atomic<int64_t> bad{INT64_MAX};
  if (a.R) {
    const CrossEntropyFn f = cpu_kernels().softmax.cross_entropy[via];
    parallel_rows(units(a), unit_cost(a, via), [&](int64_t b, int64_t e) {
      const int64_t row = f(a, b, e);
      int64_t least = bad.load();
      while (row >= 0 && row < least && !bad.compare_exchange_weak(least, row)) {
      }
    });
  }
  if (bad.load() != INT64_MAX) bad_class("cross_entropy", target, bad.load(), a.N, o.ignore);
  const double total = via == kF64 ? total_weight<double>(a) : total_weight<float>(a);
  double sum[kReducePlanes] = {};
  if (o.reduction != kNone) {
    const ReduceFns& f = cpu_kernels().reduce.f[kReduceSum][via];
    f.start(sum, 1, 1);
    f.run(a.loss, a.R, 0, sum);
    f.finish(c.out[0].data(), nullptr, 1, sum, 1, 1,
             {ReduceFinish::quotient, o.reduction == kMeanLoss ? total : 1.0});
  }
  if (via == kF64)
    *c.out[2].data<double>() = total;
  else
    *c.out[2].data<float>() = float(total);
}

// ---- gradient ----------------------------------------------------------------------------------
void grad_infer(Call& c) { c.output(c.in[1].shape(), c.in[1].dtype()); }
void grad_launch(Call& c) {  // g, x, target, weight, stats, total
  const auto& o = c.args<LossArgs>();
  const Tensor& x = c.in[1];
  const Compute via = compute_type(x.dtype());
  CrossEntropyArgs a = arguments(x, c.in[2], c.in[3], c.in[4], o);
  if (x.numel() == 0) return;
  a.g = c.in[0].data();
  a.gstep = o.reduction == kNone ? 1 : 0;
  a.gscale = 1;
  if (o.reduction == kMeanLoss)
    a.gscale = 1 / (via == kF64 ? *c.in[5].data<double>() : double(*c.in[5].data<float>()));
  a.gx = c.out[0].data();
  a.past = past_caches(x.numel() * item_size(x.dtype()));
  const CrossEntropyFn f = cpu_kernels().softmax.cross_entropy_grad[via];
  parallel_rows(units(a), unit_cost(a, via), [&](int64_t b, int64_t e) { f(a, b, e); });
}
const Op kLossGrad{.name = "cross_entropy_grad", .infer = grad_infer, .launch = grad_launch};

// The same gradient in ops, for derivatives of it.
Tensor grad_in_ops(const Tensor& g, const Tensor& x, const Tensor& target, const Tensor& weight,
                   const Tensor& total, const LossArgs& o) {
  static const int not_equal = function_index("ne");
  const DType t = kept_dtype(x.dtype());
  const Tensor counts = elementwise(not_equal, {target, scalar_tensor(o.ignore)});
  const Tensor valid = to_dtype(counts, t), at = target * to_dtype(counts, DType::int64);
  const int64_t classes = x.size(1);
  double weights = double(classes);
  Tensor hit = valid * (1 - o.smoothing), w;
  if (weight.defined()) {
    hit = hit * reshape(index_select(weight, 0, reshape(at, {-1})), at.shape());
    weights = item(sum(weight)).d;
    Dims along = Dims::filled(x.dim(), 1);
    along.v[1] = classes;
    w = reshape(weight, along);
  }
  const Tensor each = unsqueeze(valid * (o.smoothing / double(classes)), 1);
  Tensor q = scatter(zeros(x.shape(), t), 1, unsqueeze(at, 1), unsqueeze(hit, 1), "", true);
  q = q + (w.defined() ? each * w : each);
  const Tensor scale = o.reduction == kMeanLoss ? g / total : g;
  const Tensor rows = o.reduction == kNone ? unsqueeze(scale, 1) : scale;
  return rows * ((unsqueeze(hit, 1) + each * weights) * softmax(x, 1) - q);
}

void vjp(Vjp& c) {
  if (!c.needs(0)) return;
  const auto& o = c.args<LossArgs>();
  const Tensor x = c.in(0), target = c.in(1), weight = c.call().in[2], g = c.g();
  const Tensor total = c.out(2);
  c.set(0, grad_enabled()
               ? to_dtype(grad_in_ops(g, to_dtype(x, kept_dtype(x.dtype())), target, weight,
                                      detach(total), o),
                          x.dtype())
               : apply(kLossGrad, {contiguous(g), x, target, weight, c.out(1), total}, o));
}
const Op kCrossEntropy{
    .name = "cross_entropy", .infer = infer, .launch = launch, .vjp = vjp, .saves = {7, 6}};

Tensor with_probabilities(const Tensor& x, const Tensor& target, const Tensor& weight,
                          Reduction reduction, double smoothing) {
  const int along = x.dim() > 1 ? 1 : 0;
  const int64_t classes = x.size(along);
  Tensor q = to_dtype(target, x.dtype());
  if (smoothing > 0) q = q * (1 - smoothing) + smoothing / double(classes);
  if (weight.defined()) {
    Dims shape = Dims::filled(x.dim(), 1);
    shape.v[along] = classes;
    q = q * reshape(weight, shape);
  }
  const Tensor loss = -sum(q * log_softmax(x, along), {along}, false);
  if (reduction == kNone) return loss;
  return reduction == kSumLoss ? sum(loss) : sum(loss) / double(loss.numel());
}

}  // namespace

Tensor cross_entropy(const Tensor& x, const Tensor& target, std::optional<Tensor> class_weight,
                     const std::string& reduction, int64_t ignore_index, double smoothing) {
  const Reduction how = reduction == "mean" ? kMeanLoss : reduction == "sum" ? kSumLoss : kNone;
  check(how != kNone || reduction == "none", ErrorKind::value,
        "cross_entropy: reduction must be 'none', 'mean' or 'sum', got '", reduction, "'");
  check(smoothing >= 0 && smoothing <= 1, ErrorKind::value,
        "cross_entropy: label_smoothing must be between 0 and 1, got ", smoothing);
  check(is_floating(x.dtype()), ErrorKind::dtype,
        "cross_entropy: input must hold floating scores, got ", x);
  check(x.dim() > 0, ErrorKind::shape,
        "cross_entropy: input must be (N, C, ...) or (C), got a 0-dim tensor");
  const DType dtype = x.dtype();
  if (const DType via = computed_in(kCrossEntropy, x);
      via != dtype || (dtype != kept_dtype(dtype) && is_floating(target.dtype())))
    return to_dtype(cross_entropy(to_dtype(x, kept_dtype(dtype)), target, class_weight, reduction,
                                  ignore_index, smoothing),
                    dtype);
  const int64_t classes = x.size(x.dim() > 1 ? 1 : 0);
  Tensor weight;
  if (class_weight) {
    check(class_weight->dim() == 1 && class_weight->numel() == classes, ErrorKind::shape,
          "cross_entropy: weight must have one element for each of ", classes,
          " classes, got shape ", class_weight->shape());
    weight = contiguous(to_dtype(detach(*class_weight), kept_dtype(dtype)));
  }
  if (is_floating(target.dtype())) {
    check(target.shape() == x.shape(), ErrorKind::shape,
          "cross_entropy: target with class probabilities must have the input's shape ", x.shape(),
          ", got ", target.shape(), "; class numbers must be integers (.long())");
    return with_probabilities(x, target, weight, how, smoothing);
  }
  check(target.dtype() == DType::int64 || target.dtype() == DType::uint8, ErrorKind::dtype,
        "cross_entropy: target must be class numbers (int64) or probabilities, got ", target,
        "; use .long()");
  Dims wanted = x.shape();
  wanted.erase(x.dim() > 1 ? 1 : 0);
  check(target.shape() == wanted, ErrorKind::shape, "cross_entropy: target has shape ",
        target.shape(), ", expected ", wanted, " for an input of shape ", x.shape(),
        " with classes in dimension ", x.dim() > 1 ? 1 : 0);
  if (x.dim() == 1) {
    const Tensor y = cross_entropy(reshape(x, {1, classes}), reshape(target, {1}), class_weight,
                                   reduction, ignore_index, smoothing);
    return how == kNone ? reshape(y, {}) : y;
  }
  Tensor scores, classes_of, rows;
  if (target.dtype() != DType::int64) classes_of = to_dtype(target, DType::int64);
  const Tensor& numbers = classes_of.defined() ? classes_of : target;
  return apply(kCrossEntropy, {contiguous(x, scores), contiguous(numbers, rows), weight},
               LossArgs{ignore_index, smoothing, how});
}

}  // namespace lamina
