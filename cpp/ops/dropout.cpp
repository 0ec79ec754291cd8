// y = m x / (1 - p), m in {0, 1} with P(m = 1) = 1 - p;   gx = m g / (1 - p), the same call on g.
#include "ops/dropout.h"

#include <cmath>

#include "core/threads.h"
#include "ops/dropout_args.h"
#include "ops/half.h"
#include "ops/ops.h"

namespace lamina {
namespace {

void infer(Call& c) { c.output(c.in[0].shape(), c.in[0].dtype()); }
void launch(Call& c) {
  const auto& a = c.args<DropoutOpArgs>();
  const int64_t n = c.in[0].numel();
  const DropoutArgs args{c.in[0].data(),
                         c.out[0].data(),
                         a.key.seed,
                         a.key.offset,
                         n,
                         uint64_t(std::llround(a.p * 0x1p32)),
                         a.p < 1 ? 1 / (1 - a.p) : 0};
  const DropoutFn run = cpu_kernels().random.dropout[compute_type(c.in[0].dtype())];
  parallel_rows((n + 63) / 64, 20, [&](int64_t b, int64_t e) { run(args, b, e); });
}
void vjp(Vjp& c);
const Op kDropout{.name = "dropout",
                  .infer = infer,
                  .launch = launch,
                  .vjp = vjp,
                  .elementwise = true,
                  .random = true};
void vjp(Vjp& c) { c.set(0, apply(kDropout, {contiguous(c.g())}, c.args<DropoutOpArgs>())); }

DropoutOpArgs draw(const Tensor& x, double p, GeneratorRef& g) {
  check(p >= 0 && p <= 1, ErrorKind::value,
        "dropout: probability has to be between 0 and 1, but got ", p);
  check(is_floating(x.dtype()), ErrorKind::dtype, "dropout: expected a floating tensor, got ", x,
        "; convert with .float()");
  Generator& from = g ? *g : default_generator();
  return {from.take(uint64_t((x.numel() + 63) / 64 * 8)), p};
}

}  // namespace

Tensor dropout(const Tensor& x, double p, GeneratorRef g) {
  const DropoutOpArgs args = draw(x, p, g);
  return to_dtype(apply(kDropout, {contiguous(to_dtype(x, computed_in(kDropout, x)))}, args),
                  x.dtype());
}
Tensor dropout_(const Tensor& x, double p, GeneratorRef g) {
  if (!x.is_contiguous() || (x.dtype() != DType::float32 && x.dtype() != DType::float64))
    return copy_(x, dropout(x, p, g));
  return run_into(make_call(kDropout, std::initializer_list<Tensor>{x}, draw(x, p, g)), x);
}

}  // namespace lamina
