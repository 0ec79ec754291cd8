// Resampling along one dimension of (P, N, S): every output is a weighted sum of a few inputs by
// the table of ops/resample_args.h, made by the host and copied here. One thread an output,
// neighbours along S (along the dimension itself where it is the last). Cost: one write; inputs are
// read once a tap, from the cache but for the first time.
#include "ops/resample_args.h"

#include "launch.h"
#include "number.h"
#include "table.h"

namespace lamina::cuda {
namespace {

template <class S>
__global__ void resample_kernel(const ResampleArgs k, int64_t lines) {
  LAMINA_GRID_STRIDE(e, lines * k.M * k.S) {
    const int64_t s = e % k.S, i = e / k.S % k.M, p = e / k.S / k.M;
    const S* const x = static_cast<const S*>(k.x) + p * k.N * k.S + s;
    S sum = 0;
    for (int64_t t = k.start[i]; t < k.start[i + 1]; ++t)
      sum += S(k.weight[t]) * x[k.index[t] * k.S];
    static_cast<S*>(k.y)[e] = sum;
  }
}

void resample(const DeviceCall& c) {
  const auto& a = *static_cast<const ResampleCall*>(c.args);
  const Operand &x = c.in[0], &y = c.out[0];
  const int64_t n = y.numel();
  if (n == 0) return;
  const ResampleTable table(a);
  const size_t numbers = table.numbers.size() * sizeof(int64_t);
  const size_t weights = size_t(table.taps) * sizeof(double);
  const Scratch room(c.device, numbers + weights);
  char* const to = room.as<char>();
  upload(c, to, table.numbers.data(), numbers);
  upload(c, to + numbers, table.weight, weights);
  ResampleArgs k{x.data, y.data, a.inputs(), a.outputs(), 1, room.as<int64_t>(), nullptr, nullptr};
  k.index = k.start + (table.index - table.start);
  k.weight = reinterpret_cast<const double*>(to + numbers);
  for (int d = a.dim + 1; d < x.nd; ++d) k.S *= x.shape[d];
  const auto kernel = x.dtype == DType::float64 ? resample_kernel<double> : resample_kernel<float>;
  launch(c, kernel, dim3(blocks_for(n)), dim3(kBlock), 0, k, n / (k.M * k.S));
}

const Launches kLaunches{{"resample", resample}};

}  // namespace
}  // namespace lamina::cuda
