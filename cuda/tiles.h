// The loops of a matrix product whose operands are functions: C(m, n) = sum_k A(m, k) B(k, n).
//
// A block of 256 threads forms a tile of C of 128 x 128 (float32) or 64 x 64 (few tiles, float64,
// int64), 8 x 8 or 4 x 4 elements a thread. Operands pass through shared memory, 8 or 16 values of
// k at a time; while one step is multiplied the next one is read into registers. Every element is
// summed over k in order, so it has the same bits whatever else is computed; with few tiles and
// many k, k is cut by size into parts whose sums a second launch adds in order. The operands say
// where their elements are, which makes products with strides and convolutions (whose patches are
// never stored) one kernel.
#pragma once
#include "launch.h"
#include "number.h"

namespace lamina::cuda {

// P has M(), N(), K(), a_along_k(), b_along_k() (which index neighbouring threads should read
// along), batch(product) -> Batch, a(batch, m, k), b(batch, k, n), put(batch, m, n, value). With
// P::kGroups also a_groups(), b_groups(), c_groups(): whether four neighbours from a multiple of 4
// on, along k or not as said, lie side by side at multiples of 16 bytes; then at_a(batch, m, k),
// at_b(batch, k, n) say where, and put_four(batch, m, n, values) stores them.
template <class P, int E>
__global__ void __launch_bounds__(256, E == 8 ? 2 : 1)
    tiles_kernel(const P p, int64_t products, int64_t parts, int64_t part, typename P::S* sums) {
  using S = typename P::S;
  constexpr int kTile = 16 * E, kDepth = 64 / E;
  __shared__ S a_tile[2][kDepth][kTile + 4], b_tile[2][kDepth][kTile + 4];
  const int t = int(threadIdx.x), tx = t % 16, ty = t / 16;
  const int64_t M = p.M(), N = p.N();
  const int64_t tiles_n = (N + kTile - 1) / kTile, tiles = (M + kTile - 1) / kTile * tiles_n;
  const bool a_along = p.a_along_k(), b_along = p.b_along_k();
  // Which four elements of a step the thread brings: line and place of the first.
  constexpr int by_k = kDepth / 4, by_line = kTile / 4;
  const int a_line = a_along ? t / by_k : t % by_line * 4,
            a_k = a_along ? t % by_k * 4 : t / by_line;
  const int b_line = b_along ? t / by_k : t % by_line * 4,
            b_k = b_along ? t % by_k * 4 : t / by_line;
  for (int64_t block = blockIdx.x; block < tiles * products * parts; block += gridDim.x) {
    const int64_t product = block / tiles % products, slice = block / tiles / products;
    const auto batch = p.batch(product);
    const int64_t m0 = block % tiles / tiles_n * kTile, n0 = block % tiles % tiles_n * kTile;
    const int64_t first = slice * part, K = first + part < p.K() ? first + part : p.K();
    S sum[E][E] = {}, a_next[4], b_next[4];
    const auto read = [&](int64_t k0) {
      const int64_t m = m0 + a_line, ka = k0 + a_k, n = n0 + b_line, kb = k0 + b_k;
      bool a_whole = false, b_whole = false;
      if constexpr (P::kGroups) {
        a_whole = p.a_groups() && (a_along ? m < M && ka + 3 < K : m + 3 < M && ka < K);
        b_whole = p.b_groups() && (b_along ? n < N && kb + 3 < K : n + 3 < N && kb < K);
        if (a_whole) load_vector<S, 4>(a_next, p.at_a(batch, m, ka));
        if (b_whole) load_vector<S, 4>(b_next, p.at_b(batch, kb, n));
      }
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int64_t me = m + (a_along ? 0 : e), kae = ka + (a_along ? e : 0);
        if (!a_whole) a_next[e] = me < M && kae < K ? p.a(batch, me, kae) : S{};
        const int64_t ne = n + (b_along ? 0 : e), kbe = kb + (b_along ? e : 0);
        if (!b_whole) b_next[e] = ne < N && kbe < K ? p.b(batch, kbe, ne) : S{};
      }
    };
    const auto keep = [&](int at) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        a_tile[at][a_k + (a_along ? e : 0)][a_line + (a_along ? 0 : e)] = a_next[e];
        b_tile[at][b_k + (b_along ? e : 0)][b_line + (b_along ? 0 : e)] = b_next[e];
      }
    };
    if (first < K) {
      read(first);
      keep(0);
    }
    int at = 0;
    for (int64_t k0 = first; k0 < K; k0 += kDepth, at ^= 1) {
      __syncthreads();
      const bool more = k0 + kDepth < K;
      if (more) read(k0 + kDepth);
#pragma unroll
      for (int k = 0; k < kDepth; ++k) {
        S u[E], v[E];
#pragma unroll
        for (int q = 0; q < E / 4; ++q)
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            u[4 * q + i] = a_tile[at][k][64 * q + ty * 4 + i];
            v[4 * q + i] = b_tile[at][k][64 * q + tx * 4 + i];
          }
#pragma unroll
        for (int i = 0; i < E; ++i)
#pragma unroll
          for (int j = 0; j < E; ++j) sum[i][j] = sum[i][j] + u[i] * v[j];
      }
      if (more) keep(at ^ 1);
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < E; ++i)
#pragma unroll
      for (int q = 0; q < E / 4; ++q) {
        const int64_t m = m0 + i / 4 * 64 + ty * 4 + i % 4, n = n0 + 64 * q + tx * 4;
        if (m >= M) continue;
        if constexpr (P::kGroups)
          if (parts == 1 && p.c_groups() && n + 3 < N) {
            p.put_four(batch, m, n, &sum[i][4 * q]);
            continue;
          }
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          if (n + j >= N) continue;
          if (parts > 1)
            sums[((slice * products + product) * M + m) * N + n + j] = sum[i][4 * q + j];
          else
            p.put(batch, m, n + j, sum[i][4 * q + j]);
        }
      }
  }
}

template <class P>
__global__ void join_tiles_kernel(const P p, int64_t products, int64_t parts,
                                  const typename P::S* sums) {
  const int64_t each = p.M() * p.N(), all = each * products;
  LAMINA_GRID_STRIDE(i, all) {
    auto sum = sums[i];
    for (int64_t s = 1; s < parts; ++s) sum = sum + sums[s * all + i];
    p.put(p.batch(i / each), i % each / p.N(), i % p.N(), sum);
  }
}

// How many parts k is cut into, by sizes only: about 256 tiles where there are few, 512 k each.
inline int64_t parts_of(int64_t tiles, int64_t K) {
  if (tiles >= 96 || K < 2048) return 1;
  const int64_t wished = (256 + tiles - 1) / tiles, most = K / 512;
  return wished < most ? wished : most;
}

template <class P, int E>
void multiply_in_tiles(const DeviceCall& c, const P& p, int64_t M, int64_t N, int64_t K,
                       int64_t products) {
  using S = typename P::S;
  constexpr int kTile = 16 * E;
  const int64_t tiles = (M + kTile - 1) / kTile * ((N + kTile - 1) / kTile) * products;
  if (!tiles) return;
  int64_t parts = parts_of(tiles, K);
  const int64_t part = parts > 1 ? ((K + parts - 1) / parts + 15) / 16 * 16 : K;
  if (parts > 1) parts = (K + part - 1) / part;
  const Scratch sums(c.device, parts > 1 ? size_t(parts * products * M * N) * sizeof(S) : 0);
  const int64_t blocks = tiles * parts;
  launch(c, tiles_kernel<P, E>, dim3(unsigned(blocks < kMaxGrid ? blocks : kMaxGrid)), dim3(256), 0,
         p, products, parts, part, sums.template as<S>());
  if (parts > 1)
    launch(c, join_tiles_kernel<P>, dim3(blocks_for(products * M * N)), dim3(kBlock), 0, p,
           products, parts, static_cast<const S*>(sums.template as<S>()));
}
template <class P>
void multiply_tiles(const DeviceCall& c, const P& p, int64_t M, int64_t N, int64_t K,
                    int64_t products) {
  if constexpr (sizeof(typename P::S) == 4) {
    const int64_t tiles = (M + 127) / 128 * ((N + 127) / 128) * products;
    if (M > 64 && N > 64 && (tiles >= 96 || K >= 2048))
      return multiply_in_tiles<P, 8>(c, p, M, N, K, products);
  }
  multiply_in_tiles<P, 4>(c, p, M, N, K, products);
}

}  // namespace lamina::cuda
