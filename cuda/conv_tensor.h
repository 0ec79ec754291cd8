// Convolution and its two gradients on tensor cores (loops: tensor_tiles.h; what they compute:
// ops/conv.cu). What is read is first written with its channels last, each group's rounded up with
// zeros to 16 bytes: x[n, (h, w), c], w[m, (r, s), c]. k is then (r, s, c), so that 16 bytes of a
// patch lie together, and go to shared memory as they are; patches are not stored.
// Cost: that of the product, and one read and write of x, dy and w.
#pragma once
#include "ops/conv_launch.h"

#include "gemm_tensor.h"

namespace lamina::cuda {

// Bits through shared memory, whatever the type.
LAMINA_HD uint32_t bits_of(Half v) { return v.bits; }
LAMINA_HD uint32_t bits_of(Brain v) { return v.bits; }
LAMINA_HD uint32_t bits_of(Tf32 v) { return bits_of_float(v.v); }
template <class T>
LAMINA_HD T of_bits(uint32_t b) {
  if constexpr (__is_same(T, Tf32))
    return {float_of_bits(b)};
  else
    return {uint16_t(b)};
}

// to[n, p, (g, c)] = from[n, (g, c), p], 0 for c from `inner` to `padded`. A block: 32 x 32.
template <class T>
__global__ void channels_last_kernel(const T* from, T* to, int64_t images, int64_t plane,
                                     int64_t groups, int64_t inner, int64_t padded) {
  __shared__ uint32_t tile[32][33];
  const int64_t across = (plane + 31) / 32, all = groups * padded, down = (all + 31) / 32;
  const int x = int(threadIdx.x) % 32, y = int(threadIdx.x) / 32;
  for (int64_t b = blockIdx.x; b < images * down * across; b += gridDim.x) {
    const int64_t p0 = b % across * 32, c0 = b / across % down * 32, n = b / across / down;
    for (int i = y; i < 32; i += kBlock / 32) {
      const int64_t p = p0 + x, group = (c0 + i) / padded, c = (c0 + i) % padded;
      T v{};
      if (p < plane && group < groups && c < inner)
        v = from[((n * groups + group) * inner + c) * plane + p];
      tile[i][x] = bits_of(v);
    }
    __syncthreads();
    for (int i = y; i < 32; i += kBlock / 32) {
      const int64_t p = p0 + i, c = c0 + x;
      if (p < plane && c < all) to[(n * plane + p) * all + c] = of_bits<T>(tile[x][i]);
    }
    __syncthreads();
  }
}
// to[g, row, tap, c] = w[g row_group + row row_step + c c_step + tap], 0 from c = inner on.
struct WeightOrder {
  int64_t rows, taps, inner, padded, group_step, row_step, c_step;
};
template <class T>
__global__ void weights_kernel(const WeightOrder o, const T* w, T* to, int64_t n) {
  LAMINA_GRID_STRIDE(e, n) {
    const int64_t c = e % o.padded, tap = e / o.padded % o.taps;
    const int64_t row = e / (o.padded * o.taps) % o.rows, g = e / (o.padded * o.taps * o.rows);
    to[e] = c < o.inner ? w[g * o.group_step + row * o.row_step + c * o.c_step + tap] : T{};
  }
}

// Geometry in 32 bits; channels: of a group, rounded up; pitch: elements between positions.
struct ConvRows {
  int H, W, KH, KW, OH, OW, sh, sw, ph, pw, dh, dw, channels;
  int64_t pitch;
};

// Rows (n, i, j), k = (r, s, c). Forward x[n, i sh - ph + r dh, j sw - pw + s dw, c]; `back`: rows
// are (n, h, w), and dy[n, i, j, c] where i sh - ph + r dh = h and j so.
template <class T_, bool back>
struct PatchOperand {
  using T = T_;
  static constexpr bool along_k = true;
  const T* x;
  ConvRows g;

  template <int R>
  struct Loader {
    static constexpr int kEach = R * 4 / 256;
    const PatchOperand& o;
    const T* image[kEach];
    int h[kEach], w[kEach];
    int k, k_end, r, s, c;  // of this thread's chunk of a row
    static __device__ int line(int i) { return (int(threadIdx.x) + 256 * i) / 4; }
    static __device__ int part() { return int(threadIdx.x) % 4; }
    __device__ Loader(const PatchOperand& from, int64_t offset, int64_t row0, int64_t rows,
                      int64_t k0, int64_t k1)
        : o(from), k(int(k0) + part() * kChunk<T>), k_end(int(k1)) {
      const ConvRows& g = o.g;
      const int tap = k / g.channels, width = back ? g.W : g.OW;
      c = k % g.channels, r = tap / g.KW, s = tap % g.KW;
      const int64_t plane = int64_t(back ? g.H : g.OH) * width;
      const int64_t image_step = int64_t(back ? g.OH : g.H) * (back ? g.OW : g.W) * g.pitch;
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        const int64_t row = row0 + line(i);
        const int at = int(row % plane), y = at / width, x = at % width;
        image[i] = row < rows ? o.x + offset + row / plane * image_step : nullptr;
        h[i] = back ? y + g.ph : y * g.sh - g.ph;
        w[i] = back ? x + g.pw : x * g.sw - g.pw;
      }
    }
    __device__ void issue(Chunk* to) {
      const ConvRows& g = o.g;
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        int y = back ? h[i] - r * g.dh : h[i] + r * g.dh;
        int x = back ? w[i] - s * g.dw : w[i] + s * g.dw;
        bool inside = image[i] && k < k_end;
        if (back) {
          const int at_y = y, at_x = x;
          y = at_y / g.sh, x = at_x / g.sw;
          inside = inside && y * g.sh == at_y && x * g.sw == at_x;
        }
        const int height = back ? g.OH : g.H, width = back ? g.OW : g.W;
        inside = inside && unsigned(y) < unsigned(height) && unsigned(x) < unsigned(width);
        const T* const at = inside ? image[i] + int64_t(y * width + x) * g.pitch + c : o.x;
        copy_async(to + chunk_place<T, R, true>(line(i), part()), at, inside ? 16 : 0);
      }
      k += kStep<T>;
      c += kStep<T>;
      while (c >= g.channels) {
        c -= g.channels;
        if (++s == g.KW) s = 0, ++r;
      }
    }
    __device__ void finish(Chunk*) {}
  };
};

// Columns (r, s, c), k = (n, i, j): x[n, i sh - ph + r dh, j sw - pw + s dw, c].
template <class T_>
struct TapOperand {
  using T = T_;
  static constexpr bool along_k = false;
  const T* x;
  ConvRows g;

  template <int R>
  struct Loader {
    static constexpr int kEach = R * 4 / 256, kAcross = R / kChunk<T>;
    const TapOperand& o;
    const T* column;  // of this thread's chunk in every row of k, or null
    int h, w, k, k_end;
    static __device__ int line(int i) { return (int(threadIdx.x) + 256 * i) / kAcross; }
    static __device__ int part() { return int(threadIdx.x) % kAcross; }
    __device__ Loader(const TapOperand& from, int64_t offset, int64_t row0, int64_t rows,
                      int64_t k0, int64_t k1)
        : o(from), k(int(k0)), k_end(int(k1)) {
      const ConvRows& g = o.g;
      const int at = int(row0) + part() * kChunk<T>, tap = at / g.channels;
      column = at < rows ? o.x + offset + at % g.channels : nullptr;
      h = tap / g.KW * g.dh - g.ph, w = tap % g.KW * g.dw - g.pw;
    }
    __device__ void issue(Chunk* to) {
      const ConvRows& g = o.g;
      const int plane = g.OH * g.OW;
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        const int e = k + line(i), n = e / plane, at = e % plane;
        const int y = at / g.OW * g.sh + h, x = at % g.OW * g.sw + w;
        const bool inside =
            column && e < k_end && unsigned(y) < unsigned(g.H) && unsigned(x) < unsigned(g.W);
        const T* const from = inside ? column + ((int64_t(n) * g.H + y) * g.W + x) * g.pitch : o.x;
        copy_async(to + chunk_place<T, R, false>(line(i), part()), from, inside ? 16 : 0);
      }
      k += kStep<T>;
    }
    __device__ void finish(Chunk*) {}
  };
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

// dw[group m, c, r, s] from row m and column (r, s, c).
template <class S>
struct TapOut {
  S* dw;
  int64_t rows, taps, inner, padded, a_step, b_step;
  __device__ void offsets(int64_t group, int64_t* at_a, int64_t* at_b) const {
    *at_a = group * a_step;
    *at_b = group * b_step;
  }
  __device__ void put(int64_t group, int64_t m, int64_t n, const float* from, int count) const {
    S* const to = dw + (group * rows + m) * inner * taps;
    for (int e = 0; e < count; ++e) {
      const int64_t c = (n + e) % padded;
      if (c < inner) to[c * taps + (n + e) / padded] = narrow<S>(from[e]);
    }
  }
};

enum ConvWay { kConvForward, kConvInputGrad, kConvWeightGrad };

// Whether the positions of a group fit the kernels' 32 bits.
inline bool conv_fits(const ConvGeometry& g) {
  constexpr int64_t most = INT32_MAX / 2;
  return g.C * g.H * g.W < most && g.M * g.OH * g.OW < most && 8 * g.C * g.KH * g.KW < most &&
         8 * g.M * g.KH * g.KW < most && (g.H + 2 * g.ph) * (g.W + 2 * g.pw) < most;
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
  const auto rounded = [](int64_t n) {
    return ((n < 1 ? 1 : n) + kChunk<T> - 1) / kChunk<T> * kChunk<T>;
  };
  const int64_t inners = rounded(inner), outers = rounded(outer), groups = g.groups;
  // x (all but the input's gradient) or dy, and dy (weights' gradient) or the weights.
  const bool back = way == kConvInputGrad, weights = way == kConvWeightGrad;
  const int64_t channels = back ? outers : inners, rows_of_w = back ? inner : outer;
  const int64_t all_p = g.N * (back ? out_plane : plane) * groups * channels;
  const int64_t all_q = groups * (weights ? g.N * out_plane * outers : rows_of_w * taps * channels);
  const Scratch memory(c.device, size_t(all_p + all_q) * sizeof(T));
  T *const x = memory.as<T>(), *const w = x + all_p;
  const auto channels_last = [&](const T* from, T* to, int64_t of_plane, int64_t n, int64_t all) {
    const int64_t blocks = g.N * ((of_plane + 31) / 32) * ((groups * all + 31) / 32);
    launch(c, channels_last_kernel<T>, dim3(blocks_for(blocks, 1)), dim3(kBlock), 0, from, to, g.N,
           of_plane, groups, n, all);
  };
  channels_last(p, x, back ? out_plane : plane, back ? outer : inner, channels);
  if (weights) {
    channels_last(q, w, out_plane, outer, outers);
  } else {
    const WeightOrder order{rows_of_w,
                            taps,
                            back ? outer : inner,
                            channels,
                            outer * inner * taps,
                            back ? taps : inner * taps,
                            back ? inner * taps : taps};
    launch(c, weights_kernel<T>, dim3(blocks_for(all_q)), dim3(kBlock), 0, order, q, w, all_q);
  }
  const ConvRows rows{int(g.H),  int(g.W),  int(g.KH),     int(g.KW),        int(g.OH),
                      int(g.OW), int(g.sh), int(g.sw),     int(g.ph),        int(g.pw),
                      int(g.dh), int(g.dw), int(channels), groups * channels};
  if (weights) {
    const TapOut<S> out{y, outer, taps, inner, inners, outers, inners};
    multiply_on_tensor_cores(
        c, TensorProduct<DenseOperand<T, false>, TapOperand<T>, TapOut<S>>{{w, groups * outers},
                                                                           {x, rows},
                                                                           out,
                                                                           outer,
                                                                           taps * inners,
                                                                           g.N * out_plane,
                                                                           groups,
                                                                           1,
                                                                           0,
                                                                           nullptr});
    return;
  }
  const int64_t y_plane = back ? plane : out_plane, k = taps * channels;
  const PlaneOut<S> out{y,
                        bias ? static_cast<const S*>(c.in[2].data) : nullptr,
                        y_plane,
                        rows_of_w,
                        back ? g.C : g.M,
                        rows_of_w * k,
                        channels,
                        whole(y, y_plane)};
  const DenseOperand<T, true> a{w, k};
  if (back)
    multiply_on_tensor_cores(
        c, TensorProduct<DenseOperand<T, true>, PatchOperand<T, true>, PlaneOut<S>>{
               a, {x, rows}, out, rows_of_w, g.N * y_plane, k, groups, 1, 0, nullptr});
  else
    multiply_on_tensor_cores(
        c, TensorProduct<DenseOperand<T, true>, PatchOperand<T, false>, PlaneOut<S>>{
               a, {x, rows}, out, rows_of_w, g.N * y_plane, k, groups, 1, 0, nullptr});
}

// A file for each type.
void conv_half(const DeviceCall& c, ConvWay way);
void conv_brain(const DeviceCall& c, ConvWay way);
void conv_tf32(const DeviceCall& c, ConvWay way);

}  // namespace lamina::cuda
