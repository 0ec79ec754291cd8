// gather and scatter along one dimension (I = index tensor, its other coordinates go along):
//   gather        y = x[I]                  gx = 0, gx[I] += g
//   scatter       y = x, y[I] = s           gx = g with g[I] = 0,   gs = g[I]
//   sum           y = x, y[I] += s          gx = g,                 gs = g[I]
//   prod          y = x, y[I] *= s          gx = g y / x,           gs = (g y)[I] / s
//   amax, amin    y = extreme of x and s    g shared equally among all that attain it
// mean, and leaving the old value out (include_self=False), are written with these.
#include <cmath>
#include <cstring>
#include <limits>

#include "core/threads.h"
#include "ops/complex.h"
#include "ops/index.h"
#include "ops/index_args.h"
#include "ops/ops.h"
#include "ops/transfer.h"

namespace lamina {
namespace {

// A plan of the walk over the index tensor; `data` is dense.
ScatterArgs walk(const Tensor& data, const Tensor& rows, int dim) {
  ScatterArgs a{};
  a.data = data.data();
  a.index = rows.data<int64_t>();
  a.nd = rows.dim();
  for (int d = 0; d < a.nd; ++d) {
    a.shape[d] = rows.size(d);
    a.strides[d] = d == dim ? 0 : data.stride(d);
  }
  a.step = data.stride(dim);
  a.size = data.size(dim);
  a.begin = 0;
  a.end = rows.size(-1);
  return a;
}
void check_rows(const Call& c, const ScatterArgs& a, int dim, int64_t bad) {
  check(bad < 0, ErrorKind::index, c.name(), ": index ", bad < 0 ? 0 : a.index[bad],
        " is out of bounds for dimension ", dim, " with size ", a.size);
}
int log2_size(DType d) {
  const int64_t n = item_size(d);
  return n == 8 ? 3 : n == 4 ? 2 : n == 2 ? 1 : 0;
}

// ---- gather ------------------------------------------------------------------------------------
void gather_infer(Call& c) { c.output(c.in[1].shape(), c.in[0].dtype()); }
void gather_launch(Call& c) {
  const Tensor &x = c.in[0], &rows = c.in[1], &y = c.out[0];
  if (y.numel() == 0) return;
  const int dim = c.args<DimArgs>().dim;
  ScatterArgs a = walk(x, rows, dim);
  a.other = y.data();
  for (int d = 0; d < a.nd; ++d) a.other_strides[d] = y.stride(d);
  const ScatterFn fn = cpu_kernels().index.gather[log2_size(x.dtype())];
  const int64_t n = a.shape[a.nd - 1];
  parallel_rows(y.numel() / n, 1.5 * double(n) + 4,
                [&](int64_t b, int64_t e) { check_rows(c, a, dim, fn(a, b, e)); });
}
void gather_vjp(Vjp& c) {
  if (!c.needs(0)) return;
  const Tensor zero = zeros(c.shape(0), c.g().dtype());
  c.set(0, scatter(zero, c.args<DimArgs>().dim, c.in(1), c.g(), "sum", true));
}
const Op kGather{.name = "gather",
                 .infer = gather_infer,
                 .launch = gather_launch,
                 .vjp = gather_vjp,
                 .saves = {2, 0}};

// ---- scatter -----------------------------------------------------------------------------------
void scatter_infer(Call& c) { c.output(c.in[0].shape(), c.in[0].dtype()); }
template <int mode>
void scatter_launch(Call& c) {
  const Tensor &x = c.in[0], &rows = c.in[1], &s = c.in[2], &y = c.out[0];
  if (y.data() != x.data())
    parallel_rows(y.numel() * item_size(y.dtype()), 0.05, [&](int64_t b, int64_t e) {
      std::memcpy(y.data<char>() + b, x.data<char>() + b, size_t(e - b));
    });
  if (rows.numel() == 0) return;
  const int dim = c.args<DimArgs>().dim;
  ScatterArgs a = walk(y, rows, dim);
  a.other = s.data();
  for (int d = 0; d < a.nd; ++d) a.other_strides[d] = s.stride(d);
  const IndexKernels& k = cpu_kernels().index;
  const ScatterFn fn = mode < 0 ? k.scatter[log2_size(y.dtype())]
                                : k.scatter_reduce[mode < 0 ? 0 : mode][compute_type(y.dtype())];
  // Runs that differ before `dim` never meet; with no such dimension, columns never meet.
  const int64_t n = a.shape[a.nd - 1], runs = rows.numel() / n;
  int64_t groups = 1;
  for (int d = 0; d < dim; ++d) groups *= a.shape[d];
  if (groups > 1 || dim == a.nd - 1) {
    const int64_t each = runs / groups;
    parallel_rows(groups, 2.0 * double(each * n) + 4,
                  [&](int64_t b, int64_t e) { check_rows(c, a, dim, fn(a, b * each, e * each)); });
  } else {
    parallel_rows(n, 2.0 * double(runs) + 1, [&](int64_t b, int64_t e) {
      ScatterArgs columns = a;
      columns.begin = b;
      columns.end = e;
      check_rows(c, a, dim, fn(columns, 0, runs));
    });
  }
}

Tensor compare_equal(const Tensor& a, const Tensor& b) {
  static const int f = function_index("eq");
  return elementwise(f, {a, b});
}
Tensor number(double v, DType d) { return full({}, v, d); }
Tensor replace(const Tensor& x, int dim, const Tensor& rows, double v) {
  return scatter(x, dim, rows, number(v, x.dtype()), "", true);
}

void replace_vjp(Vjp& c) {
  const int dim = c.args<DimArgs>().dim;
  const Tensor g = c.g(), rows = c.in(1);
  if (c.needs(0)) c.set(0, replace(g, dim, rows, 0));
  if (c.needs(2)) c.set(2, gather(g, dim, rows));
}
void sum_vjp(Vjp& c) {
  const Tensor g = c.g();
  if (c.needs(0)) c.set(0, g);
  if (c.needs(2)) c.set(2, gather(g, c.args<DimArgs>().dim, c.in(1)));
}
void prod_vjp(Vjp& c) {  // zeros: the product of the others, when there is exactly one
  const int dim = c.args<DimArgs>().dim;
  const Tensor g = c.g(), x = c.in(0), rows = c.in(1), s = c.in(2);
  const Tensor zero = number(0, x.dtype()), one = number(1, x.dtype());
  const Tensor x1 = masked_fill(x, compare_equal(x, zero), one);
  if (c.needs(0)) c.set(0, g * scatter(x1, dim, rows, s, "prod", true) / x1);
  if (!c.needs(2)) return;
  const Tensor is_zero = compare_equal(s, zero);
  const Tensor count = gather(
      scatter(zeros(x.shape(), x.dtype()), dim, rows, to_dtype(is_zero, x.dtype()), "sum", true),
      dim, rows);
  const Tensor single = compare_equal(count * to_dtype(is_zero, x.dtype()), one);
  const Tensor others = scatter(x, dim, rows, masked_fill(s, single, one), "prod", true);
  c.set(2, where(single, gather(g * others, dim, rows),
                 gather(g * c.out(), dim, rows) / masked_fill(s, is_zero, one)));
}
void extreme_vjp(Vjp& c) {
  const int dim = c.args<DimArgs>().dim;
  const Tensor g = c.g(), x = c.in(0), rows = c.in(1), s = c.in(2), y = c.out();
  const Tensor mine = to_dtype(compare_equal(x, y), x.dtype());
  const Tensor theirs = to_dtype(compare_equal(s, gather(y, dim, rows)), x.dtype());
  const Tensor share = g / scatter(mine, dim, rows, theirs, "sum", true);
  if (c.needs(0)) c.set(0, mine * share);
  if (c.needs(2)) c.set(2, theirs * gather(share, dim, rows));
}

// elementwise: input 0 may be the output itself (scatter_ keeps the others out of its memory).
const Op kScatter{.name = "scatter",
                  .infer = scatter_infer,
                  .launch = scatter_launch<kReplace>,
                  .vjp = replace_vjp,
                  .saves = {2, 0},
                  .elementwise = true};
const Op kReduce[kScatterReduces] = {{.name = "scatter_add",
                                      .infer = scatter_infer,
                                      .launch = scatter_launch<kScatterAdd>,
                                      .vjp = sum_vjp,
                                      .saves = {2, 0},
                                      .elementwise = true},
                                     {.name = "scatter_reduce",
                                      .infer = scatter_infer,
                                      .launch = scatter_launch<kScatterMul>,
                                      .vjp = prod_vjp,
                                      .saves = {7, 1}},
                                     {.name = "scatter_reduce",
                                      .infer = scatter_infer,
                                      .launch = scatter_launch<kScatterMax>,
                                      .vjp = extreme_vjp,
                                      .saves = {7, 1}},
                                     {.name = "scatter_reduce",
                                      .infer = scatter_infer,
                                      .launch = scatter_launch<kScatterMin>,
                                      .vjp = extreme_vjp,
                                      .saves = {7, 1}}};

int mode_named(const std::string& reduce) {
  if (reduce.empty()) return kReplace;
  if (reduce == "sum" || reduce == "add") return kScatterAdd;
  if (reduce == "prod" || reduce == "multiply") return kScatterMul;
  if (reduce == "amax") return kScatterMax;
  if (reduce == "amin") return kScatterMin;
  fail(ErrorKind::value,
       "scatter_reduce: reduce must be 'sum', 'prod', 'mean', 'amax' or 'amin', "
       "got '",
       reduce, "'");
}

// The value that changes nothing, for leaving the old elements out.
Tensor identity(int mode, DType d) {
  if (mode == kScatterAdd || mode == kScatterMul) return number(mode == kScatterMul, d);
  const double inf = std::numeric_limits<double>::infinity();
  if (is_floating(d)) return number(mode == kScatterMax ? -inf : inf, d);
  const int bits = int(item_size(d)) * 8;
  const bool sign = d != DType::uint8 && d != DType::boolean;
  const int64_t most = d == DType::boolean ? 1 : sign ? int64_t(~uint64_t(0) >> (65 - bits)) : 255;
  return full({}, mode == kScatterMax ? (sign ? -most - 1 : int64_t(0)) : most, d);
}

void check_shapes(const char* name, const Tensor& x, int dim, const Tensor& rows) {
  check(rows.dtype() == DType::int64 || rows.dtype() == DType::int32, ErrorKind::dtype, name,
        ": index must be int64, got ", rows, "; convert with .long()");
  const int nd = x.dim() ? x.dim() : 1, ni = rows.dim() ? rows.dim() : 1;
  check(nd == ni, ErrorKind::shape, name, ": index with shape ", rows.shape(), " and input with ",
        "shape ", x.shape(), " must have the same number of dimensions");
  for (int d = 0; d < rows.dim() && x.dim(); ++d)
    check(d == dim || rows.size(d) <= x.size(d), ErrorKind::shape, name, ": index with shape ",
          rows.shape(), " exceeds the input with shape ", x.shape(), " at dimension ", d,
          "; only dimension ", dim, " may be larger");
}
Tensor at_least_1d(const Tensor& t) { return t.dim() ? t : reshape(t, {1}); }

Tensor scatter_impl(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source,
                    int mode, const Tensor* into) {
  const char* const name = mode < 0 ? kScatter.name : kReduce[mode].name;
  const int d = wrap_dim(name, dim, x.dim());
  if (index.numel() == 0) return into ? *into : clone(x);
  check_shapes(name, x, d, index);
  if (source.dim() || index.dim() == 0) {
    check(source.dim() == index.dim(), ErrorKind::shape, name, ": source with shape ",
          source.shape(), " and index with shape ", index.shape(),
          " must have the same number of dimensions");
    for (int k = 0; k < index.dim(); ++k)
      check(index.size(k) <= source.size(k), ErrorKind::shape, name, ": index with shape ",
            index.shape(), " exceeds the source with shape ", source.shape(), " at dimension ", k);
  }
  if (x.dim() == 0) {
    const Tensor y = reshape(
        scatter_impl(at_least_1d(x), 0, at_least_1d(index), at_least_1d(source), mode, nullptr),
        {});
    return into ? copy_(*into, y) : y;
  }
  const DType dtype = x.dtype();
  const DType at = mode < 0                      ? dtype
                   : compute_type(dtype) == kF32 ? DType::float32
                   : compute_type(dtype) == kF64 ? DType::float64
                                                 : DType::int64;
  check(source.dtype() == dtype || source.dim() == 0, ErrorKind::dtype, name, ": source has dtype ",
        source.dtype(), " but the input has ", dtype, "; convert with .to()");
  const Tensor rows = contiguous(to_dtype(index, DType::int64));
  Tensor s = to_dtype(source.dim() ? source : to_device(source, x.device()), at);
  if (into && s->storage == (*into)->storage) s = clone(s);
  if (s.dim() == 0) {
    s = expand(s, rows.shape());
  } else {
    for (int k = 0; k < rows.dim(); ++k)
      if (s.size(k) != rows.size(k)) s = narrow(s, k, 0, rows.size(k));
  }
  const Op& op = mode < 0 ? kScatter : kReduce[mode];
  if (into && into->is_contiguous() && at == dtype && op.elementwise)
    return run_into(make_call(op, std::initializer_list<Tensor>{*into, rows, s}, DimArgs{d, mode}),
                    *into);
  const Tensor y =
      to_dtype(apply(op, {contiguous(to_dtype(x, at)), rows, s}, DimArgs{d, mode}), dtype);
  return into ? copy_(*into, y) : y;
}

}  // namespace

namespace {
// Indices of complex elements for both of their parts.
Tensor for_parts(const Tensor& rows) {
  Dims shape = rows.shape();
  shape.push(2);
  return expand(unsqueeze(rows, -1), shape);
}
}  // namespace

Tensor gather(const Tensor& x, int64_t dim, const Tensor& rows) {
  const int d = wrap_dim("gather", dim, x.dim());
  check_shapes("gather", x, d, rows);
  if (is_complex(x.dtype()) && x.dim() && rows.dim())
    return on_parts(x, [&](const Tensor& p) { return gather(p, d, for_parts(rows)); });
  const Tensor list = contiguous(to_dtype(rows, DType::int64));
  if (x.dim() == 0 || rows.dim() == 0)
    return reshape(gather(at_least_1d(x), 0, at_least_1d(list)), rows.shape());
  return apply(kGather, {contiguous(x), list}, DimArgs{d});
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& source,
               const std::string& reduce, bool include_self) {
  if (is_complex(x.dtype()) && x.dim() && rows.dim()) {
    check(reduce.empty() || reduce == "sum" || reduce == "add", ErrorKind::dtype, "scatter: '",
          reduce, "' is not defined for complex tensors, got ", x);
    const int d = wrap_dim("scatter", dim, x.dim());
    check(source.dtype() == x.dtype() || source.dim() == 0, ErrorKind::dtype,
          "scatter: source has dtype ", source.dtype(), " but the input has ", x.dtype(),
          "; convert with .to()");
    Tensor s = to_dtype(source, x.dtype());
    if (s.dim() == 0) s = expand(s, rows.shape());
    const Tensor v = view_as_real(s);
    return on_parts(x, [&](const Tensor& p) {
      return scatter(p, d, for_parts(rows), v, reduce, include_self);
    });
  }
  if (reduce == "mean") {
    const Tensor sum = scatter(x, dim, rows, source, "sum", include_self);
    const Tensor one = full({}, 1, x.dtype());
    Tensor count = include_self ? ones(x.shape(), x.dtype()) : zeros(x.shape(), x.dtype());
    count = scatter_impl(count, dim, rows, one, kScatterAdd, nullptr);
    count = masked_fill(count, compare_equal(count, full({}, 0, x.dtype())), one);
    if (is_floating(x.dtype())) return sum / count;
    static const int floor_divide = function_index("floor_divide");
    return elementwise(floor_divide, {sum, count});
  }
  const int mode = mode_named(reduce);
  if (include_self || mode == kReplace) return scatter_impl(x, dim, rows, source, mode, nullptr);
  const Tensor start = scatter_impl(x, dim, rows, identity(mode, x.dtype()), kReplace, nullptr);
  return scatter_impl(start, dim, rows, source, mode, nullptr);
}

Tensor scatter_(const Tensor& x, int64_t dim, const Tensor& rows, const Tensor& source,
                const std::string& reduce, bool include_self) {
  if (!is_complex(x.dtype()) && (reduce.empty() || (reduce == "sum" && include_self)))
    return scatter_impl(x, dim, rows, source, mode_named(reduce), &x);
  return copy_(x, scatter(x, dim, rows, source, reduce, include_self));
}

}  // namespace lamina
