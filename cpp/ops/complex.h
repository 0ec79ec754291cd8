// Complex tensors: (re, im) pairs of float32 or float64.
//
// A complex tensor is a real one with a last dimension of 2 in another guise (view_as_real), and
// most operations on it are written with that: what is linear over the reals is the real operation
// on the pairs, and its gradient follows. Products and functions have kernels (complex_cpu.h).
// Gradients are PyTorch's: of a real loss L by z = a + ib, dL/da + i dL/db; so a function with
// complex derivative f' sends g back as g * conj(f').
#pragma once
#include "ops/apply.h"
#include "ops/creation.h"

namespace lamina {

// ---- views and parts ---------------------------------------------------------------------------
Tensor view_as_real(const Tensor& z);     // (...) -> (..., 2)
Tensor view_as_complex(const Tensor& x);  // (..., 2) -> (...)
Tensor real(const Tensor& z);             // a view; a real tensor itself
Tensor imag(const Tensor& z);             // a view; throws for a real tensor
Tensor make_complex(const Tensor& re, const Tensor& im);
Tensor to_complex(const Tensor& x);  // x with zero imaginary part
Tensor conj(const Tensor& z);        // a copy
Tensor angle(const Tensor& z);
Tensor complex_function(int f, const Tensor& x,
                        const Tensor& y);     // of args_complex.h; y may be none
Tensor complex_number(double re, double im);  // 0-dim, weak in promotion as a Python number is

// The same memory as views outside the tape: all parts (..., 2), and the real (0) or imaginary (1).
Tensor parts_of(const Tensor& z);
Tensor part_of(const Tensor& z, int part);
// A gradient for an input of type `dtype`: its real part where that is real.
Tensor gradient_as(const Tensor& g, DType dtype);

inline bool any_complex(std::initializer_list<Input> list) {
  for (const Tensor& t : list)
    if (t.defined() && is_complex(t.dtype())) return true;
  return false;
}
// f of the pairs, seen as complex again; dimensions f is told of must not be negative.
template <class F>
Tensor on_parts(const Tensor& z, F&& f) {
  return view_as_complex(f(view_as_real(z)));
}

// ---- what other ops send here when an operand is complex ---------------------------------------
// The elementwise function f of formulas.h; throws for those without complex meaning.
Tensor complex_elementwise(const char* f, const Tensor* x, int n, const double* p);
Tensor complex_matmul(const Tensor& a, const Tensor& b);
Tensor complex_sum(const Tensor& z, const Dims& dims, bool keepdim);
Tensor complex_prod(const Tensor& z, const Dims& dims, bool keepdim);

}  // namespace lamina
