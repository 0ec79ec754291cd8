// Scans along one dimension; `rev` is the same from the end.
//   cumsum        y_i = sum of x_k, k <= i              gx = rev cumsum(g)
//   cumprod       y_i = product of x_k, k <= i          gx_k = sum_{i >= k} g_i prod_{j <= i, != k}
//                                                           x_j
//   cummax        y_i = max of x_k, k <= i, at p_i          gx[p] += g
//   logcumsumexp  y_i = log sum of exp(x_k), k <= i         gx_k = sum_{i >= k} g_i exp(x_k - y_i)
#include "ops/scan.h"

#include "core/threads.h"
#include "ops/complex.h"
#include "ops/index.h"
#include "ops/join.h"
#include "ops/ops.h"
#include "ops/scan_args.h"

namespace lamina {
namespace {

void infer(Call& c) { c.output(c.in[0].shape(), c.in[0].dtype()); }
void infer_places(Call& c) {
  infer(c);
  c.output(c.in[0].shape(), DType::int64);
}
template <ScanKind kind>
void launch(Call& c) {
  const auto& o = c.args<ScanOpArgs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  ScanArgs a{};
  a.x = x.data();
  if (c.in.size() > 1) a.g = c.in[1].data();
  if (c.in.size() > 2) a.z = c.in[2].data();
  a.y = y.data();
  if (c.out.size() > 1) a.index = c.out[1].data<int64_t>();
  a.N = x.size(o.dim);
  a.S = 1;
  for (int d = o.dim + 1; d < x.dim(); ++d) a.S *= x.size(d);
  a.reverse = o.reverse;
  const ScanFn f = cpu_kernels().scan.f[kind][compute_type(x.dtype())];
  const int64_t tiles = (a.S + kScanTile - 1) / kScanTile, units = x.numel() / (a.N * a.S) * tiles;
  const double cost = kind >= kLogWeighed ? 40 : kind == kLogCumSumExp ? 25 : 1.5;
  parallel_rows(units, cost * double(x.numel()) / double(units),
                [&](int64_t b, int64_t e) { f(a, b, e); });
}

Tensor scan(const Op& op, const Tensor& x, int dim, bool reverse) {
  return apply(op, {contiguous(x)}, ScanOpArgs{dim, reverse});
}
extern const Op kSum, kProd, kLogSumExp;

void sum_vjp(Vjp& c) {
  const auto& o = c.args<ScanOpArgs>();
  c.set(0, scan(kSum, c.g(), o.dim, !o.reverse));
}
const Op kSum{.name = "cumsum", .infer = infer, .launch = launch<kCumSum>, .vjp = sum_vjp};

const Op kProdGrad{.name = "cumprod_grad", .infer = infer, .launch = launch<kCumProdGrad>};
void prod_vjp(Vjp& c) {
  static const int equal = function_index("eq");
  const auto& o = c.args<ScanOpArgs>();
  const Tensor x = c.in(0), g = c.g();
  if (!grad_enabled()) {
    c.set(0, apply(kProdGrad, {x, contiguous(g)}, o));
    return;
  }
  const int dim = o.dim, last = x.dim();
  if (item(sum(elementwise(equal, {detach(x), scalar_tensor(0)}))).i == 0) {
    c.set(0, scan(kSum, g * scan(kProd, x, dim, o.reverse), dim, !o.reverse) / x);
    return;
  }
  // With zeros: gx_k = L_k sum_{i >= k} g_i P_ki, L_k the product before k, P_ki that of what lies
  // after k, up to i, as a matrix: N times the memory.
  const int64_t n = x.size(dim);
  const Tensor along = transpose(o.reverse ? flip(x, {dim}) : x, dim, last - 1);
  const Tensor gs = transpose(o.reverse ? flip(g, {dim}) : g, dim, last - 1);
  const Tensor later = triu(ones({n, n}, DType::boolean), 1);
  Dims edge = along.shape();
  edge.v[last - 1] = 1;
  const Tensor before =
      scan(kProd, cat({ones(edge, x.dtype()), narrow(along, last - 1, 0, n - 1)}, last - 1),
           last - 1, false);
  const Tensor after =
      scan(kProd, where(later, unsqueeze(along, last - 1), ones({}, x.dtype())), last, false);
  const Tensor gx = before * sum(triu(after, 0) * unsqueeze(gs, last - 1), {last}, false);
  const Tensor back = transpose(gx, dim, last - 1);
  c.set(0, o.reverse ? flip(back, {dim}) : back);
}
const Op kProd{.name = "cumprod",
               .infer = infer,
               .launch = launch<kCumProd>,
               .vjp = prod_vjp,
               .saves = kSavesInputs};

void places_vjp(Vjp& c) {
  const Tensor zero = zeros(c.shape(0), c.dtype(0));
  c.set(0, scatter(zero, c.args<ScanOpArgs>().dim, c.out(1), c.g(), "sum", true));
}
const Op kMax{.name = "cummax",
              .infer = infer_places,
              .launch = launch<kCumMax>,
              .vjp = places_vjp,
              .saves = {0, 2}};
const Op kMin{.name = "cummin",
              .infer = infer_places,
              .launch = launch<kCumMin>,
              .vjp = places_vjp,
              .saves = {0, 2}};

// r = A g with A_ik = exp(x_k - y_i), k <= i, or its transpose, for x, y held still or not:
//   gg = A^T h,   gx = g * A^T h,   gy = -h * A g     (of the transpose: A h, h * A^T g, -g * A h)
template <bool transposed>
Tensor weighed(const Tensor& x, const Tensor& y, const Tensor& g, int dim, bool reverse);
template <bool transposed>
void weighed_vjp(Vjp& c) {
  const auto& o = c.args<ScanOpArgs>();
  const bool reverse = o.reverse != transposed;  // of the scan whose gradient this is
  const Tensor x = c.in(0), g = c.in(1), y = c.in(2), h = c.g();
  const Tensor back = weighed<!transposed>(x, y, h, o.dim, reverse), r = c.out();
  c.set(1, back);
  c.set(0, transposed ? h * r : g * back);
  c.set(2, -(transposed ? g * back : h * r));
}
const Op kLogWeighedOp{.name = "logcumsumexp_weighed",
                       .infer = infer,
                       .launch = launch<kLogWeighed>,
                       .vjp = weighed_vjp<false>,
                       .saves = kSavesBoth};
const Op kLogWeighedTOp{.name = "logcumsumexp_grad",
                        .infer = infer,
                        .launch = launch<kLogWeighedT>,
                        .vjp = weighed_vjp<true>,
                        .saves = kSavesBoth};
template <bool transposed>
Tensor weighed(const Tensor& x, const Tensor& y, const Tensor& g, int dim, bool reverse) {
  return apply(transposed ? kLogWeighedTOp : kLogWeighedOp, {x, contiguous(g), y},
               ScanOpArgs{dim, reverse != transposed});
}
void log_vjp(Vjp& c) {
  const auto& o = c.args<ScanOpArgs>();
  c.set(0, weighed<true>(c.in(0), c.out(), c.g(), o.dim, o.reverse));
}
const Op kLogSumExp{.name = "logcumsumexp",
                    .infer = infer,
                    .launch = launch<kLogCumSumExp>,
                    .vjp = log_vjp,
                    .saves = kSavesBoth};

// x in the type its scan is held in, at least one dimension.
Tensor ready(const Tensor& x) { return x.dim() ? x : reshape(x, {1}); }

Tensor accumulate(const Op& op, const Tensor& x, int64_t dim, std::optional<DType> dtype,
                  bool reverse) {
  const int d = wrap_dim(op.name, dim, x.dim());
  const DType to = dtype ? *dtype : is_floating(x.dtype()) ? x.dtype() : DType::int64;
  const DType at = compute_type(to) == kF32   ? DType::float32
                   : compute_type(to) == kF64 ? DType::float64
                                              : DType::int64;
  const Tensor cast = to_dtype(to_dtype(x, to), at);
  return reshape(to_dtype(scan(op, ready(cast), d, reverse), to), x.shape());
}
std::pair<Tensor, Tensor> extreme(const Op& op, const Tensor& x, int64_t dim) {
  const int d = wrap_dim(op.name, dim, x.dim());
  const DType at = compute_type(x.dtype()) == kF32   ? DType::float32
                   : compute_type(x.dtype()) == kF64 ? DType::float64
                                                     : DType::int64;
  const Tensor cast = contiguous(ready(to_dtype(x, at)));
  const Outputs y = run(make_call(op, std::initializer_list<Tensor>{cast}, ScanOpArgs{d, false}));
  return {reshape(to_dtype(y[0], x.dtype()), x.shape()), reshape(y[1], x.shape())};
}

}  // namespace

Tensor cumsum(const Tensor& x, int64_t dim, std::optional<DType> dtype, bool reverse) {
  if (is_complex(x.dtype()) || (dtype && is_complex(*dtype))) {
    const Tensor z = dtype ? to_dtype(x, *dtype) : x;
    if (z.dim() == 0) return clone(z);
    const int d = wrap_dim("cumsum", dim, z.dim());
    return on_parts(z, [&](const Tensor& p) { return cumsum(p, d, {}, reverse); });
  }
  return accumulate(kSum, x, dim, dtype, reverse);
}
Tensor cumprod(const Tensor& x, int64_t dim, std::optional<DType> dtype, bool reverse) {
  return accumulate(kProd, x, dim, dtype, reverse);
}
std::pair<Tensor, Tensor> cummax(const Tensor& x, int64_t dim) { return extreme(kMax, x, dim); }
std::pair<Tensor, Tensor> cummin(const Tensor& x, int64_t dim) { return extreme(kMin, x, dim); }
Tensor logcumsumexp(const Tensor& x, int64_t dim, bool reverse) {
  check(is_floating(x.dtype()), ErrorKind::dtype, "logcumsumexp: expected a floating tensor, got ",
        x, "; convert with .float()");
  return accumulate(kLogSumExp, x, dim, {}, reverse);
}

Tensor product_of_others(const Tensor& x, const Dims& dims) {
  // The dimensions moved to the end and flattened, then what is before times what is after.
  Dims order, back = Dims::filled(x.dim(), 0), flat;
  for (int d = 0; d < x.dim(); ++d) {
    bool taken = false;
    for (int64_t k : dims) taken |= k == d;
    if (!taken) order.push(d), flat.push(x.size(d));
  }
  for (int64_t k : dims) order.push(k);
  for (int i = 0; i < order.n; ++i) back.v[order.v[i]] = i;
  flat.push(-1);
  if (x.numel() == 0) return x;
  const Tensor moved = permute(x, order), line = reshape(moved, flat);
  const int last = line.dim() - 1;
  Dims edge = line.shape();
  const int64_t n = edge.v[last];
  edge.v[last] = 1;
  const Tensor one = ones(edge, x.dtype());
  const Tensor before = cat({one, narrow(line, last, 0, n - 1)}, last);
  const Tensor after = cat({narrow(line, last, 1, n - 1), one}, last);
  const Tensor others = cumprod(before, last, {}) * cumprod(after, last, {}, true);
  return permute(reshape(others, moved.shape()), back);
}

}  // namespace lamina
