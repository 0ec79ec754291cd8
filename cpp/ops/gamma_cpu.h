// Draws by rejection with two parameters and more: the gamma and the binomial distribution.
//
//   gamma, its gradient, binomial: rejection_draws.h
//
// One value at a time, each from its own Philox stream, in double. Cost on one thread: gamma 60 ns,
// its gradient about 10 sqrt(a) + 100 ns up to a = 1e5, binomial 100 ns.
#pragma once
#include "kernels/vec_math.h"
#include "kernels/vec_philox.h"

#include "kernels/rejection_draws.h"  // after what it is written in

namespace lamina::LAMINA_ISA {
namespace {

void gamma_draw(const GammaArgs& a, int64_t begin, int64_t end) {
  const RoundKeys keys(a.seed);
  for (int64_t i = begin; i < end; ++i)
    a.y[i] = log_gamma_draw(a.shape[i], OwnStream{keys, a.offset + uint64_t(i)});
}
void gamma_grad(const GammaGradArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) a.dy[i] = log_gamma_gradient(a.shape[i], a.y[i]);
}
void binomial(const BinomialArgs& a, int64_t begin, int64_t end) {
  const RoundKeys keys(a.seed);
  for (int64_t i = begin; i < end; ++i)
    a.y[i] = binomial_one(a.count[i], a.p[i], OwnStream{keys, a.offset + uint64_t(i)});
}

}  // namespace

void fill_gamma(Kernels& k) {
  k.gamma.draw = gamma_draw;
  k.gamma.grad = gamma_grad;
  k.gamma.binomial = binomial;
}

}  // namespace lamina::LAMINA_ISA
