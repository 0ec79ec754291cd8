// The loops of a matrix product on tensor cores: C(m, n) = sum_k A(m, k) B(k, n) in float32.
//
// A block of 256 threads (8 warps, 2 x 4) forms a tile of C of 128 x 128, or 64 x 64 where there
// are few tiles. k passes through shared memory in steps of 64 bytes a row, three steps at a time:
// while one is multiplied the next two are on their way. T is Half, Brain or Tf32 (mma.h).
//
// A step of an operand in shared memory is chunks of 16 bytes. `along_k`: row r has 4 chunks, chunk
// q lies at 4 r + (q ^ r / 2 % 4). Otherwise: k has R / (elements a chunk) chunks, and q lies at q
// ^ k % 8, for 32 bits q ^ 2 (k % 4). So the 8 rows of a matrix that a warp loads, and the lanes of
// its plain loads, are in different banks.
//
// Every element is summed over k in order, in steps that do not depend on M, N or the tile. With
// few tiles and many k, k is cut by size into parts whose sums a second launch adds in order.
// Cost: 2 M N K flops; (M N K / 64 .. 128) element reads of each operand.
#pragma once
#include "launch.h"
#include "mma.h"
#include "tiles.h"

namespace lamina::cuda {

template <class T>
constexpr int kChunk = 16 / int(sizeof(T));  // elements of 16 bytes
template <class T>
constexpr int kStep = 4 * kChunk<T>;  // k of a step
constexpr int kStages = 3;

template <class T, int R, bool along_k>
LAMINA_HD int chunk_place(int row, int q) {  // row: m or n along k, else k
  if (along_k) return row * 4 + (q ^ (row / 2 % 4));
  return row * (R / kChunk<T>)+(sizeof(T) == 2 ? q ^ row % 8 : q ^ 2 * (row % 4));
}

struct alignas(16) Chunk {
  uint32_t word[4];
};

// ---- operands ----------------------------------------------------------------------------------
// issue(to) starts bringing the next step of k into `to`; finish(to) ends what issue left undone.

// A matrix whose rows (along_k) or columns are dense, every start a multiple of 16 bytes.
template <class T_, bool along_k_>
struct DenseOperand {
  using T = T_;
  static constexpr bool along_k = along_k_;
  const T* p;
  int64_t pitch;  // elements between rows (along_k) or columns

  template <int R>
  struct Loader {
    static constexpr int kEach = R * 4 / 256, kAcross = along_k ? 4 : R / kChunk<T>;
    const T *p, *at[kEach];
    int64_t advance;
    int left, count[kEach];  // k that are left; elements of a chunk inside, as far as rows go
    static __device__ int line(int i) { return (int(threadIdx.x) + 256 * i) / kAcross; }
    static __device__ int part(int i) { return (int(threadIdx.x) + 256 * i) % kAcross; }
    static __device__ int within(int64_t n) {
      return n < 0 ? 0 : n < kChunk<T> ? int(n) : kChunk<T>;
    }
    __device__ Loader(const DenseOperand& o, int64_t offset, int64_t row0, int64_t rows, int64_t k0,
                      int64_t k1)
        : p(o.p), advance(along_k ? kStep<T> : o.pitch * kStep<T>), left(int(k1 - k0)) {
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        const int64_t along = part(i) * kChunk<T>;
        at[i] = o.p + offset +
                (along_k ? (row0 + line(i)) * o.pitch + k0 + along
                         : (k0 + line(i)) * o.pitch + row0 + along);
        count[i] = along_k ? (row0 + line(i) < rows ? kChunk<T> : 0) : within(rows - row0 - along);
      }
    }
    __device__ void issue(Chunk* to) {
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        int valid = count[i];
        if (along_k && valid) valid = within(left - part(i) * kChunk<T>);
        if (!along_k && line(i) >= left) valid = 0;
        copy_async(to + chunk_place<T, R, along_k>(line(i), part(i)), valid ? at[i] : p,
                   valid * int(sizeof(T)));
        at[i] += advance;
      }
      left -= kStep<T>;
    }
    __device__ void finish(Chunk*) {}
  };
};

// An operand that a function reads, through registers. F has rows_first() (which index neighbouring
// threads should read along), start(offset, row, inside) -> F::Row, and chunk(row, k, end) -> Chunk
// of the elements k, k + 1, ... of a row, 0 from `end` on.
template <class F>
struct ReadOperand {
  using T = typename F::T;
  static constexpr bool along_k = true;
  F f;

  template <int R>
  struct Loader {
    static constexpr int kEach = R * 4 / 256;
    const F& f;
    int k, k_end;
    typename F::Row row[kEach];
    Chunk held[kEach];
    __device__ int line(int i) const {
      const int c = int(threadIdx.x) + 256 * i;
      return f.rows_first() ? c % R : c / 4;
    }
    __device__ int part(int i) const {
      const int c = int(threadIdx.x) + 256 * i;
      return f.rows_first() ? c / R : c % 4;
    }
    __device__ Loader(const ReadOperand& o, int64_t offset, int64_t row0, int64_t rows, int64_t k0,
                      int64_t k1)
        : f(o.f), k(int(k0)), k_end(int(k1)) {
#pragma unroll
      for (int i = 0; i < kEach; ++i)
        row[i] = f.start(offset, row0 + line(i), row0 + line(i) < rows);
    }
    __device__ void issue(Chunk*) {
#pragma unroll
      for (int i = 0; i < kEach; ++i) held[i] = f.chunk(row[i], k + part(i) * kChunk<T>, k_end);
      k += kStep<T>;
    }
    __device__ void finish(Chunk* to) {
#pragma unroll
      for (int i = 0; i < kEach; ++i) to[chunk_place<T, R, true>(line(i), part(i))] = held[i];
    }
  };
};

// The fragments of 16 rows of m (A) or 16 columns of n (B: those of two products), at k = 2 chunks
// * `half` of the step.
template <class T, int R, bool along_k, bool of_b>
__device__ void load_fragments(uint32_t (&r)[4], const Chunk* from, int base, int half) {
  const int lane = int(threadIdx.x) % 32, low = lane / 8 % 2, high = lane / 16;
  const int by_row = of_b ? high : low, by_k = of_b ? low : high;
  if constexpr (along_k) {
    load_matrices<false>(
        r, from + chunk_place<T, R, true>(base + lane % 8 + 8 * by_row, 2 * half + by_k));
  } else if constexpr (sizeof(T) == 2) {
    load_matrices<true>(
        r, from + chunk_place<T, R, false>(16 * half + lane % 8 + 8 * by_k, base / 8 + by_row));
  } else {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int k = 8 * half + t + 4 * (of_b ? i % 2 : i / 2);
      const int row = base + g + 8 * (of_b ? i / 2 : i % 2);
      r[i] = from[chunk_place<T, R, false>(k, row / 4)].word[row % 4];
    }
  }
  if constexpr (__is_same(T, Tf32))
    for (uint32_t& v : r) v = rounded_to_tf32(v);
}

// ---- the product -------------------------------------------------------------------------------
// A::T = B::T; `out` has put(product, m, n, values, count) for up to 8 values of a row, n a
// multiple of 8; offsets(product) gives where the operands of a product begin.
template <class A, class B, class Out>
struct TensorProduct {
  A a;
  B b;
  Out out;
  int64_t M, N, K, products;
  int64_t parts, part;  // of k; how many k each has
  float* sums;          // (parts, products, M, N rounded up to 8) where parts > 1

  LAMINA_HD int64_t pitch() const { return (N + 7) / 8 * 8; }
};

template <int kTile, class P, class A, class B>
__device__ void tensor_tile(const P& p, A& a, B& b, Chunk* shared, unsigned product, unsigned part,
                            int m0, int n0, int steps) {
  using T = typename decltype(p.a)::T;
  constexpr int kChunks = kTile * 4;                      // of an operand's step
  constexpr int kRows = kTile / 2, kColumns = kTile / 4;  // of a warp
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int warp_m = warp / 4 * kRows, warp_n = warp % 4 * kColumns;
  float sum[kRows / 16][kColumns / 8][4] = {};
  const auto place = [&](int s) { return shared + s % kStages * 2 * kChunks; };
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps) {
      a.issue(place(s));
      b.issue(place(s) + kChunks);
      a.finish(place(s));
      b.finish(place(s) + kChunks);
    }
    copies_commit();
  }
  for (int s = 0; s < steps; ++s) {
    copies_wait<kStages - 2>();
    __syncthreads();
    const int next = s + kStages - 1;
    if (next < steps) {
      a.issue(place(next));
      b.issue(place(next) + kChunks);
    }
    copies_commit();
    const Chunk* const at = place(s);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t u[kRows / 16][4], v[kColumns / 16][4];
#pragma unroll
      for (int i = 0; i < kRows / 16; ++i)
        load_fragments<T, kTile, decltype(p.a)::along_k, false>(u[i], at, warp_m + 16 * i, half);
#pragma unroll
      for (int j = 0; j < kColumns / 16; ++j)
        load_fragments<T, kTile, decltype(p.b)::along_k, true>(v[j], at + kChunks, warp_n + 16 * j,
                                                               half);
#pragma unroll
      for (int i = 0; i < kRows / 16; ++i)
#pragma unroll
        for (int j = 0; j < kColumns / 8; ++j)
          multiply_add(T{}, sum[i][j], u[i], v[j / 2][j % 2 * 2], v[j / 2][j % 2 * 2 + 1]);
    }
    if (next < steps) {
      a.finish(place(next));
      b.finish(place(next) + kChunks);
    }
  }
  copies_wait<0>();
  __syncthreads();
  // Through shared memory, 16 rows of a warp at a time, so that rows are stored 8 values a thread.
  constexpr int kPitch = kColumns + 4;
  float* const room = reinterpret_cast<float*>(shared) + warp * 16 * kPitch;
  const int g = lane / 4, t = lane % 4;
#pragma unroll
  for (int i = 0; i < kRows / 16; ++i) {
    __syncwarp();
#pragma unroll
    for (int j = 0; j < kColumns / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        room[(g + e / 2 * 8) * kPitch + 8 * j + 2 * t + e % 2] = sum[i][j][e];
    __syncwarp();
    for (int o = lane; o < 16 * kColumns / 8; o += 32) {
      const int row = o / (kColumns / 8), column = o % (kColumns / 8) * 8;
      const int m = m0 + warp_m + 16 * i + row, n = n0 + warp_n + column;
      if (m >= p.M || n >= p.N) continue;
      const float* const from = room + row * kPitch + column;
      if (p.parts > 1) {
        float* const to = p.sums + ((part * p.products + product) * p.M + m) * p.pitch() + n;
        *reinterpret_cast<Vector<float, 8>*>(to) = *reinterpret_cast<const Vector<float, 8>*>(from);
      } else {
        p.out.put(product, m, n, from, p.N - n < 8 ? int(p.N - n) : 8);
      }
    }
  }
}

template <int kTile, class A, class B, class Out>
__global__ void __launch_bounds__(256, kTile == 128 ? 2 : 3)
    tensor_kernel(const TensorProduct<A, B, Out> p) {
  LAMINA_DYNAMIC_SHARED(Chunk, shared);
  const unsigned tiles_m = unsigned((p.M + kTile - 1) / kTile);
  const unsigned tiles_n = unsigned((p.N + kTile - 1) / kTile);
  const unsigned product = blockIdx.x / (tiles_m * tiles_n) % unsigned(p.products);
  const unsigned part = blockIdx.x / (tiles_m * tiles_n) / unsigned(p.products);
  // Eight rows of tiles at a time, column by column: neighbouring blocks share operands.
  const unsigned tile = blockIdx.x % (tiles_m * tiles_n), group = tile / (8 * tiles_n) * 8;
  const unsigned height = tiles_m - group < 8 ? tiles_m - group : 8;
  const int m0 = int(group + tile % (8 * tiles_n) % height) * kTile;
  const int n0 = int(tile % (8 * tiles_n) / height) * kTile;
  const int64_t k0 = part * p.part, k1 = k0 + p.part < p.K ? k0 + p.part : p.K;
  int64_t at_a, at_b;
  p.out.offsets(product, &at_a, &at_b);
  typename A::template Loader<kTile> a(p.a, at_a, m0, p.M, k0, k1);
  typename B::template Loader<kTile> b(p.b, at_b, n0, p.N, k0, k1);
  const int steps = int((k1 - k0 + kStep<typename A::T> - 1) / kStep<typename A::T>);
  tensor_tile<kTile>(p, a, b, shared, product, part, m0, n0, steps);
}

// The parts' sums, in order; a thread for 8 values of a row.
template <class Out>
__global__ void join_kernel(const Out out, const float* sums, int64_t M, int64_t N,
                            int64_t products, int64_t parts) {
  const int64_t octets = (N + 7) / 8, all = products * M * octets;
  LAMINA_GRID_STRIDE(i, all) {
    const int64_t n = i % octets * 8, m = i / octets % M, product = i / octets / M;
    float sum[8] = {};
    for (int64_t s = 0; s < parts; ++s) {
      float one[8];
      load_vector<float, 8>(one, sums + (s * all + i) * 8);
#pragma unroll
      for (int e = 0; e < 8; ++e) sum[e] += one[e];
    }
    out.put(product, m, n, sum, N - n < 8 ? int(N - n) : 8);
  }
}

template <class A, class B, class Out>
void multiply_on_tensor_cores(const DeviceCall& c, TensorProduct<A, B, Out> p) {
  using T = typename A::T;
  if (p.M * p.N * p.products == 0) return;
  const auto tiles = [&](int64_t t) {
    return (p.M + t - 1) / t * ((p.N + t - 1) / t) * p.products;
  };
  const bool large = p.M > 64 && p.N > 64 && (tiles(128) >= 96 || p.K >= 2048);
  const int64_t n = tiles(large ? 128 : 64);
  p.parts = parts_of(n, p.K);
  p.part = ((p.K + p.parts - 1) / p.parts + kStep<T> - 1) / kStep<T> * kStep<T>;
  p.parts = p.K ? (p.K + p.part - 1) / p.part : 1;  // a part may have become too many
  const Scratch sums(c.device,
                     p.parts > 1 ? size_t(p.parts * p.products * p.M * p.pitch()) * 4 : 0);
  p.sums = sums.template as<float>();
  const int64_t blocks = n * p.parts;
  if (blocks > INT32_MAX || p.K > INT32_MAX - 128 || p.M > INT32_MAX - 128 || p.N > INT32_MAX - 128)
    fail(kShape, "%s: a product of (%lld, %lld) and (%lld, %lld) is too large; cut it into pieces",
         c.name, static_cast<long long>(p.M), static_cast<long long>(p.K),
         static_cast<long long>(p.K), static_cast<long long>(p.N));
  const dim3 grid{unsigned(blocks)};
  if (large)
    launch(c, tensor_kernel<128, A, B, Out>, grid, dim3(256), kStages * 1024 * 16, p);
  else
    launch(c, tensor_kernel<64, A, B, Out>, grid, dim3(256), kStages * 512 * 16, p);
  if (p.parts > 1)
    launch(c, join_kernel<Out>, dim3(blocks_for(p.products * p.M * p.pitch() / 8)), dim3(kBlock), 0,
           p.out, p.sums, p.M, p.N, p.products, p.parts);
}

}  // namespace lamina::cuda
