// What the linear algebra ops share: their arguments, checks, and the loop over a batch.
#pragma once
#include <algorithm>

#include "core/storage.h"
#include "core/threads.h"
#include "ops/lapack.h"
#include "ops/ops.h"

namespace lamina {

struct LinalgArgs {
  bool flag = false, flag2 = false;
  double x = 0, y = 0;
};

// The batch shape of x (..., m, n) followed by `last`.
inline Dims linalg_shape(const Tensor& x, std::initializer_list<int64_t> last) {
  Dims d = x.shape();
  d.n -= 2;
  for (const int64_t n : last) d.push(n);
  return d;
}

// x, dense, after checks that it is a floating (batch of) matrices.
inline Tensor linalg_matrix(const char* who, const Tensor& x) {
  check(x.dim() >= 2, ErrorKind::shape, who, ": expected a matrix or a batch of them, got shape ",
        x.shape());
  check(x.dtype() == DType::float32 || x.dtype() == DType::float64, ErrorKind::dtype, who,
        ": expected float32 or float64, got ", x.dtype(), "; convert with .float()");
  check(x.size(-1) <= INT32_MAX && x.size(-2) <= INT32_MAX, ErrorKind::shape, who,
        ": sizes must fit 32 bits, got shape ", x.shape());
  return contiguous(x);
}
inline Tensor linalg_square(const char* who, const Tensor& x) {
  const Tensor y = linalg_matrix(who, x);
  check(x.size(-1) == x.size(-2), ErrorKind::shape, who, ": expected square matrices, got shape ",
        x.shape());
  return y;
}
// The right-hand sides b of equations with the matrices a, dense.
inline Tensor linalg_right(const char* who, const Tensor& a, const Tensor& b) {
  const Tensor y = linalg_matrix(who, b);
  check(a.dtype() == b.dtype(), ErrorKind::dtype, who, ": A is ", a.dtype(), " and B is ",
        b.dtype(), "; they must agree");
  check(a.size(-2) == b.size(-2) && linalg_shape(a, {}) == linalg_shape(b, {}), ErrorKind::shape,
        who, ": A has shape ", a.shape(), " and B has shape ", b.shape(),
        "; batches and numbers of rows must agree");
  return y;
}

// f(i) for each matrix of the call's first input; about `ns` nanoseconds each.
template <class T, class F>
void each_matrix_of(Call& c, double ns, const F& f) {
  lapack<T>(c.name());  // a missing library is an error of the caller's thread
  parallel_rows(linalg_shape(c.in[0], {}).product(), ns, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) f(i);
  });
}
// f(T(0), i), T float or double as the input is.
template <class F>
void each_matrix(Call& c, double ns, const F& f) {
  if (c.in[0].dtype() == DType::float64)
    each_matrix_of<double>(c, ns, [&](int64_t i) { f(0.0, i); });
  else
    each_matrix_of<float>(c, ns, [&](int64_t i) { f(0.0f, i); });
}

// Copies matrix i of x into y, of the same shape, and returns where it lies there.
template <class T>
T* copy_matrix(const Tensor& x, const Tensor& y, int64_t i) {
  const int64_t n = x.size(-1) * x.size(-2);
  std::copy_n(x.data<T>() + i * n, n, y.data<T>() + i * n);
  return y.data<T>() + i * n;
}

}  // namespace lamina
