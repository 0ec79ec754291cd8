// sort, topk   values = x[places], places by order of x     gx[places] = g
// searchsorted counts: no gradient
#include "ops/sort.h"

#include <algorithm>

#include "core/threads.h"
#include "ops/index.h"
#include "ops/ops.h"
#include "ops/sort_args.h"

namespace lamina {
namespace {

// Along the last dimension of a dense tensor of float32, float64 or int64.
void sort_infer(Call& c) {
  Dims shape = c.in[0].shape();
  shape[-1] = c.args<OrderArgs>().k;
  c.output(shape, c.in[0].dtype());
  c.output(shape, DType::int64);
}
void sort_launch(Call& c) {
  const auto& o = c.args<OrderArgs>();
  const Tensor& x = c.in[0];
  const int64_t n = x.size(-1);
  if (x.numel() == 0 || o.k == 0) return;
  const int64_t lines = x.numel() / n;
  const SortArgs a{x.data(), c.out[0].data(), c.out[1].data<int64_t>(), n, o.k, o.descending};
  const SortFn f = cpu_kernels().sort.sort[compute_type(x.dtype())];
  const double each = o.k < n && o.k <= 64 ? 2 : n <= 48 ? 0.5 * double(n) + 2 : 12;
  parallel_rows(lines, each * double(n) + 20, [&](int64_t b, int64_t e) {
    Scratch scratch(size_t(sort_scratch_bytes(n)));
    f(a, b, e, scratch.as<void>());
  });
}
void sort_vjp(Vjp& c) {
  const int last = c.shape(0).n - 1;
  c.set(0, scatter(zeros(c.shape(0), c.dtype(0)), last, c.out(1), c.g(), "", true));
}
const Op kSort{
    .name = "sort", .infer = sort_infer, .launch = sort_launch, .vjp = sort_vjp, .saves = {0, 2}};
const Op kTopk{
    .name = "topk", .infer = sort_infer, .launch = sort_launch, .vjp = sort_vjp, .saves = {0, 2}};

DType held(DType d) {
  return compute_type(d) == kF32   ? DType::float32
         : compute_type(d) == kF64 ? DType::float64
                                   : DType::int64;
}

std::pair<Tensor, Tensor> ordered(const Op& op, const Tensor& x, int64_t dim, int64_t k,
                                  bool descending) {
  const int d = wrap_dim(op.name, dim, x.dim());
  if (x.dim() == 0) {
    const auto [v, i] = ordered(op, reshape(x, {1}), 0, k, descending);
    return {reshape(v, {}), reshape(i, {})};
  }
  const bool last = d == x.dim() - 1;
  const Tensor cast = to_dtype(x, held(x.dtype()));
  const Tensor lines = contiguous(last ? cast : transpose(cast, d, -1));
  const Outputs y =
      run(make_call(op, std::initializer_list<Tensor>{lines}, OrderArgs{k, descending}));
  const Tensor values = to_dtype(y[0], x.dtype());
  if (last) return {values, y[1]};
  return {contiguous(transpose(values, d, -1)), contiguous(transpose(y[1], d, -1))};
}

void search_infer(Call& c) { c.output(c.in[1].shape(), DType::int64); }
void search_launch(Call& c) {
  const Tensor &sorted = c.in[0], &v = c.in[1];
  SearchArgs a{};
  a.sorted = sorted.data();
  a.order = c.in[2].defined() ? c.in[2].data<int64_t>() : nullptr;
  a.v = v.data();
  a.y = c.out[0].data<int64_t>();
  a.n = sorted.size(-1);
  a.step = sorted.dim() == 1 ? 0 : a.n;
  a.m = v.dim() ? v.size(-1) : 1;
  a.right = c.args<FindArgs>().right;
  const SearchFn f = cpu_kernels().sort.search[compute_type(sorted.dtype())];
  parallel_rows(v.numel(), 30, [&](int64_t b, int64_t e) { f(a, b, e); });
}
const Op kSearch{.name = "searchsorted",
                 .infer = search_infer,
                 .launch = search_launch,
                 .differentiable = false};

}  // namespace

std::pair<Tensor, Tensor> sort(const Tensor& x, int64_t dim, bool descending) {
  const int d = wrap_dim("sort", dim, x.dim());
  return ordered(kSort, x, d, x.dim() ? x.size(d) : 1, descending);
}
std::pair<Tensor, Tensor> topk(const Tensor& x, int64_t k, int64_t dim, bool largest) {
  const int d = wrap_dim("topk", dim, x.dim());
  const int64_t n = x.dim() ? x.size(d) : 1;
  check(k >= 0 && k <= n, ErrorKind::index, "topk: k = ", k, " is out of range for dimension ", d,
        " with size ", n, " of shape ", x.shape());
  return ordered(kTopk, x, d, k, largest);
}
Tensor searchsorted(const Tensor& sorted, const Tensor& v, bool right,
                    std::optional<Tensor> order) {
  check(sorted.dim() > 0, ErrorKind::shape,
        "searchsorted: the sorted sequence must have at least one dimension");
  Dims lead = sorted.shape(), mine = v.shape();
  lead.erase(lead.n - 1);
  if (mine.n) mine.erase(mine.n - 1);
  check(sorted.dim() == 1 || lead == mine, ErrorKind::shape, "searchsorted: a sequence of shape ",
        sorted.shape(), " and values of shape ", v.shape(),
        " must be equal in all but the last dimension, or the sequence one-dimensional");
  check(!order || order->shape() == sorted.shape(), ErrorKind::shape,
        "searchsorted: sorter must have the sequence's shape ", sorted.shape());
  const DType at = held(promote(sorted.dtype(), v.dtype()));
  const Tensor none;
  return apply(kSearch,
               {contiguous(to_dtype(sorted, at)), contiguous(to_dtype(v, at)),
                order ? contiguous(to_dtype(*order, DType::int64)) : none},
               FindArgs{right});
}

}  // namespace lamina
