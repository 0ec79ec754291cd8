// gather and scatter along one dimension (formulas: cpp/ops/scatter.cpp). Gathering is a thread an
// element. Scattering is a thread a line along `dim`, which goes through its elements in order:
// what meets in one place meets in the same order every time, without atomics. A few long lines are
// sorted instead (scatter_sorted.cu).
#include "scatter.h"

#include "table.h"

namespace lamina::cuda {
namespace {

template <class T>
__global__ void gather_kernel(const ScatterPack k, Reporter report) {
  LAMINA_GRID_STRIDE(e, k.s.n * k.length) {
    const int64_t line = e / k.length, i = e % k.length;
    int64_t at[3];
    k.s.offsets(line, at);
    const int64_t from = scatter_place(k, k.index[at[0] + i * k.index_step], report);
    static_cast<T*>(k.other)[at[2] + i * k.other_step] =
        static_cast<const T*>(k.data)[at[1] + from * k.step];
  }
}

template <int mode, class T>
__global__ void scatter_kernel(const ScatterPack k, Reporter report) {
  LAMINA_GRID_STRIDE(line, k.s.n) {
    int64_t at[3];
    k.s.offsets(line, at);
    for (int64_t i = 0; i < k.length; ++i) {
      const int64_t to = scatter_place(k, k.index[at[0] + i * k.index_step], report);
      T& y = static_cast<T*>(k.data)[at[1] + to * k.step];
      const T v = static_cast<const T*>(k.other)[at[2] + i * k.other_step];
      y = scattered<mode>(y, v);
    }
  }
}

ScatterPack pack(const Operand& data, const Operand& index, const Operand& other, int dim) {
  int64_t shape[kMaxDims];
  for (int d = 0; d < index.nd; ++d) shape[d] = d == dim ? 1 : index.shape[d];
  const auto part = [&](const Operand& t) {
    return Operand{t.data, shape, t.strides, index.nd, t.dtype, false};
  };
  ScatterPack k{Strides(part(index)), data.data,
                other.data,           static_cast<const int64_t*>(index.data),
                index.shape[dim],     index.strides[dim],
                data.strides[dim],    other.strides[dim],
                data.shape[dim],      data.dtype};
  k.s.add(part(index));
  k.s.add(part(data));
  k.s.add(part(other));
  k.s.merge();
  return k;
}

template <class T>
void gather_of(const DeviceCall& c, const ScatterPack& k) {
  launch(c, gather_kernel<T>, dim3(blocks_for(k.s.n * k.length)), dim3(kBlock), 0, k,
         scatter_reporter(c));
}
void gather(const DeviceCall& c) {
  if (c.out[0].numel() == 0) return;
  const ScatterPack k = pack(c.in[0], c.in[1], c.out[0], static_cast<const DimArgs*>(c.args)->dim);
  switch (item_size(k.type)) {
    case 1:
      return gather_of<uint8_t>(c, k);
    case 2:
      return gather_of<uint16_t>(c, k);
    case 4:
      return gather_of<uint32_t>(c, k);
    default:
      return gather_of<uint64_t>(c, k);
  }
}

template <int mode, class T>
void scatter_of(const DeviceCall& c, const ScatterPack& k) {
  launch(c, scatter_kernel<mode, T>, dim3(blocks_for(k.s.n)), dim3(kBlock), 0, k,
         scatter_reporter(c));
}
template <int mode>
void scatter_mode(const DeviceCall& c, const ScatterPack& k) {
  if (k.type == DType::float32) return scatter_of<mode, float>(c, k);
  if (k.type == DType::float64) return scatter_of<mode, double>(c, k);
  scatter_of<mode, long long>(c, k);
}
void scatter(const DeviceCall& c) {
  const auto& a = *static_cast<const DimArgs*>(c.args);
  const Operand &x = c.in[0], &y = c.out[0];
  if (y.numel() && y.data != x.data)
    check(cudaMemcpyAsync(y.data, x.data, size_t(y.numel()) * item_size(y.dtype),
                          cudaMemcpyDeviceToDevice, current_stream(c.device)),
          c.name);
  if (c.in[1].numel() == 0) return;
  const ScatterPack k = pack(y, c.in[1], c.in[2], a.dim);
  if (scatter_sorted(c, k, a.mode)) return;
  switch (a.mode) {
    case kScatterAdd:
      return scatter_mode<kScatterAdd>(c, k);
    case kScatterMul:
      return scatter_mode<kScatterMul>(c, k);
    case kScatterMax:
      return scatter_mode<kScatterMax>(c, k);
    case kScatterMin:
      return scatter_mode<kScatterMin>(c, k);
    default:
      break;
  }
  switch (item_size(k.type)) {
    case 1:
      return scatter_of<kReplace, uint8_t>(c, k);
    case 2:
      return scatter_of<kReplace, uint16_t>(c, k);
    case 4:
      return scatter_of<kReplace, uint32_t>(c, k);
    default:
      return scatter_of<kReplace, uint64_t>(c, k);
  }
}

const Launches kLaunches{{"gather", gather},
                         {"scatter", scatter},
                         {"scatter_add", scatter},
                         {"scatter_reduce", scatter}};

}  // namespace
}  // namespace lamina::cuda
