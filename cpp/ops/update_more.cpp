// The steps of Adadelta, Adamax, NAdam, RAdam, Rprop, ASGD and Lion over all parameters of a group
// (formulas: update_more_cpu.h, update_numbers.h; how a step is run: update_step.h).
#include "ops/update_step.h"

namespace lamina {
namespace {

// Nanoseconds per float on one thread, by the memory moved (see update.cpp).
constexpr double kTwoStates = 0.25, kOneState = 0.15;

void adadelta_launch(Call& c) {
  take_step_by(c, cpu_kernels().update.adadelta, kTwoStates, adadelta_numbers);
}
void adamax_launch(Call& c) {
  take_step_by(c, cpu_kernels().update.adamax, kTwoStates, adamax_numbers);
}
void nadam_launch(Call& c) {
  take_step_by(c, cpu_kernels().update.nadam, kTwoStates, nadam_numbers);
}
void radam_launch(Call& c) {
  take_step_by(c, cpu_kernels().update.radam, kTwoStates, radam_numbers);
}
void rprop_launch(Call& c) {
  take_step_by(c, cpu_kernels().update.rprop, kTwoStates, rprop_numbers);
}
void asgd_launch(Call& c) { take_step_by(c, cpu_kernels().update.asgd, kOneState, asgd_numbers); }
void lion_launch(Call& c) { take_step_by(c, cpu_kernels().update.lion, kOneState, lion_numbers); }

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
