// Connectionist temporal classification (formulas: cpp/ops/ctc_cpu.h): a block a sequence, its
// threads along the states, frame after frame; the last two rows of states are in shared memory
// where they fit. A label that stands several times in a target has its shares added by the thread
// of its first place, in order, so that no two threads write one element.
// Cost: T steps of a few barriers; three exponentials and a logarithm per state and frame.
#include "ops/ctc_args.h"

#include "reduce.h"
#include "table.h"

namespace lamina::cuda {
namespace {

constexpr int64_t kSharedRows = 48 * 1024 - kBlock / 32 * 8;  // what `room` leaves of a block's

template <class S>
struct Sequence {
  const CtcArgs& a;
  int64_t n, frames, states;
  const int64_t* target;
  __device__ Sequence(const CtcArgs& a, int64_t n)
      : a(a),
        n(n),
        frames(a.frames[n]),
        states(2 * a.labels[n] + 1),
        target(a.targets + a.starts[n]) {}
  static __device__ S none() { return S(-HUGE_VAL); }
  __device__ int64_t label(int64_t s) const {
    const int64_t c = s % 2 ? target[s / 2] : a.blank;
    return c >= 0 && c < a.C ? c : a.blank;  // a wrong one was reported
  }
  __device__ bool skips(int64_t s) const {  // a path may come from two states before s
    return s >= 3 && s < states && s % 2 && target[s / 2] != target[s / 2 - 1];
  }
  __device__ S emission(int64_t t, int64_t s) const {
    return static_cast<const S*>(a.x)[(t * a.N + n) * a.C + label(s)];
  }
  __device__ S* alpha(int64_t t) const {
    return static_cast<S*>(a.alpha) + (n * a.T + t) * a.pitch + 2;
  }
  __device__ double* offset(int64_t t) const { return a.offset + n * a.T + t; }
  __device__ double total() const {
    const S* const last = alpha(frames - 1) + states;
    return double(join(last[-1], states > 1 ? last[-2] : none(), none(), S(0))) +
           *offset(frames - 1);
  }
  // e + log(exp p + exp q + exp r); -infinity where all three are
  static __device__ S join(S p, S q, S r, S e) {
    using namespace on_device;
    const S m = max(max(p, q), r), base = m == none() ? S(0) : m;
    return e + base + log(exp(p - base) + exp(q - base) + exp(r - base));
  }
};

// Makes the row's largest element 0; returns what it was (0 when nothing is possible).
template <class S>
__device__ S level(S* row, int64_t states, S* room) {
  S most = Sequence<S>::none();
  for (int64_t s = threadIdx.x; s < states; s += kBlock) most = Most{}(row[s], most);
  most = group_all<kBlock>(most, Most{}, room);
  __syncthreads();
  if (most == Sequence<S>::none()) return 0;
  for (int64_t s = threadIdx.x; s < states; s += kBlock) row[s] -= most;
  __syncthreads();
  return most;
}

template <class S>
__global__ void __launch_bounds__(kBlock) loss_kernel(const CtcArgs a, Reporter report) {
  __shared__ S room[kBlock / 32];
  const Sequence<S> q(a, blockIdx.x);
  for (int64_t i = threadIdx.x; i < q.states / 2; i += kBlock)
    if (q.target[i] < 0 || q.target[i] >= a.C) report(q.target[i], a.C);
  S& loss = static_cast<S*>(a.loss)[q.n];
  if (q.frames == 0) {
    if (threadIdx.x == 0) loss = q.states == 1 || a.zero_infinity ? S(0) : S(HUGE_VAL);
    return;
  }
  double sum = 0;
  for (int64_t t = 0; t < q.frames; ++t) {
    S* const row = q.alpha(t);
    const S* const old = t ? q.alpha(t - 1) : nullptr;
    if (threadIdx.x < 2) row[int(threadIdx.x) - 2] = q.none();
    for (int64_t s = threadIdx.x; s < q.states; s += kBlock) {
      const S e = q.emission(t, s);
      if (!old)
        row[s] = s < 2 ? e : q.none();
      else
        row[s] = q.join(old[s], old[s - 1], q.skips(s) ? old[s - 2] : q.none(), e);
    }
    __syncthreads();
    sum += double(level(row, q.states, room));
    if (threadIdx.x == 0) *q.offset(t) = sum;
  }
  __syncthreads();
  if (threadIdx.x) return;
  const double total = q.total();
  loss = S(total == -HUGE_VAL && a.zero_infinity ? 0 : -total);
}

template <class S>
__global__ void __launch_bounds__(kBlock) grad_kernel(const CtcArgs a, const bool in_shared) {
  LAMINA_DYNAMIC_SHARED(S, fast);
  __shared__ S room[kBlock / 32];
  const Sequence<S> q(a, blockIdx.x);
  const S g = static_cast<const S*>(a.g)[q.n];
  const auto gradient = [&](int64_t t) { return static_cast<S*>(a.gx) + (t * a.N + q.n) * a.C; };
  const double total = q.frames ? q.total() : 0;
  const bool impossible = q.frames && total == -HUGE_VAL;
  for (int64_t t = impossible ? 0 : q.frames; t < a.T; ++t)
    for (int64_t c = threadIdx.x; c < a.C; c += kBlock)
      gradient(t)[c] = t < q.frames && !a.zero_infinity ? S(NAN) : S(0);
  if (impossible || q.frames == 0) return;  // the whole block
  S* const rows = in_shared ? fast : static_cast<S*>(a.scratch) + q.n * 4 * a.pitch;
  S *now = rows, *next = rows + a.pitch, *const share = next + a.pitch;
  // The next place of the same label (or past the end); -place - 1 where it is not the first.
  int* const after = reinterpret_cast<int*>(share + a.pitch);
  const int64_t labels = q.states / 2;
  for (int64_t i = threadIdx.x; i < labels; i += kBlock) {
    bool first = true;
    for (int64_t k = 0; k < i && first; ++k) first = q.label(2 * k + 1) != q.label(2 * i + 1);
    int64_t k = i + 1;
    while (k < labels && q.label(2 * k + 1) != q.label(2 * i + 1)) ++k;
    after[i] = first ? int(k) : -int(k) - 1;
  }
  double sum = 0;  // what is to be added to `next`
  for (int64_t t = q.frames - 1; t >= 0; --t) {
    const S* const row = q.alpha(t);
    const S shift = S(*q.offset(t) + sum - total);
    S* const gx = gradient(t);
    const S* const x = static_cast<const S*>(a.x) + (t * a.N + q.n) * a.C;
    S blanks = 0;
    for (int64_t s = threadIdx.x; s < q.states; s += kBlock) {
      const S e = q.emission(t, s), none = q.none();
      S b = s >= q.states - 2 ? e : none;
      if (t + 1 < q.frames)
        b = q.join(next[s], s + 1 < q.states ? next[s + 1] : none,
                   q.skips(s + 2) ? next[s + 2] : none, e);
      now[s] = b;
      const S both = row[s] + b;
      const S part = both == none ? S(0) : g * on_device::exp(both - e + shift);
      share[s] = part;
      if (q.label(s) == a.blank) blanks += part;
    }
    for (int64_t c = threadIdx.x; c < a.C; c += kBlock) gx[c] = g * on_device::exp(x[c]);
    blanks = group_all<kBlock>(blanks, Add{}, room);
    __syncthreads();
    if (threadIdx.x == 0) gx[a.blank] -= blanks;
    for (int64_t i = threadIdx.x; i < labels; i += kBlock) {
      const int64_t c = q.label(2 * i + 1);
      if (after[i] < 0 || c == a.blank) continue;
      S all = 0;
      for (int64_t k = i; k < labels; k = after[k] < 0 ? -after[k] - 1 : after[k])
        all += share[2 * k + 1];
      gx[c] -= all;
    }
    sum += double(level(now, q.states, room));
    S* const swap = now;
    now = next;
    next = swap;
    __syncthreads();
  }
}

CtcArgs arguments(const Operand& x, const Operand& targets, const Operand& table,
                  const CtcOpArgs& o) {
  CtcArgs a{};
  a.x = x.data;
  a.targets = static_cast<const int64_t*>(targets.data);
  a.T = x.shape[0], a.N = x.shape[1], a.C = x.shape[2];
  a.frames = static_cast<const int64_t*>(table.data);
  a.labels = a.frames + a.N;
  a.starts = a.labels + a.N;
  a.pitch = o.width + 2;
  a.blank = o.blank;
  a.zero_infinity = o.zero_infinity;
  return a;
}

void ctc_loss(const DeviceCall& c) {
  CtcArgs a = arguments(c.in[0], c.in[1], c.in[2], *static_cast<const CtcOpArgs*>(c.args));
  if (a.N == 0) return;
  a.loss = c.out[0].data;
  a.alpha = c.out[1].data;
  a.offset = static_cast<double*>(c.out[2].data);
  const auto kernel = c.in[0].dtype == DType::float64 ? loss_kernel<double> : loss_kernel<float>;
  launch(c, kernel, dim3(unsigned(a.N)), dim3(kBlock), 0, a,
         reporter(c, kIndex, "label %lld is out of range for %lld classes"));
}

void ctc_grad(const DeviceCall& c) {
  CtcArgs a = arguments(c.in[1], c.in[2], c.in[3], *static_cast<const CtcOpArgs*>(c.args));
  if (c.out[0].numel() == 0) return;
  a.g = c.in[0].data;
  a.alpha = c.in[4].data;
  a.offset = static_cast<double*>(c.in[5].data);
  a.gx = c.out[0].data;
  const bool wide = c.in[1].dtype == DType::float64;
  const int64_t bytes = 4 * a.pitch * (wide ? 8 : 4);  // three rows, and the labels' chain
  const bool in_shared = bytes <= kSharedRows;
  const Scratch rows(c.device, in_shared ? 0 : size_t(a.N * bytes));
  a.scratch = rows.as<void>();
  launch(c, wide ? grad_kernel<double> : grad_kernel<float>, dim3(unsigned(a.N)), dim3(kBlock),
         in_shared ? size_t(bytes) : 0, a, in_shared);
}

const Launches kLaunches{{"ctc_loss", ctc_loss}, {"ctc_loss_grad", ctc_grad}};

}  // namespace
}  // namespace lamina::cuda
