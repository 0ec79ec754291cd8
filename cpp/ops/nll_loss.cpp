// Negative log likelihood of log-probabilities x (P, N, S) and classes t (P, S):
//   loss = -w_t x_t        gx = 0, gx_t = -w_t g        (the mean: over the sum of w_t)
// Rows whose class is ignore_index count for nothing. Both are linear, and each other's transpose.
// Cost: one read per row; the gradient writes all of gx once.
#include "ops/nll_loss.h"

#include <atomic>

#include "core/threads.h"
#include "ops/half.h"
#include "ops/ops.h"
#include "ops/packed_dims.h"
#include "ops/softmax_args.h"

namespace lamina {

void bad_class(const char* op, const Tensor& target, int64_t row, int64_t classes, int64_t ignore) {
  const int64_t value = target.data<int64_t>()[row];
  Dims at = target.shape();
  for (int d = at.n - 1; d >= 0; --d) {
    const int64_t n = at.v[d];
    at.v[d] = row % n;
    row /= n;
  }
  fail(ErrorKind::index, op, ": target ", value, " at position ", at, " is out of range for ",
       classes, " classes; targets must be 0 to ", classes - 1, " or ignore_index (", ignore, ")");
}

namespace {

// Inputs x (or g), target, weight (undefined: ones); all dense, x of the dtype computed in.
struct Rows {
  const int64_t* t;
  int64_t R, N, S;
  Rows(const Tensor& target, const Dims& x)
      : t(target.data<int64_t>()), R(target.numel()), N(x.v[1]), S(1) {
    for (int d = 2; d < x.n; ++d) S *= x.v[d];
  }
  int64_t place(int64_t r) const { return (r / S * N + t[r]) * S + r % S; }
};
template <class T>
double weight_of(const T* w, int64_t t) {
  return w ? double(w[t]) : 1.0;
}
template <class T>
double total_weight(const Rows& rows, const T* w, int64_t ignore) {
  double total = 0;
  for (int64_t r = 0; r < rows.R; ++r)
    if (rows.t[r] != ignore) total += weight_of(w, rows.t[r]);
  return total;
}
template <class T>
const T* weights(const Tensor& w) {
  return w.defined() ? w.data<T>() : nullptr;
}

void infer(Call& c) {
  const bool each = c.args<LossArgs>().reduction == kNone;
  c.output(each ? c.in[1].shape() : Dims{}, c.in[0].dtype());
}
template <class T>
void losses(Call& c) {
  const auto& o = c.args<LossArgs>();
  const Rows rows(c.in[1], c.in[0].shape());
  const T *const x = c.in[0].data<T>(), *const w = weights<T>(c.in[2]);
  Scratch scratch(o.reduction == kNone ? 0 : size_t(rows.R) * sizeof(T));
  T* const loss = o.reduction == kNone ? c.out[0].data<T>() : scratch.as<T>();
  std::atomic<int64_t> bad{INT64_MAX};
  parallel_rows(rows.R, 3, [&](int64_t b, int64_t e) {
    for (int64_t r = b; r < e; ++r) {
      const int64_t t = rows.t[r];
      loss[r] = 0;
      if (t == o.ignore) continue;
      if (uint64_t(t) >= uint64_t(rows.N)) {
        int64_t least = bad.load();
        while (r < least && !bad.compare_exchange_weak(least, r)) {
        }
        return;
      }
      loss[r] = T(-double(x[rows.place(r)]) * weight_of(w, t));
    }
  });
  if (bad.load() != INT64_MAX) bad_class("nll_loss", c.in[1], bad.load(), rows.N, o.ignore);
  if (o.reduction == kNone) return;
  double sum[kReducePlanes] = {};
  const ReduceFns& f = cpu_kernels().reduce.f[kReduceSum][compute_type(c.in[0].dtype())];
  f.start(sum, 1, 1);
  f.run(loss, rows.R, 0, sum);
  const double by = o.reduction == kMeanLoss ? total_weight(rows, w, o.ignore) : 1.0;
  f.finish(c.out[0].data(), nullptr, 1, sum, 1, 1, {ReduceFinish::quotient, by});
}
void launch(Call& c) { c.in[0].dtype() == DType::float64 ? losses<double>(c) : losses<float>(c); }

struct GradArgs {
  LossArgs loss;
  PackedDims shape;  // of x
};
void grad_infer(Call& c) { c.output(unpack(c.args<GradArgs>().shape), c.in[0].dtype()); }
template <class T>
void gradients(Call& c) {  // of g, target, weight
  const LossArgs& o = c.args<GradArgs>().loss;
  const Tensor& gx = c.out[0];
  const Rows rows(c.in[1], gx.shape());
  const T *const g = c.in[0].data<T>(), *const w = weights<T>(c.in[2]);
  T* const to = gx.data<T>();
  const double by = o.reduction == kMeanLoss ? total_weight(rows, w, o.ignore) : 1.0;
  const int64_t step = o.reduction == kNone ? 1 : 0, slab = rows.N * rows.S;
  parallel_rows(rows.R / rows.S, 0.05 * double(slab) * sizeof(T) + 5 * double(rows.S),
                [&](int64_t b, int64_t e) {
                  std::memset(to + b * slab, 0, size_t((e - b) * slab) * sizeof(T));
                  for (int64_t r = b * rows.S; r < e * rows.S; ++r)
                    if (const int64_t t = rows.t[r]; t != o.ignore)
                      to[rows.place(r)] = T(-double(g[r * step]) * weight_of(w, t) / by);
                });
}
void grad_launch(Call& c) {
  if (c.out[0].numel() == 0) return;
  c.in[0].dtype() == DType::float64 ? gradients<double>(c) : gradients<float>(c);
}
extern const Op kNllLoss;
void grad_vjp(Vjp& c) {
  if (!c.needs(0)) return;
  c.set(0, apply(kNllLoss, {contiguous(c.g()), c.in(1), c.call().in[2]}, c.args<GradArgs>().loss));
}
const Op kNllLossGrad{.name = "nll_loss_grad",
                      .infer = grad_infer,
                      .launch = grad_launch,
                      .vjp = grad_vjp,
                      .saves = {6, 0}};
void vjp(Vjp& c) {
  if (!c.needs(0)) return;
  c.set(0, apply(kNllLossGrad, {contiguous(c.g()), c.in(1), c.call().in[2]},
                 GradArgs{c.args<LossArgs>(), pack(c.shape(0))}));
}
const Op kNllLoss{
    .name = "nll_loss", .infer = infer, .launch = launch, .vjp = vjp, .saves = {6, 0}};

}  // namespace

Tensor nll_loss(const Tensor& x, const Tensor& target, std::optional<Tensor> class_weight,
                const std::string& reduction, int64_t ignore_index) {
  const Reduction how = reduction == "mean" ? kMeanLoss : reduction == "sum" ? kSumLoss : kNone;
  check(how != kNone || reduction == "none", ErrorKind::value,
        "nll_loss: reduction must be 'none', 'mean' or 'sum', got '", reduction, "'");
  check(is_floating(x.dtype()), ErrorKind::dtype,
        "nll_loss: input must hold floating log-probabilities, got ", x);
  check(x.dim() > 0, ErrorKind::shape,
        "nll_loss: input must be (C), (N, C) or (N, C, ...), got a tensor without dimensions");
  const int along = x.dim() > 1 ? 1 : 0;
  Dims wanted = x.shape();
  wanted.erase(along);
  check(target.shape() == wanted, ErrorKind::shape, "nll_loss: target has shape ", target.shape(),
        ", expected ", wanted, " for an input of shape ", x.shape(), " with classes in dimension ",
        along);
  check(target.dtype() == DType::int64 || target.dtype() == DType::uint8, ErrorKind::dtype,
        "nll_loss: target must be int64 class numbers, got ", target.dtype(), "; use .long()");
  const DType t = kept_dtype(x.dtype());
  if (t != x.dtype())
    return to_dtype(nll_loss(to_dtype(x, t), target, class_weight, reduction, ignore_index),
                    x.dtype());
  Tensor weight;
  if (class_weight) {
    check(class_weight->dim() == 1 && class_weight->numel() == x.size(along), ErrorKind::shape,
          "nll_loss: weight must have one element for each of ", x.size(along),
          " classes, got shape ", class_weight->shape());
    weight = contiguous(to_dtype(detach(*class_weight), t));
  }
  const Tensor rows = contiguous(to_dtype(target, DType::int64));
  const LossArgs args{ignore_index, 0, how};
  if (x.dim() > 1) return apply(kNllLoss, {contiguous(x), rows, weight}, args);
  const Tensor y =
      apply(kNllLoss, {reshape(contiguous(x), {1, x.size(0)}), reshape(rows, {1}), weight}, args);
  return how == kNone ? reshape(y, {}) : y;
}

}  // namespace lamina
