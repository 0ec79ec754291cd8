// cat, stack: tensors one after another.   gx_i = the i-th piece of g (split, unbind)
#include "ops/join.h"

#include "core/threads.h"
#include "ops/ops.h"
#include "ops/strided_copy.h"
#include "ops/view_args.h"

namespace lamina {
namespace {

// Tensors with the strides and shape of x; y's piece starts `at` steps along `dim`.
void copy_piece(const Tensor& y, int dim, int64_t at, const Tensor& x, const Dims& ystrides) {
  const int64_t item = item_size(y.dtype());
  char* const to = y.data<char>() + at * y.strides().v[dim] * item;
  strided_copy(to, ystrides.v, x.data(), x.strides().v, x.shape(), item);
}

void cat_infer(Call& c) {
  const int d = int(c.args<JoinArgs>().dim);
  Dims shape = c.in[0].shape();
  for (int i = 1; i < c.in.size(); ++i) shape.v[d] += c.in[i].shape().v[d];
  c.output(shape, c.in[0].dtype());
}
void cat_launch(Call& c) {
  const int d = int(c.args<JoinArgs>().dim);
  const Tensor& y = c.out[0];
  int64_t at = 0;
  for (const Tensor& x : c.in) {
    if (x.numel()) copy_piece(y, d, at, x, y.strides());
    at += x.shape().v[d];
  }
}
void cat_vjp(Vjp& c) {
  const int d = int(c.args<JoinArgs>().dim);
  const Tensor g = c.g();
  int64_t at = 0;
  for (int i = 0; i < c.inputs(); ++i) {
    const int64_t n = c.shape(i).v[d];
    if (c.needs(i)) c.set(i, narrow(g, d, at, n));
    at += n;
  }
}
const Op kCat{
    .name = "cat", .infer = cat_infer, .launch = cat_launch, .vjp = cat_vjp, .complex = true};

void stack_infer(Call& c) {
  Dims shape = c.in[0].shape();
  shape.insert(int(c.args<JoinArgs>().dim), c.in.size());
  c.output(shape, c.in[0].dtype());
}
void stack_launch(Call& c) {
  const int d = int(c.args<JoinArgs>().dim);
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  const int64_t item = item_size(y.dtype());
  if (c.in.size() == 2 && d == y.dim() - 1 && (item == 4 || item == 8) && c.in[0].is_contiguous() &&
      c.in[1].is_contiguous()) {  // pairs: both at once
    const JoinFn join = cpu_kernels().complex.join[item == 4 ? kF32 : kF64];
    parallel_rows(y.numel() / 2, 0.1 * double(item), [&](int64_t b, int64_t e) {
      join(y.data<char>() + 2 * b * item, 1, c.in[0].data<char>() + b * item,
           c.in[1].data<char>() + b * item, e - b);
    });
    return;
  }
  Dims strides = y.strides();
  strides.erase(d);
  for (int i = 0; i < c.in.size(); ++i) copy_piece(y, d, i, c.in[i], strides);
}
void stack_vjp(Vjp& c) {
  const Tensor g = c.g();
  for (int i = 0; i < c.inputs(); ++i)
    if (c.needs(i)) c.set(i, select(g, c.args<JoinArgs>().dim, i));
}
const Op kStack{.name = "stack",
                .infer = stack_infer,
                .launch = stack_launch,
                .vjp = stack_vjp,
                .complex = true};

Tensors promoted(const Tensors& xs) {
  DType dtype = xs[0].dtype();
  for (const Tensor& x : xs) dtype = promote(dtype, x.dtype());
  Tensors out;
  for (const Tensor& x : xs) out.push_back(to_dtype(x, dtype));
  return out;
}

}  // namespace

void check_tensors(const char* op, const Tensors& xs) {
  check(!xs.empty(), ErrorKind::value, op, ": expected a non-empty list of tensors");
  for (size_t i = 0; i < xs.size(); ++i)
    check(xs[i].defined() && !xs[i]->wrapped_number, ErrorKind::type, op, ": element ", i,
          " is not a tensor");
}
Tensor cat(const Tensors& xs, int64_t dim) {
  check_tensors("cat", xs);
  const auto skipped = [](const Tensor& t) { return t.dim() == 1 && t.size(0) == 0; };
  const Tensors all = promoted(xs);
  Tensors list;
  for (const Tensor& t : all)
    if (!skipped(t)) list.push_back(t);
  if (list.empty()) return clone(all[0]);
  const Tensor& first = list[0];
  check(first.dim() > 0, ErrorKind::shape, "cat: 0-dim tensors cannot be concatenated; use stack");
  const int d = wrap_dim("cat", dim, first.dim());
  for (size_t i = 0; i < all.size(); ++i) {
    if (skipped(all[i])) continue;
    bool fits = all[i].dim() == first.dim();
    for (int k = 0; fits && k < first.dim(); ++k) fits = k == d || all[i].size(k) == first.size(k);
    check(fits, ErrorKind::shape, "cat: tensor ", i, " has shape ", all[i].shape(),
          ", which does not fit ", first.shape(), ": all sizes except that of dimension ", d,
          " must match");
  }
  return std::move(run(make_call(kCat, list, JoinArgs{d}))[0]);
}

Tensor stack(const Tensors& xs, int64_t dim) {
  check_tensors("stack", xs);
  const int d = wrap_dim("stack", dim, xs[0].dim() + 1);
  for (size_t i = 1; i < xs.size(); ++i)
    check(xs[i].shape() == xs[0].shape(), ErrorKind::shape, "stack: tensor ", i, " has shape ",
          xs[i].shape(), ", but tensor 0 has shape ", xs[0].shape(), "; shapes must be equal");
  return std::move(run(make_call(kStack, promoted(xs), JoinArgs{d}))[0]);
}

}  // namespace lamina
