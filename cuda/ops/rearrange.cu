// flip, roll, diag_embed: copies between strided places. tril, triu, pad: a thread for each element
// of the result, which finds where it comes from.
#include "launch.h"
#include "ops/view_args.h"
#include "strided.h"
#include "table.h"

namespace lamina::cuda {
namespace {

// x's elements from `from` on with strides xs into y's from `to` on with strides ys.
void copy_region(const DeviceCall& c, const int64_t* shape, int nd, int64_t to, const int64_t* ys,
                 int64_t from, const int64_t* xs) {
  const DType d = c.out[0].dtype;
  const Operand y{nullptr, shape, ys, nd, d, false}, x{nullptr, shape, xs, nd, d, false};
  Strides s(y);
  s.add(y);
  s.add(x);
  s.merge();
  const int item = item_size(d);
  move_elements(c, s, item, static_cast<char*>(c.out[0].data) + to * item,
                static_cast<const char*>(c.in[0].data) + from * item);
}

void flip(const DeviceCall& c) {
  const auto& a = *static_cast<const FlipArgs*>(c.args);
  const Operand& x = c.in[0];
  if (x.numel() == 0) return;
  int64_t strides[kMaxDims], from = 0;
  for (int d = 0; d < x.nd; ++d) {
    const bool turned = a.mask >> d & 1;
    strides[d] = turned ? -x.strides[d] : x.strides[d];
    if (turned) from += (x.shape[d] - 1) * x.strides[d];
  }
  copy_region(c, x.shape, x.nd, 0, c.out[0].strides, from, strides);
}

void roll(const DeviceCall& c) {
  const auto& a = *static_cast<const RollArgs*>(c.args);
  const Operand &x = c.in[0], &y = c.out[0];
  if (x.numel() == 0) return;
  const int d = int(a.dim);
  const int64_t n = x.shape[d];
  int64_t shape[kMaxDims];
  for (int i = 0; i < x.nd; ++i) shape[i] = x.shape[i];
  shape[d] = n - a.shift;
  copy_region(c, shape, x.nd, a.shift * y.strides[d], y.strides, 0, x.strides);
  shape[d] = a.shift;
  if (a.shift) copy_region(c, shape, x.nd, 0, y.strides, (n - a.shift) * x.strides[d], x.strides);
}

void diag_embed(const DeviceCall& c) {
  const auto& a = *static_cast<const DiagEmbedArgs*>(c.args);
  const Operand &x = c.in[0], &y = c.out[0];
  if (y.numel())
    check(cudaMemsetAsync(y.data, 0, size_t(y.numel()) * item_size(y.dtype),
                          current_stream(c.device)),
          c.name);
  if (x.numel() == 0) return;
  const int p = int(a.dim1), q = int(a.dim2);
  int64_t strides[kMaxDims];
  int n = 0;
  for (int d = 0; d < y.nd; ++d)
    if (d != p && d != q) strides[n++] = y.strides[d];
  strides[n] = y.strides[p] + y.strides[q];
  const int64_t at = a.offset < 0 ? -a.offset * y.strides[p] : a.offset * y.strides[q];
  copy_region(c, x.shape, x.nd, at, strides, 0, x.strides);
}

template <class T>
__global__ void triangle_kernel(T* y, const T* x, int64_t n, int64_t H, int64_t W, TriangleArgs a) {
  LAMINA_GRID_STRIDE(i, n) {
    const int64_t column = i % W, last = i / W % H + a.diagonal;
    y[i] = (a.lower ? column <= last : column >= last) ? x[i] : T{};
  }
}

struct PadPack {
  PadArgs a;
  int nd;
  int64_t x[kMaxDims], y[kMaxDims], step[kMaxDims];  // sizes; strides of x
  int64_t n;
};
template <class T>
__global__ void pad_kernel(T* y, const T* x, PadPack k, T value) {
  LAMINA_GRID_STRIDE(i, k.n) {
    int64_t rest = i, at = 0;
    bool inside = true;
    for (int d = k.nd - 1; d >= 0; --d) {
      const int p = k.nd - 1 - d;
      const int64_t size = k.x[d];
      int64_t s = rest % k.y[d];
      rest /= k.y[d];
      if (p < k.a.n) {
        s -= k.a.before[p];
        if (k.a.mode == kReflect) {
          if (s < 0) s = -s;
          if (s >= size) s = 2 * (size - 1) - s;
        } else if (k.a.mode == kReplicate) {
          s = s < 0 ? 0 : s >= size ? size - 1 : s;
        } else if (k.a.mode == kCircular) {
          s = (s % size + size) % size;
        }
        inside &= s >= 0 && s < size;
      }
      at += s * k.step[d];
    }
    y[i] = inside ? x[at] : value;
  }
}

template <class T>
void triangle_of(const DeviceCall& c) {
  const Operand &x = c.in[0], &y = c.out[0];
  launch(c, triangle_kernel<T>, dim3(blocks_for(y.numel())), dim3(kBlock), 0,
         static_cast<T*>(y.data), static_cast<const T*>(x.data), y.numel(), y.shape[y.nd - 2],
         y.shape[y.nd - 1], *static_cast<const TriangleArgs*>(c.args));
}
template <class T>
void pad_of(const DeviceCall& c) {
  const Operand &x = c.in[0], &y = c.out[0];
  PadPack k{*static_cast<const PadArgs*>(c.args), x.nd, {}, {}, {}, y.numel()};
  for (int d = 0; d < x.nd; ++d) {
    k.x[d] = x.shape[d];
    k.y[d] = y.shape[d];
    k.step[d] = x.strides[d];
  }
  T value{};  // the constant's bits in y's type
  if (y.dtype == DType::boolean || !is_floating(y.dtype))
    store_as<Int>(&value, 0, y.dtype, Int{int64_t(k.a.value)});
  else
    store_as<double>(&value, 0, y.dtype, k.a.value);
  launch(c, pad_kernel<T>, dim3(blocks_for(k.n)), dim3(kBlock), 0, static_cast<T*>(y.data),
         static_cast<const T*>(x.data), k, value);
}
void triangle(const DeviceCall& c) {
  if (c.out[0].numel() == 0) return;
  switch (item_size(c.out[0].dtype)) {
    case 1:
      return triangle_of<uint8_t>(c);
    case 2:
      return triangle_of<uint16_t>(c);
    case 4:
      return triangle_of<uint32_t>(c);
    case 8:
      return triangle_of<uint64_t>(c);
    default:
      return triangle_of<Bytes16>(c);
  }
}
void pad(const DeviceCall& c) {
  if (c.out[0].numel() == 0) return;
  switch (item_size(c.out[0].dtype)) {
    case 1:
      return pad_of<uint8_t>(c);
    case 2:
      return pad_of<uint16_t>(c);
    case 4:
      return pad_of<uint32_t>(c);
    default:
      return pad_of<uint64_t>(c);
  }
}

const Launches kLaunches{
    {"flip", flip, true},     {"roll", roll, true},     {"diag_embed", diag_embed, true},
    {"tril", triangle, true}, {"triu", triangle, true}, {"pad", pad}};

}  // namespace
}  // namespace lamina::cuda
