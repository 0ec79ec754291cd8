// The ops around gamma_cpu.h: log_gamma_draw(alpha) and its gradient, and binomial draws.
#include "ops/gamma.h"

#include "core/threads.h"
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "ops/random_args.h"

namespace lamina {
namespace {

OwnStreams streams(GeneratorRef& g, int64_t n) {
  return {(g ? *g : default_generator()).take(uint64_t(n))};
}
Tensor dense_double(const Tensor& x) { return contiguous(to_dtype(x, DType::float64)); }
void like_first(Call& c) { c.output(c.in[0].shape(), DType::float64); }

void grad_launch(Call& c) {
  const GammaGradArgs a{c.in[0].data<double>(), c.in[1].data<double>(), c.out[0].data<double>()};
  parallel_rows(c.in[0].numel(), 200,
                [&](int64_t b, int64_t e) { cpu_kernels().gamma.grad(a, b, e); });
}
const Op kLogGammaGrad{.name = "log_gamma_draw_grad", .infer = like_first, .launch = grad_launch};

void draw_launch(Call& c) {
  const PhiloxKey key = c.args<OwnStreams>().key;
  const GammaArgs a{c.in[0].data<double>(), c.out[0].data<double>(), key.seed, key.offset};
  parallel_rows(c.in[0].numel(), 60,
                [&](int64_t b, int64_t e) { cpu_kernels().gamma.draw(a, b, e); });
}
void draw_vjp(Vjp& c) { c.set(0, c.g() * apply(kLogGammaGrad, {c.in(0), c.out()})); }
const Op kLogGammaDraw{.name = "log_gamma_draw",
                       .infer = like_first,
                       .launch = draw_launch,
                       .vjp = draw_vjp,
                       .saves = kSavesBoth,
                       .random = true};

void binomial_launch(Call& c) {
  const PhiloxKey key = c.args<OwnStreams>().key;
  const BinomialArgs a{c.in[0].data<double>(), c.in[1].data<double>(), c.out[0].data<double>(),
                       key.seed, key.offset};
  parallel_rows(c.in[0].numel(), 100,
                [&](int64_t b, int64_t e) { cpu_kernels().gamma.binomial(a, b, e); });
}
const Op kBinomial{.name = "binomial",
                   .infer = like_first,
                   .launch = binomial_launch,
                   .differentiable = false,
                   .random = true};

}  // namespace

Tensor log_gamma_draw(const Tensor& alpha, GeneratorRef g) {
  check(is_floating(alpha.dtype()), ErrorKind::dtype, "gamma: alpha must be floating, got ",
        alpha.dtype());
  const Tensor x = dense_double(alpha);
  return apply(kLogGammaDraw, {x}, streams(g, x.numel()));
}
Tensor random_binomial(const Tensor& count, const Tensor& p, GeneratorRef g) {
  check(is_floating(p.dtype()), ErrorKind::dtype, "binomial: p must be floating, got ", p.dtype());
  check(count.shape() == p.shape(), ErrorKind::shape, "binomial: count has shape ", count.shape(),
        ", p has ", p.shape(), "; they must agree");
  const Tensor y = apply(kBinomial, {dense_double(count), dense_double(p)}, streams(g, p.numel()));
  return to_dtype(y, p.dtype());
}

}  // namespace lamina
