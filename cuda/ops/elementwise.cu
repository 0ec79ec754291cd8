// The launches of elementwise functions and their derivatives (kernels: elementwise.h).
#include "elementwise.h"

#include <cstring>

#include "table.h"

namespace lamina::cuda {
namespace {

const ElementwiseTable& table_of(Compute via) {
  return via == kF32   ? elementwise_floats()
         : via == kF64 ? elementwise_doubles()
                       : elementwise_ints();
}

void run(const DeviceCall& c, ElementwiseKernel kernel, Compute via, const double* p) {
  const Operand& y = c.out[0];
  if (y.numel() == 0) return;
  if (!kernel) fail(kNotImplemented, "%s: no CUDA kernel for this dtype; use .cpu()", c.name);
  ElementwisePack k(y);
  constexpr DType holder[3] = {DType::float32, DType::float64, DType::int64};
  k.y = y.data;
  k.ytype = y.dtype;
  k.s.add(y);
  for (int i = 0; i < 3; ++i) k.p[i] = p[i];
  for (int i = 0; i < 5; ++i) {
    const Operand none{nullptr, nullptr, nullptr, 0, holder[via], false};
    const Operand& x = i < c.inputs ? c.in[i] : none;
    k.x[i] = x.data;
    k.xtype[i] = x.dtype;
    k.number[i] = 0;
    k.integer[i] = 0;
    k.is_number[i] = x.host || !x.data;
    k.s.add(k.is_number[i] ? none : x);
    if (x.host && x.data) {
      k.number[i] = load_as<double>(x.data, 0, x.dtype);
      k.integer[i] = load_as<Int>(x.data, 0, x.dtype).v;
    }
  }
  k.s.merge();
  const int width = via == kF32 ? kWide<float> : kWide<double>;
  k.wide = k.s.in_groups(width, 0, y.data, item_size(y.dtype));
  for (int i = 0; i < 5; ++i) {
    k.spread[i] = !k.is_number[i] && k.s.nd > 0 && k.s.stride[i + 1][k.s.nd - 1] == 1;
    k.wide &= k.is_number[i] || k.s.in_groups(width, i + 1, k.x[i], item_size(k.xtype[i]));
  }
  launch(c, kernel, blocks_for(k.wide ? (k.s.n + width - 1) / width : k.s.n), kBlock, 0, k);
}

// Integers have no infinity to stand for x / 0.
__global__ void zero_divisor_kernel(const void* x, DType type, Strides s, Reporter report) {
  LAMINA_GRID_STRIDE(i, s.n) {
    int64_t at[1];
    s.offsets(i, at);
    if (load_as<Int>(x, at[0], type).v == 0) report(i, 0);
  }
}
void check_divisor(const DeviceCall& c) {
  if (std::strcmp(c.name, "floor_divide") && std::strcmp(c.name, "remainder") &&
      std::strcmp(c.name, "fmod"))
    return;
  const Operand& d = c.in[1];
  if (d.numel() == 0 || c.out[0].numel() == 0) return;
  if (d.host) {
    if (load_as<Int>(d.data, 0, d.dtype).v == 0)
      fail(kRuntime, "%s: integer division by zero; use floating point, or mask the zeros", c.name);
    return;
  }
  Strides s(d);
  s.add(d);
  s.merge();
  launch(c, zero_divisor_kernel, blocks_for(s.n), kBlock, 0, d.data, d.dtype, s,
         reporter(c, kRuntime, "integer division by zero; use floating point, or mask the zeros"));
}

void value(const DeviceCall& c) {
  const auto& a = *static_cast<const ElementwiseArgs*>(c.args);
  const Compute via = compute_type(a.compute);
  if (via == kI64 && c.inputs == 2) check_divisor(c);
  run(c, table_of(via).value[a.function], via, a.p);
}
void slope(const DeviceCall& c) {
  const auto& a = *static_cast<const ElementwiseArgs*>(c.args);
  const Compute via = compute_type(a.compute);
  run(c, table_of(via).slope[a.function][a.input], via, a.p);
}

// Every function under its own name.
template <class... F>
bool add_all(List<F...>) {
  (void)std::initializer_list<int>{(Launches{{F::name, value}}, 0)...};
  return true;
}
const bool added = add_all(AllElementwise{});
const Launches kLaunches{{"elementwise_grad", slope}};

}  // namespace
}  // namespace lamina::cuda
