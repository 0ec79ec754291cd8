// What the kernels of an optimizer step get for a parameter (k and flags of UpdateArgs) from the
// numbers of its group (ops/update.h) and its counters, on the CPU or on a device.
#pragma once
#include <math.h>

#include "kernels/kernels.h"

#ifdef __CUDACC__
#define LAMINA_BOTH __host__ __device__
#else
#define LAMINA_BOTH
#endif

namespace lamina {

constexpr int kUpdateNumbers = 8;  // elements of `numbers` before the marks

struct StepNumbers {
  const double* k;  // of the group
  double t;         // steps taken, this one included
  float *c1, *c2;   // further counters
  double* started;  // 1 once the first state was started
  const bool* has;  // which states there are
  bool nesterov;
};
using NumbersFn = int (*)(const StepNumbers& s, double* k);  // returns the flags

LAMINA_BOTH inline double step_sign(double maximize) { return maximize != 0 ? -1 : 1; }

LAMINA_BOTH inline int sgd_numbers(const StepNumbers& s, double* k) {
  const bool from_zero = s.k[5] != 0;
  const double gain = from_zero ? s.k[6] : 1;
  k[0] = s.k[0];
  k[1] = s.k[1];
  k[2] = gain * (1 - s.k[2]);
  k[3] = s.k[3];
  k[4] = step_sign(s.k[4]);
  const bool first = s.has[0] && *s.started == 0 && !from_zero;
  *s.started = 1;
  return (s.k[3] != 0 ? kSgdDecay : 0) | (s.has[0] ? kSgdMomentum : 0) |
         (s.nesterov ? kSgdNesterov : 0) | (first ? kSgdFirst : 0);
}

LAMINA_BOTH inline int adam_numbers(const StepNumbers& s, double* k) {
  const double lr = s.k[0], beta1 = s.k[1], beta2 = s.k[2], decay = s.k[4];
  const bool decoupled = s.k[6] != 0;
  k[0] = lr / (1 - ::pow(beta1, s.t));
  k[1] = 1 / ::sqrt(1 - ::pow(beta2, s.t));
  k[2] = beta1;
  k[3] = beta2;
  k[4] = s.k[3];
  k[5] = decay;
  k[6] = step_sign(s.k[5]);
  k[7] = decoupled ? 1 - lr * decay : 1;
  k[8] = s.t;
  return (decay != 0 && !decoupled ? kAdamDecay : 0) | (s.has[2] ? kAdamMax : 0);
}

LAMINA_BOTH inline int rmsprop_numbers(const StepNumbers& s, double* k) {
  for (int j = 0; j < 7; ++j) k[j] = s.k[j];
  k[4] = step_sign(s.k[4]);
  return (k[3] != 0 ? kRmsDecay : 0) | (s.has[1] ? kRmsMomentum : 0) |
         (s.has[2] ? kRmsCentered : 0);
}

LAMINA_BOTH inline int adagrad_numbers(const StepNumbers& s, double* k) {
  k[0] = s.k[0] / (1 + (s.t - 1) * s.k[1]);
  k[1] = s.k[2];
  k[2] = s.k[3];
  k[3] = step_sign(s.k[4]);
  k[4] = s.k[5];
  return s.k[3] != 0 ? kAdagradDecay : 0;
}

LAMINA_BOTH inline int adadelta_numbers(const StepNumbers& s, double* k) {
  for (int j = 0; j < 4; ++j) k[j] = s.k[j];
  k[4] = step_sign(s.k[4]);
  return k[3] != 0 ? kAdadeltaDecay : 0;
}

LAMINA_BOTH inline int adamax_numbers(const StepNumbers& s, double* k) {
  for (int j = 1; j < 5; ++j) k[j] = s.k[j];
  k[0] = s.k[0] / (1 - ::pow(s.k[1], s.t));
  k[5] = step_sign(s.k[5]);
  return k[4] != 0 ? kAdamaxDecay : 0;
}

// mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2); the first further counter is their product.
LAMINA_BOTH inline int nadam_numbers(const StepNumbers& s, double* k) {
  const double lr = s.k[0], beta1 = s.k[1], beta2 = s.k[2], decay = s.k[4], momentum_decay = s.k[5];
  const bool decoupled = s.k[6] >= 2;
  const double mu = beta1 * (1 - 0.5 * ::pow(0.96, s.t * momentum_decay));
  const double next = beta1 * (1 - 0.5 * ::pow(0.96, (s.t + 1) * momentum_decay));
  *s.c1 *= float(mu);
  const double product = double(*s.c1);
  k[0] = lr * (1 - mu) / (1 - product);
  k[1] = lr * next / (1 - product * next);
  k[2] = 1 / ::sqrt(1 - ::pow(beta2, s.t));
  k[3] = beta1;
  k[4] = beta2;
  k[5] = s.k[3];
  k[6] = decay;
  k[7] = step_sign(s.k[6] - (decoupled ? 2 : 0));
  k[8] = decoupled ? 1 - lr * decay : 1;
  return decay != 0 && !decoupled ? kNadamDecay : 0;
}

// rho_inf = 2 / (1 - beta2) - 1,  rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t); above 5 the step
// is scaled by sqrt((rho_t - 4)(rho_t - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho_t))
LAMINA_BOTH inline int radam_numbers(const StepNumbers& s, double* k) {
  const double lr = s.k[0], beta1 = s.k[1], beta2 = s.k[2], decay = s.k[4];
  const bool decoupled = s.k[6] != 0;
  const double limit = 2 / (1 - beta2) - 1, power = ::pow(beta2, s.t);
  const double rho = limit - 2 * s.t * power / (1 - power);
  k[0] = lr / (1 - ::pow(beta1, s.t));
  if (rho > 5)
    k[0] *=
        ::sqrt((1 - power) * ((rho - 4) * (rho - 2) * limit) / ((limit - 4) * (limit - 2) * rho));
  k[1] = beta1;
  k[2] = beta2;
  k[3] = s.k[3];
  k[4] = decay;
  k[5] = step_sign(s.k[5]);
  k[6] = decoupled ? 1 - lr * decay : 1;
  return (decay != 0 && !decoupled ? kRadamDecay : 0) | (rho > 5 ? 0 : kRadamPlain);
}

LAMINA_BOTH inline int rprop_numbers(const StepNumbers& s, double* k) {
  for (int j = 0; j < 4; ++j) k[j] = s.k[j];
  k[4] = step_sign(s.k[4]);
  return 0;
}

// eta_t = lr / (1 + lambd lr t)^alpha,  mu_t = 1 / max(1, t - t0), for the step after this one
LAMINA_BOTH inline int asgd_numbers(const StepNumbers& s, double* k) {
  const double lr = s.k[0], lambd = s.k[1], alpha = s.k[2], t0 = s.k[3], decay = s.k[4];
  k[0] = 1 - lambd * double(*s.c1);
  k[1] = double(*s.c1);
  k[2] = double(*s.c2);
  k[3] = decay;
  k[4] = step_sign(s.k[5]);
  const int flags = (decay != 0 ? kAsgdDecay : 0) | (*s.c2 == 1 ? kAsgdCopy : 0);
  *s.c1 = float(lr / ::pow(1 + lambd * lr * s.t, alpha));
  *s.c2 = float(1 / ::fmax(1.0, s.t - t0));
  return flags;
}

LAMINA_BOTH inline int lion_numbers(const StepNumbers& s, double* k) {
  for (int j = 0; j < 3; ++j) k[j] = s.k[j];
  k[3] = 1 - s.k[0] * s.k[3];
  k[4] = step_sign(s.k[4]);
  return 0;
}

}  // namespace lamina

#undef LAMINA_BOTH
