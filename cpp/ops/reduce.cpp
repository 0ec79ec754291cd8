// Reductions. g is the gradient of the result, spread over the reduced dimensions again:
//   sum      gx = g                          mean     gx = g / n
//   prod     gx = g * product of the others  amax     gx = g [x = y] / how many are equal
//   max(dim) gx[index] = g                   var      gx = g 2 (x - mean) / (n - correction)
//   std      gx = g (x - mean) / (y (n - correction))     norm2  gx = g x / y
#include "ops/reduce.h"

#include <cmath>

#include "ops/complex.h"
#include "ops/index.h"
#include "ops/ops.h"
#include "ops/reduce_launch.h"
#include "ops/scan.h"
#include "ops/softmax.h"

namespace lamina {
namespace {

uint32_t mask_of(const char* name, const Dims& dims, int nd) {
  if (dims.n == 0) return ~0u;
  uint32_t mask = 0;
  for (int64_t d : dims) {
    const uint32_t bit = 1u << wrap_dim(name, d, nd);
    check(!(mask & bit), ErrorKind::value, name, ": dim ", d, " appears twice in dims ", dims);
    mask |= bit;
  }
  return mask;
}

// A reduced tensor with the reduced dimensions back as size 1.
Tensor kept(const Tensor& y, const ReduceArgs& a, const Dims& x) {
  return a.keep ? y : reshape(y, reduced_shape(x, a.mask, true));
}
// The gradient in x's dtype and shape.
Tensor spread(Vjp& c, const Tensor& g) {
  return expand(kept(to_dtype(g, c.dtype(0)), c.args<ReduceArgs>(), c.shape(0)), c.shape(0));
}
Dims dims_of(uint32_t mask, int nd) {
  Dims dims;
  for (int d = 0; d < nd; ++d)
    if (mask >> d & 1) dims.push(d);
  return dims;
}
Tensor equal(const Tensor& a, const Tensor& b) {
  static const int f = function_index("eq");
  return elementwise(f, {a, b});
}
Tensor equal(const Tensor& a, int b) { return equal(a, scalar_tensor(b)); }
Tensor differs(const Tensor& a, const Tensor& b) {
  static const int f = function_index("ne");
  return elementwise(f, {a, b});
}

// ---- one result --------------------------------------------------------------------------------
void value_infer(Call& c) {
  const auto& a = c.args<ReduceArgs>();
  c.output(reduced_shape(c.in[0].shape(), a.mask, a.keep), reduced_dtype(c.in[0].dtype()));
}
void value_launch(Call& c) { reduce(c.args<ReduceArgs>(), c.in[0], c.out[0], {}); }

void sum_vjp(Vjp& c) { c.set(0, spread(c, c.g())); }
void mean_vjp(Vjp& c) { c.set(0, spread(c, c.g() / c.args<ReduceArgs>().finish.p)); }
void prod_vjp(Vjp& c) {
  const auto& a = c.args<ReduceArgs>();
  const Tensor x = c.in(0), g = spread(c, c.g());
  if (grad_enabled()) {  // exact to every order
    c.set(0, g * product_of_others(x, dims_of(a.mask, x.dim())));
    return;
  }
  const Tensor one = full({}, 1, x.dtype()), is_zero = equal(x, 0);
  const Tensor zeros = sum(is_zero, dims_of(a.mask, x.dim()), true);
  const Tensor x1 = masked_fill(x, is_zero, one);
  const Tensor others = prod(x1, dims_of(a.mask, x.dim()), true, {});
  const Tensor none = to_dtype(equal(zeros, 0), x.dtype());
  const Tensor single = to_dtype(equal(zeros, 1), x.dtype());
  c.set(0, g * others *
               (none / x1 * (1.0 - to_dtype(is_zero, x.dtype())) +
                single * to_dtype(is_zero, x.dtype())));
}
void extreme_vjp(Vjp& c) {
  const auto& a = c.args<ReduceArgs>();
  const Tensor x = c.in(0), y = kept(to_dtype(c.out(), x.dtype()), a, c.shape(0));
  static const int either = function_index("logical_or");
  const Dims dims = dims_of(a.mask, x.dim());
  // Where there is a NaN, it is the extreme.
  const Tensor attains = to_dtype(elementwise(either, {equal(x, y), differs(x, x)}), x.dtype());
  c.set(0, spread(c, c.g()) * (attains / sum(attains, dims, true)));
}
void norm2_vjp(Vjp& c) {
  const auto& a = c.args<ReduceArgs>();
  const Tensor x = c.in(0), y = kept(to_dtype(c.out(), x.dtype()), a, c.shape(0));
  const Tensor zero = full({}, 0, x.dtype());
  c.set(0, spread(c, c.g()) * masked_fill(x / y, equal(y, 0), zero));
}
Tensor deviation(Vjp& c, double factor) {  // (x - mean) * factor / (n - correction)
  const auto& a = c.args<ReduceArgs>();
  const Tensor x = c.in(0);
  const double n = double(reduced_count(x.shape(), a.mask)), left = n - a.finish.p;
  return (x - mean(x, dims_of(a.mask, x.dim()), true)) * (factor / (left > 0 ? left : 0.0));
}
void var_vjp(Vjp& c) { c.set(0, spread(c, c.g()) * deviation(c, 2)); }
void std_vjp(Vjp& c) {
  const Tensor y = to_dtype(c.out(), c.dtype(0)), zero = full({}, 0, c.dtype(0));
  const Tensor share = masked_fill(to_dtype(c.g(), c.dtype(0)) / y, equal(y, 0), zero);
  c.set(0, spread(c, share) * deviation(c, 1));
}

constexpr Op op(const char* name, void (*vjp)(Vjp&), Saves saves) {
  return Op{.name = name, .infer = value_infer, .launch = value_launch, .vjp = vjp, .saves = saves};
}
const Op kSum = op("sum", sum_vjp, kSavesNothing), kMean = op("mean", mean_vjp, kSavesNothing),
         kProd = op("prod", prod_vjp, kSavesInputs), kAmax = op("amax", extreme_vjp, kSavesBoth),
         kAmin = op("amin", extreme_vjp, kSavesBoth), kVar = op("var", var_vjp, kSavesInputs),
         kStd = op("std", std_vjp, kSavesBoth), kNorm = op("norm", norm2_vjp, kSavesBoth);

Tensor reduced(const Op& op, const Tensor& x, const Dims& dims, bool keep, ReduceKind kind,
               ReduceFinish finish = {ReduceFinish::value, 0}) {
  return apply(op, {x}, ReduceArgs{mask_of(op.name, dims, x.dim()), keep, kind, finish});
}
// In the input's own dtype.
Tensor reduced_same(const Op& op, const Tensor& x, const Dims& dims, bool keep, ReduceKind kind,
                    ReduceFinish finish = {ReduceFinish::value, 0}) {
  return to_dtype(reduced(op, x, dims, keep, kind, finish), x.dtype());
}
void check_floating(const char* name, const Tensor& x) {
  check(is_floating(x.dtype()), ErrorKind::dtype, name, ": expected a floating tensor, got ", x,
        "; convert with .float() or give dtype=");
}
void check_not_empty(const char* name, const Tensor& x, const Dims& dims) {
  if (x.numel()) return;
  const uint32_t mask = mask_of(name, dims, x.dim());
  for (int d = 0; d < x.dim(); ++d)
    check(!(mask >> d & 1) || x.size(d), ErrorKind::index, name, ": dimension ", d, " of shape ",
          x.shape(), " is empty and no elements have no ", name, "; give another dim");
}

// ---- positions ---------------------------------------------------------------------------------
void at_infer(Call& c) {
  const auto& a = c.args<ReduceArgs>();
  const Dims shape = reduced_shape(c.in[0].shape(), a.mask, a.keep);
  c.output(shape, reduced_dtype(c.in[0].dtype()));
  c.output(shape, DType::int64);
}
void at_launch(Call& c) { reduce(c.args<ReduceArgs>(), c.in[0], c.out[0], c.out[1]); }
void at_vjp(Vjp& c) {
  const auto& a = c.args<ReduceArgs>();
  const Tensor g = kept(to_dtype(c.g(), c.dtype(0)), a, c.shape(0));
  const Tensor index = kept(c.out(1), a, c.shape(0));
  const int64_t dim = c.shape(0).n ? dims_of(a.mask, c.shape(0).n)[0] : 0;
  c.set(0, scatter(zeros(c.shape(0), c.dtype(0)), dim, index, g, "", true));
}
const Op kMaxDim{
    .name = "max", .infer = at_infer, .launch = at_launch, .vjp = at_vjp, .saves = {0, 2}};
const Op kMinDim{
    .name = "min", .infer = at_infer, .launch = at_launch, .vjp = at_vjp, .saves = {0, 2}};
void arg_infer(Call& c) {
  const auto& a = c.args<ReduceArgs>();
  c.output(reduced_shape(c.in[0].shape(), a.mask, a.keep), DType::int64);
}
void arg_launch(Call& c) { reduce(c.args<ReduceArgs>(), c.in[0], {}, c.out[0]); }
const Op kArgmax{
    .name = "argmax", .infer = arg_infer, .launch = arg_launch, .differentiable = false};
const Op kArgmin{
    .name = "argmin", .infer = arg_infer, .launch = arg_launch, .differentiable = false};

std::pair<Tensor, Tensor> extreme_dim(const Op& op, ReduceKind kind, const Tensor& x, int64_t dim,
                                      bool keep) {
  check_not_empty(op.name, x, {dim});
  const ReduceArgs args{mask_of(op.name, {dim}, x.dim()), keep, kind, {ReduceFinish::value, 0}};
  const Outputs y = run(make_call(op, std::initializer_list<Input>{x}, args));
  return {to_dtype(y[0], x.dtype()), y[1]};
}
Tensor position(const Op& op, ReduceKind kind, const Tensor& x, std::optional<int64_t> dim,
                bool keep) {
  check(x.numel() > 0 || dim, ErrorKind::index, op.name, ": an empty tensor (shape ", x.shape(),
        ") has none; give a dim that is not empty");
  if (dim) {
    check_not_empty(op.name, x, {*dim});
    return reduced(op, x, {*dim}, keep, kind);
  }
  const Tensor y = reduced(op, reshape(x, {-1}), {0}, false, kind);
  return keep ? reshape(y, Dims::filled(x.dim(), 1)) : y;
}

}  // namespace

Tensor sum(const Tensor& x, const Dims& dims, bool keepdim) {
  if (is_complex(x.dtype())) return complex_sum(x, dims, keepdim);
  const Tensor y = reduced(kSum, x, dims, keepdim, kReduceSum);
  return is_floating(x.dtype()) ? to_dtype(y, x.dtype()) : y;
}
Tensor sum(const Tensor& x, const Dims& dims, bool keepdim, std::optional<DType> dtype) {
  if (!dtype) return sum(x, dims, keepdim);
  return to_dtype(sum(to_dtype(x, *dtype), dims, keepdim), *dtype);
}
Tensor mean(const Tensor& x, const Dims& dims, bool keepdim, std::optional<DType> dtype) {
  if (dtype && *dtype != x.dtype()) return mean(to_dtype(x, *dtype), dims, keepdim, {});
  if (is_complex(x.dtype())) {
    const Tensor y = complex_sum(x, dims, keepdim);
    return y * (double(y.numel()) / double(x.numel()));
  }
  check(is_floating(x.dtype()), ErrorKind::dtype, "mean: the result needs a floating dtype, got ",
        x, "; use .float() or dtype=lamina.float32");
  const double n = double(reduced_count(x.shape(), mask_of("mean", dims, x.dim())));
  return reduced_same(kMean, x, dims, keepdim, kReduceSum, {ReduceFinish::quotient, n});
}
Tensor prod(const Tensor& x, const Dims& dims, bool keepdim, std::optional<DType> dtype) {
  if (dtype && *dtype != x.dtype())
    return to_dtype(prod(to_dtype(x, *dtype), dims, keepdim, {}), *dtype);
  if (is_complex(x.dtype())) return complex_prod(x, dims, keepdim);
  const Tensor y = reduced(kProd, x, dims, keepdim, kReduceProd);
  return is_floating(x.dtype()) ? to_dtype(y, x.dtype()) : y;
}

Tensor sum_to(const Tensor& g, const Dims& shape) {
  if (g.shape() == shape) return g;
  const int lead = g.dim() - shape.n;
  Dims dims;
  for (int d = 0; d < g.dim(); ++d)
    if (d < lead || (shape.v[d - lead] == 1 && g.shape().v[d] != 1)) dims.push(d);
  return reshape(dims.n ? sum(g, dims, true) : g, shape);
}

Tensor amax(const Tensor& x, const Dims& dims, bool keepdim) {
  check_not_empty("amax", x, dims);
  return reduced_same(kAmax, x, dims, keepdim, kReduceMax);
}
Tensor amin(const Tensor& x, const Dims& dims, bool keepdim) {
  check_not_empty("amin", x, dims);
  return reduced_same(kAmin, x, dims, keepdim, kReduceMin);
}
std::pair<Tensor, Tensor> max_dim(const Tensor& x, int64_t dim, bool keepdim) {
  return extreme_dim(kMaxDim, kReduceArgMax, x, dim, keepdim);
}
std::pair<Tensor, Tensor> min_dim(const Tensor& x, int64_t dim, bool keepdim) {
  return extreme_dim(kMinDim, kReduceArgMin, x, dim, keepdim);
}
Tensor argmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return position(kArgmax, kReduceArgMax, x, dim, keepdim);
}
Tensor argmin(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return position(kArgmin, kReduceArgMin, x, dim, keepdim);
}
namespace {
Tensor truth(const Tensor& x) {
  return detach(is_complex(x.dtype()) ? differs(x, scalar_tensor(0)) : to_dtype(x, DType::boolean));
}
// bool, but of uint8 uint8.
Tensor verdict(const Tensor& x, const Tensor& y) {
  return x.dtype() == DType::uint8 ? to_dtype(y, DType::uint8) : y;
}
}  // namespace

Tensor any(const Tensor& x, const Dims& dims, bool keepdim) {
  return verdict(x, differs(sum(truth(x), dims, keepdim), scalar_tensor(0)));
}
Tensor all(const Tensor& x, const Dims& dims, bool keepdim) {
  return verdict(x, differs(prod(truth(x), dims, keepdim, {}), scalar_tensor(0)));
}

Tensor var(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
  if (is_complex(x.dtype()))
    return var(real(x), dims, correction, keepdim) + var(imag(x), dims, correction, keepdim);
  check_floating("var", x);
  return reduced_same(kVar, x, dims, keepdim, kReduceMoments, {ReduceFinish::variance, correction});
}
Tensor std_dev(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
  if (is_complex(x.dtype())) {
    static const int sqrt = function_index("sqrt");
    return elementwise(sqrt, {var(x, dims, correction, keepdim)});
  }
  check_floating("std", x);
  return reduced_same(kStd, x, dims, keepdim, kReduceMoments,
                      {ReduceFinish::deviation, correction});
}
Tensor norm2(const Tensor& x, const Dims& dims, bool keepdim) {
  if (is_complex(x.dtype())) return norm2(elementwise(function_index("abs"), {x}), dims, keepdim);
  check_floating("norm", x);
  return reduced_same(kNorm, x, dims, keepdim, kReduceSquare, {ReduceFinish::root, 0});
}
Tensor vector_norm(const Tensor& x, double p, const Dims& dims, bool keepdim) {
  if (is_complex(x.dtype())) {
    if (p != 2) return vector_norm(elementwise(function_index("abs"), {x}), p, dims, keepdim);
    return norm2(x, dims, keepdim);
  }
  check_floating("norm", x);
  if (p == 2) return norm2(x, dims, keepdim);
  static const int abs = function_index("abs"), pow = function_index("pow");
  if (p == 0) {
    const Tensor ones = to_dtype(differs(x, scalar_tensor(0)), x.dtype());
    if (!needs_grad(x)) return sum(ones, dims, keepdim);
    const Tensor all = full({}, true, DType::boolean);  // the gradient is 0
    return sum(ones + masked_fill(x, all, full({}, 0, x.dtype())), dims, keepdim);
  }
  const Tensor a = elementwise(abs, {x});
  if (p == 1) return sum(a, dims, keepdim);
  if (std::isinf(p)) check_not_empty(p > 0 ? "inf-norm" : "-inf-norm", x, dims);
  if (std::isinf(p)) return p > 0 ? amax(a, dims, keepdim) : amin(a, dims, keepdim);
  // At 0 the power has no derivative, or an infinite one: constants there give the gradient 0.
  const Tensor none = equal(a, 0), one = full({}, 1, x.dtype());
  const Tensor at_zero = full({}, p > 0 ? 0 : HUGE_VAL, x.dtype());
  const Tensor powers = elementwise(pow, {where(none, one, a), scalar_tensor(p)});
  const Tensor s = sum(where(none, at_zero, powers), dims, keepdim);
  return elementwise(pow, {s, scalar_tensor(1 / p)});
}
Tensor logsumexp(const Tensor& x, const Dims& dims, bool keepdim) {
  static const int exp = function_index("exp"), log = function_index("log");
  const Tensor f = is_floating(x.dtype()) ? x : to_dtype(x, default_dtype());
  if (x.numel() == 0) {
    return elementwise(log, {sum(elementwise(exp, {f}), dims, keepdim)});
  }
  if (dims.n == 1 && x.dim()) {
    const DType at = reduced_dtype(f.dtype());
    return to_dtype(logsumexp_dim(to_dtype(f, at), dims[0], keepdim), f.dtype());
  }
  // m is a constant for the gradient; where it is infinite, x - 0 does as well.
  Tensor m = detach(amax(detach(f), dims, true));
  const Tensor zero = full({}, 0, f.dtype());
  m = where(equal(m - m, 0), m, zero);
  const Tensor y = elementwise(log, {sum(elementwise(exp, {f - m}), dims, true)}) + m;
  const uint32_t mask = mask_of("logsumexp", dims, x.dim());
  return keepdim ? y : reshape(y, reduced_shape(x.shape(), mask, false));
}

}  // namespace lamina
