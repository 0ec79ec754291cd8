// Filling, copying and converting. One op, `copy`, is behind clone, contiguous, to_dtype and
// x[...] = y:  y = x, converted to y's dtype;  gx = g, converted back.
#include "ops/creation.h"

#include <cfloat>
#include <cmath>
#include <cstring>

#include "core/device.h"
#include "ops/complex.h"
#include "ops/creation_args.h"
#include "ops/ops.h"
#include "ops/strided.h"
#include "ops/strided_copy.h"
#include "ops/transfer.h"

namespace lamina {
namespace {

constexpr int64_t kBlock = 1024;  // elements converted at a time: 8 kB, well inside L1

struct CopyArgs {
  DType to;
};

void copy_infer(Call& c) {
  const DType to = c.args<CopyArgs>().to;
  check(!is_complex(c.in[0].dtype()) || is_complex(to), ErrorKind::dtype, "copy: complex values ",
        c.in[0], " do not fit ", to, "; take .real, .imag or .abs()");
  c.output(c.in[0].shape(), to);
}

void copy_values(const Tensor& x, const Tensor& y) {
  if (x.numel() == 0) return;
  if (x.dtype() == y.dtype())
    return strided_copy(y.data(), y.strides().v, x.data(), x.strides().v, x.shape(),
                        item_size(x.dtype()));
  StridedLoop loop(x.shape());
  loop.operand(y);
  loop.operand(x);
  loop.merge();
  const int64_t xs = item_size(x.dtype()), ys = item_size(y.dtype());
  char* const yp = y.data<char>();
  const char* const xp = x.data<char>();
  // Through the compute type of the operand that holds more; halves keep float32, integers that
  // become floats are rounded to them at once.
  const bool by_result = compute_type(x.dtype()) == kI64 || y.dtype() == DType::float64;
  const Compute via = compute_type(by_result ? y.dtype() : x.dtype());
  const LoadFn load = cpu_kernels().load[int(x.dtype())][via];
  const StoreFn store = cpu_kernels().store[int(y.dtype())][via];
  // One conversion where the other side is dense and of the compute type already.
  constexpr DType holder[3] = {DType::float32, DType::float64, DType::int64};
  const bool loads = y.dtype() == holder[via] && loop.inner(0) == 1;
  const bool stores = !loads && x.dtype() == holder[via] && loop.inner(1) == 1;
  const double ns = loads || stores ? 0.05 * double(xs + ys) : 1.0;
  parallel_rows(loop.numel, ns, [&](int64_t b, int64_t e) {
    alignas(64) char block[kBlock * 8];
    loop.runs(b, e, [&](const int64_t* at, int64_t n) {
      if (loads) return load(yp + at[0] * ys, xp + at[1] * xs, loop.inner(1), n);
      if (stores) return store(yp + at[0] * ys, loop.inner(0), xp + at[1] * xs, n);
      for (int64_t i = 0; i < n; i += kBlock) {
        const int64_t m = n - i < kBlock ? n - i : kBlock;
        load(block, xp + (at[1] + i * loop.inner(1)) * xs, loop.inner(1), m);
        store(yp + (at[0] + i * loop.inner(0)) * ys, loop.inner(0), block, m);
      }
    });
  });
}

// Real numbers into complex ones.
void copy_to_pairs(const Tensor& x, const Tensor& y) {
  if (x.numel() == 0) return;
  StridedLoop loop(x.shape());
  loop.operand(y);
  loop.operand(x);
  loop.merge();
  const Compute via = compute_type(part_type(y.dtype()));
  const LoadFn load = cpu_kernels().load[int(x.dtype())][via];
  const JoinFn join = cpu_kernels().complex.join[via];
  const int64_t xs = item_size(x.dtype()), ys = item_size(y.dtype());
  parallel_rows(loop.numel, 0.5, [&](int64_t b, int64_t e) {
    alignas(64) char block[kBlock * 8], zeros[kBlock * 8] = {};
    loop.runs(b, e, [&](const int64_t* at, int64_t n) {
      for (int64_t i = 0; i < n; i += kBlock) {
        const int64_t m = n - i < kBlock ? n - i : kBlock;
        load(block, x.data<char>() + (at[1] + i * loop.inner(1)) * xs, loop.inner(1), m);
        join(y.data<char>() + (at[0] + i * loop.inner(0)) * ys, loop.inner(0), block, zeros, m);
      }
    });
  });
}

void copy_launch(Call& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (!is_complex(y.dtype()) || x.dtype() == y.dtype()) return copy_values(x, y);
  if (is_complex(x.dtype())) return copy_values(parts_of(x), parts_of(y));
  copy_to_pairs(x, y);
}

void copy_vjp(Vjp& c) { c.set(0, gradient_as(c.g(), c.dtype(0))); }

const Op kCopy{.name = "copy",
               .infer = copy_infer,
               .launch = copy_launch,
               .vjp = copy_vjp,
               .complex = true,
               .split = Split::rows};

// x overwritten, all of it: its history, the second input, gets a gradient of zeros.
void overwrite_vjp(Vjp& c) {
  c.set(0, to_dtype(c.g(), c.dtype(0)));
  c.set(1, zeros(c.shape(1), c.dtype(1)));
}
const Op kOverwrite{.name = "copy_",
                    .infer = copy_infer,
                    .launch = copy_launch,
                    .vjp = overwrite_vjp,
                    .complex = true};

void fill_infer(Call& c) { c.output(c.in[0].shape(), c.in[0].dtype()); }
void fill_values(const Tensor& y, double d, int64_t i, bool integral) {
  if (y.numel() == 0) return;
  const Compute via = compute_type(y.dtype());
  if (integral && via != kI64) d = double(i);
  if (!integral) i = y.dtype() == DType::boolean ? d != 0 : int64_t(d);
  const float f = float(d);
  const void* value = via == kF32   ? static_cast<const void*>(&f)
                      : via == kF64 ? static_cast<const void*>(&d)
                                    : static_cast<const void*>(&i);
  const DType holder = via == kF32 ? DType::float32 : via == kF64 ? DType::float64 : DType::int64;
  const LoadFn load = cpu_kernels().load[int(holder)][via];
  const StoreFn store = cpu_kernels().store[int(y.dtype())][via];
  StridedLoop loop(y.shape());
  loop.operand(y);
  loop.merge();
  const int64_t size = item_size(y.dtype());
  char* const p = y.data<char>();
  parallel_rows(loop.numel, 0.05 * double(size), [&](int64_t b, int64_t e) {
    alignas(64) char block[kBlock * 8];
    load(block, value, 0, e - b < kBlock ? e - b : kBlock);
    loop.runs(b, e, [&](const int64_t* at, int64_t n) {
      for (int64_t k = 0; k < n; k += kBlock)
        store(p + (at[0] + k * loop.inner(0)) * size, loop.inner(0), block,
              n - k < kBlock ? n - k : kBlock);
    });
  });
}
void fill_launch(Call& c) {
  const auto& a = c.args<FillArgs>();
  const Tensor& y = c.out[0];
  if (!is_complex(y.dtype())) return fill_values(y, a.d, a.i, a.integral);
  fill_values(part_of(y, 0), a.d, a.i, a.integral);
  fill_values(part_of(y, 1), 0, 0, true);
}
void fill_vjp(Vjp& c) { c.set(0, zeros(c.shape(0), c.dtype(0))); }
// The input is the tensor being filled: it gives the shape, and its gradient is zero.
const Op kFill{.name = "fill_",
               .infer = fill_infer,
               .launch = fill_launch,
               .vjp = fill_vjp,
               .elementwise = true,
               .fills = true,
               .complex = true};

void range_infer(Call& c) {
  const auto& a = c.args<RangeArgs>();
  c.output({a.n}, a.dtype);
}
// Elements [b, e). Integers are counted up, places as doubles: both without an instruction that
// only some vectors have.
template <class T>
void range(const RangeArgs& a, T* y, int64_t b, int64_t e) {
  for (int64_t at = b; at < e; at += kBlock) {
    const int m = int(e - at < kBlock ? e - at : kBlock);
    if constexpr (std::is_floating_point_v<T>) {
      const double first = double(at);
      for (int k = 0; k < m; ++k) y[at - b + k] = T(a.start + (first + double(k)) * a.step);
    } else {
      T value = a.i_start + at * a.i_step;
      for (int k = 0; k < m; ++k, value += a.i_step) y[at - b + k] = value;
    }
  }
}
void range_launch(Call& c) {
  const auto& a = c.args<RangeArgs>();
  const Tensor& y = c.out[0];
  const DType t = y.dtype();
  const StoreFn store = cpu_kernels().store[int(t)][is_floating(t) ? kF64 : kI64];
  const int64_t size = item_size(t);
  parallel_rows(a.n, 0.05 * double(size), [&](int64_t b, int64_t e) {
    if (t == DType::int64) return range(a, y.data<int64_t>() + b, b, e);
    if (t == DType::float32) return range(a, y.data<float>() + b, b, e);
    if (t == DType::float64) return range(a, y.data<double>() + b, b, e);
    alignas(64) char block[kBlock * 8];
    for (int64_t at = b; at < e; at += kBlock) {
      const int64_t end = e - at < kBlock ? e : at + kBlock;
      if (is_floating(t))
        range(a, reinterpret_cast<double*>(block), at, end);
      else
        range(a, reinterpret_cast<int64_t*>(block), at, end);
      store(y.data<char>() + at * size, 1, block, end - at);
    }
  });
}
const Op kRange{
    .name = "arange", .infer = range_infer, .launch = range_launch, .differentiable = false};

}  // namespace

Tensor full(const Dims& shape, Scalar value, DType dtype) {
  Tensor t = empty(shape, dtype, working_device);
  fill_(t, value);
  t->storage->version = 0;
  return t;
}
Tensor zeros(const Dims& shape, DType dtype) { return full(shape, 0, dtype); }
Tensor ones(const Dims& shape, DType dtype) { return full(shape, 1, dtype); }
Tensor zeros_like(const Tensor& x) { return zeros(x.shape(), x.dtype()); }
Tensor ones_like(const Tensor& x) { return ones(x.shape(), x.dtype()); }

Tensor arange(Scalar start, Scalar end, Scalar step, DType dtype) {
  if (is_complex(dtype)) return to_dtype(arange(start, end, step, part_type(dtype)), dtype);
  check(step.d != 0, ErrorKind::value, "arange: step must be nonzero");
  check((end.d - start.d) * step.d >= 0, ErrorKind::value, "arange: from ", start.d, " to ", end.d,
        " with step ", step.d, " goes the wrong way; change the sign of step");
  const double count = (end.d - start.d) / step.d;
  check(count < 0x1p63, ErrorKind::value, "arange: from ", start.d, " to ", end.d, " with step ",
        step.d, " are too many values");
  const bool whole =
      start.kind != Scalar::real && end.kind != Scalar::real && step.kind != Scalar::real;
  const int64_t n = whole ? (end.i - start.i + step.i + (step.i > 0 ? -1 : 1)) / step.i
                          : int64_t(std::ceil(count));
  return apply(kRange, {}, RangeArgs{start.d, step.d, start.i, step.i, n, dtype});
}

Tensor linspace(double start, double end, int64_t steps, DType dtype) {
  check(steps >= 0, ErrorKind::value, "linspace: number of steps must be non-negative, got ",
        steps);
  if (!is_floating(dtype) && !is_complex(dtype)) start = std::trunc(start), end = std::trunc(end);
  const double step = steps > 1 ? (end - start) / double(steps - 1) : 0;
  if (is_complex(dtype)) return to_dtype(linspace(start, end, steps, part_type(dtype)), dtype);
  if (!is_floating(dtype))  // each value is cut to a whole number, not the step
    return to_dtype(linspace(start, end, steps, DType::float64), dtype);
  Tensor t = apply(kRange, {}, RangeArgs{start, step, 0, 0, steps, dtype});
  if (steps > 1) {  // the last value exactly
    Tensor last = narrow(t, 0, steps - 1, 1);
    fill_(last, end);
  }
  return t;
}

Tensor scalar_tensor(Scalar value) {
  const DType dtype = value.kind == Scalar::real      ? DType::float64
                      : value.kind == Scalar::integer ? DType::int64
                                                      : DType::boolean;
  Tensor t = empty({}, dtype);
  if (value.kind == Scalar::real)
    *t.data<double>() = value.d;
  else if (value.kind == Scalar::integer)
    *t.data<int64_t>() = value.i;
  else
    *t.data<bool>() = value.i != 0;
  t->wrapped_number = true;
  note_constant(t);
  return t;
}

void check_fits(const char* op, Scalar value, DType dtype) {
  bool fits = true;
  if (dtype == DType::float32) {
    fits = value.kind != Scalar::real || std::isinf(value.d) || !(std::abs(value.d) > FLT_MAX);
  } else if (!has_gradients(dtype) && dtype != DType::boolean) {
    const int bits = 8 * int(item_size(dtype)) - 1;  // of the magnitude, but for uint8
    const double top = dtype == DType::uint8 ? 256 : std::ldexp(1, bits);
    const double least = dtype == DType::uint8 ? -255 : -top;  // negatives wrap, as in C
    const double v = value.kind == Scalar::real ? std::trunc(value.d) : double(value.i);
    fits = dtype == DType::int64 && value.kind != Scalar::real ? true : v >= least && v < top;
  }
  if (value.kind == Scalar::real)
    check(fits, ErrorKind::runtime, op, ": ", value.d, " does not fit into ", dtype);
  else
    check(fits, ErrorKind::runtime, op, ": ", value.i, " does not fit into ", dtype);
}

Tensor& fill_(Tensor& x, Scalar value) {
  const bool integral = value.kind != Scalar::real;
  check_fits("fill_", value, x.dtype());
  run_into(make_call(kFill, std::initializer_list<Input>{x}, FillArgs{value.d, value.i, integral}),
           x);
  return x;
}

Tensor copy_(const Tensor& x, const Tensor& y) {
  const Tensor here = __builtin_expect(y.device() != x.device(), 0) ? to_device(y, x.device()) : y;
  const Tensor source = here.shape() == x.shape() ? here : broadcast_to(here, x.shape());
  const CopyArgs args{x.dtype()};
  if (grad_enabled() && x.requires_grad() && !x->view)
    return run_into(make_call(kOverwrite, std::initializer_list<Input>{source, x}, args), x);
  return run_into(make_call(kCopy, std::initializer_list<Input>{source}, args), x);
}

Tensor to_dtype(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype && !x->wrapped_number) return x;
  return apply(kCopy, {x}, CopyArgs{dtype});
}

Tensor clone(const Tensor& x) { return apply(kCopy, {x}, CopyArgs{x.dtype()}); }
Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }

Scalar item(const Tensor& x) {
  check(x.numel() == 1, ErrorKind::value,
        "item: only a tensor with one element can become a "
        "Python number, got shape ",
        x.shape(), "; use .tolist() or index it");
  check(!is_complex(x.dtype()), ErrorKind::type, "item: a complex number is not a real one: ", x,
        "; take .real or .imag");
  note_read("item", &x);
  const Compute via = compute_type(x.dtype());
  alignas(8) char value[8], room[16];
  cpu_kernels().load[int(x.dtype())][via == kI64 ? kI64 : kF64](value, host_bytes(x, room), 0, 1);
  if (x.dtype() == DType::boolean) return Scalar(bool(*reinterpret_cast<int64_t*>(value)));
  if (via == kI64) return Scalar(*reinterpret_cast<int64_t*>(value));
  return Scalar(*reinterpret_cast<double*>(value));
}

}  // namespace lamina
