// The steps of Adadelta, Adamax, NAdam, RAdam, Rprop, ASGD and Lion over all parameters of a group
// (formulas: update_more_cpu.h; how a step is run: update_step.h).
#include <cmath>

#include "ops/update_step.h"

namespace lamina {
namespace {

// Nanoseconds per float on one thread, by the memory moved (see update.cpp).
constexpr double kTwoStates = 0.25, kOneState = 0.15;

double sign_of_flag(double maximize) { return maximize != 0 ? -1 : 1; }

template <size_t N>
void fill(UpdateArgs& a, const double (&values)[N]) {
  static_assert(N <= sizeof(a.k) / sizeof(a.k[0]), "too many numbers");
  for (size_t j = 0; j < N; ++j) a.k[j] = values[j];
}

void adadelta_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  over_parameters(parts, cpu_kernels().update.adadelta, kTwoStates, [&](int i, UpdateArgs& a) {
    parts.count(i);
    fill(a, {k[0], k[1], k[2], k[3], sign_of_flag(k[4])});
    return k[3] != 0 ? kAdadeltaDecay : 0;
  });
}

void adamax_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  over_parameters(parts, cpu_kernels().update.adamax, kTwoStates, [&](int i, UpdateArgs& a) {
    const double size = k[0] / (1 - std::pow(k[1], parts.count(i)));
    fill(a, {size, k[1], k[2], k[3], k[4], sign_of_flag(k[5])});
    return k[4] != 0 ? kAdamaxDecay : 0;
  });
}

// mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2)
void nadam_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  const double lr = k[0], beta1 = k[1], beta2 = k[2], decay = k[4], momentum_decay = k[5];
  const bool decoupled = k[6] >= 2;
  const double sign = sign_of_flag(k[6] - (decoupled ? 2 : 0));
  const double keep = decoupled ? 1 - lr * decay : 1;
  over_parameters(parts, cpu_kernels().update.nadam, kTwoStates, [&](int i, UpdateArgs& a) {
    const double t = parts.count(i);
    const double mu = beta1 * (1 - 0.5 * std::pow(0.96, t * momentum_decay));
    const double next = beta1 * (1 - 0.5 * std::pow(0.96, (t + 1) * momentum_decay));
    float& product = *parts.counter(1, i);
    product *= float(mu);
    fill(a, {lr * (1 - mu) / (1 - double(product)), lr * next / (1 - double(product) * next),
             1 / std::sqrt(1 - std::pow(beta2, t)), beta1, beta2, k[3], decay, sign, keep});
    return decay != 0 && !decoupled ? kNadamDecay : 0;
  });
}

// rho_inf = 2 / (1 - beta2) - 1,  rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t); above 5 the step
// is scaled by sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t))
void radam_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  const double lr = k[0], beta1 = k[1], beta2 = k[2], decay = k[4];
  const bool decoupled = k[6] != 0;
  const double keep = decoupled ? 1 - lr * decay : 1, sign = sign_of_flag(k[5]);
  const double limit = 2 / (1 - beta2) - 1;
  over_parameters(parts, cpu_kernels().update.radam, kTwoStates, [&](int i, UpdateArgs& a) {
    const double t = parts.count(i), power = std::pow(beta2, t);
    const double rho = limit - 2 * t * power / (1 - power);
    double size = lr / (1 - std::pow(beta1, t));
    if (rho > 5)
      size *= std::sqrt((1 - power) * ((rho - 4) * (rho - 2) * limit) /
                        ((limit - 4) * (limit - 2) * rho));
    fill(a, {size, beta1, beta2, k[3], decay, sign, keep});
    return (decay != 0 && !decoupled ? kRadamDecay : 0) | (rho > 5 ? 0 : kRadamPlain);
  });
}

void rprop_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  over_parameters(parts, cpu_kernels().update.rprop, kTwoStates, [&](int i, UpdateArgs& a) {
    parts.count(i);
    fill(a, {k[0], k[1], k[2], k[3], sign_of_flag(k[4])});
    return 0;
  });
}

// eta_t = lr / (1 + lambd lr t)^alpha,  mu_t = 1 / max(1, t - t0), for the step after this one
void asgd_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  const double lr = k[0], lambd = k[1], alpha = k[2], t0 = k[3], decay = k[4];
  over_parameters(parts, cpu_kernels().update.asgd, kOneState, [&](int i, UpdateArgs& a) {
    const double t = parts.count(i);
    float &eta = *parts.counter(1, i), &mu = *parts.counter(2, i);
    fill(a, {1 - lambd * double(eta), double(eta), double(mu), decay, sign_of_flag(k[5])});
    const int kind = (decay != 0 ? kAsgdDecay : 0) | (mu == 1 ? kAsgdCopy : 0);
    eta = float(lr / std::pow(1 + lambd * lr * t, alpha));
    mu = float(1 / std::fmax(1.0, t - t0));
    return kind;
  });
}

void lion_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  over_parameters(parts, cpu_kernels().update.lion, kOneState, [&](int, UpdateArgs& a) {
    fill(a, {k[0], k[1], k[2], 1 - k[0] * k[3], sign_of_flag(k[4])});
    return 0;
  });
}

const Op kAdadelta = step_op("adadelta_step", adadelta_launch),
         kAdamax = step_op("adamax_step", adamax_launch),
         kNadam = step_op("nadam_step", nadam_launch), kRadam = step_op("radam_step", radam_launch),
         kRprop = step_op("rprop_step", rprop_launch), kAsgd = step_op("asgd_step", asgd_launch),
         kLion = step_op("lion_step", lion_launch);

}  // namespace

int64_t adadelta_step(const Tensor& numbers, const Tensors& params, const Tensors& squares,
                      const Tensors& deltas, const Tensors& steps) {
  return take_step(kAdadelta, numbers, params, {&squares, &deltas}, {&steps});
}

int64_t adamax_step(const Tensor& numbers, const Tensors& params, const Tensors& means,
                    const Tensors& largest, const Tensors& steps) {
  return take_step(kAdamax, numbers, params, {&means, &largest}, {&steps});
}

int64_t nadam_step(const Tensor& numbers, const Tensors& params, const Tensors& means,
                   const Tensors& squares, const Tensors& steps, const Tensors& products) {
  return take_step(kNadam, numbers, params, {&means, &squares}, {&steps, &products});
}

int64_t radam_step(const Tensor& numbers, const Tensors& params, const Tensors& means,
                   const Tensors& squares, const Tensors& steps) {
  return take_step(kRadam, numbers, params, {&means, &squares}, {&steps});
}

int64_t rprop_step(const Tensor& numbers, const Tensors& params, const Tensors& previous,
                   const Tensors& sizes, const Tensors& steps) {
  return take_step(kRprop, numbers, params, {&previous, &sizes}, {&steps});
}

int64_t asgd_step(const Tensor& numbers, const Tensors& params, const Tensors& averages,
                  const Tensors& steps, const Tensors& etas, const Tensors& mus) {
  return take_step(kAsgd, numbers, params, {&averages}, {&steps, &etas, &mus});
}

int64_t lion_step(const Tensor& numbers, const Tensors& params, const Tensors& means) {
  return take_step(kLion, numbers, params, {&means}, {});
}

}  // namespace lamina
