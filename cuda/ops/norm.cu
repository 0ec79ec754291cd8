// Layer, group and RMS normalisation and their gradients (formulas: cpp/ops/*norm*.cpp).
//
// What is normalised together is a row, a dense stretch. Rows of layer norm that fit stay in the
// registers of a warp or block (norm_rows.h): one read, one write. Of others a block takes a row:
// mean and then squared deviations in double, in a fixed order; the row is read again from the
// cache. Gradients of weights are sums along the other index, in pieces by size, with neighbouring
// columns on neighbouring threads where weights lie along the row. float16 and bfloat16 rows have
// weights and statistics of float32 beside them.
#include "ops/norm_args.h"

#include "norm_rows.h"
#include "reduce.h"
#include "table.h"

namespace lamina::cuda {
namespace {

enum Layout : int { kLayer, kGroup };

struct NormPack {
  const void *x, *weight, *bias, *g;
  void *y, *mean, *rstd;
  void *gx, *gweight, *gbias;
  int64_t rows, length;  // what is normalised together
  int64_t channels, S;   // weights: how many; elements side by side with one weight
  double eps;
  bool centred;
};

template <int layout>
__device__ int64_t channel(const NormPack& k, int64_t row, int64_t i) {
  if (layout == kLayer) return i;
  return row * (k.length / k.S) % k.channels + i / k.S;
}
template <class T>
__device__ T at(const void* p, int64_t i, T otherwise) {
  return p ? static_cast<const T*>(p)[i] : otherwise;
}

template <int layout, class T>
__global__ void norm_kernel(const NormPack k) {
  using S = ComputeOf<T>;
  __shared__ double room[kBlock / 32];
  for (int64_t row = blockIdx.x; row < k.rows; row += gridDim.x) {
    const T* const x = static_cast<const T*>(k.x) + row * k.length;
    T* const y = static_cast<T*>(k.y) + row * k.length;
    double mean = 0, var = 0;
    const double n = double(k.length);
    if (k.centred) {
      for (int64_t i = threadIdx.x; i < k.length; i += kBlock) mean += double(widen(x[i]));
      mean = group_all<kBlock>(mean, Add{}, room) / n;
      __syncthreads();
    }
    for (int64_t i = threadIdx.x; i < k.length; i += kBlock) {
      const double d = double(widen(x[i])) - mean;
      var += d * d;
    }
    var = group_all<kBlock>(var, Add{}, room) / n;
    const double rstd = 1 / ::sqrt(var + k.eps);
    if (threadIdx.x == 0) {
      if (k.mean) static_cast<S*>(k.mean)[row] = S(mean);
      if (k.rstd) static_cast<S*>(k.rstd)[row] = S(rstd);
    }
    for (int64_t i = threadIdx.x; i < k.length; i += kBlock) {
      const int64_t c = channel<layout>(k, row, i);
      const S h = S((double(widen(x[i])) - mean) * rstd);
      y[i] = narrow<T>(h * at(k.weight, c, S(1)) + at(k.bias, c, S(0)));
    }
    __syncthreads();
  }
}

// gx = rstd (w g - mean(w g) - h mean(w g h)), h = (x - mean) rstd.
template <int layout, class T>
__global__ void norm_grad_kernel(const NormPack k) {
  using S = ComputeOf<T>;
  __shared__ double room[kBlock / 32];
  for (int64_t row = blockIdx.x; row < k.rows; row += gridDim.x) {
    const T* const x = static_cast<const T*>(k.x) + row * k.length;
    const T* const g = static_cast<const T*>(k.g) + row * k.length;
    const double mean = double(at(k.mean, row, S(0)));
    const double rstd = double(static_cast<const S*>(k.rstd)[row]), n = double(k.length);
    const auto weighted = [&](int64_t i) {
      return double(widen(g[i])) * double(at(k.weight, channel<layout>(k, row, i), S(1)));
    };
    double sum = 0, sum_h = 0;
    for (int64_t i = threadIdx.x; i < k.length; i += kBlock) {
      const double v = weighted(i);
      sum += v;
      sum_h += v * ((double(widen(x[i])) - mean) * rstd);
    }
    sum = group_all<kBlock>(sum, Add{}, room);
    __syncthreads();
    sum_h = group_all<kBlock>(sum_h, Add{}, room);
    const double shift = k.centred ? sum / n : 0, slope = sum_h / n;
    for (int64_t i = threadIdx.x; i < k.length; i += kBlock) {
      const double h = (double(widen(x[i])) - mean) * rstd;
      static_cast<T*>(k.gx)[row * k.length + i] =
          narrow<T>(S(rstd * (weighted(i) - shift - h * slope)));
    }
    __syncthreads();
  }
}

// gweight = sum g h, gbias = sum g over what shares a weight: 32 weights side by side, 8 threads
// each, a piece of `each` elements; the pieces' sums (2, pieces, channels) are joined in order.
template <int layout, class T>
__global__ void weight_grad_kernel(const NormPack k, int64_t each, double* parts) {
  using S = ComputeOf<T>;
  __shared__ double room[2][8][33];
  const T *const x = static_cast<const T*>(k.x), *const g = static_cast<const T*>(k.g);
  const int64_t per_row = layout == kLayer ? k.channels : k.length / k.S;  // weights of a row
  const int64_t all = (layout == kLayer ? k.rows : k.rows * per_row / k.channels) * k.S;
  const int64_t c = int64_t(blockIdx.x) * 32 + threadIdx.x;
  const int64_t begin = blockIdx.y * each, end = begin + each < all ? begin + each : all;
  double sum = 0, sum_h = 0;
  if (c < k.channels)
    for (int64_t j = begin + threadIdx.y; j < end; j += 8) {
      const int64_t n = j / k.S, s = j % k.S;
      const int64_t e = (n * k.channels + c) * k.S + s;
      const int64_t row = e / k.length;
      const S v = widen(g[e]), d = widen(x[e]) - at(k.mean, row, S(0));
      sum += double(v);
      sum_h += double(v * (d * static_cast<const S*>(k.rstd)[row]));
    }
  room[0][threadIdx.y][threadIdx.x] = sum;
  room[1][threadIdx.y][threadIdx.x] = sum_h;
  __syncthreads();
  if (threadIdx.y != 0 || c >= k.channels) return;
  for (int r = 1; r < 8; ++r) {
    sum += room[0][r][threadIdx.x];
    sum_h += room[1][r][threadIdx.x];
  }
  parts[blockIdx.y * k.channels + c] = sum;
  parts[(gridDim.y + blockIdx.y) * k.channels + c] = sum_h;
}
template <class S>
__global__ void join_weights_kernel(const NormPack k, const double* parts, int pieces) {
  LAMINA_GRID_STRIDE(c, k.channels) {
    double sum = 0, sum_h = 0;
    for (int p = 0; p < pieces; ++p) {
      sum += parts[p * k.channels + c];
      sum_h += parts[(pieces + p) * k.channels + c];
    }
    if (k.gweight) static_cast<S*>(k.gweight)[c] = S(sum_h);
    if (k.gbias) static_cast<S*>(k.gbias)[c] = S(sum);
  }
}

template <int layout, class T>
void forward_of(const DeviceCall& c, const NormPack& k) {
  if (layout == kLayer && rows_fit<T>(k.length))
    return norm_rows<T>(c, {k.x, k.weight, k.bias, nullptr, k.y, k.mean, k.rstd, k.rows, k.length,
                            k.eps, k.centred});
  launch(c, norm_kernel<layout, T>, dim3(unsigned(k.rows < kMaxGrid ? k.rows : kMaxGrid)),
         dim3(kBlock), 0, k);
}
template <int layout, class T>
void backward_of(const DeviceCall& c, const NormPack& k) {
  for (int i = 0; i < c.outputs; ++i)
    if (c.in[1].numel() == 0 && c.out[i].numel())
      check(cudaMemsetAsync(c.out[i].data, 0, size_t(c.out[i].numel()) * sizeof(ComputeOf<T>),
                            current_stream(c.device)),
            c.name);
  if (c.in[1].numel() == 0) return;
  if (k.gx && layout == kLayer && grad_rows_fit<T>(k.length))
    norm_grad_rows<T>(
        c, {k.x, k.weight, nullptr, k.g, k.gx, k.mean, k.rstd, k.rows, k.length, k.eps, k.centred});
  else if (k.gx)
    launch(c, norm_grad_kernel<layout, T>, dim3(unsigned(k.rows < kMaxGrid ? k.rows : kMaxGrid)),
           dim3(kBlock), 0, k);
  if (!k.gweight && !k.gbias) return;
  const int64_t all = k.rows * k.length / k.channels, columns = (k.channels + 31) / 32;
  const int64_t wished = (1024 + columns - 1) / columns, most = (all + 63) / 64;
  const int64_t each =
      (all + (wished < most ? wished : most) - 1) / (wished < most ? wished : most);
  const unsigned pieces = unsigned((all + each - 1) / each);
  const Scratch parts(c.device, size_t(2 * pieces * k.channels) * sizeof(double));
  launch(c, weight_grad_kernel<layout, T>, dim3(unsigned(columns), pieces), dim3(32, 8), 0, k, each,
         parts.as<double>());
  launch(c, join_weights_kernel<ComputeOf<T>>, dim3(blocks_for(k.channels)), dim3(kBlock), 0, k,
         static_cast<const double*>(parts.as<double>()), int(pieces));
}
template <class T>
void layer_forward(const DeviceCall& c, const NormPack& k) {
  forward_of<kLayer, T>(c, k);
}
template <class T>
void layer_backward(const DeviceCall& c, const NormPack& k) {
  backward_of<kLayer, T>(c, k);
}
template <class T>
void group_forward(const DeviceCall& c, const NormPack& k) {
  forward_of<kGroup, T>(c, k);
}
template <class T>
void group_backward(const DeviceCall& c, const NormPack& k) {
  backward_of<kGroup, T>(c, k);
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
  k.centred = true;
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
  if (c.in[0].numel()) LAMINA_BY_FLOATING(c.in[0].dtype, layer_forward)(c, layer_pack(c, false));
}
void layer_norm_grad(const DeviceCall& c) {
  LAMINA_BY_FLOATING(c.in[1].dtype, layer_backward)(c, layer_pack(c, true));
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
  if (c.in[0].numel()) LAMINA_BY_FLOATING(c.in[0].dtype, group_forward)(c, group_pack(c, false));
}
void group_norm_grad(const DeviceCall& c) {
  LAMINA_BY_FLOATING(c.in[1].dtype, group_backward)(c, group_pack(c, true));
}

const Launches kLaunches{{"layer_norm", layer_norm, false, true},
                         {"rms_norm", layer_norm, false, true},
                         {"layer_norm_grad", layer_norm_grad, false, true},
                         {"group_norm", group_norm, false, true},
                         {"group_norm_grad", group_norm_grad, false, true}};

}  // namespace
}  // namespace lamina::cuda
