// Rows by number (formulas: cpp/ops/index_rows.cpp): x is (P, N, S), rows holds M numbers.
//
// Selecting is a copy. Where several values may meet in one row, the row numbers are sorted first,
// stably; the thread of a row's first (last) number adds them all in order (takes the last), so
// that the result is the same every time, without atomics. A number out of range is reported; what
// is computed from it reads row 0.
#include "ops/index_args.h"

#include "launch.h"
#include "sort.h"
#include "strided.h"
#include "table.h"

namespace lamina::cuda {
namespace {

struct Extents {
  int64_t P = 1, N = 1, S = 1, M = 1;
};
Extents extents(const int64_t* x, int nd, const RowsArgs& a, const Operand& rows) {
  Extents e;
  for (int i = 0; i < nd; ++i) (i < a.first ? e.P : i < a.first + a.count ? e.N : e.S) *= x[i];
  e.M = rows.numel();
  return e;
}

__device__ int64_t checked(int64_t row, int64_t N, bool from_zero, const Reporter& report) {
  const int64_t at = row < 0 && !from_zero ? row + N : row;
  if (at >= 0 && at < N) return at;
  report(row, N);
  return 0;
}
Reporter out_of_bounds(const DeviceCall& c) {
  return reporter(c, kIndex, "index %lld is out of bounds for a dimension with size %lld");
}

struct OffsetsPack {
  Strides s;
  const int64_t* index[5];
  int64_t* rows;
  int64_t sizes[5];
  int count;
};
__global__ void offsets_kernel(const OffsetsPack k, Reporter report) {
  LAMINA_GRID_STRIDE(i, k.s.n) {
    int64_t at[kMaxOperands], row = 0;
    k.s.offsets(i, at);
    for (int j = 0; j < k.count; ++j)
      row = row * k.sizes[j] + checked(k.index[j][at[j + 1]], k.sizes[j], false, report);
    k.rows[at[0]] = row;
  }
}
void offsets(const DeviceCall& c) {
  const auto& a = *static_cast<const OffsetsArgs*>(c.args);
  const Operand& y = c.out[0];
  if (y.numel() == 0) return;
  if (c.inputs > 5) fail(kNotImplemented, "index: no CUDA kernel for more than 5 index tensors");
  OffsetsPack k{Strides(y), {}, static_cast<int64_t*>(y.data), {}, c.inputs};
  k.s.add(y);
  for (int i = 0; i < 5; ++i) {
    const Operand none{nullptr, nullptr, nullptr, 0, DType::int64, false};
    k.s.add(i < c.inputs ? c.in[i] : none);
    if (i >= c.inputs) continue;
    k.index[i] = static_cast<const int64_t*>(c.in[i].data);
    k.sizes[i] = a.sizes[i];
  }
  k.s.merge();
  launch(c, offsets_kernel, dim3(blocks_for(k.s.n)), dim3(kBlock), 0, k, out_of_bounds(c));
}

template <class T>
__global__ void select_kernel(T* y, const T* x, const int64_t* rows, Extents n, bool from_zero,
                              Reporter report) {
  LAMINA_GRID_STRIDE(i, n.P * n.M * n.S) {
    const int64_t s = i % n.S, m = i / n.S % n.M, p = i / n.S / n.M;
    y[i] = x[(p * n.N + checked(rows[m], n.N, from_zero, report)) * n.S + s];
  }
}
template <class T>
void select_of(const DeviceCall& c, const RowsArgs& a, const Extents& n) {
  launch(c, select_kernel<T>, dim3(blocks_for(n.P * n.M * n.S)), dim3(kBlock), 0,
         static_cast<T*>(c.out[0].data), static_cast<const T*>(c.in[0].data),
         static_cast<const int64_t*>(c.in[1].data), n, a.from_zero, out_of_bounds(c));
}
void select(const DeviceCall& c) {
  const auto& a = *static_cast<const RowsArgs*>(c.args);
  const Extents n = extents(c.in[0].shape, c.in[0].nd, a, c.in[1]);
  if (n.P * n.M * n.S == 0) return;
  switch (item_size(c.in[0].dtype)) {
    case 1:
      return select_of<uint8_t>(c, a, n);
    case 2:
      return select_of<uint16_t>(c, a, n);
    case 4:
      return select_of<uint32_t>(c, a, n);
    case 8:
      return select_of<uint64_t>(c, a, n);
    default:
      fail(kNotImplemented, "%s: no CUDA kernel for complex tensors; use .cpu()", c.name);
  }
}

// The numbers sorted: keys[j] ascending, places[j] where each stood.
struct Sorted {
  Scratch memory;
  int32_t *keys, *places;
  Sorted(const DeviceCall& c, int64_t M)
      : memory(c.device, size_t(M) * 8), keys(memory.as<int32_t>()), places(keys + M) {}
};
__global__ void keys_kernel(int32_t* keys, const int64_t* rows, Extents n, bool from_zero,
                            Reporter report) {
  LAMINA_GRID_STRIDE(m, n.M) keys[m] = int32_t(checked(rows[m], n.N, from_zero, report));
}
void sort_rows(const DeviceCall& c, const RowsArgs& a, const Extents& n, Sorted& to) {
  launch(c, keys_kernel, dim3(blocks_for(n.M)), dim3(kBlock), 0, to.keys,
         static_cast<const int64_t*>(c.in[1].data), n, a.from_zero, out_of_bounds(c));
  sort_keys(c, to.keys, to.places, n.M, n.N);
}

struct SumPack {
  void* y;
  const void* v;
  const int32_t *keys, *places;
  Extents n;
  int64_t vp, vm, vs;  // strides of v as (P, M, S)
  int64_t skip;
  bool replace, scale;  // the last value; the sum divided by how many there are
};
template <class T>
__global__ void sum_kernel(const SumPack k) {
  LAMINA_GRID_STRIDE(i, k.n.P * k.n.M * k.n.S) {
    const int64_t s = i % k.n.S, j = i / k.n.S % k.n.M, p = i / k.n.S / k.n.M;
    const int32_t row = k.keys[j];
    if (row == k.skip || (j > 0 && k.keys[j - 1] == row)) continue;
    T* const y = static_cast<T*>(k.y) + (p * k.n.N + row) * k.n.S + s;
    const T* const v = static_cast<const T*>(k.v) + p * k.vp + s * k.vs;
    T sum = *y;
    int64_t e = j;
    for (; e < k.n.M && k.keys[e] == row; ++e) {
      const T next = v[k.places[e] * k.vm];
      sum = k.replace ? next : T(sum + next);
    }
    *y = k.scale ? T(double(sum) / double(e - j)) : sum;
  }
}
void sum_into(const DeviceCall& c, SumPack& k, DType d) {
  const dim3 grid(blocks_for(k.n.P * k.n.M * k.n.S)), block(kBlock);
  if (k.replace) switch (item_size(d)) {
      case 1:
        return launch(c, sum_kernel<uint8_t>, grid, block, 0, k);
      case 2:
        return launch(c, sum_kernel<uint16_t>, grid, block, 0, k);
      case 4:
        return launch(c, sum_kernel<uint32_t>, grid, block, 0, k);
      case 8:
        return launch(c, sum_kernel<uint64_t>, grid, block, 0, k);
      default:
        fail(kNotImplemented, "%s: no CUDA kernel for complex tensors", c.name);
    }
  if (d == DType::float32) return launch(c, sum_kernel<float>, grid, block, 0, k);
  if (d == DType::float64) return launch(c, sum_kernel<double>, grid, block, 0, k);
  launch(c, sum_kernel<unsigned long long>, grid, block, 0, k);
}

void add_rows(const DeviceCall& c) {
  const auto& a = *static_cast<const RowsArgs*>(c.args);
  const Operand& y = c.out[0];
  const Extents n = extents(y.shape, y.nd, a, c.in[1]);
  if (y.numel() == 0) return;
  check(
      cudaMemsetAsync(y.data, 0, size_t(y.numel()) * item_size(y.dtype), current_stream(c.device)),
      c.name);
  if (n.P * n.M * n.S == 0) return;
  Sorted sorted(c, n.M);
  sort_rows(c, a, n, sorted);
  SumPack k{y.data, c.in[0].data, sorted.keys, sorted.places,       n, n.M * n.S, n.S,
            1,      a.skip,       false,       a.scale_by_frequency};
  sum_into(c, k, y.dtype);
}

void put_rows(const DeviceCall& c) {
  const auto& a = *static_cast<const RowsArgs*>(c.args);
  const Operand &x = c.in[0], &v = c.in[2], &y = c.out[0];
  if (y.numel() == 0) return;
  if (y.data != x.data)
    check(cudaMemcpyAsync(y.data, x.data, size_t(y.numel()) * item_size(y.dtype),
                          cudaMemcpyDeviceToDevice, current_stream(c.device)),
          c.name);
  const Extents n = extents(y.shape, y.nd, a, c.in[1]);
  if (v.numel() == 0 || n.P * n.M * n.S == 0) return;
  Sorted sorted(c, n.M);
  sort_rows(c, a, n, sorted);
  SumPack k{y.data,       v.data,       sorted.keys, sorted.places, n,    v.strides[0],
            v.strides[1], v.strides[2], -1,          !a.accumulate, false};
  sum_into(c, k, y.dtype);
}

const Launches kLaunches{{"index_offsets", offsets}, {"index", select},
                         {"embedding", select},      {"index_select", select},
                         {"take", select},           {"index_grad", add_rows},
                         {"index_put", put_rows},    {"index_add", put_rows},
                         {"index_copy", put_rows},   {"index_fill", put_rows}};

}  // namespace
}  // namespace lamina::cuda
