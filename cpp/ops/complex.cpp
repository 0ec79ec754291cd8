// Views between complex tensors and pairs of reals, and the functions with kernels of their own:
//   view_as_real     gz = view_as_complex(g)      view_as_complex   gx = view_as_real(g)
//   z w              gz = g conj(w)               z / w             gz = g conj(1/w), gw = -gz y*
//   f(z)             gz = g conj(f'(z))           |z|               gz = g z / |z|, 0 at 0
//   conj z           gz = conj(g)
#include "ops/complex.h"

#include "ops/complex_args.h"
#include "ops/join.h"
#include "ops/ops.h"
#include "ops/strided.h"

namespace lamina {
namespace {

// ---- views -------------------------------------------------------------------------------------
void as_real_infer(Call& c) {
  const Tensor parts = parts_of(c.in[0]);
  c.output_view(c.in[0], parts.shape(), parts.strides(), parts->offset);
  c.out.back()->dtype = parts.dtype();
}
void as_real_vjp(Vjp& c) { c.set(0, view_as_complex(contiguous(c.g()))); }
const Op kAsReal{
    .name = "view_as_real", .infer = as_real_infer, .vjp = as_real_vjp, .complex = true};

void as_complex_infer(Call& c) {
  const Tensor& x = c.in[0];
  Dims shape = x.shape(), strides = x.strides();
  shape.erase(shape.n - 1);
  strides.erase(strides.n - 1);
  for (int d = 0; d < strides.n; ++d) strides.v[d] /= 2;
  c.output_view(x, shape, strides, x->offset / 2);
  c.out.back()->dtype = complex_type(x.dtype());
}
void as_complex_vjp(Vjp& c) { c.set(0, view_as_real(contiguous(c.g()))); }
const Op kAsComplex{.name = "view_as_complex", .infer = as_complex_infer, .vjp = as_complex_vjp};

// ---- functions ---------------------------------------------------------------------------------
void infer(Call& c) {
  Dims shape = c.in[0].shape();
  if (c.in.size() == 2) shape = broadcast_shapes(c.name(), shape, c.in[1].shape());
  const DType d = c.in[0].dtype();
  c.output(shape, c.args<ComplexArgs>().f == kComplexAbs ? part_type(d) : d);
}

void launch(Call& c) {
  const Tensor& y = c.out[0];
  if (y.numel() == 0) return;
  const int f = c.args<ComplexArgs>().f, n = c.in.size();
  const Compute via = part_type(c.in[0].dtype()) == DType::float64 ? kF64 : kF32;
  const ComplexKernels& k = cpu_kernels().complex;
  StridedLoop loop(y.shape());
  loop.operand(y);
  for (int i = 0; i < n; ++i) loop.operand(c.in[i]);
  loop.merge();
  const int64_t part = via == kF64 ? 8 : 4;
  const bool real = f == kComplexAbs;
  bool dense = true;  // every run is
  for (int i = 0; i <= n; ++i) dense &= loop.inner(i) == 1 || loop.numel == 1;
  if (dense) {
    const double ns = f <= kComplexDiv || f == kComplexConj ? 0.6 : 4.0;
    parallel_rows(loop.numel, ns, [&](int64_t begin, int64_t end) {
      loop.runs(begin, end, [&](const int64_t* at, int64_t run) {
        const void* x[2] = {};
        for (int i = 0; i < n; ++i) x[i] = c.in[i].data<char>() + at[i + 1] * 2 * part;
        k.f[f][via](y.data<char>() + at[0] * (real ? 1 : 2) * part, nullptr, x, run);
      });
    });
    return;
  }
  const StoreFn store = cpu_kernels().store[int(part_type(y.dtype()))][via];
  parallel_rows(loop.numel, f <= kComplexDiv ? 2.0 : 8.0, [&](int64_t begin, int64_t end) {
    alignas(64) char plane[6][kComplexBlock * 8];
    loop.runs(begin, end, [&](const int64_t* at, int64_t run) {
      for (int64_t b = 0; b < run; b += kComplexBlock) {
        const int64_t m = run - b < kComplexBlock ? run - b : kComplexBlock;
        const void* x[4] = {};
        for (int i = 0; i < n; ++i) {
          const int64_t step = loop.inner(i + 1);
          k.split[via](plane[2 * i], plane[2 * i + 1],
                       c.in[i].data<char>() + (at[i + 1] + b * step) * 2 * part, step, m);
          x[2 * i] = plane[2 * i];
          x[2 * i + 1] = plane[2 * i + 1];
        }
        k.f[f][via](plane[4], plane[5], x, m);
        const int64_t to = at[0] + b * loop.inner(0);
        if (real)
          store(y.data<char>() + to * part, loop.inner(0), plane[4], m);
        else
          k.join[via](y.data<char>() + to * 2 * part, loop.inner(0), plane[4], plane[5], m);
      }
    });
  });
}

Tensor apply_function(int f, const Tensor& x, const Tensor& y = {});

void vjp(Vjp& c) {
  const int f = c.args<ComplexArgs>().f;
  const Tensor g = c.g();
  auto chain = [&](const Tensor& derivative) { c.set(0, g * conj(derivative)); };
  switch (f) {
    case kComplexMul:
      if (c.needs(0)) c.set(0, sum_to(g * conj(c.in(1)), c.shape(0)));
      if (c.needs(1)) c.set(1, sum_to(g * conj(c.in(0)), c.shape(1)));
      return;
    case kComplexDiv: {
      const Tensor gx = g / conj(c.in(1));
      if (c.needs(0)) c.set(0, sum_to(gx, c.shape(0)));
      if (c.needs(1)) c.set(1, sum_to(-(gx * conj(c.in(0) / c.in(1))), c.shape(1)));
      return;
    }
    case kComplexPow: {  // w z^(w-1), and z^w log z (0 where z = 0)
      const Tensor z = c.in(0), w = c.in(1);
      static const int eq = function_index("eq");
      if (c.needs(0)) {
        const Tensor d = w * apply_function(kComplexPow, z, w - 1.0);
        const Tensor none = elementwise(eq, {w, scalar_tensor(0)});
        c.set(0, sum_to(g * conj(where(none, scalar_tensor(0), d)), c.shape(0)));
      }
      if (c.needs(1)) {
        const Tensor none = elementwise(eq, {z, scalar_tensor(0)});
        const Tensor l = apply_function(kComplexLog, where(none, scalar_tensor(1), z));
        c.set(1, sum_to(g * conj(c.out() * l), c.shape(1)));
      }
      return;
    }
    case kComplexConj:
      return c.set(0, conj(g));
    case kComplexExp:
      return chain(c.out());
    case kComplexLog:
      return c.set(0, g / conj(c.in(0)));
    case kComplexSqrt:
      return c.set(0, g / (conj(c.out()) * 2.0));
    case kComplexSin:
      return chain(apply_function(kComplexCos, c.in(0)));
    case kComplexCos:
      return chain(-apply_function(kComplexSin, c.in(0)));
    case kComplexTan:
      return chain(c.out() * c.out() + 1.0);
    case kComplexSinh:
      return chain(apply_function(kComplexCosh, c.in(0)));
    case kComplexCosh:
      return chain(apply_function(kComplexSinh, c.in(0)));
    case kComplexTanh:
      return chain(1.0 - c.out() * c.out());
    default: {
      const Tensor z = c.in(0), y = c.out();
      static const int eq = function_index("eq");
      const Tensor none = elementwise(eq, {y, scalar_tensor(0)});
      c.set(0, z * (where(none, scalar_tensor(0), g) / where(none, scalar_tensor(1), y)));
    }
  }
}

Saves saves_for(const Call& c) {
  switch (c.args<ComplexArgs>().f) {
    case kComplexConj:
      return kSavesNothing;
    case kComplexExp:
    case kComplexSqrt:
    case kComplexTan:
    case kComplexTanh:
      return kSavesOutputs;
    case kComplexPow:
    case kComplexAbs:
      return kSavesBoth;
    default:
      return kSavesInputs;
  }
}

constexpr const char* kNames[kComplexFunctions] = {"mul",  "div",  "pow",  "conj", "exp",
                                                   "log",  "sqrt", "sin",  "cos",  "tan",
                                                   "sinh", "cosh", "tanh", "abs"};
struct Ops {
  Op op[kComplexFunctions];
  Ops() {
    for (int f = 0; f < kComplexFunctions; ++f)
      op[f] = Op{.name = kNames[f],
                 .kernel = "complex_function",
                 .infer = infer,
                 .launch = launch,
                 .vjp = vjp,
                 .saves_for = saves_for,
                 .complex = true};
  }
};

Tensor apply_function(int f, const Tensor& x, const Tensor& y) {
  static const Ops table;
  const ComplexArgs args{f};
  return y.defined() ? apply(table.op[f], {x, y}, args) : apply(table.op[f], {x}, args);
}

}  // namespace

Tensor complex_function(int f, const Tensor& x, const Tensor& y) { return apply_function(f, x, y); }

Tensor part_of(const Tensor& z, int part) {
  Dims strides = z.strides();
  for (int d = 0; d < strides.n; ++d) strides.v[d] *= 2;
  Tensor t = Tensor::view_of(z, z.shape(), strides, z->offset * 2 + part);
  t->dtype = part_type(z.dtype());
  return t;
}
Tensor parts_of(const Tensor& z) {
  Tensor t = part_of(z, 0);
  t->shape.push(2);
  t->strides.push(1);
  return t;
}
Tensor gradient_as(const Tensor& g, DType dtype) {
  return to_dtype(is_complex(g.dtype()) && !is_complex(dtype) ? real(g) : g, dtype);
}

Tensor view_as_real(const Tensor& z) {
  check(is_complex(z.dtype()), ErrorKind::dtype, "view_as_real: expected a complex tensor, got ",
        z);
  return apply(kAsReal, {z});
}
Tensor view_as_complex(const Tensor& x) {
  check(x.dtype() == DType::float32 || x.dtype() == DType::float64, ErrorKind::dtype,
        "view_as_complex: expected float32 or float64, got ", x);
  check(x.dim() > 0 && x.size(-1) == 2, ErrorKind::shape,
        "view_as_complex: the last dimension must hold real and imaginary parts (size 2), got "
        "shape ",
        x.shape());
  bool even = x->offset % 2 == 0 && x.stride(-1) == 1;
  for (int d = 0; d + 1 < x.dim(); ++d) even = even && x.stride(d) % 2 == 0;
  check(even, ErrorKind::runtime, "view_as_complex: strides ", x.strides(), " and offset ",
        x->offset, " do not make pairs: the last must be 1 and all else even; use .contiguous()");
  return apply(kAsComplex, {x});
}
Tensor real(const Tensor& z) { return is_complex(z.dtype()) ? select(view_as_real(z), -1, 0) : z; }
Tensor imag(const Tensor& z) {
  check(is_complex(z.dtype()), ErrorKind::dtype, "imag: expected a complex tensor, got ", z);
  return select(view_as_real(z), -1, 1);
}
Tensor make_complex(const Tensor& re, const Tensor& im) {
  check(re.dtype() == im.dtype() && (re.dtype() == DType::float32 || re.dtype() == DType::float64),
        ErrorKind::dtype, "complex: both parts must be float32 or both float64, got ", re, " and ",
        im);
  const Dims shape = broadcast_shapes("complex", re.shape(), im.shape());
  return view_as_complex(stack({expand(re, shape), expand(im, shape)}, -1));
}
Tensor to_complex(const Tensor& x) { return to_dtype(x, complex_type(x.dtype())); }
Tensor conj(const Tensor& z) { return is_complex(z.dtype()) ? apply_function(kComplexConj, z) : z; }
Tensor angle(const Tensor& z) {
  static const int atan2 = function_index("atan2"), eq = function_index("eq");
  const Tensor none = elementwise(eq, {z, scalar_tensor(0)});  // at 0: angle 0, gradient 0
  const Tensor a = real(z), b = imag(z);
  return elementwise(atan2, {where(none, scalar_tensor(0), b), where(none, scalar_tensor(1), a)});
}
Tensor complex_number(double re, double im) {
  Tensor t = empty({}, DType::complex128);
  t.data<double>()[0] = re;
  t.data<double>()[1] = im;
  t->wrapped_number = true;
  return t;
}

}  // namespace lamina
