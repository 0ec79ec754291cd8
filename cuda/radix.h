// A stable radix sort of lines of keys from the lowest byte up, over tiles of all lines at once.
//
// A pass counts the digits of every tile, sums the counts along each line, and moves a tile through
// shared memory so that equal digits leave side by side. Nothing depends on the order in which
// blocks run. Cost: about 20 bytes an element for 32-bit keys in each pass, 32 for 64-bit ones.
//
// Where keys come from and where they go is the caller's `Ends`, plain data with
//   Key first(int64_t line, int64_t i) const                        a key of the first pass
//   void last(int64_t line, int64_t rank, Key key, int place) const what the last pass finds
#pragma once
#include "order.h"

namespace lamina::cuda {

inline unsigned grid_of(int64_t blocks) { return unsigned(blocks < kMaxGrid ? blocks : kMaxGrid); }

// A tile holds this many elements of one line.
template <class Key>
constexpr int radix_tile() {
  return 16384 / int(sizeof(Key));
}
template <class Key, class Ends>
struct RadixPass {
  Ends ends;
  int64_t lines, n;
  const Key* keys;    // null in the first pass
  const int* places;  // null in the first pass: 0, 1, ...
  Key* new_keys;      // null in the last pass
  int* new_places;
  int* counts;    // (lines, 256, tiles)
  int* totals;    // (lines, 256)
  int64_t tiles;  // of a line
  int shift;
  __device__ Key key(int64_t line, int64_t i) const {
    return keys ? keys[line * n + i] : ends.first(line, i);
  }
};

template <class Key, class Ends>
__global__ void radix_count_kernel(const RadixPass<Key, Ends> p) {
  constexpr int tile = radix_tile<Key>();
  __shared__ int count[256];
  const int t = int(threadIdx.x);
  for (int64_t at = blockIdx.x; at < p.lines * p.tiles; at += gridDim.x) {
    const int64_t line = at / p.tiles, which = at % p.tiles, from = which * tile;
    count[t] = 0;
    __syncthreads();
    for (int i = t; i < tile && from + i < p.n; i += kBlock)
      atomicAdd(&count[p.key(line, from + i) >> p.shift & 255], 1);
    __syncthreads();
    p.counts[(line * 256 + t) * p.tiles + which] = count[t];
    __syncthreads();
  }
}
// A warp for each (line, digit): counts become what lies in the tiles before.
template <class Key, class Ends>
__global__ void radix_sum_kernel(const RadixPass<Key, Ends> p) {
  const int lane = int(threadIdx.x) % 32;
  const int64_t warps = int64_t(gridDim.x) * (kBlock / 32);
  for (int64_t row = int64_t(blockIdx.x) * (kBlock / 32) + threadIdx.x / 32; row < p.lines * 256;
       row += warps) {
    int* const counts = p.counts + row * p.tiles;
    int sum = 0;
    for (int64_t from = 0; from < p.tiles; from += 32) {
      const bool inside = from + lane < p.tiles;
      const int mine = inside ? counts[from + lane] : 0;
      int upto = mine;
#pragma unroll
      for (int by = 1; by < 32; by <<= 1) {
        const int other = __shfl_up_sync(0xffffffffu, upto, unsigned(by));
        if (lane >= by) upto += other;
      }
      if (inside) counts[from + lane] = sum + upto - mine;
      sum += __shfl_sync(0xffffffffu, upto, 31);
    }
    if (lane == 0) p.totals[row] = sum;
  }
}
// Elements go to their order in shared memory by digit, then out. Each warp takes a run of the
// tile, 32 neighbours at a time; lanes with one digit find each other by their votes.
template <class Key, class Ends>
__global__ void radix_move_kernel(const RadixPass<Key, Ends> p) {
  constexpr int tile = radix_tile<Key>(), warps = kBlock / 32, run = tile / warps;
  __shared__ Key keys[tile];
  __shared__ int places[tile];
  __shared__ int before[warps][256];  // of a digit, in earlier runs; then where the run's go
  __shared__ int out[256], room[warps + 1];
  const int t = int(threadIdx.x), lane = t % 32, warp = t / 32;
  const unsigned lower = (1u << lane) - 1;
  for (int64_t at = blockIdx.x; at < p.lines * p.tiles; at += gridDim.x) {
    const int64_t line = at / p.tiles, which = at % p.tiles, from = which * tile;
    const int here = int(p.n - from < tile ? p.n - from : tile);
    for (int w = 0; w < warps; ++w) before[w][t] = 0;
    __syncthreads();
    Key key[run / 32];
    int rank[run / 32];
#pragma unroll
    for (int j = 0; j < run / 32; ++j) {
      const int i = warp * run + j * 32 + lane;
      if (i - lane >= here) continue;  // the whole warp
      const bool inside = i < here;
      key[j] = inside ? p.key(line, from + i) : ~Key(0);
      const unsigned digit = unsigned(key[j] >> p.shift & 255);
      unsigned peers = __ballot_sync(0xffffffffu, inside);
#pragma unroll
      for (int b = 0; b < 8; ++b) {
        const unsigned ones = __ballot_sync(0xffffffffu, digit >> b & 1);
        peers &= digit >> b & 1 ? ones : ~ones;
      }
      rank[j] = inside ? before[warp][digit] + __popc(peers & lower) : 0;
      __syncwarp();
      if (inside && (peers & lower) == 0) before[warp][digit] += __popc(peers);
      __syncwarp();
    }
    __syncthreads();
    int mine = 0;  // of digit t
    for (int w = 0; w < warps; ++w) {
      const int n = before[w][t];
      before[w][t] = mine;
      mine += n;
    }
    int all;
    const int start = sum_before<kBlock>(mine, room, &all);
    const int base = sum_before<kBlock>(p.totals[line * 256 + t], room, &all);
    for (int w = 0; w < warps; ++w) before[w][t] += start;
    out[t] = base + p.counts[(line * 256 + t) * p.tiles + which] - start;
    __syncthreads();
#pragma unroll
    for (int j = 0; j < run / 32; ++j) {
      const int i = warp * run + j * 32 + lane;
      if (i >= here) continue;
      const int to = before[warp][key[j] >> p.shift & 255] + rank[j];
      keys[to] = key[j];
      places[to] = p.places ? p.places[line * p.n + from + i] : int(from + i);
    }
    __syncthreads();
    for (int i = t; i < here; i += kBlock) {
      const int64_t to = out[keys[i] >> p.shift & 255] + i;
      if (p.new_keys) {
        p.new_keys[line * p.n + to] = keys[i];
        p.new_places[line * p.n + to] = places[i];
      } else {
        p.ends.last(line, to, keys[i], places[i]);
      }
    }
    __syncthreads();
  }
}

// Sorts by the lowest 8 * passes bits.
template <class Key, class Ends>
void radix_sort(const DeviceCall& c, const Ends& ends, int64_t lines, int64_t n, int passes) {
  constexpr int tile = radix_tile<Key>();
  const int64_t all = lines * n;
  RadixPass<Key, Ends> p{};
  p.ends = ends;
  p.lines = lines;
  p.n = n;
  p.tiles = (n + tile - 1) / tile;
  const Scratch memory(c.device, size_t(all) * 2 * (sizeof(Key) + 4));
  const Scratch counts(c.device, size_t(lines) * 256 * size_t(p.tiles + 1) * 4);
  Key* const keys[2] = {memory.as<Key>(), memory.as<Key>() + all};
  int* const places[2] = {reinterpret_cast<int*>(keys[1] + all),
                          reinterpret_cast<int*>(keys[1] + all) + all};
  p.counts = counts.as<int>();
  p.totals = p.counts + lines * 256 * p.tiles;
  const dim3 tiles(grid_of(lines * p.tiles)), rows(grid_of(lines * 256 / (kBlock / 32)));
  const dim3 block(kBlock);
  for (int pass = 0; pass < passes; ++pass) {
    p.shift = 8 * pass;
    p.keys = pass ? keys[(pass + 1) % 2] : nullptr;
    p.places = pass ? places[(pass + 1) % 2] : nullptr;
    p.new_keys = pass + 1 < passes ? keys[pass % 2] : nullptr;
    p.new_places = places[pass % 2];
    launch(c, radix_count_kernel<Key, Ends>, tiles, block, 0, p);
    launch(c, radix_sum_kernel<Key, Ends>, rows, block, 0, p);
    launch(c, radix_move_kernel<Key, Ends>, tiles, block, 0, p);
  }
}

}  // namespace lamina::cuda
