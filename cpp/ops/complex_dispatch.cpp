// What the functions of real tensors mean for complex ones: sums, comparisons and selections on
// the pairs of reals, products and functions on the kernels of complex.cpp, the rest composed.
//   matmul  [a_re a_im] (M, 2K) times [[b_re, b_im], [-b_im, b_re]] (2K, 2N), pairs interleaved:
//           one real product, whose gradient is the right one
#include <cmath>
#include <string_view>

#include "ops/complex.h"
#include "ops/join.h"
#include "ops/ops.h"
#include "ops/transfer.h"

namespace lamina {
namespace {

int function(const char* name) {
  const int f = function_index(name);
  check(f >= 0, ErrorKind::runtime, "no elementwise function named ", name);
  return f;
}
Tensor combine(const char* name, const Tensor& pairs) {  // (..., 2) bool -> (...)
  return elementwise(function(name), {select(pairs, -1, 0), select(pairs, -1, 1)});
}
Tensor both_parts(const char* test, const char* with, const Tensor& z) {
  return combine(with, elementwise(function(test), {view_as_real(z)}));
}
Tensor equal(const Tensor& a, const Tensor& b) {
  static const int eq = function("eq");
  return combine("logical_and", elementwise(eq, {view_as_real(a), view_as_real(b)}));
}
Tensor logical_not(const Tensor& m) {
  static const int f = function("logical_not");
  return elementwise(f, {m});
}
Tensor truth(const Tensor& x) {  // of any dtype: x != 0
  static const int ne = function("ne");
  return elementwise(ne, {x, scalar_tensor(0)});
}
Tensor unary(int f, const Tensor& z) { return complex_function(f, z, {}); }
Tensor reciprocal(const Tensor& z) { return complex_function(kComplexDiv, ones({}, z.dtype()), z); }

// z^p: products for small whole p, so that squares and cubes are exact where they can be.
Tensor power(const Tensor& z, double p) {
  if (p == 0.5) return unary(kComplexSqrt, z);
  if (p == 0 || p != std::floor(p) || std::fabs(p) > 64)
    return complex_function(kComplexPow, z, to_dtype(scalar_tensor(p), z.dtype()));
  Tensor base = z, y;
  for (int n = int(std::fabs(p)); n; n >>= 1) {
    if (n & 1) y = y.defined() ? y * base : base;
    if (n > 1) base = base * base;
  }
  return p > 0 ? y * 1.0 : reciprocal(y);
}

Tensor of_one(std::string_view name, const Tensor& z, double p0, bool* known) {
  struct Kernel {
    std::string_view name;
    int f;
  };
  static constexpr Kernel kernels[] = {
      {"exp", kComplexExp},   {"log", kComplexLog},   {"sqrt", kComplexSqrt}, {"sin", kComplexSin},
      {"cos", kComplexCos},   {"tan", kComplexTan},   {"sinh", kComplexSinh}, {"abs", kComplexAbs},
      {"cosh", kComplexCosh}, {"tanh", kComplexTanh},
  };
  for (const Kernel& k : kernels)
    if (name == k.name) return unary(k.f, z);
  constexpr double ln2 = 0.69314718055994530942, ln10 = 2.30258509299404568402;
  if (name == "neg") return on_parts(z, [](const Tensor& x) { return -x; });
  if (name == "square") return z * z;
  if (name == "pow_scalar") return power(z, p0);
  if (name == "reciprocal") return reciprocal(z);
  if (name == "rsqrt") return reciprocal(unary(kComplexSqrt, z));
  if (name == "exp2") return unary(kComplexExp, z * ln2);
  if (name == "log2") return unary(kComplexLog, z) * (1 / ln2);
  if (name == "log10") return unary(kComplexLog, z) * (1 / ln10);
  if (name == "sigmoid") return reciprocal(unary(kComplexExp, -z) + 1.0);
  if (name == "silu") return z * of_one("sigmoid", z, 0, known);
  if (name == "isnan") return both_parts("isnan", "logical_or", z);
  if (name == "isinf") return both_parts("isinf", "logical_or", z);
  if (name == "isfinite") return both_parts("isfinite", "logical_and", z);
  if (name == "logical_not") return logical_not(truth(z));
  *known = false;
  return {};
}

// a and b have one complex dtype, unless one is real and the function is linear over the reals.
Tensor of_two(std::string_view name, const Tensor& a, const Tensor& b, double p0, bool* known) {
  static const int kAdd = function("add"), kSub = function("sub"), kMul = function("mul"),
                   kDiv = function("div");
  const bool one = is_complex(a.dtype()), two = is_complex(b.dtype());
  const auto doubled = [](const Tensor& x) {  // beside pairs; a dense one, for long runs
    return x.numel() == 1 ? unsqueeze(x, -1) : stack({x, x}, -1);
  };
  const auto on_pairs = [&](int f) {
    return view_as_complex(elementwise(
        f, {one ? view_as_real(a) : doubled(a), two ? view_as_real(b) : doubled(b)}, p0));
  };
  if (name == "mul") return one && two ? complex_function(kComplexMul, a, b) : on_pairs(kMul);
  if (name == "div" && one && !two) return on_pairs(kDiv);
  const Tensor x = one ? a : to_dtype(a, b.dtype()), y = two ? b : to_dtype(b, a.dtype());
  if (name == "add" || name == "sub")
    return view_as_complex(
        elementwise(name == "add" ? kAdd : kSub, {view_as_real(x), view_as_real(y)}, p0));
  if (name == "div") return complex_function(kComplexDiv, x, y);
  if (name == "pow") return complex_function(kComplexPow, x, y);
  if (name == "eq") return equal(x, y);
  if (name == "ne") return logical_not(equal(x, y));
  if (name == "logical_and" || name == "logical_or" || name == "logical_xor")
    return elementwise(function_index(name.data()), {truth(a), truth(b)});
  *known = false;
  return {};
}

Tensor of_three(std::string_view name, const Tensor& a, const Tensor& b, const Tensor& c, double p0,
                bool* known) {
  if (name == "where")
    return view_as_complex(where(unsqueeze(a, -1), view_as_real(b), view_as_real(c)));
  if (name == "lerp") return a + c * (b - a);
  if (name == "addcmul") return a + b * c * p0;
  if (name == "addcdiv") return a + b / c * p0;
  *known = false;
  return {};
}

}  // namespace

Tensor complex_elementwise(const char* f, const Tensor* x, int n, const double* p) {
  const std::string_view name = f;
  const int skip = name == "where" ? 1 : 0;
  const DType dtype = result_type(x + skip, n - skip);
  const bool scales = name == "mul" || name == "div";  // by a real number or tensor
  Device device;  // numbers in host memory go to where the others are
  for (int i = 0; i < n; ++i)
    if (x[i].device().type != DeviceType::cpu) device = x[i].device();
  Tensor z[3];
  for (int i = 0; i < n; ++i)
    z[i] = i < skip
               ? x[i]
               : to_dtype(x[i], scales && !is_complex(x[i].dtype()) ? part_type(dtype) : dtype);
  for (int i = 0; i < n; ++i)
    if (z[i].dim() == 0 && z[i].device() != device) z[i] = to_device(z[i], device);
  bool known = true;
  const Tensor y = n == 1   ? of_one(name, z[0], p[0], &known)
                   : n == 2 ? of_two(name, z[0], z[1], p[0], &known)
                            : of_three(name, z[0], z[1], z[2], p[0], &known);
  check(known, ErrorKind::dtype, f, ": not defined for complex tensors, got ", x[skip],
        n > 1 + skip ? " and another" : "", "; work on .real and .imag, .abs() or view_as_real(x)");
  return y;
}

Tensor complex_matmul(const Tensor& a, const Tensor& b) {
  const Tensor i = complex_number(0, 1);
  const Tensor left = view_as_real(contiguous(a));  // (..., M, K, 2)
  const Tensor rows = stack({view_as_real(contiguous(b)), view_as_real(b * i)}, -3);
  Dims ls = a.shape(), rs = b.shape();
  ls.v[ls.n - 1] *= 2;
  rs.v[rs.n - 1] *= 2;
  rs.v[rs.n - 2] *= 2;
  const Tensor y = matmul(reshape(left, ls), reshape(rows, rs));  // (..., M, 2N)
  Dims pairs = y.shape();
  pairs.v[pairs.n - 1] /= 2;
  pairs.push(2);
  return view_as_complex(reshape(y, pairs));
}

Dims all_or(const Dims& dims, int n, const char* op) {
  Dims d;
  for (int64_t k : dims) d.push(wrap_dim(op, k, n));
  if (dims.n == 0)
    for (int k = 0; k < n; ++k) d.push(k);
  return d;
}
Tensor complex_sum(const Tensor& z, const Dims& dims, bool keepdim) {
  const Dims over = all_or(dims, z.dim(), "sum");
  if (z.dim() == 0) return clone(z);
  return on_parts(z, [&](const Tensor& x) { return contiguous(sum(x, over, keepdim)); });
}
// Halves multiplied with each other until one is left.
Tensor complex_prod(const Tensor& z, const Dims& dims, bool keepdim) {
  const Dims over = all_or(dims, z.dim(), "prod");
  Tensor y = z;
  for (int64_t d : over) {
    if (z.dim() == 0) break;
    if (y.size(int(d)) == 0) y = complex_sum(y, {d}, true) + 1.0;
    while (y.size(int(d)) > 1) {
      const int64_t n = y.size(int(d)), half = n / 2;
      const Tensor low = narrow(y, d, 0, half) * narrow(y, d, half, half);
      y = n % 2 ? cat({low, narrow(y, d, n - 1, 1)}, d) : low;
    }
  }
  if (!keepdim && z.dim()) y = squeeze(y, over);
  return y.same(z) ? clone(z) : y;
}

}  // namespace lamina
