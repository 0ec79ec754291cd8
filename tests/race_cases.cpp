// Kernels with a race and the same without it: what race.cpp must say of each. The program prints
// "name wanted found" for every case, and ends with 1 if it was wrong about one.
#include <cstdio>

#include "cuda_runtime.h"
#include "mma.h"

namespace {

float nowhere[1];
float* memory = nowhere;  // then of the device, 4096 floats

// ---- threads of a block, by shared memory -------------------------------------------------------
template <bool right>
void neighbours() {  // of other warps
  __shared__ float s[128];
  const unsigned i = threadIdx.x;
  s[i] = float(i);
  if (right) __syncthreads();
  memory[i] = s[127 - i];
}
template <bool right>
void lanes() {
  __shared__ float s[64];
  const unsigned i = threadIdx.x;
  s[i] = float(i);
  if (right) __syncwarp();
  memory[i] = s[i ^ 1];
}
template <bool right>
void warps_by_warp_barrier() {  // which orders lanes of one warp only
  __shared__ float s[64];
  const unsigned i = threadIdx.x;
  s[i] = float(i);
  __syncwarp();
  memory[i] = s[right ? i ^ 1 : 63 - i];
}
template <bool right>
void lanes_by_shuffle() {  // which orders nothing
  __shared__ float s[32];
  const unsigned i = threadIdx.x;
  s[i] = float(i);
  const int other = __shfl_xor_sync(~0u, int(i), 1);
  if (right) __syncwarp();
  memory[i] = s[other];
}
template <bool right>
void half_warps() {  // a barrier of 16 lanes, then a read in the same half or the other
  __shared__ float s[32];
  const unsigned i = threadIdx.x;
  s[i] = float(i);
  __syncwarp(i < 16 ? 0xffffu : 0xffff0000u);
  memory[i] = s[right ? i ^ 3 : i ^ 17];
}
template <bool right>
void by_way_of_another() {  // 0 with 1, then 1 with 2: what 0 wrote is seen by 2
  __shared__ float s[1];
  const unsigned i = threadIdx.x;
  if (i == 0) s[0] = 1;
  if (i < 2) __syncwarp(0x3);
  if (i == 1 || i == 2) __syncwarp(0x6);
  if (i == (right ? 2 : 3)) memory[0] = s[0];
}
template <bool right>
void next_turn() {  // a loop that writes while slower warps still read
  __shared__ float s[64];
  const unsigned i = threadIdx.x;
  float sum = 0;
  for (int turn = 0; turn < 3; ++turn) {
    s[i] = float(turn);
    __syncthreads();
    sum += s[63 - i];
    if (right) __syncthreads();
  }
  memory[i] = sum;
}
template <bool right>
void two_buffers() {  // one barrier a turn is enough for two
  __shared__ float s[2][64];
  const unsigned i = threadIdx.x;
  float sum = 0;
  for (int turn = 0; turn < 4; ++turn) {
    const int now = right ? turn % 2 : 0;
    s[now][i] = float(turn);
    __syncthreads();
    sum += s[now][63 - i];
  }
  memory[i] = sum;
}
template <bool right>
void both_write() {
  __shared__ float s[1];
  if (threadIdx.x % (right ? 64 : 32) == 0) s[0] = 1;
  __syncthreads();
  memory[threadIdx.x] = s[0];
}
template <bool right>
void bytes() {  // neighbours in a word are no race
  __shared__ unsigned char s[64];
  const unsigned i = threadIdx.x;
  s[right ? i : i / 2] = 1;
  __syncthreads();
  memory[i] = s[i % 32];
}
template <bool right>
void counted() {
  __shared__ int n;
  if (threadIdx.x == 0) n = 0;
  __syncthreads();
  if (right)
    atomicAdd(&n, 1);
  else
    n += 1;
  __syncthreads();
  memory[threadIdx.x] = float(n);
}
template <bool right>
void counted_and_read() {
  __shared__ int n;
  if (threadIdx.x == 0) n = 0;
  __syncthreads();
  atomicAdd(&n, 1);
  if (right) __syncthreads();
  memory[threadIdx.x] = float(n);
}
template <bool right>
void of_the_block_before() {
  __shared__ float s[64];
  const unsigned i = threadIdx.x;
  if (right || blockIdx.x == 0) s[i] = 1;
  __syncthreads();
  memory[blockIdx.x * 64 + i] = s[63 - i];
}
template <bool right>
void dynamic() {
  float* const s = static_cast<float*>(lamina::emulate::dynamic_shared());
  const unsigned i = threadIdx.x;
  s[i] = 1;
  if (right) __syncthreads();
  memory[i] = s[63 - i];
}

// ---- asynchronous copies ------------------------------------------------------------------------
template <bool right>
void copied() {  // the copy's own thread waits, the others by a barrier after that
  alignas(16) __shared__ float s[256];
  const unsigned i = threadIdx.x;
  lamina::cuda::copy_async(s + 4 * i, memory + 1024 + 4 * i, 16);
  lamina::cuda::copies_commit();
  if (!right) __syncthreads();
  lamina::cuda::copies_wait<0>();
  if (right) __syncthreads();
  memory[i] = s[255 - i];
}
template <bool right>
void copied_too_early() {  // into what others still read
  alignas(16) __shared__ float s[256];
  const unsigned i = threadIdx.x;
  for (int turn = 0; turn < 2; ++turn) {
    lamina::cuda::copy_async(s + 4 * i, memory + 1024 + 4 * i, 16);
    lamina::cuda::copies_commit();
    lamina::cuda::copies_wait<0>();
    __syncthreads();
    memory[i] = s[255 - i];
    if (right) __syncthreads();
  }
}

// ---- global memory ------------------------------------------------------------------------------
template <bool right>
void blocks() {  // one reads what another of the launch writes
  const unsigned i = blockIdx.x * 64 + threadIdx.x;
  memory[i] = memory[(right ? 1024 : 0) + (i + 64) % 256] + 1;
}
template <bool right>
void blocks_write() {
  if (threadIdx.x == 0) memory[right ? 7 * blockIdx.x : 0] = 1;
}
template <bool right>
void read_by_two_blocks() {  // the second's own read and barrier do not hide the first's
  const unsigned i = threadIdx.x;
  const float v = memory[0] + memory[1];
  __syncthreads();
  if (i == 0 && blockIdx.x == 3) memory[right ? 2 : 0] = v;
}
template <bool right>
void in_the_block() {
  const unsigned i = blockIdx.x * 64 + threadIdx.x;
  memory[i] = 1;
  if (right) __syncthreads();
  memory[1024 + i] = memory[i ^ 63];
}

bool wrong = false;
void check(const char* name, void (*kernel)(), bool right, unsigned grid, unsigned block) {
  const bool found = !lamina::emulate::run(grid, block, 64 * sizeof(float), kernel);
  wrong |= found == right;
  std::printf("%s %s %s\n", name, right ? "clean" : "race", found ? "race" : "clean");
}

}  // namespace

int main() {
  void* p = nullptr;
  if (cudaMalloc(&p, 4096 * sizeof(float)) != cudaSuccess) return 1;
  memory = static_cast<float*>(p);
#define CASE(name, grid, block)                  \
  check(#name, name<false>, false, grid, block); \
  check(#name, name<true>, true, grid, block)
  CASE(neighbours, 1, 128);
  CASE(lanes, 1, 64);
  CASE(warps_by_warp_barrier, 1, 64);
  CASE(lanes_by_shuffle, 1, 32);
  CASE(half_warps, 1, 32);
  CASE(by_way_of_another, 1, 32);
  CASE(next_turn, 1, 64);
  CASE(two_buffers, 1, 64);
  CASE(both_write, 1, 64);
  CASE(bytes, 1, 64);
  CASE(counted, 1, 64);
  CASE(counted_and_read, 1, 64);
  CASE(of_the_block_before, 2, 64);
  CASE(dynamic, 1, 64);
  CASE(copied, 1, 64);
  CASE(copied_too_early, 1, 64);
  CASE(blocks, 4, 64);
  CASE(blocks_write, 4, 64);
  CASE(read_by_two_blocks, 4, 64);
  CASE(in_the_block, 4, 64);
  return wrong;
}
