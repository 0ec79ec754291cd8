// Loss scaling: every gradient times inv_scale, with a flag for what is not finite, in one launch
// over all tensors; and the update of the scale by one thread. A block takes kSpan elements of one
// gradient, found in a table that is copied before. Cost: one read and one write of the gradients.
#include <vector>

#include "launch.h"
#include "number.h"
#include "ops/loss_scale_args.h"
#include "table.h"

namespace lamina::cuda {
namespace {

constexpr int64_t kSpan = 4096;  // elements of a block

struct Piece {
  void* g;
  int64_t n, first_block;
};

__device__ float number(float x) { return x; }
__device__ double number(double x) { return x; }
__device__ float number(Half x) { return widen(x); }
__device__ float number(Brain x) { return widen(x); }
__device__ void put(float* p, float x) { *p = x; }
__device__ void put(double* p, double x) { *p = x; }
__device__ void put(Half* p, float x) { *p = narrow_half(x); }
__device__ void put(Brain* p, float x) { *p = narrow_brain(x); }

// E: as stored; T: as computed.
template <class E, class T>
__global__ void unscale_kernel(const Piece* pieces, int count, float* found, const float* inv) {
  int lo = 0, hi = count;  // the last piece that starts at or before this block
  while (hi - lo > 1) {
    const int mid = (lo + hi) / 2;
    (pieces[mid].first_block <= int64_t(blockIdx.x) ? lo : hi) = mid;
  }
  const Piece& piece = pieces[lo];
  const int64_t begin = (int64_t(blockIdx.x) - piece.first_block) * kSpan;
  const int64_t end = begin + kSpan < piece.n ? begin + kSpan : piece.n;
  E* const g = static_cast<E*>(piece.g);
  const T factor = T(*inv);
  bool bad = false;
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const T x = number(g[i]);
    bad |= !(x - x == T(0));
    put(g + i, x * factor);
  }
  if (bad) atomicExch(found, 1.0f);  // many threads may
}

template <class E, class T>
void run(const DeviceCall& c, DType dtype) {
  std::vector<Piece> pieces;
  int64_t blocks = 0;
  for (int i = 1; i + 1 < c.inputs; ++i) {
    if (c.in[i].dtype != dtype || !c.in[i].numel()) continue;
    pieces.push_back({c.in[i].data, c.in[i].numel(), blocks});
    blocks += (c.in[i].numel() + kSpan - 1) / kSpan;
  }
  if (pieces.empty()) return;
  const size_t bytes = pieces.size() * sizeof(Piece);
  const Scratch table(c.device, bytes);
  upload(c, table.as<void>(), pieces.data(), bytes);
  launch(c, unscale_kernel<E, T>, dim3(unsigned(blocks)), dim3(kBlock), 0,
         static_cast<const Piece*>(table.as<Piece>()), int(pieces.size()),
         static_cast<float*>(c.in[0].data), static_cast<const float*>(c.in[c.inputs - 1].data));
}
void unscale(const DeviceCall& c) {
  run<float, float>(c, DType::float32);
  run<double, double>(c, DType::float64);
  run<Half, float>(c, DType::float16);
  run<Brain, float>(c, DType::bfloat16);
}

__global__ void update_kernel(float* scale, int32_t* tracker, const float* found, ScaleArgs a) {
  if (*found != 0) {
    *scale = float(double(*scale) * a.backoff);
    *tracker = 0;
  } else if (++*tracker == a.interval) {
    const float grown = float(double(*scale) * a.growth);
    if (grown - grown == 0) *scale = grown;
    *tracker = 0;
  }
}
void update(const DeviceCall& c) {
  launch(c, update_kernel, dim3(1), dim3(1), 0, static_cast<float*>(c.in[0].data),
         static_cast<int32_t*>(c.in[1].data), static_cast<const float*>(c.in[2].data),
         *static_cast<const ScaleArgs*>(c.args));
}

const Launches kLaunches{{"unscale_", unscale}, {"update_scale_", update}};

}  // namespace
}  // namespace lamina::cuda
