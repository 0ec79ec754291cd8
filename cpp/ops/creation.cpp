// Filling, copying and converting. One op, `copy`, is behind clone, contiguous, to_dtype and
// x[...] = y:  y = x, converted to y's dtype;  gx = g, converted back.
#include "ops/creation.h"

#include <cmath>
#include <cstring>

#include "ops/ops.h"
#include "ops/strided.h"

namespace lamina {
namespace {

constexpr int64_t kBlock = 1024;  // elements converted at a time: 8 kB, well inside L1

struct CopyArgs {
  DType to;
};

void copy_infer(Call& c) { c.output(c.in[0].shape(), c.args<CopyArgs>().to); }

void copy_launch(Call& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (x.numel() == 0) return;
  StridedLoop loop(x.shape());
  loop.operand(y);
  loop.operand(x);
  loop.merge();
  const int64_t xs = item_size(x.dtype()), ys = item_size(y.dtype());
  char* const yp = y.data<char>();
  const char* const xp = x.data<char>();
  const bool same = x.dtype() == y.dtype();
  if (same && loop.inner(0) == 1 && loop.inner(1) == 1) {
    parallel_rows(loop.numel, 0.05 * double(xs), [&](int64_t b, int64_t e) {
      loop.runs(b, e, [&](const int64_t* at, int64_t n) {
        std::memcpy(yp + at[0] * ys, xp + at[1] * xs, size_t(n * xs));
      });
    });
    return;
  }
  // Through the compute type of the operand that holds more; halves keep float32, int64 itself.
  const Compute via = compute_type(x.dtype()) == kI64 ? kI64
                      : y.dtype() == DType::float64   ? kF64
                                                      : compute_type(x.dtype());
  const LoadFn load = cpu_kernels().load[int(x.dtype())][via];
  const StoreFn store = cpu_kernels().store[int(y.dtype())][via];
  parallel_rows(loop.numel, 1.0, [&](int64_t b, int64_t e) {
    alignas(64) char block[kBlock * 8];
    loop.runs(b, e, [&](const int64_t* at, int64_t n) {
      for (int64_t i = 0; i < n; i += kBlock) {
        const int64_t m = n - i < kBlock ? n - i : kBlock;
        load(block, xp + (at[1] + i * loop.inner(1)) * xs, loop.inner(1), m);
        store(yp + (at[0] + i * loop.inner(0)) * ys, loop.inner(0), block, m);
      }
    });
  });
}

void copy_vjp(Vjp& c) { c.set(0, to_dtype(c.g(), c.dtype(0))); }

const Op kCopy{.name = "copy", .infer = copy_infer, .launch = copy_launch, .vjp = copy_vjp};

struct FillArgs {
  double d;
  int64_t i;
  bool integral;
};
void fill_infer(Call& c) { c.output(c.in[0].shape(), c.in[0].dtype()); }
void fill_launch(Call& c) {
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  const auto& a = c.args<FillArgs>();
  const Compute via = compute_type(y.dtype());
  const double d = a.integral && via != kI64 ? double(a.i) : a.d;
  const float f = float(d);
  const int64_t i = a.integral ? a.i : y.dtype() == DType::boolean ? d != 0 : int64_t(d);
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
void fill_vjp(Vjp& c) { c.set(0, zeros(c.shape(0), c.dtype(0))); }
// The input is the tensor being filled: it gives the shape, and its gradient is zero.
const Op kFill{.name = "fill_",
               .infer = fill_infer,
               .launch = fill_launch,
               .vjp = fill_vjp,
               .elementwise = true,
               .fills = true};

struct RangeArgs {
  double start, step;
  int64_t i_start, i_step, n;
  DType dtype;
};
void range_infer(Call& c) {
  const auto& a = c.args<RangeArgs>();
  c.output({a.n}, a.dtype);
}
void range_launch(Call& c) {
  const auto& a = c.args<RangeArgs>();
  const Tensor& y = c.out[0];
  const StoreFn store = cpu_kernels().store[int(y.dtype())][is_floating(y.dtype()) ? kF64 : kI64];
  char* const p = y.data<char>();
  const int64_t size = item_size(y.dtype());
  parallel_rows(a.n, 1.0, [&](int64_t b, int64_t e) {
    double f[256];
    int64_t n[256];
    for (int64_t at = b; at < e; at += 256) {
      const int64_t m = e - at < 256 ? e - at : 256;
      for (int64_t k = 0; k < m; ++k) {
        f[k] = a.start + double(at + k) * a.step;
        n[k] = a.i_start + (at + k) * a.i_step;
      }
      store(p + at * size, 1, is_floating(y.dtype()) ? static_cast<void*>(f) : n, m);
    }
  });
}
const Op kRange{
    .name = "arange", .infer = range_infer, .launch = range_launch, .differentiable = false};

}  // namespace

Tensor full(const Dims& shape, Scalar value, DType dtype) {
  Tensor t = empty(shape, dtype);
  fill_(t, value);
  t->storage->version = 0;
  return t;
}
Tensor zeros(const Dims& shape, DType dtype) { return full(shape, 0, dtype); }
Tensor ones(const Dims& shape, DType dtype) { return full(shape, 1, dtype); }
Tensor zeros_like(const Tensor& x) { return zeros(x.shape(), x.dtype()); }
Tensor ones_like(const Tensor& x) { return ones(x.shape(), x.dtype()); }

Tensor arange(Scalar start, Scalar end, Scalar step, DType dtype) {
  check(step.d != 0, ErrorKind::value, "arange: step must be nonzero");
  check((end.d - start.d) * step.d >= 0, ErrorKind::value, "arange: from ", start.d, " to ", end.d,
        " with step ", step.d, " goes the wrong way; change the sign of step");
  const bool whole =
      start.kind != Scalar::real && end.kind != Scalar::real && step.kind != Scalar::real;
  const int64_t n = whole ? (end.i - start.i + step.i + (step.i > 0 ? -1 : 1)) / step.i
                          : int64_t(std::ceil((end.d - start.d) / step.d));
  return apply(kRange, {}, RangeArgs{start.d, step.d, start.i, step.i, n, dtype});
}

Tensor linspace(double start, double end, int64_t steps, DType dtype) {
  check(steps >= 0, ErrorKind::value, "linspace: number of steps must be non-negative, got ",
        steps);
  const double step = steps > 1 ? (end - start) / double(steps - 1) : 0;
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

Tensor& fill_(Tensor& x, Scalar value) {
  const bool integral = value.kind != Scalar::real;
  run_into(make_call(kFill, std::initializer_list<Tensor>{x}, FillArgs{value.d, value.i, integral}),
           x);
  return x;
}

Tensor copy_(const Tensor& x, const Tensor& y) {
  const Tensor source = y.shape() == x.shape() ? y : broadcast_to(y, x.shape());
  return run_into(make_call(kCopy, std::initializer_list<Tensor>{source}, CopyArgs{x.dtype()}), x);
}

Tensor to_dtype(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype && !x->wrapped_number) return x;
  return apply(kCopy, {x}, CopyArgs{dtype});
}

Tensor clone(const Tensor& x) { return apply(kCopy, {x}, CopyArgs{x.dtype()}); }
Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }

Scalar item(const Tensor& x) {
  check(x.numel() == 1, ErrorKind::runtime,
        "item: only a tensor with one element can become a "
        "Python number, got shape ",
        x.shape(), "; use .tolist() or index it");
  note_read("item", &x);
  const Compute via = compute_type(x.dtype());
  alignas(8) char value[8];
  cpu_kernels().load[int(x.dtype())][via == kI64 ? kI64 : kF64](value, x.data<char>(), 0, 1);
  if (x.dtype() == DType::boolean) return Scalar(bool(*reinterpret_cast<int64_t*>(value)));
  if (via == kI64) return Scalar(*reinterpret_cast<int64_t*>(value));
  return Scalar(*reinterpret_cast<double*>(value));
}

}  // namespace lamina
