// Elementwise functions: one Op per function of formulas.h, all sharing these four routines.
//
// y = f(x0, x1, x2; p), inputs broadcast and promoted. Backward runs f's derivative as one fused
// kernel; under create_graph it evaluates the same formula on Tensors, which records it.
#include "ops/elementwise.h"

#include <algorithm>
#include <string_view>
#include <type_traits>

#include <cstring>

#include "kernels/formula_reads.h"
#include "ops/complex.h"
#include "ops/elementwise_args.h"
#include "ops/elementwise_loop.h"
#include "ops/formulas_on_tensors.h"
#include "ops/ops.h"
#include "ops/strided.h"

namespace lamina {
namespace {

using namespace on_tensors;

using TensorGrad = Tensor (*)(const Tensor& g, const Tensor* x, const Tensor& y, Params p);

struct Info {
  int inputs;
  Result result;
  Gradient gradient;
  TensorGrad grad[3];
};

template <class F, class = void>
constexpr Autocast autocast_of = kGiven;
template <class F>
constexpr Autocast autocast_of<F, std::void_t<decltype(F::autocast)>> = F::autocast;

template <class F, int I>
Tensor grad_on_tensors(const Tensor& g, const Tensor* x, const Tensor& y, Params p) {
  if constexpr (F::inputs == 1)
    return F::template grad<Tensor>(g, x[0], y, p);
  else if constexpr (F::inputs == 2) {
    if constexpr (I == 0)
      return F::template grad0<Tensor>(g, x[0], x[1], y, p);
    else
      return F::template grad1<Tensor>(g, x[0], x[1], y, p);
  } else {
    if constexpr (I == 0)
      return F::template grad0<Tensor>(g, x[0], x[1], x[2], y, p);
    else if constexpr (I == 1)
      return F::template grad1<Tensor>(g, x[0], x[1], x[2], y, p);
    else
      return F::template grad2<Tensor>(g, x[0], x[1], x[2], y, p);
  }
}

template <class F>
constexpr Info info_of() {
  Info info{F::inputs, F::result, F::gradient, {}};
  if constexpr (F::gradient == Gradient::formula) {
    info.grad[0] = grad_on_tensors<F, 0>;
    if constexpr (F::inputs > 1) info.grad[1] = grad_on_tensors<F, 1>;
    if constexpr (F::inputs > 2) info.grad[2] = grad_on_tensors<F, 2>;
  }
  return info;
}

template <class... F>
struct Tables {
  static constexpr int n = sizeof...(F);
  static constexpr const char* names[] = {F::name...};
  static constexpr Info info[] = {info_of<F>()...};
  static constexpr Autocast autocast[] = {autocast_of<F>...};
};
template <class L>
struct TablesOf;
template <class... F>
struct TablesOf<List<F...>> : Tables<F...> {};
using Table = TablesOf<AllElementwise>;
static_assert(Table::n <= kMaxElementwise);

template <class F, class... All>
constexpr int position(List<All...>) {
  int at = 0;
  bool found = false;
  ((found = found || std::is_same_v<F, All>, at += !found), ...);
  return at;
}
constexpr int kBitwiseNot = position<BitwiseNot>(AllElementwise{});
constexpr int kSquare = position<Square>(AllElementwise{});
constexpr int kLogicalNot = position<LogicalNot>(AllElementwise{});

}  // namespace

DType result_type(const Tensor* x, int n) {
  auto kind = [](DType d) {
    return is_complex(d) ? 3 : is_floating(d) ? 2 : d == DType::boolean ? 0 : 1;
  };
  bool have[3] = {};
  DType rank[3] = {};
  for (int i = 0; i < n; ++i) {
    const int r = x[i]->wrapped_number ? 2 : x[i].dim() == 0 ? 1 : 0;
    DType d = x[i].dtype();
    if (r == 2 && is_floating(d)) d = default_dtype();
    if (r == 2 && is_complex(d)) d = complex_type(default_dtype());
    rank[r] = have[r] ? promote(rank[r], d) : d;
    have[r] = true;
  }
  bool any = false;
  DType out = DType::boolean;
  for (int r = 0; r < 3; ++r) {
    if (!have[r]) continue;
    if (!any || kind(rank[r]) > kind(out)) out = any ? promote(out, rank[r]) : rank[r];
    any = true;
  }
  return out;
}

namespace {

void infer(Call& c) {
  auto& a = c.args<ElementwiseArgs>();
  const Info& info = Table::info[a.function];
  Dims shape = c.in[0].shape();
  for (int i = 1; i < c.in.size(); ++i)
    if (c.in[i].shape() != shape) shape = broadcast_shapes(c.name(), shape, c.in[i].shape());
  const int skip = a.function == kWhere ? 1 : 0;  // a condition does not take part in promotion
  if (skip)
    check(c.in[0].dtype() == DType::boolean || c.in[0].dtype() == DType::uint8, ErrorKind::dtype,
          "where: the condition must be bool, got ", c.in[0], "; compare with != 0");
  DType dtype = result_type(&c.in[skip], c.in.size() - skip);
  if (info.result == Result::floating && !is_floating(dtype)) dtype = default_dtype();
  if (a.function == kSquare && dtype == DType::boolean) dtype = DType::int64;
  if (info.result == Result::integral)
    check(!is_floating(dtype), ErrorKind::dtype, c.name(),
          ": expected integer or bool tensors, got ", c.in[0], "; convert with .to(lamina.int64)");
  check(cpu_kernels().elementwise_value[a.function][compute_type(dtype)] != nullptr,
        ErrorKind::dtype, c.name(), ": not defined for ", dtype, "; convert with .float()");
  if (a.function == kSub || a.function == kNeg)
    for (const Tensor& t : c.in)
      check(t.dtype() != DType::boolean, ErrorKind::dtype, c.name(),
            ": not defined for bool; invert a mask with ~, compare two with ^");
  // An integer without dimensions takes the type of the others, modulo: 255 for -1 beside uint8.
  if (!is_floating(dtype))
    for (int i = skip; i < c.in.size(); ++i)
      if (c.in[i].dim() == 0 && c.in[i].dtype() != dtype && c.in[i].dtype() != DType::boolean)
        c.put(i, to_dtype(c.in[i], dtype));
  a.compute = dtype;
  c.output(shape, info.result == Result::boolean ? DType::boolean : dtype);
}

// The kernel for a call whose inputs already lie in the type it is done in, or null.
BlockFn native_kernel(const ElementwiseArgs& a, const Tensor& y, const Tensor* x, int n) {
  for (int i = a.function == kWhere; i < n; ++i)  // a condition is a byte, bool or uint8
    if (x[i].dtype() != a.compute) return nullptr;
  if (a.compute == DType::boolean && a.function == kAdd && a.p[0] != 1) return nullptr;
  const bool truth = Table::info[a.function].result == Result::boolean;
  if (y.dtype() != (truth ? DType::boolean : a.compute) || !y.is_contiguous()) return nullptr;
  return cpu_kernels().elementwise_native[a.function][int(a.compute)];
}

bool divides(std::string_view name) {
  return name == "floor_divide" || name == "remainder" || name == "fmod";
}
// Integers have no infinity to stand for x / 0.
void check_divisor(const Call& c, int function) {
  const std::string_view name = Table::names[function];
  if (!divides(name)) return;
  const Tensor& d = c.in[1];
  if (d.numel() == 0 || c.out[0].numel() == 0) return;
  const LoadFn load = cpu_kernels().load[int(d.dtype())][kI64];
  StridedLoop loop(d.shape());
  loop.operand(d);
  loop.merge();
  constexpr int64_t kBlock = 512;
  int64_t block[kBlock];
  loop.runs(0, loop.numel, [&](const int64_t* at, int64_t n) {
    for (int64_t b = 0; b < n; b += kBlock) {
      const int64_t m = n - b < kBlock ? n - b : kBlock, step = loop.inner(0);
      load(block, d.data<char>() + (at[0] + b * step) * item_size(d.dtype()), step, m);
      for (int64_t i = 0; i < m; ++i)
        check(block[i] != 0, ErrorKind::runtime, name,
              ": integer division by zero; use floating point, or mask the zeros");
    }
  });
}

void launch(Call& c) {
  const auto& a = c.args<ElementwiseArgs>();
  const Compute via = compute_type(a.compute);
  if (via == kI64 && c.in.size() == 2) check_divisor(c, a.function);
  if (const BlockFn f = native_kernel(a, c.out[0], &c.in[0], c.in.size()))
    return elementwise_loop(f, via, a.p, c.out[0], &c.in[0], c.in.size(), true);
  elementwise_loop(cpu_kernels().elementwise_value[a.function][via], via, a.p, c.out[0], &c.in[0],
                   c.in.size());
}

// The derivative kernels: inputs (g, x0, x1, x2, y), those not read undefined.
void grad_infer(Call& c) {
  Dims shape = c.in[0].shape();
  for (int i = 1; i < c.in.size(); ++i)
    if (c.in[i].defined() && c.in[i].shape() != shape)
      shape = broadcast_shapes(c.name(), shape, c.in[i].shape());
  c.output(shape, c.in[0].dtype());
}
void grad_launch(Call& c) {
  const auto& a = c.args<ElementwiseArgs>();
  const Compute via = compute_type(a.compute);
  elementwise_loop(cpu_kernels().elementwise_grad[a.function][a.input][via], via, a.p, c.out[0],
                   &c.in[0], c.in.size());
}
const Op kGrad{.name = "elementwise_grad",
               .infer = grad_infer,
               .launch = grad_launch,
               .elementwise = true,
               .split = Split::elements};

// What the derivatives that are asked for read together.
Saves saves_for(const Call& c) {
  const int f = c.args<ElementwiseArgs>().function;
  unsigned read = 0;
  for (int i = 0; i < Table::info[f].inputs; ++i)
    if (c.source[i].edge.needed()) read |= reads::kReads.of[f].by[i];
  return {read & 7, read & reads::kReadsY ? 1u : 0u};
}

void vjp(Vjp& c) {
  const auto& a = c.args<ElementwiseArgs>();
  const Info& info = Table::info[a.function];
  const Tensor g = c.g();
  Tensor x[3], y;
  const Saves saved = c.call().saves();
  for (int i = 0; i < info.inputs; ++i)
    if (saved.inputs >> i & 1) {
      x[i] = c.in(i);
      // in formulas on Tensors a number counts as much as the rest
      if (grad_enabled() && x[i]->wrapped_number) x[i] = to_dtype(x[i], a.compute);
    }
  if (saved.outputs) y = c.out();
  for (int i = 0; i < info.inputs; ++i) {
    if (!c.needs(i)) continue;
    Tensor gx;
    if (info.gradient == Gradient::zero)
      gx = zeros(c.shape(i), c.dtype(i));
    else if ((a.function == kAdd && (i == 0 || a.p[0] == 1)) || (a.function == kSub && i == 0))
      gx = g;
    else if (grad_enabled())
      gx = info.grad[i](g, x, y, Params{a.p[0], a.p[1], a.p[2]});
    else {
      ElementwiseArgs args = a;
      args.input = int16_t(i);
      gx = apply(kGrad, {g, x[0], x[1], x[2], y}, args);
    }
    c.set(i, to_dtype(sum_to(gx, c.shape(i)), c.dtype(i)));
  }
}

struct Ops {
  Op op[Table::n];
  Ops() {
    for (int f = 0; f < Table::n; ++f) {
      const Info& info = Table::info[f];
      const bool differentiable = info.gradient != Gradient::none;
      op[f] = Op{.name = Table::names[f],
                 .infer = infer,
                 .launch = launch,
                 .vjp = differentiable ? vjp : nullptr,
                 .differentiable = differentiable,
                 .elementwise = true};
      op[f].saves_for = saves_for;
      if (!divides(Table::names[f])) op[f].split = Split::elements;  // others look at it all first
    }
  }
};
const Ops& ops() {
  static const Ops table;
  return table;
}

CallRef call_of(int f, std::initializer_list<Input> inputs, double p0, double p1, double p2) {
  // bool is computed as 0 and 1, whose flipped bits are -1 and -2: both true
  if (f == kBitwiseNot && inputs.begin()->tensor->dtype() == DType::boolean) f = kLogicalNot;
  return make_call(ops().op[f], inputs,
                   ElementwiseArgs{{p0, p1, p2}, DType::float32, int16_t(f), 0});
}

}  // namespace

Tensor elementwise(int f, std::initializer_list<Input> x, double p0, double p1, double p2) {
  if (any_complex(x)) {
    const double p[3] = {p0, p1, p2};
    Tensor in[3];
    int n = 0;
    for (const Tensor& t : x) in[n++] = t;
    return complex_elementwise(Table::names[f], in, n, p);
  }
  return std::move(run(call_of(f, x, p0, p1, p2))[0]);
}
Tensor elementwise_into(int f, std::initializer_list<Input> x, const Tensor& into, double p0,
                        double p1, double p2) {
  if (any_complex(x) || is_complex(into.dtype())) {
    Tensor before[3];  // backward reads the values from before the write
    int n = 0;
    for (const Tensor& t : x) {
      const bool kept = t.same(into) && grad_enabled();
      before[n++] = kept ? clone(t) : t;
    }
    const Tensor y = n == 1   ? elementwise(f, {before[0]}, p0, p1, p2)
                     : n == 2 ? elementwise(f, {before[0], before[1]}, p0, p1, p2)
                              : elementwise(f, {before[0], before[1], before[2]}, p0, p1, p2);
    check(y.shape() == into.shape(), ErrorKind::shape, Table::names[f], ": output with shape ",
          into.shape(), " does not match the result's shape ", y.shape());
    return copy_(into, y);
  }
  return run_into(call_of(f, x, p0, p1, p2), into);
}
ElementwiseUse elementwise_use(const Op& op, const void* args) {
  if (op.launch != launch && op.launch != grad_launch) return {};
  ElementwiseArgs a;
  std::memcpy(&a, args, sizeof a);
  const bool grad = op.launch == grad_launch;
  const Kernels& k = cpu_kernels();
  const Compute via = compute_type(a.compute);
  BlockFn kernel = nullptr;
  if (!grad)
    kernel = k.elementwise_value[a.function][via];
  else if (via != kI64)
    kernel = k.elementwise_grad[a.function][a.input][via];
  return {a.function, grad ? a.input : -1, {a.p[0], a.p[1], a.p[2]}, a.compute, kernel};
}
int function_count() { return Table::n; }
const char* function_name(int f) { return Table::names[f]; }
int function_inputs(int f) { return Table::info[f].inputs; }
Autocast function_autocast(int f) { return Table::autocast[f]; }
int function_index(const char* name) {
  for (int f = 0; f < Table::n; ++f)
    if (!std::strcmp(Table::names[f], name)) return f;
  return -1;
}

}  // namespace lamina
