// Batch normalisation and its gradient (formulas: cpp/ops/norm.cpp) of x (N, C, S).
//
// Three launches: sums of each channel over pieces of the samples (many blocks a channel, the
// number by size only), their joining in order, and the elements' own kernel. A channel's values
// are taken less its first one, so that sums of squares lose nothing to a large mean; sums are
// double. 16 bytes a thread at a time where S allows; with S = 1 neighbouring threads take
// neighbouring channels. Cost: two reads of each input, one write.
#include "ops/norm_args.h"

#include "reduce.h"
#include "table.h"

namespace lamina::cuda {
namespace {

struct BatchPack {
  const void *x, *g, *weight, *bias;
  const void *mean, *rstd;  // of a gradient; with given statistics mean and variance
  void *y, *kept_mean, *kept_rstd, *running_mean, *running_var, *gweight, *gbias;
  int64_t N, C, S, each, pieces;  // samples of a piece
  double eps, momentum;
  bool training;
  double* sums;  // (2, pieces, C)
  double* line;  // (3, C): y = (x - line0 - line1) line2 + bias; gx = line0 g - line1 - line2 h
};

template <class S>
__device__ S value_at(const void* p, int64_t i, S otherwise) {
  return p ? static_cast<const S*>(p)[i] : otherwise;
}

// A channel's two sums from V elements of x (and g): of x - first and its square, or of g and g h.
template <class T, bool gradient>
struct ChannelSums {
  using S = ComputeOf<T>;
  S from, scale;
  double a = 0, b = 0;
  __device__ ChannelSums(const BatchPack& k, int64_t c)
      : from(gradient ? value_at(k.mean, c, S(0)) : widen(static_cast<const T*>(k.x)[c * k.S])),
        scale(gradient ? value_at(k.rstd, c, S(1)) : S(1)) {}
  template <int V>
  __device__ void take(const BatchPack& k, int64_t at) {
    S x[V], g[V], u = 0, w = 0;
    load_vector<T, V>(x, static_cast<const T*>(k.x) + at);
    if constexpr (gradient) load_vector<T, V>(g, static_cast<const T*>(k.g) + at);
#pragma unroll
    for (int e = 0; e < V; ++e) {
      const S d = (x[e] - from) * scale;
      u += gradient ? g[e] : d;
      w += gradient ? g[e] * d : d * d;
    }
    a += double(u);
    b += double(w);
  }
};

template <class T, bool gradient, int V>
__global__ void __launch_bounds__(kBlock) planes_kernel(const BatchPack k) {
  __shared__ double room[kBlock / 32];
  const int64_t c = blockIdx.x, begin = blockIdx.y * k.each;
  const int64_t end = begin + k.each < k.N ? begin + k.each : k.N, line = k.S / V;
  ChannelSums<T, gradient> sums(k, c);
  if (line >= kBlock) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t s = threadIdx.x; s < line; s += kBlock)
        sums.template take<V>(k, (n * k.C + c) * k.S + s * V);
  } else {
    const int width = int(line), samples = int(end - begin);
    for (int i = int(threadIdx.x); i < samples * width; i += kBlock)
      sums.template take<V>(k, ((begin + i / width) * k.C + c) * k.S + i % width * V);
  }
  const double a = group_all<kBlock>(sums.a, Add{}, room);
  __syncthreads();
  const double b = group_all<kBlock>(sums.b, Add{}, room);
  if (threadIdx.x) return;
  k.sums[blockIdx.y * k.C + c] = a;
  k.sums[(k.pieces + blockIdx.y) * k.C + c] = b;
}

template <class T, bool gradient>
__global__ void columns_kernel(const BatchPack k) {  // S = 1: 32 channels x 8 samples
  __shared__ double room[2][8][33];
  const int64_t c = int64_t(blockIdx.x) * 32 + threadIdx.x, begin = blockIdx.y * k.each;
  const int64_t end = begin + k.each < k.N ? begin + k.each : k.N;
  ChannelSums<T, gradient> sums(k, c < k.C ? c : 0);
  if (c < k.C)
    for (int64_t n = begin + threadIdx.y; n < end; n += 8) sums.template take<1>(k, n * k.C + c);
  room[0][threadIdx.y][threadIdx.x] = sums.a;
  room[1][threadIdx.y][threadIdx.x] = sums.b;
  __syncthreads();
  if (threadIdx.y || c >= k.C) return;
  for (int r = 1; r < 8; ++r) {
    sums.a += room[0][r][threadIdx.x];
    sums.b += room[1][r][threadIdx.x];
  }
  k.sums[blockIdx.y * k.C + c] = sums.a;
  k.sums[(k.pieces + blockIdx.y) * k.C + c] = sums.b;
}

template <class T, bool gradient>
__global__ void join_channels_kernel(const BatchPack k) {
  using S = ComputeOf<T>;
  LAMINA_GRID_STRIDE(c, k.C) {
    double a = 0, b = 0;
    for (int64_t p = 0; p < k.pieces; ++p) {
      a += k.sums[p * k.C + c];
      b += k.sums[(k.pieces + p) * k.C + c];
    }
    const double n = double(k.N * k.S), weight = double(value_at(k.weight, c, S(1)));
    if constexpr (gradient) {
      if (k.gweight) static_cast<S*>(k.gweight)[c] = S(b);
      if (k.gbias) static_cast<S*>(k.gbias)[c] = S(a);
      const double scale = weight * double(value_at(k.rstd, c, S(1)));
      k.line[c] = scale;
      k.line[k.C + c] = k.training ? scale * a / n : 0;
      k.line[2 * k.C + c] = k.training ? scale * b / n : 0;
    } else {
      double mean, var;
      if (k.mean) {
        mean = double(static_cast<const S*>(k.mean)[c]);
        var = double(static_cast<const S*>(k.rstd)[c]);
      } else {
        const double shift = a / n;
        mean = double(widen(static_cast<const T*>(k.x)[c * k.S])) + shift;
        var = (b - a * shift) / n;
        if (var < 0) var = 0;
        static_cast<S*>(k.kept_mean)[c] = S(mean);
        static_cast<S*>(k.kept_rstd)[c] = S(1 / ::sqrt(var + k.eps));
      }
      if (k.running_mean) {
        S &m = static_cast<S*>(k.running_mean)[c], &v = static_cast<S*>(k.running_var)[c];
        m = S((1 - k.momentum) * double(m) + k.momentum * mean);
        v = S((1 - k.momentum) * double(v) + k.momentum * (var * n / (n - 1)));
      }
      k.line[c] = double(S(mean));
      k.line[k.C + c] = mean - double(S(mean));
      k.line[2 * k.C + c] = weight / ::sqrt(var + k.eps);
    }
  }
}

template <class T, bool gradient, int V>
__global__ void elements_kernel(const BatchPack k, bool short_index) {
  using S = ComputeOf<T>;
  LAMINA_GRID_STRIDE(i, k.N * k.C * k.S / V) {
    const int64_t at = i * V;
    const int64_t c =
        short_index ? int64_t(unsigned(at) / unsigned(k.S) % unsigned(k.C)) : at / k.S % k.C;
    const S p = S(k.line[c]), q = S(k.line[k.C + c]), r = S(k.line[2 * k.C + c]);
    S x[V], g[V];
    load_vector<T, V>(x, static_cast<const T*>(k.x) + at);
    if constexpr (gradient) {
      const S mean = value_at(k.mean, c, S(0)), rstd = value_at(k.rstd, c, S(1));
      load_vector<T, V>(g, static_cast<const T*>(k.g) + at);
#pragma unroll
      for (int e = 0; e < V; ++e) g[e] = p * g[e] - q - r * ((x[e] - mean) * rstd);
      store_vector<T, V>(static_cast<T*>(k.y) + at, g);
    } else {
      const S bias = value_at(k.bias, c, S(0));
#pragma unroll
      for (int e = 0; e < V; ++e) x[e] = ((x[e] - p) - q) * r + bias;
      store_vector<T, V>(static_cast<T*>(k.y) + at, x);
    }
  }
}

template <class T, bool gradient>
void run(const DeviceCall& c, BatchPack k) {
  constexpr int V = kVector<T>;
  const auto whole = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  const bool vectors = k.S % V == 0 && whole(k.x) && whole(k.g) && whole(k.y);
  const int64_t all = k.N * k.C * k.S, across = k.S == 1 ? (k.C + 31) / 32 : k.C;
  int64_t pieces = (1024 + across - 1) / across;  // by size: 4,096 elements of a channel each
  const int64_t most = (k.N * k.S + 4095) / 4096;
  if (pieces > most) pieces = most;
  if (pieces > k.N) pieces = k.N;
  k.each = (k.N + pieces - 1) / pieces;
  k.pieces = (k.N + k.each - 1) / k.each;
  const bool given = !gradient && k.mean;
  if (given) k.pieces = 0;
  const Scratch room(c.device, size_t((2 * k.pieces + 3) * k.C) * sizeof(double));
  k.sums = room.as<double>();
  k.line = k.sums + 2 * k.pieces * k.C;
  const dim3 grid(unsigned(across), unsigned(k.pieces));
  if (given) {
  } else if (k.S == 1) {
    launch(c, columns_kernel<T, gradient>, grid, dim3(32, 8), 0, k);
  } else {
    launch(c, vectors ? planes_kernel<T, gradient, V> : planes_kernel<T, gradient, 1>, grid,
           dim3(kBlock), 0, k);
  }
  launch(c, join_channels_kernel<T, gradient>, dim3(blocks_for(k.C)), dim3(kBlock), 0, k);
  if (k.y)
    launch(c, vectors ? elements_kernel<T, gradient, V> : elements_kernel<T, gradient, 1>,
           dim3(blocks_for(vectors ? all / V : all)), dim3(kBlock), 0, k, all <= INT32_MAX);
}

BatchPack pack(const DeviceCall& c, const Operand& x) {
  const auto& a = *static_cast<const BatchNormOpArgs*>(c.args);
  BatchPack k{};
  k.x = x.data;
  k.N = x.shape[0];
  k.C = x.shape[1];
  k.S = 1;
  for (int d = 2; d < x.nd; ++d) k.S *= x.shape[d];
  k.eps = a.eps;
  k.momentum = a.momentum;
  k.training = a.training;
  return k;
}

template <class T>
void forward_of(const DeviceCall& c, const BatchPack& k) {
  run<T, false>(c, k);
}
template <class T>
void backward_of(const DeviceCall& c, const BatchPack& k) {
  run<T, true>(c, k);
}

void batch_norm(const DeviceCall& c) {
  if (c.in[0].numel() == 0) return;
  BatchPack k = pack(c, c.in[0]);
  k.weight = c.in[1].data;
  k.bias = c.in[2].data;
  k.running_mean = c.in[3].data;
  k.running_var = c.in[4].data;
  k.y = c.out[0].data;
  k.kept_mean = c.out[1].data;
  k.kept_rstd = c.out[2].data;
  LAMINA_BY_FLOATING(c.in[0].dtype, forward_of)(c, k);
}
void batch_norm_eval(const DeviceCall& c) {
  if (c.in[0].numel() == 0) return;
  BatchPack k = pack(c, c.in[0]);
  k.weight = c.in[1].data;
  k.bias = c.in[2].data;
  k.mean = c.in[3].data;
  k.rstd = c.in[4].data;  // the variance
  k.y = c.out[0].data;
  LAMINA_BY_FLOATING(c.in[0].dtype, forward_of)(c, k);
}
void batch_norm_grad(const DeviceCall& c) {  // g, x, weight, mean, rstd
  const auto& a = *static_cast<const BatchNormOpArgs*>(c.args);
  const Operand& x = c.in[1];
  if (x.numel() == 0) {
    for (int i = 0; i < c.outputs; ++i)
      if (c.out[i].numel())
        check(cudaMemsetAsync(c.out[i].data, 0,
                              size_t(c.out[i].numel()) * size_t(item_size(c.out[i].dtype)),
                              current_stream(c.device)),
              c.name);
    return;
  }
  BatchPack k = pack(c, x);
  k.g = c.in[0].data;
  k.weight = c.in[2].data;
  k.mean = c.in[3].data;
  k.rstd = c.in[4].data;
  k.y = a.gx ? c.out[0].data : nullptr;
  k.gweight = a.gweight ? c.out[1].data : nullptr;
  k.gbias = a.gbias ? c.out[2].data : nullptr;
  LAMINA_BY_FLOATING(x.dtype, backward_of)(c, k);
}

const Launches kLaunches{{"batch_norm", batch_norm, false, true},
                         {"batch_norm_eval", batch_norm_eval, false, true},
                         {"batch_norm_grad", batch_norm_grad, false, true}};

}  // namespace
}  // namespace lamina::cuda
