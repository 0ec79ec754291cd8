// softmax, log-softmax, their gradients and log-sum-exp along one dimension of (P, N, S).
//
// S = 1: a warp (a block where N is large) for each row; else a thread for each column, so that
// neighbours read neighbours. Three reads (the later ones from the cache), one write; the largest
// element is subtracted first, sums are formed in the element type in a fixed order.
#include "ops/softmax_args.h"

#include "reduce.h"
#include "table.h"

namespace lamina::cuda {
namespace {

struct RowsPack {
  const void *x, *g;  // of a gradient x is the forward result
  void* y;
  int64_t rows, N, S;
};

template <int kind, class S, int G>
__global__ void softmax_kernel(const RowsPack k) {
  using namespace on_device;
  __shared__ S room[kBlock / 32];
  const int lane = int(threadIdx.x) % G, per_block = kBlock / G;
  const int64_t groups = (k.rows + per_block - 1) / per_block;
  for (int64_t b = blockIdx.x; b < groups; b += gridDim.x) {
    const int64_t row = b * per_block + int(threadIdx.x) / G;
    const bool here = row < k.rows;
    const int64_t n = here ? k.N : 0, at = row / k.S * k.N * k.S + row % k.S;
    const S* const x = static_cast<const S*>(k.x) + at;
    const S* const g = static_cast<const S*>(k.g) + at;
    S* const y = static_cast<S*>(k.y) + at;
    if constexpr (kind == kSoftmaxGrad || kind == kLogSoftmaxGrad) {
      S s = 0;
      for (int64_t i = lane; i < n; i += G)
        s += kind == kSoftmaxGrad ? g[i * k.S] * x[i * k.S] : g[i * k.S];
      s = group_all<G>(s, Add{}, room);
      for (int64_t i = lane; i < n; i += G)
        y[i * k.S] =
            kind == kSoftmaxGrad ? x[i * k.S] * (g[i * k.S] - s) : g[i * k.S] - exp(x[i * k.S]) * s;
    } else {
      S m = S(-HUGE_VAL), s = 0;
      for (int64_t i = lane; i < n; i += G) m = Most{}(x[i * k.S], m);
      m = group_all<G>(m, Most{}, room);
      const bool sums = kind == kLogSumExpValue;  // of which an infinite largest is the result
      const S from = sums && (m - m) != 0 ? S(0) : m;
      for (int64_t i = lane; i < n; i += G) s += exp(x[i * k.S] - from);
      s = group_all<G>(s, Add{}, room);
      if constexpr (kind == kLogSumExpValue) {
        if (lane == 0 && here) static_cast<S*>(k.y)[row] = (m - m) != 0 ? m : m + log(s);
      } else {
        const S scale = 1 / s, shift = log(s);
        for (int64_t i = lane; i < n; i += G)
          y[i * k.S] = kind == kSoftmaxValue ? exp(x[i * k.S] - m) * scale : x[i * k.S] - m - shift;
      }
    }
    __syncthreads();
  }
}

template <int kind, class S>
void launch_rows(const DeviceCall& c, const RowsPack& k) {
  const int G = k.S > 1 ? 1 : k.N > 2048 ? kBlock : 32;
  const auto kernel = G == 1    ? softmax_kernel<kind, S, 1>
                      : G == 32 ? softmax_kernel<kind, S, 32>
                                : softmax_kernel<kind, S, kBlock>;
  launch(c, kernel, dim3(blocks_for(k.rows, kBlock / G)), dim3(kBlock), 0, k);
}
template <int kind>
void softmax(const DeviceCall& c) {
  const int dim = static_cast<const SoftmaxOpArgs*>(c.args)->dim;
  const Operand& x = c.in[0];
  const bool gradient = kind == kSoftmaxGrad || kind == kLogSoftmaxGrad;
  RowsPack k{c.in[gradient ? 1 : 0].data, x.data, c.out[0].data, 1, x.shape[dim], 1};
  for (int d = 0; d < x.nd; ++d) {
    if (d != dim) k.rows *= x.shape[d];
    if (d > dim) k.S *= x.shape[d];
  }
  if (c.out[0].numel() == 0) return;
  if (x.dtype == DType::float64)
    launch_rows<kind, double>(c, k);
  else
    launch_rows<kind, float>(c, k);
}

const Launches kLaunches{{"softmax", softmax<kSoftmaxValue>},
                         {"log_softmax", softmax<kLogSoftmaxValue>},
                         {"softmax_grad", softmax<kSoftmaxGrad>},
                         {"log_softmax_grad", softmax<kLogSoftmaxGrad>},
                         {"logsumexp", softmax<kLogSumExpValue>}};

}  // namespace
}  // namespace lamina::cuda
