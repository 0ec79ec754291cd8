// Optimizer steps over all parameters of a group in one launch: the formulas and the meaning of
// states and numbers are those of cpp/ops/update_cpu.h and update_more_cpu.h. A block takes
// kSpan elements of one parameter; which, it finds in a table that is copied before. Cost: one read
// of parameter, gradient and states, one write of parameter and states.
#include <vector>

#include "launch.h"
#include "number.h"
#include "table.h"

namespace lamina::cuda {
namespace {

constexpr int64_t kSpan = 4096;  // elements of a block

struct Piece {
  UpdateArgs args;
  int64_t n, first_block;
  int flags;
};

// What a formula works on: element i of the parameter's tensors.
template <class T>
struct At {
  const UpdateArgs& a;
  int64_t i;
  __device__ T& p() const { return static_cast<T*>(a.p)[i]; }
  __device__ T& s(int k) const { return static_cast<T*>(a.s[k])[i]; }
  __device__ T k(int j) const { return T(a.k[j]); }
  // The gradient with its sign (maximize) and the L2 penalty.
  __device__ T gradient(T x, T sign, T decay) const {
    const T g = static_cast<const T*>(a.g)[i] * sign;
    return decay != 0 ? g + decay * x : g;
  }
};
// m + w (g - m), from the nearer end.
template <class T>
__device__ T average(T m, T g, double weight) {
  return weight < 0.5 ? m + T(weight) * (g - m) : g - T(1 - weight) * (g - m);
}

struct Sgd {
  template <class T>
  __device__ static void step(const At<T>& e, int flags) {
    const T x = e.p();
    T d = e.gradient(x, e.k(4), flags & kSgdDecay ? e.k(3) : T(0));
    if (flags & kSgdMomentum) {
      const T v = flags & kSgdFirst ? d : e.s(0) * e.k(1) + e.k(2) * d;
      e.s(0) = v;
      d = flags & kSgdNesterov ? d + e.k(1) * v : v;
    }
    e.p() = x - e.k(0) * d;
  }
};
struct Adam {
  template <class T>
  __device__ static void step(const At<T>& e, int flags) {
    const T x = e.p() * e.k(7);
    const T d = e.gradient(x, e.k(6), flags & kAdamDecay ? e.k(5) : T(0));
    const T mean = average(e.s(0), d, 1 - e.a.k[2]);
    e.s(0) = mean;
    T square = e.s(1) * e.k(3) + T(1 - e.a.k[3]) * d * d;
    e.s(1) = square;
    if (flags & kAdamMax) {
      const T old = e.s(2);
      square = square > old || square != square ? square : old;
      e.s(2) = square;
    }
    e.p() = x - e.k(0) * mean / (on_device::sqrt(square) * e.k(1) + e.k(4));
  }
};
struct Rmsprop {
  template <class T>
  __device__ static void step(const At<T>& e, int flags) {
    const T x = e.p(), d = e.gradient(x, e.k(4), flags & kRmsDecay ? e.k(3) : T(0));
    T square = e.s(0) * e.k(1) + T(1 - e.a.k[1]) * d * d;
    e.s(0) = square;
    if (flags & kRmsCentered) {
      const T mean = average(e.s(2), d, 1 - e.a.k[1]);
      e.s(2) = mean;
      square = square - mean * mean;
    }
    const T root = on_device::sqrt(square + e.k(6)) + e.k(2);
    if (flags & kRmsMomentum) {
      const T moved = e.s(1) * e.k(5) + d / root;
      e.s(1) = moved;
      e.p() = x - e.k(0) * moved;
    } else {
      e.p() = x - e.k(0) * d / root;
    }
  }
};
struct Adagrad {
  template <class T>
  __device__ static void step(const At<T>& e, int flags) {
    const T x = e.p(), d = e.gradient(x, e.k(3), flags & kAdagradDecay ? e.k(2) : T(0));
    const T sum = e.s(0) + d * d;
    e.s(0) = sum;
    e.p() = x - e.k(0) * d / (on_device::sqrt(sum + e.k(4)) + e.k(1));
  }
};

// Adam's corrections are the host's, from its count of steps, k[8]; of those some were skipped.
template <class F>
__device__ void leave_out(UpdateArgs&, double) {}
template <>
__device__ void leave_out<Adam>(UpdateArgs& a, double skipped) {
  const double t = a.k[8], steps = t - skipped;
  a.k[0] = a.k[0] * (1 - ::pow(a.k[2], t)) / (1 - ::pow(a.k[2], steps));
  a.k[1] = 1 / ::sqrt(1 - ::pow(a.k[3], steps));
}

// found_inf, skipped: of a guarded step (cpp/ops/update.h), or null.
template <class F, class T>
__global__ void update_kernel(const Piece* pieces, int count, const float* found_inf,
                              const float* skipped) {
  if (found_inf && *found_inf != 0) return;
  int lo = 0, hi = count;  // the last piece that starts at or before this block
  while (hi - lo > 1) {
    const int mid = (lo + hi) / 2;
    (pieces[mid].first_block <= int64_t(blockIdx.x) ? lo : hi) = mid;
  }
  const Piece& piece = pieces[lo];
  const int64_t begin = (int64_t(blockIdx.x) - piece.first_block) * kSpan;
  const int64_t end = begin + kSpan < piece.n ? begin + kSpan : piece.n;
  UpdateArgs args = piece.args;
  if (skipped && *skipped != 0) leave_out<F>(args, double(*skipped));
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x)
    F::step(At<T>{args, i}, piece.flags);
}

template <class F, class T>
void run(const DeviceCall& c, const DeviceUpdates& all, int compute) {
  std::vector<Piece> pieces;
  int64_t blocks = 0;
  for (int i = 0; i < all.count; ++i) {
    const DeviceUpdate& u = all.list[i];
    if (u.compute != compute) continue;
    pieces.push_back({u.args, u.n, blocks, u.flags});
    blocks += (u.n + kSpan - 1) / kSpan;
  }
  if (pieces.empty()) return;
  const size_t bytes = pieces.size() * sizeof(Piece);
  const Scratch table(c.device, bytes);
  upload(c, table.as<void>(), pieces.data(), bytes);
  launch(c, update_kernel<F, T>, dim3(unsigned(blocks)), dim3(kBlock), 0,
         static_cast<const Piece*>(table.as<Piece>()), int(pieces.size()),
         c.inputs ? static_cast<const float*>(c.in[0].data) : nullptr,
         c.inputs ? static_cast<const float*>(c.in[1].data) : nullptr);
}
template <class F>
void update(const DeviceCall& c) {
  const auto& all = *static_cast<const DeviceUpdates*>(c.args);
  run<F, float>(c, all, kF32);
  run<F, double>(c, all, kF64);
}

const Launches kLaunches{{"sgd_step", update<Sgd>},
                         {"adam_step", update<Adam>},
                         {"rmsprop_step", update<Rmsprop>},
                         {"adagrad_step", update<Adagrad>}};

}  // namespace
}  // namespace lamina::cuda
