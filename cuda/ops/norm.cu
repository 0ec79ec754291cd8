// Batch, layer, group and RMS normalisation and their gradients (formulas: cpp/ops/*norm*.cpp).
//
// What is normalised together is a row: of batch norm the N x S elements of a channel, of the
// others a dense stretch. A block takes a row: mean and then squared deviations in double, in a
// fixed order; the row is read again from the cache. Gradients of weights are sums along the other
// index, with neighbouring columns on neighbouring threads where weights lie along the row.
#include "ops/norm_args.h"

#include "reduce.h"
#include "table.h"

namespace lamina::cuda {
namespace {

enum Layout : int { kBatch, kLayer, kGroup };

struct NormPack {
  const void *x, *weight, *bias, *g;
  void *y, *mean, *rstd, *running_mean, *running_var;
  const void *given_mean, *given_var;  // batch norm with given statistics
  void *gx, *gweight, *gbias;
  int64_t rows, length;  // what is normalised together
  int64_t channels, S;   // weights: how many; elements side by side with one weight
  double eps, momentum;
  bool centred, training;
};

template <int layout>
__device__ int64_t place(const NormPack& k, int64_t row, int64_t i) {
  if (layout == kBatch) return (i / k.S * k.channels + row) * k.S + i % k.S;
  return row * k.length + i;
}
template <int layout>
__device__ int64_t channel(const NormPack& k, int64_t row, int64_t i) {
  if (layout == kBatch) return row;
  if (layout == kLayer) return i;
  return row * (k.length / k.S) % k.channels + i / k.S;
}
template <class T>
__device__ T at(const void* p, int64_t i, T otherwise) {
  return p ? static_cast<const T*>(p)[i] : otherwise;
}

template <int layout, class T>
__global__ void norm_kernel(const NormPack k) {
  __shared__ double room[kBlock / 32];
  const T* const x = static_cast<const T*>(k.x);
  for (int64_t row = blockIdx.x; row < k.rows; row += gridDim.x) {
    double mean = 0, var = 0;
    const double n = double(k.length);
    if (k.given_mean) {
      mean = double(static_cast<const T*>(k.given_mean)[row]);
      var = double(static_cast<const T*>(k.given_var)[row]);
    } else {
      if (k.centred) {
        for (int64_t i = threadIdx.x; i < k.length; i += kBlock)
          mean += double(x[place<layout>(k, row, i)]);
        mean = group_all<kBlock>(mean, Add{}, room) / n;
      }
      for (int64_t i = threadIdx.x; i < k.length; i += kBlock) {
        const double d = double(x[place<layout>(k, row, i)]) - mean;
        var += d * d;
      }
      var = group_all<kBlock>(var, Add{}, room) / n;
    }
    const double rstd = 1 / ::sqrt(var + k.eps);
    if (threadIdx.x == 0) {
      if (k.mean) static_cast<T*>(k.mean)[row] = T(mean);
      if (k.rstd) static_cast<T*>(k.rstd)[row] = T(rstd);
      if (k.running_mean) {
        T &m = static_cast<T*>(k.running_mean)[row], &v = static_cast<T*>(k.running_var)[row];
        m = T((1 - k.momentum) * double(m) + k.momentum * mean);
        v = T((1 - k.momentum) * double(v) + k.momentum * (var * n / (n - 1)));
      }
    }
    for (int64_t i = threadIdx.x; i < k.length; i += kBlock) {
      const int64_t e = place<layout>(k, row, i), c = channel<layout>(k, row, i);
      const T h = T((double(x[e]) - mean) * rstd);
      static_cast<T*>(k.y)[e] = h * at(k.weight, c, T(1)) + at(k.bias, c, T(0));
    }
    __syncthreads();
  }
}

// gx = rstd (w g - mean(w g) - h mean(w g h)), h = (x - mean) rstd; without the means where the
// statistics were given. Of batch norm also the weights' gradients, whose sums these are.
template <int layout, class T>
__global__ void norm_grad_kernel(const NormPack k) {
  __shared__ double room[kBlock / 32];
  const T *const x = static_cast<const T*>(k.x), *const g = static_cast<const T*>(k.g);
  for (int64_t row = blockIdx.x; row < k.rows; row += gridDim.x) {
    const double mean = double(at(k.mean, row, T(0)));
    const double rstd = double(static_cast<const T*>(k.rstd)[row]), n = double(k.length);
    double sum = 0, sum_h = 0;
    for (int64_t i = threadIdx.x; i < k.length; i += kBlock) {
      const int64_t e = place<layout>(k, row, i), c = channel<layout>(k, row, i);
      const double v = double(g[e]) * (layout == kBatch ? 1 : double(at(k.weight, c, T(1))));
      sum += v;
      sum_h += v * ((double(x[e]) - mean) * rstd);
    }
    sum = group_all<kBlock>(sum, Add{}, room);
    __syncthreads();
    sum_h = group_all<kBlock>(sum_h, Add{}, room);
    if (layout == kBatch && threadIdx.x == 0) {
      if (k.gweight) static_cast<T*>(k.gweight)[row] = T(sum_h);
      if (k.gbias) static_cast<T*>(k.gbias)[row] = T(sum);
    }
    if (k.gx) {
      const double w = layout == kBatch ? double(at(k.weight, row, T(1))) : 1;
      const double shift = k.training && k.centred ? sum / n : 0,
                   slope = k.training ? sum_h / n : 0;
      for (int64_t i = threadIdx.x; i < k.length; i += kBlock) {
        const int64_t e = place<layout>(k, row, i), c = channel<layout>(k, row, i);
        const double v = double(g[e]) * (layout == kBatch ? 1 : double(at(k.weight, c, T(1))));
        const double h = (double(x[e]) - mean) * rstd;
        static_cast<T*>(k.gx)[e] = T(rstd * w * (v - shift - h * slope));
      }
    }
    __syncthreads();
  }
}

// gweight = sum g h, gbias = sum g over what shares a weight: 32 weights side by side, 8 threads
// each.
template <int layout, class T>
__global__ void weight_grad_kernel(const NormPack k) {
  __shared__ double room[2][8][33];
  const T *const x = static_cast<const T*>(k.x), *const g = static_cast<const T*>(k.g);
  const int64_t per_row = layout == kLayer ? k.channels : k.length / k.S;  // weights of a row
  const int64_t samples = layout == kLayer ? k.rows : k.rows * per_row / k.channels;
  for (int64_t first = int64_t(blockIdx.x) * 32; first < k.channels; first += gridDim.x * 32) {
    const int64_t c = first + threadIdx.x;
    double sum = 0, sum_h = 0;
    if (c < k.channels)
      for (int64_t j = threadIdx.y; j < samples * k.S; j += 8) {
        const int64_t n = j / k.S, s = j % k.S;
        const int64_t e = (n * k.channels + c) * k.S + s;
        const int64_t row = e / k.length;
        const double mean = double(at(k.mean, row, T(0)));
        sum += double(g[e]);
        sum_h +=
            double(g[e]) * ((double(x[e]) - mean) * double(static_cast<const T*>(k.rstd)[row]));
      }
    room[0][threadIdx.y][threadIdx.x] = sum;
    room[1][threadIdx.y][threadIdx.x] = sum_h;
    __syncthreads();
    if (threadIdx.y == 0 && c < k.channels) {
      for (int r = 1; r < 8; ++r) {
        sum += room[0][r][threadIdx.x];
        sum_h += room[1][r][threadIdx.x];
      }
      if (k.gweight) static_cast<T*>(k.gweight)[c] = T(sum_h);
      if (k.gbias) static_cast<T*>(k.gbias)[c] = T(sum);
    }
    __syncthreads();
  }
}

template <int layout>
void forward(const DeviceCall& c, const NormPack& k) {
  const dim3 grid(unsigned(k.rows < kMaxGrid ? k.rows : kMaxGrid));
  if (c.in[0].dtype == DType::float64)
    launch(c, norm_kernel<layout, double>, grid, dim3(kBlock), 0, k);
  else
    launch(c, norm_kernel<layout, float>, grid, dim3(kBlock), 0, k);
}
template <int layout, class T>
void backward_of(const DeviceCall& c, NormPack& k) {
  for (int i = 0; i < c.outputs; ++i)
    if (c.in[1].numel() == 0 && c.out[i].numel())
      check(cudaMemsetAsync(c.out[i].data, 0, size_t(c.out[i].numel()) * sizeof(T),
                            current_stream(c.device)),
            c.name);
  if (c.in[1].numel() == 0) return;
  const dim3 grid(unsigned(k.rows < kMaxGrid ? k.rows : kMaxGrid));
  if (k.gx || layout == kBatch) launch(c, norm_grad_kernel<layout, T>, grid, dim3(kBlock), 0, k);
  if constexpr (layout != kBatch)
    if (k.gweight || k.gbias)
      launch(c, weight_grad_kernel<layout, T>, dim3(blocks_for(k.channels, 32)), dim3(32, 8), 0, k);
}
template <int layout>
void backward(const DeviceCall& c, NormPack& k) {
  c.in[1].dtype == DType::float64 ? backward_of<layout, double>(c, k)
                                  : backward_of<layout, float>(c, k);
}

int64_t product(const Operand& x, int begin, int end) {
  int64_t n = 1;
  for (int d = begin; d < end; ++d) n *= x.shape[d];
  return n;
}
// The operands all three have in common; g, x, weight, mean, rstd of a gradient.
template <class Args>
NormPack pack(const DeviceCall& c, const Args& a, bool gradient) {
  NormPack k{};
  k.eps = a.eps;
  k.centred = k.training = true;
  k.x = c.in[gradient ? 1 : 0].data;
  k.weight = c.in[gradient ? 2 : 1].data;
  if (gradient) {
    k.g = c.in[0].data;
    k.mean = c.in[3].data;
    k.rstd = c.in[4].data;
    k.gx = a.gx ? c.out[0].data : nullptr;
    k.gweight = a.gweight ? c.out[1].data : nullptr;
    k.gbias = a.gbias ? c.out[2].data : nullptr;
  } else {
    k.bias = c.in[2].data;
    k.y = c.out[0].data;
    if (c.outputs > 1) k.mean = c.out[1].data;
    if (c.outputs > 2) k.rstd = c.out[2].data;
  }
  return k;
}

NormPack batch_pack(const DeviceCall& c, bool gradient) {
  const auto& a = *static_cast<const BatchNormOpArgs*>(c.args);
  const Operand& x = c.in[gradient ? 1 : 0];
  NormPack k = pack(c, a, gradient);
  k.rows = k.channels = x.shape[1];
  k.S = product(x, 2, x.nd);
  k.length = x.shape[0] * k.S;
  k.momentum = a.momentum;
  k.training = a.training;
  return k;
}
void batch_norm(const DeviceCall& c) {
  if (c.in[0].numel() == 0) return;
  NormPack k = batch_pack(c, false);
  k.running_mean = c.in[3].data;
  k.running_var = c.in[4].data;
  forward<kBatch>(c, k);
}
void batch_norm_eval(const DeviceCall& c) {
  if (c.in[0].numel() == 0) return;
  NormPack k = batch_pack(c, false);
  k.given_mean = c.in[3].data;
  k.given_var = c.in[4].data;
  forward<kBatch>(c, k);
}
void batch_norm_grad(const DeviceCall& c) {
  NormPack k = batch_pack(c, true);
  backward<kBatch>(c, k);
}

NormPack layer_pack(const DeviceCall& c, bool gradient) {
  const auto& a = *static_cast<const LayerNormOpArgs*>(c.args);
  const Operand& x = c.in[gradient ? 1 : 0];
  NormPack k = pack(c, a, gradient);
  k.length = k.channels = product(x, x.nd - int(a.dims), x.nd);
  k.rows = product(x, 0, x.nd - int(a.dims));
  k.S = 1;
  k.centred = a.centred;
  if (!a.centred) k.mean = nullptr;
  return k;
}
void layer_norm(const DeviceCall& c) {
  if (c.in[0].numel()) forward<kLayer>(c, layer_pack(c, false));
}
void layer_norm_grad(const DeviceCall& c) {
  NormPack k = layer_pack(c, true);
  backward<kLayer>(c, k);
}

NormPack group_pack(const DeviceCall& c, bool gradient) {
  const auto& a = *static_cast<const GroupNormOpArgs*>(c.args);
  const Operand& x = c.in[gradient ? 1 : 0];
  NormPack k = pack(c, a, gradient);
  k.channels = x.shape[1];
  k.S = product(x, 2, x.nd);
  k.rows = x.shape[0] * a.groups;
  k.length = k.channels / a.groups * k.S;
  return k;
}
void group_norm(const DeviceCall& c) {
  if (c.in[0].numel()) forward<kGroup>(c, group_pack(c, false));
}
void group_norm_grad(const DeviceCall& c) {
  NormPack k = group_pack(c, true);
  backward<kGroup>(c, k);
}

const Launches kLaunches{{"batch_norm", batch_norm},
                         {"batch_norm_eval", batch_norm_eval},
                         {"batch_norm_grad", batch_norm_grad},
                         {"layer_norm", layer_norm},
                         {"rms_norm", layer_norm},
                         {"layer_norm_grad", layer_norm_grad},
                         {"group_norm", group_norm},
                         {"group_norm_grad", group_norm_grad}};

}  // namespace
}  // namespace lamina::cuda
