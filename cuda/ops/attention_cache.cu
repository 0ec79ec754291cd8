// Attention to a cache (cpp/ops/attention_cache.cpp). How many positions are filled is read on the
// device, so that the same launches do for every token: blocks beyond what is filled end at once.
// A cache that overflows reports it and keeps what it holds.
// Cost: the filled part of both buffers is read once.
#include "attention.h"

#include "table.h"

namespace lamina::cuda {
namespace {

// Rows of x (N, H', T, width) to positions filled ... of the buffer (N, H', C, width).
template <class S>
__global__ void append_kernel(const AttentionRows x, const AttentionRows buffer, int64_t N,
                              int64_t H, int64_t T, int64_t width, int64_t room,
                              const int64_t* filled, Reporter report) {
  const int64_t n = *filled;
  if (n < 0 || n + T > room) {
    if (blockIdx.x == 0 && threadIdx.x == 0) report(n + T, room);
    return;
  }
  LAMINA_GRID_STRIDE(e, N * H * T * width) {
    const int64_t column = e % width, t = e / width % T, h = e / width / T % H;
    const int64_t b = e / width / T / H;
    rows_at<S>(buffer, b, h)[(n + t) * buffer.row + column] =
        rows_at<const S>(x, b, h)[t * x.row + column];
  }
}
__global__ void grow_kernel(int64_t* filled, int64_t T, int64_t room) {
  if (*filled + T <= room) *filled += T;
}

template <class S>
void attend(const DeviceCall& c) {
  const Operand &q = c.in[0], &keys = c.in[3], &values = c.in[4], &y = c.out[0];
  const int64_t T = q.shape[2], room = keys.shape[2];
  int64_t* const filled = static_cast<int64_t*>(c.in[5].data);
  const Reporter report = reporter(c, kValue,
                                   "%lld positions do not fit a cache of capacity %lld; make it "
                                   "larger, or crop() or reset() it");
  for (int i = 0; i < 2; ++i) {
    const Operand &x = c.in[1 + i], &to = c.in[3 + i];
    const int64_t n = x.numel();
    if (n)
      launch(c, append_kernel<S>, dim3(blocks_for(n)), dim3(kBlock), 0, rows_of(x), rows_of(to),
             x.shape[0], x.shape[1], T, x.shape[3], room, static_cast<const int64_t*>(filled),
             report);
  }
  if (y.numel()) {
    AttentionPack k = attention_pack<S>(q, keys, values);
    k.scale = static_cast<const AttentionCacheArgs*>(c.args)->scale;
    k.causal = true;
    k.filled = filled;
    k.y = rows_of(y);  // stored (N, T, H, E)
    k.y.head = y.strides[2];
    k.y.row = y.strides[1];
    attention_forward<S>(c, k);
  }
  launch(c, grow_kernel, dim3(1), dim3(1), 0, filled, T, room);
}
void attend_cached(const DeviceCall& c) {
  c.in[0].dtype == DType::float64 ? attend<double>(c) : attend<float>(c);
}

const Launches kLaunches{{"attend_cached", attend_cached}};

}  // namespace
}  // namespace lamina::cuda
