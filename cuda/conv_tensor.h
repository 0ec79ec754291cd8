// Convolution and its two gradients on tensor cores (loops: tensor_tiles.h; what they compute:
// ops/conv.cu). The patches of x are never stored: a thread reads the elements of a chunk of k
// where they lie, one image position (neighbouring threads: neighbouring positions) at a time.
#pragma once
#include "ops/conv_launch.h"

#include "gemm_tensor.h"

namespace lamina::cuda {

// Geometry in 32 bits, of one group; channels: that k runs over.
struct ConvRows {
  int channels, H, W, KH, KW, OH, OW, sh, sw, ph, pw, dh, dw;
  int64_t image;  // elements between images of the tensor that is read
};

// Packs elements that `f(e)` reads.
template <class T, class F>
__device__ Chunk packed(int count, const F& f) {
  union {
    Chunk all = {};
    T one[kChunk<T>];
  };
#pragma unroll
  for (int e = 0; e < kChunk<T>; ++e)
    if (e < count) one[e] = f();
  return all;
}
template <class T>
__device__ int chunk_count(int k, int end) {
  return end < k ? 0 : end - k < kChunk<T> ? end - k : kChunk<T>;
}

// Row (n, i, j), k = (c, r, s): x[n, c, i sh - ph + r dh, j sw - pw + s dw].
template <class T_>
struct PatchRows {
  using T = T_;
  const T* x;
  ConvRows g;
  struct Row {
    const T* image;
    int h, w;
  };
  __device__ bool rows_first() const { return true; }
  __device__ Row start(int64_t offset, int64_t row, bool inside) const {
    const int64_t plane = int64_t(g.OH) * g.OW, n = row / plane;
    const int at = int(row % plane);
    return {inside ? x + offset + n * g.image : nullptr, at / g.OW * g.sh - g.ph,
            at % g.OW * g.sw - g.pw};
  }
  __device__ Chunk chunk(const Row& row, int k, int end) const {
    const int taps = g.KH * g.KW;
    int c = k / taps, r = k % taps / g.KW, s = k % g.KW;
    return packed<T>(row.image ? chunk_count<T>(k, end) : 0, [&] {
      const int h = row.h + r * g.dh, w = row.w + s * g.dw;
      const bool inside = unsigned(h) < unsigned(g.H) && unsigned(w) < unsigned(g.W);
      const T v = inside ? row.image[(c * g.H + h) * g.W + w] : T{};
      if (++s == g.KW) s = 0, ++r;
      if (r == g.KH) r = 0, ++c;
      return v;
    });
  }
};

// Row (n, h, w), k = (m, r, s): dy[n, m, i, j] where i sh - ph + r dh = h and j so.
template <class T_>
struct BackRows {
  using T = T_;
  const T* dy;
  ConvRows g;
  struct Row {
    const T* image;
    int h, w;
  };
  __device__ bool rows_first() const { return true; }
  __device__ Row start(int64_t offset, int64_t row, bool inside) const {
    const int64_t plane = int64_t(g.H) * g.W, n = row / plane;
    const int at = int(row % plane);
    return {inside ? dy + offset + n * g.image : nullptr, at / g.W + g.ph, at % g.W + g.pw};
  }
  __device__ Chunk chunk(const Row& row, int k, int end) const {
    const int taps = g.KH * g.KW;
    int m = k / taps, r = k % taps / g.KW, s = k % g.KW;
    return packed<T>(row.image ? chunk_count<T>(k, end) : 0, [&] {
      const int h = row.h - r * g.dh, w = row.w - s * g.dw, i = h / g.sh, j = w / g.sw;
      const bool inside =
          h >= 0 && w >= 0 && i * g.sh == h && j * g.sw == w && i < g.OH && j < g.OW;
      const T v = inside ? row.image[(m * g.OH + i) * g.OW + j] : T{};
      if (++s == g.KW) s = 0, ++r;
      if (r == g.KH) r = 0, ++m;
      return v;
    });
  }
};

// Row c, k = (m, r, s): w[m, c, r, s]; `inner` channels.
template <class T_>
struct TurnedWeights {
  using T = T_;
  const T* w;
  int taps, inner;
  using Row = const T*;
  __device__ bool rows_first() const { return false; }
  __device__ Row start(int64_t offset, int64_t row, bool inside) const {
    return inside ? w + offset + row * taps : nullptr;
  }
  __device__ Chunk chunk(Row row, int k, int end) const {
    int64_t m = k / taps;
    int at = k % taps;
    return packed<T>(row ? chunk_count<T>(k, end) : 0, [&] {
      const T v = row[m * inner * taps + at];
      if (++at == taps) at = 0, ++m;
      return v;
    });
  }
};

// Row m, k = (n, i, j): dy[n, m, i, j].
template <class T_>
struct PlaneRows {
  using T = T_;
  const T* dy;
  int plane;
  int64_t image;
  bool aligned;  // planes begin at multiples of 16 bytes
  using Row = const T*;
  __device__ bool rows_first() const { return false; }
  __device__ Row start(int64_t offset, int64_t row, bool inside) const {
    return inside ? dy + offset + row * plane : nullptr;
  }
  __device__ Chunk chunk(Row row, int k, int end) const {
    int64_t n = k / plane;
    int at = k % plane;
    const int count = row ? chunk_count<T>(k, end) : 0;
    if (aligned && count == kChunk<T>) return *reinterpret_cast<const Chunk*>(row + n * image + at);
    return packed<T>(count, [&] {
      const T v = row[n * image + at];
      if (++at == plane) at = 0, ++n;
      return v;
    });
  }
};

// Row (c, r, s), k = (n, i, j): x[n, c, i sh - ph + r dh, j sw - pw + s dw].
template <class T_>
struct TapRows {
  using T = T_;
  const T* x;
  ConvRows g;
  struct Row {
    const T* plane;
    int h, w;
  };
  __device__ bool rows_first() const { return false; }
  __device__ Row start(int64_t offset, int64_t row, bool inside) const {
    const int taps = g.KH * g.KW, c = int(row / taps), tap = int(row % taps);
    return {inside ? x + offset + int64_t(c) * g.H * g.W : nullptr, tap / g.KW * g.dh - g.ph,
            tap % g.KW * g.dw - g.pw};
  }
  __device__ Chunk chunk(const Row& row, int k, int end) const {
    const int plane = g.OH * g.OW;
    int64_t n = k / plane;
    int i = k % plane / g.OW, j = k % g.OW;
    return packed<T>(row.plane ? chunk_count<T>(k, end) : 0, [&] {
      const int h = row.h + i * g.sh, w = row.w + j * g.sw;
      const bool inside = unsigned(h) < unsigned(g.H) && unsigned(w) < unsigned(g.W);
      const T v = inside ? row.plane[n * g.image + h * g.W + w] : T{};
      if (++j == g.OW) j = 0, ++i;
      if (i == g.OH) i = 0, ++n;
      return v;
    });
  }
};

// y[n, group m, i, j] from row m and column (n, i, j).
template <class S>
struct PlaneOut {
  S* y;
  const S* bias;  // or null
  int64_t plane, rows, all_rows, a_step, b_step;
  bool aligned;  // 8 positions from a multiple of 8 on are neighbours
  __device__ void offsets(int64_t group, int64_t* at_a, int64_t* at_b) const {
    *at_a = group * a_step;
    *at_b = group * b_step;
  }
  __device__ void put(int64_t group, int64_t m, int64_t n, const float* from, int count) const {
    const float shift = bias ? widen(bias[group * rows + m]) : 0;
    Eight<S> v;
#pragma unroll
    for (int e = 0; e < 8; ++e) v.v[e] = narrow<S>(from[e] + shift);
    int64_t image = n / plane, at = n % plane;
    const auto place = [&] { return y + (image * all_rows + group * rows + m) * plane + at; };
    if (aligned && count == 8) {
      *reinterpret_cast<Eight<S>*>(place()) = v;
      return;
    }
    for (int e = 0; e < count; ++e) {
      *place() = v.v[e];
      if (++at == plane) at = 0, ++image;
    }
  }
};

enum ConvWay { kConvForward, kConvInputGrad, kConvWeightGrad };

// Whether the positions of a group fit the kernels' 32 bits.
inline bool conv_fits(const ConvGeometry& g) {
  constexpr int64_t most = INT32_MAX / 2;
  return g.C * g.H * g.W < most && g.M * g.OH * g.OW < most && g.C * g.KH * g.KW < most &&
         g.M * g.KH * g.KW < most && (g.H + 2 * g.ph) * (g.W + 2 * g.pw) < most;
}

template <class T>
void conv_on_tensor_cores(const DeviceCall& c, ConvWay way) {
  using S = typename StorageOf<T>::S;
  const auto& g = *static_cast<const ConvGeometry*>(c.args);
  const int64_t inner = g.C / g.groups, outer = g.M / g.groups, taps = g.KH * g.KW;
  const int64_t plane = g.H * g.W, out_plane = g.OH * g.OW;
  const T *const p = static_cast<const T*>(c.in[0].data), *const q =
                                                              static_cast<const T*>(c.in[1].data);
  S* const y = static_cast<S*>(c.out[0].data);
  const auto whole = [](const void* at, int64_t n) {
    return reinterpret_cast<uintptr_t>(at) % 16 == 0 && n % 8 == 0;
  };
  const bool bias = c.inputs > 2 && c.in[2].data;
  ConvRows rows{int(inner), int(g.H),  int(g.W),  int(g.KH), int(g.KW), int(g.OH), int(g.OW),
                int(g.sh),  int(g.sw), int(g.ph), int(g.pw), int(g.dh), int(g.dw), g.C * plane};
  if (g.pointwise() && way != kConvWeightGrad && !bias) {  // a product for each image and group
    Gemm m;
    const bool back = way == kConvInputGrad;
    m.a = q;
    m.b = p;
    m.c = y;
    m.M = back ? inner : outer;
    m.K = back ? outer : inner;
    m.N = plane;
    m.a_row = back ? 1 : inner;
    m.a_k = back ? inner : 1;
    m.b_k = m.c_row = plane;
    m.b_col = 1;
    m.products = g.N * g.groups;
    m.c_product = m.M * plane;
    m.batch_dims = 2;
    m.batch[0] = g.N, m.batch_a[0] = 0, m.batch_b[0] = (back ? g.M : g.C) * plane;
    m.batch[1] = g.groups, m.batch_a[1] = outer * inner, m.batch_b[1] = m.K * plane;
    DeviceCall product = c;
    product.tf32.products = product.tf32.convolutions;
    return gemm(product, c.out[0].dtype, m);
  }
  if (way == kConvForward) {
    const StridedRows<T> w{q, inner * taps, 1, whole(q, inner * taps)};
    const PlaneOut<S> out{y,
                          bias ? static_cast<const S*>(c.in[2].data) : nullptr,
                          out_plane,
                          outer,
                          g.M,
                          outer * inner * taps,
                          inner * plane,
                          whole(y, out_plane)};
    multiply_on_tensor_cores(
        c,
        TensorProduct<ReadOperand<StridedRows<T>>, ReadOperand<PatchRows<T>>, PlaneOut<S>>{
            {w}, {{p, rows}}, out, outer, g.N * out_plane, inner * taps, g.groups, 1, 0, nullptr});
  } else if (way == kConvInputGrad) {
    rows.channels = int(outer);
    rows.image = g.M * out_plane;
    const PlaneOut<S> out{
        y, nullptr, plane, inner, g.C, outer * inner * taps, outer * out_plane, whole(y, plane)};
    multiply_on_tensor_cores(
        c, TensorProduct<ReadOperand<TurnedWeights<T>>, ReadOperand<BackRows<T>>, PlaneOut<S>>{
               {{q, int(taps), int(inner)}},
               {{p, rows}},
               out,
               inner,
               g.N * plane,
               outer * taps,
               g.groups,
               1,
               0,
               nullptr});
  } else {  // x, dy
    Gemm m;
    m.c = y;
    m.c_row = inner * taps;
    m.c_product = outer * inner * taps;
    m.batch_dims = 1;
    m.batch[0] = g.groups, m.batch_a[0] = outer * out_plane, m.batch_b[0] = inner * plane;
    const PlaneRows<T> dy{q, int(out_plane), g.M * out_plane, whole(q, out_plane)};
    const StridedOut<S> out{m, whole(y, m.c_row) && whole(y, m.c_product)};
    multiply_on_tensor_cores(
        c,
        TensorProduct<ReadOperand<PlaneRows<T>>, ReadOperand<TapRows<T>>, StridedOut<S>>{
            {dy}, {{p, rows}}, out, outer, inner * taps, g.N * out_plane, g.groups, 1, 0, nullptr});
  }
}

// A file for each type.
void conv_half(const DeviceCall& c, ConvWay way);
void conv_brain(const DeviceCall& c, ConvWay way);
void conv_tf32(const DeviceCall& c, ConvWay way);

}  // namespace lamina::cuda
