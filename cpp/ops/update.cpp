// The steps of SGD, Adam, RMSprop and Adagrad over all parameters of a group (formulas:
// update_cpu.h; how a step is run: update_step.h).
#include "ops/update.h"

#include "ops/update_step.h"

namespace lamina {
namespace {

// Nanoseconds per float on one thread: 0.05 (sgd) to 0.16 (adam) measured within the second-level
// cache (AVX-512), five times that from memory; what is too large for the cache is split anyway.
constexpr double kSgdCost = 0.1, kAdamCost = 0.25, kRmspropCost = 0.2, kAdagradCost = 0.15;

void sgd_launch(Call& c) { take_step_by(c, cpu_kernels().update.sgd, kSgdCost, sgd_numbers); }
void adam_launch(Call& c) { take_step_by(c, cpu_kernels().update.adam, kAdamCost, adam_numbers); }
void rmsprop_launch(Call& c) {
  take_step_by(c, cpu_kernels().update.rmsprop, kRmspropCost, rmsprop_numbers);
}
void adagrad_launch(Call& c) {
  take_step_by(c, cpu_kernels().update.adagrad, kAdagradCost, adagrad_numbers);
}

const Op kSgd = step_op("sgd_step", sgd_launch), kAdam = step_op("adam_step", adam_launch),
         kRmsprop = step_op("rmsprop_step", rmsprop_launch),
         kAdagrad = step_op("adagrad_step", adagrad_launch);

}  // namespace

void set_numbers(const Tensor& numbers, double a, double b, double c, double d, double e, double f,
                 double g) {
  check(numbers.dtype() == DType::float64 && numbers.numel() >= kUpdateNumbers, ErrorKind::value,
        "set_numbers: expected at least ", kUpdateNumbers, " float64 elements, got ", numbers);
  const double values[] = {a, b, c, d, e, f, g};
  if (numbers.device().type != DeviceType::cpu) {
    GradMode off(false);
    const Tensor host = empty({7}, DType::float64, Device{});
    std::memcpy(host.data(), values, sizeof values);
    copy_bytes(narrow(numbers, 0, 0, 7), host, false);
    return;
  }
  double* const k = numbers.data<double>();
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
