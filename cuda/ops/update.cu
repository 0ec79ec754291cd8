// The steps of SGD, Adam, RMSprop and Adagrad: the formulas, and the meaning of states and numbers,
// are those of cpp/ops/update_cpu.h; how a step is run: update.h.
#include "update.h"

#include "table.h"

namespace lamina::cuda {
namespace {

struct Sgd : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return sgd_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int flags) {
    T d = penalised(e.g, e.p, n.k[4], flags & kSgdDecay, n.k[3]);
    if (flags & kSgdMomentum) {
      const T v = flags & kSgdFirst ? d : e.s[0] * n.k[1] + n.k[2] * d;
      e.s[0] = v;
      d = flags & kSgdNesterov ? d + n.k[1] * v : v;
    }
    e.p = e.p - n.k[0] * d;
  }
};
struct Adam : Formula {
  // The corrections are of the host's count of steps, k[8].
  __device__ static double number(const double* k, int j, double skipped) {
    const double t = k[8], steps = t - skipped;
    if (j == 0) return k[0] * (1 - ::pow(k[2], t)) / (1 - ::pow(k[2], steps));
    return j == 1 ? 1 / ::sqrt(1 - ::pow(k[3], steps)) : k[j];
  }
  __device__ static int numbers(const StepNumbers& s, double* k) { return adam_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int flags) {
    const T x = e.p * n.k[7];
    const T d = penalised(e.g, x, n.k[6], flags & kAdamDecay, n.k[5]);
    e.s[0] = n.average(2, e.s[0], d);
    T square = e.s[1] * n.k[3] + n.rest[3] * d * d;
    e.s[1] = square;
    if (flags & kAdamMax) {
      const T old = e.s[2];
      square = square > old || square != square ? square : old;
      e.s[2] = square;
    }
    e.p = x - n.k[0] * e.s[0] / (on_device::sqrt(square) * n.k[1] + n.k[4]);
  }
};
struct Rmsprop : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return rmsprop_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int flags) {
    const T d = penalised(e.g, e.p, n.k[4], flags & kRmsDecay, n.k[3]);
    T square = e.s[0] * n.k[1] + n.rest[1] * d * d;
    e.s[0] = square;
    if (flags & kRmsCentered) {
      e.s[2] = n.average(1, e.s[2], d);
      square = square - e.s[2] * e.s[2];
    }
    const T root = on_device::sqrt(square + n.k[6]) + n.k[2];
    if (flags & kRmsMomentum) {
      e.s[1] = e.s[1] * n.k[5] + d / root;
      e.p = e.p - n.k[0] * e.s[1];
    } else {
      e.p = e.p - n.k[0] * d / root;
    }
  }
};
struct Adagrad : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return adagrad_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int flags) {
    const T d = penalised(e.g, e.p, n.k[3], flags & kAdagradDecay, n.k[2]);
    e.s[0] = e.s[0] + d * d;
    e.p = e.p - n.k[0] * d / (on_device::sqrt(e.s[0] + n.k[4]) + n.k[1]);
  }
};

const Launches kLaunches{{"sgd_step", update<Sgd>},
                         {"adam_step", update<Adam>},
                         {"rmsprop_step", update<Rmsprop>},
                         {"adagrad_step", update<Adagrad>}};

}  // namespace
}  // namespace lamina::cuda
