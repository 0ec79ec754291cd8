// Depthwise convolution, a block of L channels at a time in the lanes.
//   y[c, p] = sum over taps t of w[c, t] x[c, p's input under t]
//
// Layout: the pixels and strips of conv_lanes_cpu.h; a channel's weights are in its lane.
// Cost: one load and one FMA of L channels per output and tap; a transpose of inputs and outputs,
// which takes longer.
#pragma once
#include "kernels/conv_lanes.h"

namespace lamina::LAMINA_ISA {
namespace {

constexpr int64_t kMostTaps = 256;  // whose weights lie on the stack; kernels of more are rare
constexpr int kChain = 6;           // neighbouring outputs whose FMAs take turns

template <class T, int R>
void depthwise_tile(const T* u, const ConvStrip& s, const T* w, int64_t first, T* out) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V sum[R];
  for (int i = 0; i < R; ++i) sum[i] = V{};
  for (int64_t t = 0; t < s.n_taps; ++t) {
    const T* const x = u + s.taps[t].a + first * L;
    const V f = load<V>(w + s.taps[t].b);
    for (int i = 0; i < R; ++i) sum[i] = fma(load<V>(x + i * L), f, sum[i]);
  }
  for (int i = 0; i < R; ++i) store(out + s.c + (first + i) * s.c_row, sum[i]);
}
template <class T>
void depthwise_forward(const DepthwiseArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int n = int(a.u.C);
  T weights[kMostTaps * L];
  T* const w = a.taps <= kMostTaps ? weights : static_cast<T*>(a.sum);
  load_runs<V>(static_cast<const T*>(a.w), a.w_channel, n, a.taps,
               [&](int64_t t, V v) { store(w + t * L, v); });
  gather_pixels<T>(a.u);
  const T* const u = static_cast<const T*>(a.u.pixels) - a.u_shift;
  T* const out = static_cast<T*>(a.v.pixels) - a.v_shift;
  for (int64_t i = 0; i < a.n_strips; ++i) {
    const ConvStrip& s = a.strips[i];
    int64_t p = 0;
    for (; p + kChain <= s.rows; p += kChain) depthwise_tile<T, kChain>(u, s, w, p, out);
    for (; p + 2 <= s.rows; p += 2) depthwise_tile<T, 2>(u, s, w, p, out);
    for (; p < s.rows; ++p) depthwise_tile<T, 1>(u, s, w, p, out);
  }
  ConvEpilogue e = a.epilogue;
  T numbers[4][L];
  T* dense = numbers[0];
  const void** const given[] = {&e.bias, &e.mean, &e.scale, &e.shift};
  for (const void** p : given) {
    if (!*p) continue;
    for (int c = 0; c < n; ++c) dense[c] = static_cast<const T*>(*p)[c * a.epilogue_channel];
    *p = dense;
    dense += L;
  }
  scatter_pixels<T>(a.v, 0, 1, e);
}

// R taps whose runs differ in the inputs only.
template <class T, int R>
void depthwise_runs(const T* u, const T* g, const ConvRun* const* runs, int64_t n, T* sum) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  V even[R], odd[R];
  for (int r = 0; r < R; ++r) even[r] = load<V>(sum + r * L), odd[r] = V{};
  for (int64_t i = 0; i < n; ++i) {
    const T* const y = g + runs[0][i].b;
    const T* x[R];
    for (int r = 0; r < R; ++r) x[r] = u + runs[r][i].a;
    const int64_t rows = runs[0][i].rows;
    int64_t p = 0;
    for (; p + 2 <= rows; p += 2) {
      const V f = load<V>(y + p * L), h = load<V>(y + (p + 1) * L);
      for (int r = 0; r < R; ++r) {
        even[r] = fma(load<V>(x[r] + p * L), f, even[r]);
        odd[r] = fma(load<V>(x[r] + (p + 1) * L), h, odd[r]);
      }
    }
    if (p == rows) continue;
    const V f = load<V>(y + p * L);
    for (int r = 0; r < R; ++r) even[r] = fma(load<V>(x[r] + p * L), f, even[r]);
  }
  for (int r = 0; r < R; ++r) store(sum + r * L, even[r] + odd[r]);
}
template <class T>
void depthwise_outer(const DepthwiseArgs& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  gather_pixels<T>(a.u);
  gather_pixels<T>(a.v);
  const T* const u = static_cast<const T*>(a.u.pixels) - a.u_shift;
  const T* const g = static_cast<const T*>(a.v.pixels) - a.v_shift;
  for (int64_t t = 0; t < a.taps;) {
    const ConvRun* runs[3];
    int same = 0;  // taps from t on with the outputs of t
    const int64_t n = a.begin[2 * t + 1] - a.begin[2 * t];
    for (; same < 3 && t + same < a.taps; ++same) {
      const int64_t *const bounds = a.begin + 2 * (t + same), count = bounds[1] - bounds[0];
      runs[same] = a.runs + bounds[0];
      if (count != n) break;
      bool equal = true;
      for (int64_t i = 0; i < n; ++i) equal = equal && runs[same][i].b == runs[0][i].b;
      if (!equal) break;
    }
    T* const sum = static_cast<T*>(a.sum) + t * L;
    if (same == 3)
      depthwise_runs<T, 3>(u, g, runs, n, sum);
    else
      depthwise_runs<T, 1>(u, g, runs, n, sum), same = 1;
    t += same;
  }
}
template <class T>
void depthwise_finish(const DepthwiseSumArgs& a) {
  using V = typename VecOf<T>::V;
  store_runs<V>(static_cast<T*>(a.dw), a.w_channel, int(a.C), a.taps, [&](int64_t t) {
    const T* const from = static_cast<const T*>(a.sum) + t * kLanes<V>;
    V v = load<V>(from);
    for (int64_t i = 1; i < a.sums; ++i) v = v + load<V>(from + i * a.sum_step);
    return v;
  });
}

template <class T>
void fill(DepthwiseKernels& k, int t) {
  k.forward[t] = depthwise_forward<T>;
  k.outer[t] = depthwise_outer<T>;
  k.finish[t] = depthwise_finish<T>;
}

}  // namespace

void fill_depthwise(Kernels& k) {
  fill<float>(k.depthwise, kF32);
  fill<double>(k.depthwise, kF64);
}

}  // namespace lamina::LAMINA_ISA
