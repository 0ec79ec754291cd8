// Copies with conversion, fills and ranges: one thread an element, in the order of the output.
#include "ops/creation_args.h"

#include "launch.h"
#include "strided.h"
#include "table.h"

namespace lamina::cuda {
namespace {

template <class T>
__global__ void move_kernel(T* y, const T* x, Strides s) {
  LAMINA_GRID_STRIDE(i, s.n) {
    int64_t at[2];
    s.offsets(i, at);
    y[at[0]] = x[at[1]];
  }
}
template <class S>
__global__ void convert_kernel(void* y, DType to, const void* x, DType from, Strides s, bool wide) {
  constexpr int W = kWide<S>;
  const int64_t groups = wide ? s.n / W : 0;
  LAMINA_GRID_STRIDE(g, groups) {
    int64_t at[2];
    s.offsets(g * W, at);
    S v[W];
    load_wide<S>(v, x, at[1], from);
    store_wide<S>(y, at[0], to, v);
  }
  LAMINA_GRID_STRIDE(r, s.n - groups * W) {
    const int64_t i = groups * W + r;
    int64_t at[2];
    s.offsets(i, at);
    store_as<S>(y, at[0], to, load_as<S>(x, at[1], from));
  }
}

template <class S>
__global__ void fill_kernel(void* y, DType type, S value, Strides s) {
  LAMINA_GRID_STRIDE(i, s.n) {
    int64_t at[1];
    s.offsets(i, at);
    store_as<S>(y, at[0], type, value);
  }
}

void fill_values(const DeviceCall& c, const Operand& y, double d, int64_t i, bool integral) {
  Strides s(y);
  if (s.n == 0) return;
  s.add(y);
  s.merge();
  const unsigned blocks = blocks_for(s.n);
  if (compute_type(y.dtype) == kI64) {
    const int64_t v = integral ? i : y.dtype == DType::boolean ? d != 0 : truncated(d);
    launch(c, fill_kernel<Int>, blocks, kBlock, 0, y.data, y.dtype, Int{v}, s);
  } else {
    const double v = integral ? double(i) : d;
    launch(c, fill_kernel<double>, blocks, kBlock, 0, y.data, y.dtype, v, s);
  }
}
bool is_complex(DType d) { return d >= DType::complex64; }
// The real and the imaginary part of a complex operand.
struct Parts {
  int64_t strides[kMaxDims];
  Operand part[2];
  explicit Parts(const Operand& z) {
    const bool wide = z.dtype == DType::complex128;
    for (int d = 0; d < z.nd; ++d) strides[d] = 2 * z.strides[d];
    for (int i = 0; i < 2; ++i)
      part[i] = {static_cast<char*>(z.data) + i * (wide ? 8 : 4), z.shape, strides, z.nd,
                 wide ? DType::float64 : DType::float32,          false};
  }
};
void fill(const DeviceCall& c) {
  const auto& a = *static_cast<const FillArgs*>(c.args);
  if (!is_complex(c.out[0].dtype)) return fill_values(c, c.out[0], a.d, a.i, a.integral);
  const Parts parts(c.out[0]);
  fill_values(c, parts.part[0], a.d, a.i, a.integral);
  fill_values(c, parts.part[1], 0, 0, true);
}

void copy_values(const DeviceCall& c, const Operand& x, const Operand& y) {
  Strides s(y);
  if (s.n == 0) return;
  s.add(y);
  s.add(x);
  s.merge();
  if (x.dtype == y.dtype) return move_elements(c, s, item_size(x.dtype), y.data, x.data);
  // Through the compute type of the operand that holds more.
  const Compute from = compute_type(x.dtype);
  const auto kernel = from == kI64                                ? convert_kernel<Int>
                      : y.dtype == DType::float64 || from == kF64 ? convert_kernel<double>
                                                                  : convert_kernel<float>;
  const int width = from == kF32 && y.dtype != DType::float64 ? kWide<float> : kWide<double>;
  const bool wide = s.nd && s.stride[1][s.nd - 1] == 1 &&
                    s.in_groups(width, 0, y.data, item_size(y.dtype)) &&
                    s.in_groups(width, 1, x.data, item_size(x.dtype));
  launch(c, kernel, blocks_for(wide ? (s.n + width - 1) / width : s.n), kBlock, 0, y.data, y.dtype,
         x.data, x.dtype, s, wide);
}
// A real number becomes a complex one without imaginary part, a complex one loses it.
void copy(const DeviceCall& c) {
  const Operand &x = c.in[0], &y = c.out[0];
  const bool from = is_complex(x.dtype), to = is_complex(y.dtype);
  if (x.dtype == y.dtype || (!from && !to)) return copy_values(c, x, y);
  const Parts parts(to ? y : x);
  if (!to) return copy_values(c, parts.part[0], y);
  if (from) {
    const Parts read(x);
    for (int i = 0; i < 2; ++i) copy_values(c, read.part[i], parts.part[i]);
    return;
  }
  copy_values(c, x, parts.part[0]);
  fill_values(c, parts.part[1], 0, 0, true);
}

__global__ void range_kernel(void* y, RangeArgs a, bool floating) {
  LAMINA_GRID_STRIDE(i, a.n) {
    if (floating)
      store_as<double>(y, i, a.dtype, a.start + double(i) * a.step);
    else
      store_as<Int>(y, i, a.dtype, Int{a.i_start + i * a.i_step});
  }
}
void range(const DeviceCall& c) {
  const auto& a = *static_cast<const RangeArgs*>(c.args);
  if (a.n)
    launch(c, range_kernel, blocks_for(a.n), kBlock, 0, c.out[0].data, a, is_floating(a.dtype));
}

const Launches kLaunches{
    {"copy", copy, true}, {"copy_", copy, true}, {"fill_", fill, true}, {"arange", range}};

template <class T>
void move(const DeviceCall& c, const Strides& s, void* y, const void* x) {
  launch(c, move_kernel<T>, blocks_for(s.n), kBlock, 0, static_cast<T*>(y),
         static_cast<const T*>(x), s);
}

}  // namespace

void move_elements(const DeviceCall& c, const Strides& s, int item, void* y, const void* x) {
  if (s.n == 0) return;
  if (s.dense(0) && s.dense(1))
    return check(cudaMemcpyAsync(y, x, size_t(s.n * item), cudaMemcpyDeviceToDevice,
                                 current_stream(c.device)),
                 c.name);
  item == 1   ? move<uint8_t>(c, s, y, x)
  : item == 2 ? move<uint16_t>(c, s, y, x)
  : item == 4 ? move<uint32_t>(c, s, y, x)
  : item == 8 ? move<uint64_t>(c, s, y, x)
              : move<Bytes16>(c, s, y, x);
}

}  // namespace lamina::cuda
