// Optimizer steps: all parameters of a group in one launch, in place, with their gradients.
//
// params: n tensors; those whose .grad is undefined are left alone. The states are lists of n
// tensors shaped as the parameters (undefined where there is none yet), or empty lists where the
// optimizer has no such state. steps: n one-element float32 tensors counting the steps taken; the
// launch adds 1 and forms the corrections from them, so that a replayed launch counts by itself.
// numbers: a float64 tensor of 8 + n elements, the learning rate and the other numbers of the
// group (written by set_numbers, read at launch), then one mark per parameter (sgd).
//
// Result: 0, or, when parameters with a gradient lack a state, their count: then nothing was done.
// float16 and bfloat16 elements are updated in float32 and rounded once; what is not dense goes
// through a dense copy. Errors: a gradient whose shape or dtype is not the parameter's, a
// state whose shape is not, memory that is read-only.
#pragma once
#include <optional>

#include "ops/apply.h"

namespace lamina {

// The numbers of a group:
//   sgd       lr, momentum, dampening, weight_decay, maximize, from_zero, gain: with from_zero a
//             buffer starts at 0 and takes gain (1 - dampening) g, also at the first step
//   adam      lr, beta1, beta2, eps, weight_decay, maximize, decoupled
//   rmsprop   lr, alpha, eps, weight_decay, maximize, momentum, eps inside the root
//   adagrad   lr, lr_decay, eps, weight_decay, maximize, eps inside the root
//   adadelta  lr, rho, eps, weight_decay, maximize
//   adamax    lr, beta1, beta2, eps, weight_decay, maximize
//   nadam     lr, beta1, beta2, eps, weight_decay, momentum_decay, maximize + 2 decoupled
//   radam     lr, beta1, beta2, eps, weight_decay, maximize, decoupled
//   rprop     eta-, eta+, smallest and largest step size, maximize
//   asgd      lr, lambd, alpha, t0, weight_decay, maximize
//   lion      lr, beta1, beta2, weight_decay, maximize
// a..g fill elements 0..6 of `numbers`; flags count as 0 or 1.
void set_numbers(const Tensor& numbers, double a, double b, double c, double d, double e, double f,
                 double g);

// buffers: empty without momentum. A parameter's mark is 1 once its buffer has been started (the
// first step sets b = g); `numbers` must have room for it.
int64_t sgd_step(const Tensor& numbers, const Tensors& params, const Tensors& buffers,
                 bool nesterov);
// max_squares: empty unless amsgrad.
int64_t adam_step(const Tensor& numbers, const Tensors& params, const Tensors& means,
                  const Tensors& squares, const Tensors& max_squares, const Tensors& steps);
// buffers: empty without momentum; means: empty unless centered.
int64_t rmsprop_step(const Tensor& numbers, const Tensors& params, const Tensors& squares,
                     const Tensors& buffers, const Tensors& means, const Tensors& steps);
int64_t adagrad_step(const Tensor& numbers, const Tensors& params, const Tensors& sums,
                     const Tensors& steps);

int64_t adadelta_step(const Tensor& numbers, const Tensors& params, const Tensors& squares,
                      const Tensors& deltas, const Tensors& steps);
int64_t adamax_step(const Tensor& numbers, const Tensors& params, const Tensors& means,
                    const Tensors& largest, const Tensors& steps);
// products: the product of the momenta so far, one-element float32 tensors like steps.
int64_t nadam_step(const Tensor& numbers, const Tensors& params, const Tensors& means,
                   const Tensors& squares, const Tensors& steps, const Tensors& products);
int64_t radam_step(const Tensor& numbers, const Tensors& params, const Tensors& means,
                   const Tensors& squares, const Tensors& steps);
int64_t rprop_step(const Tensor& numbers, const Tensors& params, const Tensors& previous,
                   const Tensors& sizes, const Tensors& steps);
// etas, mus: the next step's size and weight of the average, one-element float32 tensors.
int64_t asgd_step(const Tensor& numbers, const Tensors& params, const Tensors& averages,
                  const Tensors& steps, const Tensors& etas, const Tensors& mus);
int64_t lion_step(const Tensor& numbers, const Tensors& params, const Tensors& means);

// Guards the steps of this thread from now on; undefined tensors: none. A step does nothing when
// found_inf, a float32 number on the parameters' device, is not 0. `skipped`, a float32 number
// beside it, counts such steps. Counters that lie on the device do not advance then; those of the
// host do all the same, and the corrections of Adam leave the skipped steps out.
void step_unless(const std::optional<Tensor>& found_inf, const std::optional<Tensor>& skipped);

// Drops the gradients (zero_grad with set_to_none).
void clear_grads(const Tensors& params);

}  // namespace lamina
