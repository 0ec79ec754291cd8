// Direct convolution with channels in the lanes.
//   y[m, p] = sum over taps t, channels c of w[m, c, t] x[c, p's input under t]
//
// Layout: inputs are brought into pixels of L channels once (ConvPixels), in which the positions of
// a tile, neighbours in a row or the same pixel of several images, follow one another; weights into
// panels (taps, C, lanes of outputs). Then every input is one broadcast for a panel of outputs, and
// any stride, dilation or set of taps is a list of offsets; taps outside the image are left out.
// Cost: M C FMAs per output and tap; a transpose of inputs and outputs each.
#pragma once
#include "kernels/conv_lanes.h"

namespace lamina::LAMINA_ISA {
namespace {

template <class T>
void conv_pack(const ConvPackArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t blocks = (a.M + L - 1) / L;
  const auto pack = [&](int64_t block, int64_t c) {
    const int64_t first = panel_first(block), N = panel_vecs(blocks, first);
    T* const to = static_cast<T*>(a.out) + (first * a.taps * a.C + c * N + block - first) * L;
    load_runs<V>(static_cast<const T*>(a.w) + block * L * a.wo + c * a.wc, a.wo,
                 int(a.M - block * L < L ? a.M - block * L : L), a.taps,
                 [&](int64_t t, V v) { store(to + t * a.C * N * L, v); });
  };
  // In the order of w's memory.
  if (a.wc < a.wo) {
    for (int64_t block = a.block; block < a.block_end; ++block)
      for (int64_t c = a.c; c < a.c_end; ++c) pack(block, c);
  } else {
    for (int64_t c = a.c; c < a.c_end; ++c)
      for (int64_t block = a.block; block < a.block_end; ++block) pack(block, c);
  }
}
template <class T>
void conv_unpack(const ConvUnpackArgs& a) {
  using V = typename VecOf<T>::V;
  constexpr int L = kLanes<V>;
  const int64_t blocks = (a.M + L - 1) / L;
  const int64_t first = panel_first(a.block), N = panel_vecs(blocks, first);
  const int n = int(a.M - a.block * L < L ? a.M - a.block * L : L);
  for (int64_t c = 0; c < a.C; ++c) {
    const T* const sum =
        static_cast<const T*>(a.sum) + (first * a.taps * a.C + c * N + a.block - first) * L;
    store_runs<V>(static_cast<T*>(a.dw) + (a.block * L * a.C + c) * a.taps, a.C * a.taps, n, a.taps,
                  [&](int64_t t) {
                    const T* const from = sum + t * a.C * N * L;
                    V v = load<V>(from);
                    for (int64_t i = 1; i < a.sums; ++i) v = v + load<V>(from + i * a.sum_step);
                    return v;
                  });
  }
}

template <class T>
void conv_forward_lanes(const ConvLanesArgs& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  const ConvPixels& v = a.v;
  const int64_t M = v.C, blocks = (M + L - 1) / L;
  const T* const u = static_cast<const T*>(a.u.pixels) - a.u_shift;
  T* const out = static_cast<T*>(v.pixels) - a.v_shift;
  for (int64_t block = a.block; block < a.block_end; block += kLaneVecs) {
    const int64_t N = panel_vecs(blocks, block);
    const T* const w = static_cast<const T*>(a.w) + block * a.taps * a.u.C * L;
    for (int64_t i = 0; i < a.n_strips; ++i) {
      const ConvStrip& s = a.strips[i];
      lanes_tiles<T>({u, a.u.block, a.u.C, s.taps, s.n_taps, w, out + s.c, v.block, s.c_row},
                     s.rows, N);
    }
    scatter_pixels<T>(v, block, block + N, a.epilogue);
  }
}

template <class T>
void conv_outer_lanes(const ConvLanesArgs& a) {
  constexpr int L = kLanes<typename VecOf<T>::V>;
  const int64_t M = a.v.C, C = a.u.C, blocks = (M + L - 1) / L;
  for (int64_t block = 0; block < blocks; block += kLaneVecs) {
    const int64_t N = panel_vecs(blocks, block);
    const T* const v = static_cast<const T*>(a.v.pixels) - a.v_shift + block * a.v.block;
    for (int64_t c = 0; c < C; c += L)
      for (int64_t t = 0; t < a.taps; ++t)
        lanes_outer_block<T>(
            {static_cast<const T*>(a.u.pixels) - a.u_shift + c / L * a.u.block, v, a.v.block,
             a.runs + a.begin[2 * t], a.begin[2 * t + 1] - a.begin[2 * t],
             static_cast<T*>(a.sum) + ((block * a.taps + t * N) * C + c * N) * L, a.add},
            C - c < L ? int(C - c) : L, int(N));
  }
}

template <class T>
void fill(ConvLanesKernels& k, int t) {
  k.pack[t] = conv_pack<T>;
  k.gather[t] = gather_pixels<T>;
  k.scatter[t] = scatter_pixels<T>;
  k.forward[t] = conv_forward_lanes<T>;
  k.outer[t] = conv_outer_lanes<T>;
  k.unpack[t] = conv_unpack<T>;
}

}  // namespace

void fill_conv_lanes(Kernels& k) {
  fill<float>(k.conv_lanes, kF32);
  fill<double>(k.conv_lanes, kF64);
  k.conv_lanes.panel = kLaneVecs;
}

}  // namespace lamina::LAMINA_ISA
