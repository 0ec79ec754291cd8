// The CUDA run time on the CPU: what lets g++ compile the .cu files and the tests run their kernels
// where there is no GPU. Only the part of CUDA that lamina uses is here, under its own names.
//
// A launch runs its blocks one after another on the calling thread. The threads of a block are
// fibers: each runs until it waits at a barrier or in a warp shuffle, or ends. LAMINA_EMULATE_ORDER
// (forward, reverse, shuffled) is the order in which they take turns, so that results that depend
// on a barrier that is missing differ between orders. A barrier that some threads of a block never
// reach, and a shuffle that some lanes of the mask never join, stop the program with a message.
//
// A device's memory is a range of addresses that can be touched only while a copy, or a kernel on
// this device, runs: host code that follows a device pointer faults, as it would with a GPU.
// Launches that a GPU would refuse (grid and block sizes, more than 48 kB of shared memory) fail.
//
// What it cannot show: speed, and anything that needs real hardware. Races: race.h.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define LAMINA_EMULATED 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
// Blocks run one at a time, so one copy of a block's memory is enough.
#define __shared__ static

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};

namespace lamina::emulate {

struct Position {
  uint3 thread, block;
  dim3 block_size, grid_size;
};
extern Position* position;  // of the running fiber; blocks' and grids' sizes are the launch's

void open_memory();  // device memory can be touched until it is closed as often
void close_memory();
struct Range {
  const char *begin, *end;
};
Range device_memory();
// False: the launch has a race, and the library is built to look for them (race.h).
bool run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body);
void barrier();
// All lanes of the warp give 8 bytes and see those of lane `from`; -1: the lane's own.
// `orders`: what lanes did to memory before is seen by the others after.
uint64_t exchange(unsigned mask, uint64_t value, int from, bool orders = false);
unsigned vote(unsigned mask, bool predicate);
int lane();
int compare_and_swap(int* p, int expected, int value);
int fetch_and_add(int* p, int value);
float fetch_and_set(float* p, float value);
void* dynamic_shared();
// All 32 lanes give up to kWords words, which each then finds under given_by(lane).
constexpr int kWords = 4;
void exchange_all(const uint64_t* words, int n);
const uint64_t* given_by(int lane);
// Copies of 16 bytes (those from `valid` on zeros) that are made when the thread waits for their
// group, and not before: who does not wait finds what was there.
void copy_later(void* to, const void* from, int valid);
void copies_close();
void copies_wait(int pending);

template <class T>
T shuffle(unsigned mask, T value, int from) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(mask, bits, from);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace lamina::emulate

#define threadIdx (lamina::emulate::position->thread)
#define blockIdx (lamina::emulate::position->block)
#define blockDim (lamina::emulate::position->block_size)
#define gridDim (lamina::emulate::position->grid_size)

inline void __syncthreads() { lamina::emulate::barrier(); }
inline void __syncwarp(unsigned mask = ~0u) { lamina::emulate::exchange(mask, 0, -1, true); }
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int bits) {
  return lamina::emulate::shuffle(mask, v, lamina::emulate::lane() ^ bits);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned by) {
  const int from = lamina::emulate::lane() + int(by);
  return lamina::emulate::shuffle(mask, v, from < 32 ? from : -1);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned by) {
  const int from = lamina::emulate::lane() - int(by);
  return lamina::emulate::shuffle(mask, v, from >= 0 ? from : -1);
}
template <class T>
T __shfl_sync(unsigned mask, T v, int from) {
  return lamina::emulate::shuffle(mask, v, from & 31);
}
inline unsigned __ballot_sync(unsigned mask, int p) { return lamina::emulate::vote(mask, p != 0); }
inline void __threadfence() {}
inline void __threadfence_system() {}

inline int atomicCAS(int* p, int expected, int value) {
  return lamina::emulate::compare_and_swap(p, expected, value);
}
inline int atomicAdd(int* p, int value) { return lamina::emulate::fetch_and_add(p, value); }
inline float atomicExch(float* p, float value) { return lamina::emulate::fetch_and_set(p, value); }

inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline float __int_as_float(int i) {
  float f;
  std::memcpy(&f, &i, 4);
  return f;
}
inline int __float_as_int(float f) {
  int i;
  std::memcpy(&i, &f, 4);
  return i;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }

// ---- the run time's functions ------------------------------------------------------------------
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum { cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventDisableTiming = 2 };
enum { cudaHostAllocDefault = 0, cudaHostAllocMapped = 2 };
enum cudaDeviceAttr { cudaDevAttrClockRate = 13, cudaDevAttrMemoryClockRate = 36 };
enum cudaMemoryType { cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice };
struct cudaPointerAttributes {
  cudaMemoryType type;
};
struct lamina_emulated_stream;
struct lamina_emulated_event;
using cudaStream_t = lamina_emulated_stream*;
using cudaEvent_t = lamina_emulated_event*;
struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem, sharedMemPerBlock;
  int major, minor, multiProcessorCount, warpSize, maxThreadsPerBlock;
  int maxThreadsPerMultiProcessor, memoryBusWidth, l2CacheSize;
};

struct lamina_emulated_graph;
struct lamina_emulated_exec;
struct lamina_emulated_node;
using cudaGraph_t = lamina_emulated_graph*;
using cudaGraphExec_t = lamina_emulated_exec*;
using cudaGraphNode_t = lamina_emulated_node*;
struct cudaKernelNodeParams {
  std::function<void()> body;  // in place of a kernel and its arguments
  dim3 grid, block;
  size_t shared;
};
enum cudaStreamCaptureMode { cudaStreamCaptureModeRelaxed = 2 };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive };

const char* cudaGetErrorString(cudaError_t e);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int* n);
inline cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMalloc(void** p, size_t bytes);
cudaError_t cudaFree(void* p);
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned flags);
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned flags);
cudaError_t cudaFreeHost(void* p);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t s);
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t s);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned flags, int priority);
cudaError_t cudaStreamDestroy(cudaStream_t s);
cudaError_t cudaStreamSynchronize(cudaStream_t s);
cudaError_t cudaStreamQuery(cudaStream_t s);
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t e);
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s);
cudaError_t cudaEventSynchronize(cudaEvent_t e);
cudaError_t cudaEventQuery(cudaEvent_t e);
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to);

// A launch as a node has it. Capture keeps copies, fills and launches; waiting is an error then.
cudaError_t cudaLaunchKernelNode(const cudaKernelNodeParams& node, cudaStream_t s);
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* graph);
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t s, cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** nodes, void* edges, size_t* count);
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags);
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* params);
cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t exec, cudaGraphNode_t node, void* to,
                                               const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
