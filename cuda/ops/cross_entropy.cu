// Cross-entropy of scores x (P, N, S) against classes t (P, S), and its gradient: the formulas of
// cpp/ops/softmax_loss.cpp, one pass each. A warp for each row (S = 1), else a thread for each
// column. The rows' losses are added by one block in a fixed order. A class out of range gives NaN
// and is reported.
#include "ops/softmax_args.h"

#include "reduce.h"
#include "table.h"

namespace lamina::cuda {
namespace {

struct LossPack {
  const void* x;
  const int64_t* target;
  const void* weight;     // or null
  void *loss, *stats;     // (R), (2, R)
  const double* weights;  // the sum of weight
  const void *g, *total;
  void* gx;
  int64_t N, S, R, ignore;
  double smoothing;
  int reduction;
};

template <class S>
__device__ S weight_of(const LossPack& k, int64_t c) {
  return k.weight ? static_cast<const S*>(k.weight)[c] : S(1);
}

template <class S>
__global__ void weights_kernel(const S* weight, int64_t n, double* sum) {
  __shared__ double room[kBlock / 32];
  double s = 0;
  for (int64_t i = threadIdx.x; i < n; i += kBlock) s += weight ? double(weight[i]) : 1.0;
  s = group_all<kBlock>(s, Add{}, room);
  if (threadIdx.x == 0) *sum = s;
}

template <class S, int G>
__global__ void loss_kernel(const LossPack k, Reporter report) {
  using namespace on_device;
  __shared__ S room[kBlock / 32];
  const int lane = int(threadIdx.x) % G, per_block = kBlock / G;
  for (int64_t b = blockIdx.x; b * per_block < k.R; b += gridDim.x) {
    const int64_t r = b * per_block + int(threadIdx.x) / G;
    const bool here = r < k.R;
    const int64_t n = here ? k.N : 0, t = here ? k.target[r] : 0;
    const S* const x = static_cast<const S*>(k.x) + r / k.S * k.N * k.S + r % k.S;
    S m = S(-HUGE_VAL), s = 0, u = 0;
    for (int64_t i = lane; i < n; i += G) m = Most{}(x[i * k.S], m);
    m = group_all<G>(m, Most{}, room);
    for (int64_t i = lane; i < n; i += G) s += exp(x[i * k.S] - m);
    s = group_all<G>(s, Add{}, room);
    if (k.smoothing > 0)
      for (int64_t i = lane; i < n; i += G) u += (m - x[i * k.S]) * weight_of<S>(k, i);
    u = group_all<G>(u, Add{}, room);
    if (lane == 0 && here) {
      const bool ignored = t == k.ignore, fits = t >= 0 && t < k.N;
      if (!ignored && !fits) report(t, k.N);
      S y = 0;
      if (!ignored && fits) {
        const S e = S(k.smoothing), lse = log(s);
        y = (1 - e) * weight_of<S>(k, t) * (lse + (m - x[t * k.S]));
        if (e > 0) y += e / S(k.N) * (u + lse * S(*k.weights));
      } else if (!ignored) {
        y = S(nan(""));
      }
      static_cast<S*>(k.loss)[r] = y;
      static_cast<S*>(k.stats)[r] = m;
      static_cast<S*>(k.stats)[k.R + r] = 1 / s;
    }
    __syncthreads();
  }
}

// total = the sum of the rows' weights; loss = the sum of their losses, divided where asked.
template <class S>
__global__ void total_kernel(const LossPack k, S* loss, S* total) {
  __shared__ double room[kBlock / 32];
  double weight = 0, sum = 0;
  for (int64_t r = threadIdx.x; r < k.R; r += kBlock) {
    const int64_t t = k.target[r];
    if (t != k.ignore && t >= 0 && t < k.N) weight += double(weight_of<S>(k, t));
    if (loss) sum += double(static_cast<const S*>(k.loss)[r]);
  }
  weight = group_all<kBlock>(weight, Add{}, room);
  sum = group_all<kBlock>(sum, Add{}, room);
  if (threadIdx.x) return;
  *total = S(weight);
  if (loss) *loss = S(k.reduction == kMeanLoss ? sum / weight : sum);
}

template <class S>
__global__ void loss_grad_kernel(const LossPack k) {
  using namespace on_device;
  LAMINA_GRID_STRIDE(i, k.R * k.N) {  // the elements of x in order
    const int64_t c = i / k.S % k.N, r = i / (k.S * k.N) * k.S + i % k.S, t = k.target[r];
    S gx = 0;
    if (t != k.ignore) {
      double g = double(static_cast<const S*>(k.g)[k.reduction == kNone ? r : 0]);
      if (k.reduction == kMeanLoss) g /= double(*static_cast<const S*>(k.total));
      const double e = k.smoothing, each = g * e / double(k.N);
      const double hit = t >= 0 && t < k.N ? g * (1 - e) * double(weight_of<S>(k, t)) : nan("");
      const S* const stats = static_cast<const S*>(k.stats);
      const S p = S((hit + each * *k.weights) * double(stats[k.R + r]));
      gx = p * exp(static_cast<const S*>(k.x)[i] - stats[r]);
      if (e > 0) gx -= S(each) * weight_of<S>(k, c);
      if (c == t) gx -= S(hit);
    }
    static_cast<S*>(k.gx)[i] = gx;
  }
}

LossPack pack(const DeviceCall& c, const Operand& x, const Operand& target, const Operand& weight,
              const Operand& stats) {
  const auto& a = *static_cast<const LossArgs*>(c.args);
  LossPack k{};
  k.x = x.data;
  k.target = static_cast<const int64_t*>(target.data);
  k.weight = weight.data;
  k.stats = stats.data;
  k.N = x.shape[1];
  k.R = target.numel();
  k.S = 1;
  for (int d = 2; d < x.nd; ++d) k.S *= x.shape[d];
  k.ignore = a.ignore;
  k.smoothing = a.smoothing;
  k.reduction = a.reduction;
  return k;
}

template <class S>
void loss_of(const DeviceCall& c) {
  LossPack k = pack(c, c.in[0], c.in[1], c.in[2], c.out[1]);
  const bool each = k.reduction == kNone;
  const Scratch losses(c.device, each ? 0 : size_t(k.R) * sizeof(S)), sum(c.device, sizeof(double));
  k.loss = each ? c.out[0].data : losses.as<void>();
  k.weights = sum.as<double>();
  launch(c, weights_kernel<S>, dim3(1), dim3(kBlock), 0, static_cast<const S*>(k.weight), k.N,
         sum.as<double>());
  if (k.R) {
    const auto kernel = k.S > 1 ? loss_kernel<S, 1> : loss_kernel<S, 32>;
    launch(c, kernel, dim3(blocks_for(k.R, k.S > 1 ? kBlock : kBlock / 32)), dim3(kBlock), 0, k,
           reporter(c, kIndex,
                    "target %lld is out of range for %lld classes; targets must be from 0 "
                    "to one less, or ignore_index"));
  }
  launch(c, total_kernel<S>, dim3(1), dim3(kBlock), 0, k,
         each ? nullptr : static_cast<S*>(c.out[0].data), static_cast<S*>(c.out[2].data));
}
template <class S>
void loss_grad_of(const DeviceCall& c) {  // g, x, target, weight, stats, total
  LossPack k = pack(c, c.in[1], c.in[2], c.in[3], c.in[4]);
  if (k.R * k.N == 0) return;
  k.g = c.in[0].data;
  k.total = c.in[5].data;
  k.gx = c.out[0].data;
  const Scratch sum(c.device, sizeof(double));
  k.weights = sum.as<double>();
  launch(c, weights_kernel<S>, dim3(1), dim3(kBlock), 0, static_cast<const S*>(k.weight), k.N,
         sum.as<double>());
  launch(c, loss_grad_kernel<S>, dim3(blocks_for(k.R * k.N)), dim3(kBlock), 0, k);
}

void loss(const DeviceCall& c) {
  c.in[0].dtype == DType::float64 ? loss_of<double>(c) : loss_of<float>(c);
}
void loss_grad(const DeviceCall& c) {
  c.in[1].dtype == DType::float64 ? loss_grad_of<double>(c) : loss_grad_of<float>(c);
}

const Launches kLaunches{{"cross_entropy", loss}, {"cross_entropy_grad", loss_grad}};

}  // namespace
}  // namespace lamina::cuda
