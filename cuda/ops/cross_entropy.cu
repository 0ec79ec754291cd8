// Cross-entropy of scores x (P, N, S) against classes t (P, S), and its gradient: the formulas of
// cpp/ops/softmax_loss.cpp. Each reads x once (twice for label smoothing, the second time from the
// cache): a warp, or a block where N is large, for each row (S = 1), 16 bytes a thread at a time
// where rows are aligned; else a thread for each column. The rows' losses are added by one block in
// a fixed order. A class out of range gives NaN and is reported. float16 and bfloat16 scores are
// computed with in float32; weights and what is kept for the gradient are float32 beside them.
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

template <class T, int G, int V>
__global__ void __launch_bounds__(kBlock)
    loss_kernel(const LossPack k, bool write_each, Reporter report) {
  using namespace on_device;
  using S = ComputeOf<T>;
  __shared__ S room[kBlock / 32];
  const int lane = int(threadIdx.x) % G, per_block = kBlock / G;
  for (int64_t b = blockIdx.x; b * per_block < k.R; b += gridDim.x) {
    const int64_t r = b * per_block + int(threadIdx.x) / G;
    const bool here = r < k.R;
    const int64_t n = here ? k.N : 0, t = here ? k.target[r] : 0;
    const T* const x = static_cast<const T*>(k.x) + r / k.S * k.N * k.S + r % k.S;
    OnlineSum<T> sum;
    for (int64_t i = int64_t(lane) * V; i < n; i += G * V) {
      S v[V];
      load_vector<T, V>(v, x + i * k.S);
      sum.take(v);
    }
    const S m = group_all<G>(sum.m, Most{}, room);
    __syncthreads();
    const S s = group_all<G>(sum.scaled_to(m), Add{}, room);
    S u = 0;
    if (k.smoothing > 0) {
      for (int64_t i = lane; i < n; i += G) u += (m - widen(x[i * k.S])) * weight_of<S>(k, i);
      __syncthreads();
      u = group_all<G>(u, Add{}, room);
    }
    if (lane == 0 && here) {
      const bool ignored = t == k.ignore, fits = t >= 0 && t < k.N;
      if (!ignored && !fits) report(t, k.N);
      S y = 0;
      if (!ignored && fits) {
        const S e = S(k.smoothing), lse = log(s);
        y = (1 - e) * weight_of<S>(k, t) * (lse + (m - widen(x[t * k.S])));
        if (e > 0) y += e / S(k.N) * (u + lse * S(*k.weights));
      } else if (!ignored) {
        y = S(nan(""));
      }
      if (write_each)
        static_cast<T*>(k.loss)[r] = narrow<T>(y);
      else
        static_cast<S*>(k.loss)[r] = y;
      static_cast<S*>(k.stats)[r] = m;
      static_cast<S*>(k.stats)[k.R + r] = 1 / s;
    }
    __syncthreads();
  }
}

// total = the sum of the rows' weights; loss = the sum of their losses, divided where asked.
template <class T>
__global__ void total_kernel(const LossPack k, T* loss, ComputeOf<T>* total) {
  using S = ComputeOf<T>;
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
  if (loss) *loss = narrow<T>(S(k.reduction == kMeanLoss ? sum / weight : sum));
}

// What the gradient of a row's elements is made of: gx = p exp(x - m) - each w - [c = t] hit.
template <class T>
struct RowSlope {
  using S = ComputeOf<T>;
  S p, m, each, hit;
  int64_t t;
  bool counts;
  __device__ static RowSlope of(const LossPack& k, int64_t r) {
    const int64_t t = k.target[r];
    double g = double(widen(static_cast<const T*>(k.g)[k.reduction == kNone ? r : 0]));
    if (k.reduction == kMeanLoss) g /= double(*static_cast<const S*>(k.total));
    const double e = k.smoothing, each = g * e / double(k.N);
    const bool fits = t >= 0 && t < k.N;
    const double hit = fits ? g * (1 - e) * double(weight_of<S>(k, t)) : nan("");
    const S* const stats = static_cast<const S*>(k.stats);
    return {S((hit + each * *k.weights) * double(stats[k.R + r])),
            stats[r],
            S(each),
            S(hit),
            t,
            t != k.ignore};
  }
  __device__ S operator()(const LossPack& k, int64_t c, S x) const {
    if (!counts) return 0;
    S gx = p * exp_of<T>(x - m);
    if (k.smoothing > 0) gx -= each * weight_of<S>(k, c);
    return c == t ? gx - hit : gx;
  }
};

template <class T, int G, int V>
__global__ void __launch_bounds__(kBlock) row_grad_kernel(const LossPack k) {  // S = 1
  using S = ComputeOf<T>;
  const int lane = int(threadIdx.x) % G, per_block = kBlock / G;
  for (int64_t r = blockIdx.x * int64_t(per_block) + int(threadIdx.x) / G; r < k.R;
       r += int64_t(gridDim.x) * per_block) {
    const auto slope = RowSlope<T>::of(k, r);
    for (int64_t i = int64_t(lane) * V; i < k.N; i += G * V) {
      S v[V];
      load_vector<T, V>(v, static_cast<const T*>(k.x) + r * k.N + i);
#pragma unroll
      for (int e = 0; e < V; ++e) v[e] = slope(k, i + e, v[e]);
      store_vector<T, V>(static_cast<T*>(k.gx) + r * k.N + i, v);
    }
  }
}
template <class T>
__global__ void loss_grad_kernel(const LossPack k) {
  LAMINA_GRID_STRIDE(i, k.R * k.N) {  // the elements of x in order
    const int64_t c = i / k.S % k.N, r = i / (k.S * k.N) * k.S + i % k.S;
    static_cast<T*>(k.gx)[i] =
        narrow<T>(RowSlope<T>::of(k, r)(k, c, widen(static_cast<const T*>(k.x)[i])));
  }
}

// Whether rows can be moved 16 bytes at a time.
template <class T>
bool in_vectors(const LossPack& k) {
  const auto whole = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  return k.S == 1 && k.N % kVector<T> == 0 && whole(k.x) && whole(k.gx);
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

template <class T>
void loss_of(const DeviceCall& c) {
  using S = ComputeOf<T>;
  LossPack k = pack(c, c.in[0], c.in[1], c.in[2], c.out[1]);
  const bool each = k.reduction == kNone;
  const Scratch losses(c.device, each ? 0 : size_t(k.R) * sizeof(S)), sum(c.device, sizeof(double));
  k.loss = each ? c.out[0].data : losses.as<void>();
  k.weights = sum.as<double>();
  launch(c, weights_kernel<S>, dim3(1), dim3(kBlock), 0, static_cast<const S*>(k.weight), k.N,
         sum.as<double>());
  if (k.R) {
    constexpr int V = kVector<T>;
    const bool vectors = in_vectors<T>(k), wide = k.N > 1024;
    const auto kernel = k.S > 1   ? loss_kernel<T, 1, 1>
                        : vectors ? wide ? loss_kernel<T, kBlock, V> : loss_kernel<T, 32, V>
                        : wide ? loss_kernel<T, kBlock, 1>
                                  : loss_kernel<T, 32, 1>;
    const int rows = k.S > 1 ? kBlock : wide ? 1 : kBlock / 32;
    launch(c, kernel, dim3(blocks_for(k.R, rows)), dim3(kBlock), 0, k, each,
           reporter(c, kIndex,
                    "target %lld is out of range for %lld classes; targets must be from 0 "
                    "to one less, or ignore_index"));
  }
  launch(c, total_kernel<T>, dim3(1), dim3(kBlock), 0, k,
         each ? nullptr : static_cast<T*>(c.out[0].data), static_cast<S*>(c.out[2].data));
}
template <class T>
void loss_grad_of(const DeviceCall& c) {  // g, x, target, weight, stats, total
  using S = ComputeOf<T>;
  LossPack k = pack(c, c.in[1], c.in[2], c.in[3], c.in[4]);
  if (k.R * k.N == 0) return;
  k.g = c.in[0].data;
  k.total = c.in[5].data;
  k.gx = c.out[0].data;
  const Scratch sum(c.device, sizeof(double));
  k.weights = sum.as<double>();
  launch(c, weights_kernel<S>, dim3(1), dim3(kBlock), 0, static_cast<const S*>(k.weight), k.N,
         sum.as<double>());
  constexpr int V = kVector<T>;
  const bool wide = k.N > 1024;
  if (!in_vectors<T>(k))
    launch(c, loss_grad_kernel<T>, dim3(blocks_for(k.R * k.N)), dim3(kBlock), 0, k);
  else
    launch(c, wide ? row_grad_kernel<T, kBlock, V> : row_grad_kernel<T, 32, V>,
           dim3(blocks_for(k.R, wide ? 1 : kBlock / 32)), dim3(kBlock), 0, k);
}

void loss(const DeviceCall& c) { LAMINA_BY_FLOATING(c.in[0].dtype, loss_of)(c); }
void loss_grad(const DeviceCall& c) { LAMINA_BY_FLOATING(c.in[1].dtype, loss_grad_of)(c); }

const Launches kLaunches{{"cross_entropy", loss, false, true},
                         {"cross_entropy_grad", loss_grad, false, true}};

}  // namespace
}  // namespace lamina::cuda
