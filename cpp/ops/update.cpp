// The steps of SGD, Adam, RMSprop and Adagrad over all parameters of a group (formulas:
// update_cpu.h; how a step is run: update_step.h).
#include "ops/update.h"

#include <cmath>

#include "ops/update_step.h"

namespace lamina {
namespace {

// Nanoseconds per float on one thread: 0.05 (sgd) to 0.16 (adam) measured within the second-level
// cache (AVX-512), five times that from memory; what is too large for the cache is split anyway.
constexpr double kSgdCost = 0.1, kAdamCost = 0.25, kRmspropCost = 0.2, kAdagradCost = 0.15;

void sgd_launch(Call& c) {
  const StepParts parts(c);
  double* const k = c.in[0].data<double>();
  double* const started = k + kUpdateNumbers;
  const double momentum = k[1], dampening = k[2], decay = k[3], sign = k[4] != 0 ? -1 : 1;
  const bool from_zero = k[5] != 0;
  const double gain = k[5] != 0 ? k[6] : 1;
  const int common = (decay != 0 ? kSgdDecay : 0) | (parts.a.has[0] ? kSgdMomentum : 0) |
                     (parts.a.nesterov ? kSgdNesterov : 0);
  over_parameters(parts, cpu_kernels().update.sgd, kSgdCost, [&](int i, UpdateArgs& a) {
    const double values[] = {k[0], momentum, gain * (1 - dampening), decay, sign};
    for (int j = 0; j < 5; ++j) a.k[j] = values[j];
    const bool first = parts.a.has[0] && started[i] == 0 && !from_zero;
    started[i] = 1;
    return common | (first ? kSgdFirst : 0);
  });
}

void adam_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  const double lr = k[0], beta1 = k[1], beta2 = k[2], eps = k[3], decay = k[4];
  const double sign = k[5] != 0 ? -1 : 1;
  const bool decoupled = k[6] != 0;
  const double keep = decoupled ? 1 - lr * decay : 1;
  const int kind = (decay != 0 && !decoupled ? kAdamDecay : 0) | (parts.a.has[2] ? kAdamMax : 0);
  double last = -1, size = 0, scale = 0;  // parameters mostly share their step
  over_parameters(parts, cpu_kernels().update.adam, kAdamCost, [&](int i, UpdateArgs& a) {
    const double t = parts.count(i);
    if (t != last) {
      last = t;
      size = lr / (1 - std::pow(beta1, t));
      scale = 1 / std::sqrt(1 - std::pow(beta2, t));
    }
    const double values[] = {size, scale, beta1, beta2, eps, decay, sign, keep, t};
    for (int j = 0; j < 9; ++j) a.k[j] = values[j];
    return kind;
  });
}

void rmsprop_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  const int kind = (k[3] != 0 ? kRmsDecay : 0) | (parts.a.has[1] ? kRmsMomentum : 0) |
                   (parts.a.has[2] ? kRmsCentered : 0);
  over_parameters(parts, cpu_kernels().update.rmsprop, kRmspropCost, [&](int i, UpdateArgs& a) {
    parts.count(i);
    const double values[] = {k[0], k[1], k[2], k[3], k[4] != 0 ? -1.0 : 1.0, k[5], k[6]};
    for (int j = 0; j < 7; ++j) a.k[j] = values[j];
    return kind;
  });
}

void adagrad_launch(Call& c) {
  const StepParts parts(c);
  const double* const k = c.in[0].data<double>();
  over_parameters(parts, cpu_kernels().update.adagrad, kAdagradCost, [&](int i, UpdateArgs& a) {
    const double t = parts.count(i);
    const double lr = k[0] / (1 + (t - 1) * k[1]);
    const double values[] = {lr, k[2], k[3], k[4] != 0 ? -1.0 : 1.0, k[5]};
    for (int j = 0; j < 5; ++j) a.k[j] = values[j];
    return k[3] != 0 ? kAdagradDecay : 0;
  });
}

const Op kSgd = step_op("sgd_step", sgd_launch), kAdam = step_op("adam_step", adam_launch),
         kRmsprop = step_op("rmsprop_step", rmsprop_launch),
         kAdagrad = step_op("adagrad_step", adagrad_launch);

}  // namespace

void set_numbers(const Tensor& numbers, double a, double b, double c, double d, double e, double f,
                 double g) {
  check(numbers.dtype() == DType::float64 && numbers.numel() >= kUpdateNumbers, ErrorKind::value,
        "set_numbers: expected at least ", kUpdateNumbers, " float64 elements, got ", numbers);
  double* const k = numbers.data<double>();
  const double values[] = {a, b, c, d, e, f, g};
  for (int i = 0; i < 7; ++i) k[i] = values[i];
}

int64_t sgd_step(const Tensor& numbers, const Tensors& params, const Tensors& buffers,
                 bool nesterov) {
  return take_step(kSgd, numbers, params, {&buffers}, {}, nesterov);
}

int64_t adam_step(const Tensor& numbers, const Tensors& params, const Tensors& means,
                  const Tensors& squares, const Tensors& max_squares, const Tensors& steps) {
  return take_step(kAdam, numbers, params, {&means, &squares, &max_squares}, {&steps});
}

int64_t rmsprop_step(const Tensor& numbers, const Tensors& params, const Tensors& squares,
                     const Tensors& buffers, const Tensors& means, const Tensors& steps) {
  return take_step(kRmsprop, numbers, params, {&squares, &buffers, &means}, {&steps});
}

int64_t adagrad_step(const Tensor& numbers, const Tensors& params, const Tensors& sums,
                     const Tensors& steps) {
  return take_step(kAdagrad, numbers, params, {&sums}, {&steps});
}

void clear_grads(const Tensors& params) {
  for (const Tensor& p : params)
    if (p.defined()) p->grad = Tensor();
}

}  // namespace lamina
