// The steps of Adadelta, Adamax, NAdam, RAdam, Rprop, ASGD and Lion: the formulas, and the meaning
// of states and numbers, are those of cpp/ops/update_more_cpu.h; how a step is run: update.h.
#include "table.h"
#include "update.h"

namespace lamina::cuda {
namespace {

template <class T>
__device__ T sign_of(T x) {  // 0 and NaN stay
  return x > 0 ? T(1) : x < 0 ? T(-1) : x;
}

struct Adadelta : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return adadelta_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int flags) {
    const T d = penalised(e.g, e.p, n.k[4], flags & kAdadeltaDecay, n.k[3]);
    e.s[0] = e.s[0] * n.k[1] + n.rest[1] * d * d;
    const T move = on_device::sqrt(e.s[1] + n.k[2]) / on_device::sqrt(e.s[0] + n.k[2]) * d;
    e.s[1] = e.s[1] * n.k[1] + n.rest[1] * move * move;
    e.p = e.p - n.k[0] * move;
  }
};
struct Adamax : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return adamax_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int flags) {
    const T d = penalised(e.g, e.p, n.k[5], flags & kAdamaxDecay, n.k[4]);
    e.s[0] = n.average(1, e.s[0], d);
    const T old = e.s[1] * n.k[2], now = on_device::abs(d) + n.k[3];
    e.s[1] = now > old || now != now ? now : old;  // NaN stays
    e.p = e.p - n.k[0] * e.s[0] / e.s[1];
  }
};
struct Nadam : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return nadam_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int flags) {
    const T x = e.p * n.k[8];
    const T d = penalised(e.g, x, n.k[7], flags & kNadamDecay, n.k[6]);
    e.s[0] = n.average(3, e.s[0], d);
    e.s[1] = e.s[1] * n.k[4] + n.rest[4] * d * d;
    const T root = on_device::sqrt(e.s[1]) * n.k[2] + n.k[5];
    e.p = x - n.k[0] * d / root - n.k[1] * e.s[0] / root;
  }
};
struct Radam : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return radam_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int flags) {
    const T x = e.p * n.k[6];
    const T d = penalised(e.g, x, n.k[5], flags & kRadamDecay, n.k[4]);
    e.s[0] = n.average(1, e.s[0], d);
    e.s[1] = e.s[1] * n.k[2] + n.rest[2] * d * d;
    e.p = flags & kRadamPlain ? x - n.k[0] * e.s[0]
                              : x - n.k[0] * e.s[0] / (on_device::sqrt(e.s[1]) + n.k[3]);
  }
};
struct Rprop : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return rprop_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int) {
    const T d = e.g * n.k[4], agree = d * e.s[0];
    T size = e.s[1] * (agree > 0 ? n.k[1] : agree < 0 ? n.k[0] : T(1));
    size = size < n.k[2] ? n.k[2] : size;
    size = size > n.k[3] ? n.k[3] : size;
    e.s[1] = size;
    e.s[0] = agree < 0 ? T(0) : d;
    e.p = e.p - sign_of(e.s[0]) * size;
  }
};
struct Asgd : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return asgd_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int flags) {
    const T d = penalised(e.g, e.p, n.k[4], flags & kAsgdDecay, n.k[3]);
    e.p = e.p * n.k[0] - n.k[1] * d;
    e.s[0] = flags & kAsgdCopy ? e.p : e.s[0] + n.k[2] * (e.p - e.s[0]);
  }
};
struct Lion : Formula {
  __device__ static int numbers(const StepNumbers& s, double* k) { return lion_numbers(s, k); }
  template <class T>
  __device__ static void step(Element<T>& e, const Numbers<T>& n, int) {
    const T d = e.g * n.k[4], mean = e.s[0];
    e.p = e.p * n.k[3] - n.k[0] * sign_of(mean * n.k[1] + n.rest[1] * d);
    e.s[0] = mean * n.k[2] + n.rest[2] * d;
  }
};

const Launches kLaunches{{"adadelta_step", update<Adadelta>}, {"adamax_step", update<Adamax>},
                         {"nadam_step", update<Nadam>},       {"radam_step", update<Radam>},
                         {"rprop_step", update<Rprop>},       {"asgd_step", update<Asgd>},
                         {"lion_step", update<Lion>}};

}  // namespace
}  // namespace lamina::cuda
