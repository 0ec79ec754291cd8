// resample: y = W x along one dimension, W sparse; gx = W^T g, with the same loops.
// The table of W is made anew at every launch: a few numbers per output.
#include "ops/resample.h"

#include <cmath>

#include "core/threads.h"
#include "ops/ops.h"
#include "ops/resample_args.h"

namespace lamina {
namespace {

const char* const kKinds[] = {"nearest", "nearest-exact", "linear",
                              "cubic",   "linear-aa",     "cubic-aa"};

void infer(Call& c) {
  const auto& a = c.args<ResampleCall>();
  Dims shape = c.in[0].shape();
  shape.v[a.dim] = a.transposed ? a.n : a.m;
  c.output(shape, c.in[0].dtype());
}

void launch(Call& c) {
  const auto& a = c.args<ResampleCall>();
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const ResampleTable table(a);
  ResampleArgs k{x.data(), y.data(),    a.inputs(),  a.outputs(),
                 1,        table.start, table.index, table.weight};
  for (int d = a.dim + 1; d < x.dim(); ++d) k.S *= x.size(d);
  const int64_t lines = y.numel() / (k.M * k.S), units = k.S == 1 ? lines : lines * k.M;
  const double taps_per_output = double(table.taps) / double(k.M);
  const double cost = k.S == 1 ? 1.0 * double(k.M) : 0.2 * double(k.S);
  const ResampleFn f = cpu_kernels().resample.rows[compute_type(x.dtype())];
  parallel_rows(units, cost * (taps_per_output + 1), [&](int64_t b, int64_t e) { f(k, b, e); });
}

void vjp(Vjp& c);
const Op kResample{.name = "resample", .infer = infer, .launch = launch, .vjp = vjp};
void vjp(Vjp& c) {
  ResampleCall a = c.args<ResampleCall>();
  a.transposed = !a.transposed;
  c.set(0, apply(kResample, {contiguous(c.g())}, a));
}

}  // namespace

Tensor resample(const Tensor& x, int64_t dim, int64_t size, const std::string& kind, double scale,
                bool align) {
  check(is_floating(x.dtype()), ErrorKind::dtype, "interpolate: expected a floating dtype, got ", x,
        "; convert with .float()");
  ResampleCall a{};
  a.dim = wrap_dim("interpolate", dim, x.dim());
  a.n = x.size(a.dim), a.m = size;
  a.kind = -1;
  for (int i = 0; i < 6; ++i)
    if (kind == kKinds[i]) a.kind = i;
  check(a.kind >= 0, ErrorKind::value, "interpolate: unknown kind ", kind);
  check(a.n > 0 && size > 0, ErrorKind::shape, "interpolate: input and output sizes must be ",
        "positive, got ", a.n, " and ", size);
  a.align = align;
  if (align)
    a.scale = size > 1 ? double(a.n - 1) / double(size - 1) : 0;
  else
    a.scale = scale > 0 ? scale : double(a.n) / double(size);
  const DType t = x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  return to_dtype(apply(kResample, {contiguous(to_dtype(x, t))}, a), x.dtype());
}

}  // namespace lamina
