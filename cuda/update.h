// Optimizer steps over all parameters of a group in one launch.
//
// A table of the parameters (pointers, and the numbers of the formula) lies on the device; kernels
// write it from their arguments, so that a recorded graph of launches holds all it needs. Where the
// group's numbers and counters lie on the device too, another kernel forms the numbers and moves
// the counters on (ops/update_numbers.h): then a replay takes the step with what is there by then.
// A block takes `span` elements of one parameter, 16 bytes at a time where all its arrays are
// aligned; those of half precision are updated in float32 and rounded once. Cost: one read of
// parameter, gradient and states, one write of parameter and states.
//
// A formula F has static functions: step(Element<T>&, const Numbers<T>&, int flags), which works on
// one element; numbers(const StepNumbers&, double* k), that of update_numbers.h; and
// number(const double* k, int j, double skipped), k[j] of the host less the steps it counted though
// they were skipped.
#pragma once
#include <vector>

#include "launch.h"
#include "number.h"
#include "ops/update_numbers.h"

namespace lamina::cuda {

struct UpdateEntry {
  UpdateArgs args;
  int64_t n, first_block;
  float* counters[3];
  double* started;
  int flags, states;  // states: how many of s are there, as a mask
};
constexpr int kEntriesAtOnce = 20;  // in the arguments of one launch, 4 KiB
struct UpdateEntries {
  UpdateEntry entry[kEntriesAtOnce];
  int count;
};
static_assert(sizeof(UpdateEntries) < 4000, "arguments of a launch");

struct Formula {
  __device__ static double number(const double* k, int j, double) { return k[j]; }
};
template <class T>
struct Element {
  T p, g, s[3];
};
template <class T>
struct Numbers {
  T k[9], rest[9];  // k[j] and 1 - k[j]
  T weight[9];      // of a moving average, counted from its nearer end
  bool near[9];     // whether that is the old value: 1 - k[j] is below 1/2
  __device__ void set(int j, double v) {
    k[j] = T(v);
    rest[j] = T(1 - v);
    near[j] = 1 - v < 0.5;
    weight[j] = T(near[j] ? 1 - v : 1 - (1 - v));
  }
  // (1 - w) m + w g for w = 1 - k[j].
  __device__ T average(int j, T m, T g) const {
    return near[j] ? m + weight[j] * (g - m) : g - weight[j] * (g - m);
  }
};
// The gradient with its sign (maximize) and the L2 penalty.
template <class T>
__device__ T penalised(T g, T x, T sign, bool penalty, T decay) {
  g = g * sign;
  return penalty ? g + decay * x : g;
}

static __global__ void update_entries_kernel(const UpdateEntries from, UpdateEntry* to) {
  if (int(threadIdx.x) < from.count) to[threadIdx.x] = from.entry[threadIdx.x];
}

// k and flags of each parameter, its counters moved on.
struct UpdateForm {
  const double* numbers;
  bool has[3], nesterov;
};
// A guarded step (cpp/ops/update.h): `found` != 0 skips it, `skipped` counts such steps.
struct UpdateGuard {
  const float *found, *skipped;
};
template <class F>
__global__ void update_numbers_kernel(UpdateEntry* entries, int count, const UpdateForm form,
                                      UpdateGuard guard) {
  if (guard.found && *guard.found != 0) return;
  LAMINA_GRID_STRIDE(i, count) {
    UpdateEntry& e = entries[i];
    StepNumbers s{form.numbers, 0,        e.counters[1], e.counters[2],
                  e.started,    form.has, form.nesterov};
    if (e.counters[0]) s.t = double(*e.counters[0] += 1);
    e.flags = F::numbers(s, e.args.k);
  }
}

// S: what the elements are stored as, T what they are computed in.
template <class F, class S, class T>
__device__ void update_element(const UpdateEntry& e, const Numbers<T>& n, int64_t i) {
  Element<T> x;
  S* const p = static_cast<S*>(e.args.p) + i;
  x.p = widen(*p);
  x.g = widen(static_cast<const S*>(e.args.g)[i]);
#pragma unroll
  for (int s = 0; s < 3; ++s)
    if (e.states >> s & 1) x.s[s] = widen(static_cast<const S*>(e.args.s[s])[i]);
  F::step(x, n, e.flags);
  *p = narrow<S>(x.p);
#pragma unroll
  for (int s = 0; s < 3; ++s)
    if (e.states >> s & 1) static_cast<S*>(e.args.s[s])[i] = narrow<S>(x.s[s]);
}
// 16 bytes of each array: element i is aligned in all of them.
template <class S>
struct alignas(16) Lanes {
  S v[16 / sizeof(S)];
};
template <class F, class S, class T>
__device__ void update_lanes(const UpdateEntry& e, const Numbers<T>& n, int64_t i) {
  using L = Lanes<S>;
  constexpr int lanes = 16 / int(sizeof(S));
  L p = *reinterpret_cast<const L*>(static_cast<const S*>(e.args.p) + i), s[3];
  const L g = *reinterpret_cast<const L*>(static_cast<const S*>(e.args.g) + i);
#pragma unroll
  for (int k = 0; k < 3; ++k)
    if (e.states >> k & 1)
      s[k] = *reinterpret_cast<const L*>(static_cast<const S*>(e.args.s[k]) + i);
#pragma unroll
  for (int l = 0; l < lanes; ++l) {
    Element<T> x;
    x.p = widen(p.v[l]);
    x.g = widen(g.v[l]);
#pragma unroll
    for (int k = 0; k < 3; ++k) x.s[k] = e.states >> k & 1 ? widen(s[k].v[l]) : T(0);
    F::step(x, n, e.flags);
    p.v[l] = narrow<S>(x.p);
#pragma unroll
    for (int k = 0; k < 3; ++k) s[k].v[l] = narrow<S>(x.s[k]);
  }
  *reinterpret_cast<L*>(static_cast<S*>(e.args.p) + i) = p;
#pragma unroll
  for (int k = 0; k < 3; ++k)
    if (e.states >> k & 1) *reinterpret_cast<L*>(static_cast<S*>(e.args.s[k]) + i) = s[k];
}

template <class F, class S>
__global__ void update_kernel(const UpdateEntry* entries, int count, int64_t span,
                              UpdateGuard guard) {
  using T = ComputeOf<S>;
  if (guard.found && *guard.found != 0) return;
  __shared__ UpdateEntry e;
  __shared__ Numbers<T> n;
  __shared__ bool aligned;
  const int64_t block = blockIdx.x;
  int lo = 0, hi = count;  // the last parameter that starts at or before this block
  while (hi - lo > 1) {
    const int mid = (lo + hi) / 2;
    (entries[mid].first_block <= block ? lo : hi) = mid;
  }
  if (threadIdx.x < 9) {
    const double skipped = guard.skipped ? double(*guard.skipped) : 0;
    const int j = int(threadIdx.x);
    n.set(j, skipped != 0 ? F::number(entries[lo].args.k, j, skipped) : entries[lo].args.k[j]);
  }
  if (threadIdx.x == 32) {
    e = entries[lo];
    uintptr_t all = reinterpret_cast<uintptr_t>(e.args.p) | reinterpret_cast<uintptr_t>(e.args.g);
    for (int s = 0; s < 3; ++s) all |= reinterpret_cast<uintptr_t>(e.args.s[s]);
    aligned = all % 16 == 0;
  }
  __syncthreads();
  constexpr int64_t lanes = 16 / int64_t(sizeof(S));
  const int64_t begin = (block - e.first_block) * span;
  const int64_t end = begin + span < e.n ? begin + span : e.n;
  int64_t whole = begin;  // spans begin at multiples of 16 bytes
  if (aligned) {
    whole = end - (end - begin) % lanes;
    for (int64_t i = begin + int64_t(threadIdx.x) * lanes; i < whole;
         i += int64_t(blockDim.x) * lanes)
      update_lanes<F, S>(e, n, i);
  }
  for (int64_t i = whole + threadIdx.x; i < end; i += blockDim.x) update_element<F, S>(e, n, i);
}

template <class F, class S>
void run_update(const DeviceCall& c, const DeviceUpdates& all, DType dtype) {
  std::vector<UpdateEntry> entries;
  int64_t elements = 0;
  for (int i = 0; i < all.count; ++i)
    if (all.list[i].dtype == dtype) elements += all.list[i].n;
  // Small models are spread over all multiprocessors, large ones search less often.
  const int64_t span = elements < (int64_t(1) << 21) ? 1024 : 4096;
  int64_t blocks = 0;
  for (int i = 0; i < all.count; ++i) {
    const DeviceUpdate& u = all.list[i];
    if (u.dtype != dtype) continue;
    UpdateEntry e{u.args, u.n, blocks, {}, u.started, u.flags, 0};
    for (int s = 0; s < 3; ++s) {
      e.states |= (u.args.s[s] != nullptr) << s;
      e.counters[s] = u.counters[s];
    }
    entries.push_back(e);
    blocks += (u.n + span - 1) / span;
  }
  const int count = int(entries.size());
  if (count == 0) return;
  if (blocks > INT32_MAX) fail(kNotImplemented, "%s: too many elements for one launch", c.name);
  const Scratch memory(c.device, size_t(count) * sizeof(UpdateEntry));
  UpdateEntry* const table = memory.as<UpdateEntry>();
  for (int i = 0; i < count; i += kEntriesAtOnce) {
    UpdateEntries some;
    some.count = count - i < kEntriesAtOnce ? count - i : kEntriesAtOnce;
    for (int j = 0; j < kEntriesAtOnce; ++j)
      some.entry[j] = entries[size_t(j < some.count ? i + j : i)];
    launch(c, update_entries_kernel, dim3(1), dim3(32), 0, some, table + i);
  }
  UpdateGuard guard{c.inputs ? static_cast<const float*>(c.in[0].data) : nullptr, nullptr};
  if (c.inputs && !all.numbers) guard.skipped = static_cast<const float*>(c.in[1].data);
  if (all.numbers) {
    const UpdateForm form{all.numbers, {all.has[0], all.has[1], all.has[2]}, all.nesterov};
    launch(c, update_numbers_kernel<F>, dim3(blocks_for(count)), dim3(kBlock), 0, table, count,
           form, guard);
  }
  if (blocks == 0) return;
  launch(c, update_kernel<F, S>, dim3(unsigned(blocks)), dim3(kBlock), 0,
         static_cast<const UpdateEntry*>(table), count, span, guard);
}
template <class F>
void update(const DeviceCall& c) {
  const auto& all = *static_cast<const DeviceUpdates*>(c.args);
  run_update<F, float>(c, all, DType::float32);
  run_update<F, double>(c, all, DType::float64);
  run_update<F, Half>(c, all, DType::float16);
  run_update<F, Brain>(c, all, DType::bfloat16);
}

}  // namespace lamina::cuda
