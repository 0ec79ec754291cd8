// Systems of equations: Cholesky, LU, solve, inverse, determinant, triangular solve, QR, least
// squares. Each op copies its matrices and calls LAPACK on them, one matrix per task of the pool.
// Gradients: linalg_grad.cpp. Spectral factorisations: linalg_spectral.cpp.
#include "ops/linalg.h"

#include <cmath>

#include "ops/linalg_batch.h"
#include "ops/linalg_grad.h"

namespace lamina {
namespace {

constexpr int kLeft = 141, kUpper = 121, kLower = 122, kNoTrans = 111, kUnit = 132, kNonUnit = 131;

Dims with_last(const Tensor& x, int64_t rows, int64_t columns) {
  return linalg_shape(x, {rows, columns});
}

// ---- Cholesky ----------------------------------------------------------------------------------
void cholesky_infer(Call& c) {
  c.output(c.in[0].shape(), c.in[0].dtype());
  c.output(linalg_shape(c.in[0], {}), DType::int32);
}
void cholesky_launch(Call& c) {
  const bool upper = c.args<LinalgArgs>().flag;
  const int n = int(c.in[0].size(-1));
  int* const info = c.out[1].data<int>();
  each_matrix(c, 0.1 * n * n * n + 500, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    T* const l = copy_matrix<T>(c.in[0], c.out[0], i);
    info[i] = n ? lapack<T>("cholesky").potrf(kRowMajor, upper ? 'U' : 'L', n, l, n) : 0;
    for (int64_t r = 0; r < n; ++r)  // the other triangle
      for (int64_t k = upper ? 0 : r + 1; k < (upper ? r : n); ++k) l[r * n + k] = 0;
  });
}
const Op kCholesky{.name = "cholesky",
                   .infer = cholesky_infer,
                   .launch = cholesky_launch,
                   .vjp = cholesky_vjp,
                   .saves = Saves{0, 1},
                   .through_host = true};

// ---- LU ----------------------------------------------------------------------------------------
void lu_infer(Call& c) {
  const Tensor& a = c.in[0];
  const int64_t k = std::min(a.size(-1), a.size(-2));
  c.output(a.shape(), a.dtype());
  c.output(linalg_shape(a, {k}), DType::int32);
  c.output(linalg_shape(a, {}), DType::int32);
}
void lu_launch(Call& c) {
  const int m = int(c.in[0].size(-2)), n = int(c.in[0].size(-1)), k = std::min(m, n);
  int *const pivots = c.out[1].data<int>(), *const info = c.out[2].data<int>();
  each_matrix(c, 0.2 * m * n * k + 500, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    T* const lu = copy_matrix<T>(c.in[0], c.out[0], i);
    info[i] = k ? lapack<T>("lu").getrf(kRowMajor, m, n, lu, n, pivots + i * k) : 0;
  });
}
const Op kLu{.name = "lu_factor", .infer = lu_infer, .launch = lu_launch, .through_host = true};

void lu_solve_infer(Call& c) { c.output(c.in[2].shape(), c.in[2].dtype()); }
void lu_solve_launch(Call& c) {
  const bool transposed = c.args<LinalgArgs>().flag;
  const int n = int(c.in[2].size(-2)), k = int(c.in[2].size(-1));
  each_matrix(c, 0.5 * n * n * k + 500, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    T* const x = copy_matrix<T>(c.in[2], c.out[0], i);
    if (n && k)
      lapack<T>("lu_solve")
          .getrs(kRowMajor, transposed ? 'T' : 'N', n, k, c.in[0].data<T>() + i * n * n, n,
                 c.in[1].data<int>() + i * n, x, k);
  });
}
const Op kLuSolve{
    .name = "lu_solve", .infer = lu_solve_infer, .launch = lu_solve_launch, .through_host = true};

// LU of matrix i of `a` in scratch memory; returns info (> 0: singular).
template <class T>
int factor(const char* who, const Tensor& a, int64_t i, int n, T* lu, int* pivots) {
  std::copy_n(a.data<T>() + i * n * n, n * int64_t(n), lu);
  return lapack<T>(who).getrf(kRowMajor, n, n, lu, n, pivots);
}
template <class T>
size_t factor_bytes(int64_t n) {
  return size_t(n * n) * sizeof(T) + size_t(n) * sizeof(int);
}

void solve_infer(Call& c) {
  c.output(c.in[1].shape(), c.in[1].dtype());
  c.output(linalg_shape(c.in[0], {}), DType::int32);
}
void solve_launch(Call& c) {
  const int n = int(c.in[1].size(-2)), k = int(c.in[1].size(-1));
  int* const info = c.out[1].data<int>();
  each_matrix(c, 0.2 * n * n * (n + 3 * k) + 500, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    T* const x = copy_matrix<T>(c.in[1], c.out[0], i);
    Scratch scratch(factor_bytes<T>(n));
    T* const lu = scratch.as<T>();
    int* const pivots = reinterpret_cast<int*>(lu + int64_t(n) * n);
    info[i] = n ? factor("solve", c.in[0], i, n, lu, pivots) : 0;
    if (info[i] == 0 && n && k)
      lapack<T>("solve").getrs(kRowMajor, 'N', n, k, lu, n, pivots, x, k);
    else
      std::fill_n(x, int64_t(n) * k, T(NAN));
  });
}
const Op kSolve{.name = "solve",
                .infer = solve_infer,
                .launch = solve_launch,
                .vjp = solve_vjp,
                .saves = Saves{1, 1},
                .through_host = true};

void inv_launch(Call& c) {
  const int n = int(c.in[0].size(-1));
  int* const info = c.out[1].data<int>();
  each_matrix(c, 0.5 * n * n * n + 500, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    T* const x = copy_matrix<T>(c.in[0], c.out[0], i);
    Scratch scratch(size_t(n) * sizeof(int));
    int* const pivots = scratch.as<int>();
    info[i] = n ? lapack<T>("inv").getrf(kRowMajor, n, n, x, n, pivots) : 0;
    if (info[i] == 0 && n) info[i] = lapack<T>("inv").getri(kRowMajor, n, x, n, pivots);
    if (info[i]) std::fill_n(x, int64_t(n) * n, T(NAN));
  });
}
const Op kInv{.name = "inv",
              .infer = cholesky_infer,
              .launch = inv_launch,
              .vjp = inv_vjp,
              .saves = Saves{0, 1},
              .through_host = true};

// ---- determinants: the product of LU's diagonal, negated once per row exchange -----------------
template <class T, class F>
void each_factor(Call& c, const F& f) {  // f(LU's diagonal's values..., sign) per matrix
  const int n = int(c.in[0].size(-1));
  each_matrix_of<T>(c, 0.2 * n * n * n + 500, [&](int64_t i) {
    Scratch scratch(factor_bytes<T>(n));
    T* const lu = scratch.as<T>();
    int* const pivots = reinterpret_cast<int*>(lu + int64_t(n) * n);
    const int info = n ? factor("det", c.in[0], i, n, lu, pivots) : 0;
    T sign = info < 0 ? T(NAN) : T(1);  // NaN in the matrix
    for (int k = 0; k < n && info >= 0; ++k)
      if (pivots[k] != k + 1) sign = -sign;
    f(i, lu, info < 0 ? 0 : n, sign);
  });
}
template <class T>
void det_of(Call& c) {
  T* const y = c.out[0].data<T>();
  each_factor<T>(c, [&](int64_t i, const T* lu, int n, T det) {
    for (int64_t k = 0; k < n; ++k) det *= lu[k * n + k];
    y[i] = det;
  });
}
template <class T>
void slogdet_of(Call& c) {
  T *const s = c.out[0].data<T>(), *const y = c.out[1].data<T>();
  each_factor<T>(c, [&](int64_t i, const T* lu, int n, T sign) {
    T sum = sign == sign ? 0 : sign;
    for (int64_t k = 0; k < n; ++k) {
      const T d = lu[k * n + k];
      sign *= d > 0 ? 1 : d < 0 ? -1 : d == 0 ? 0 : d;
      sum += std::log(std::fabs(d));
    }
    s[i] = sign;
    y[i] = sum;
  });
}
void det_infer(Call& c) { c.output(linalg_shape(c.in[0], {}), c.in[0].dtype()); }
void slogdet_infer(Call& c) {
  det_infer(c);
  det_infer(c);
}
void det_launch(Call& c) {
  c.in[0].dtype() == DType::float64 ? det_of<double>(c) : det_of<float>(c);
}
void slogdet_launch(Call& c) {
  c.in[0].dtype() == DType::float64 ? slogdet_of<double>(c) : slogdet_of<float>(c);
}
const Op kDet{.name = "det",
              .infer = det_infer,
              .launch = det_launch,
              .vjp = det_vjp,
              .saves = kSavesBoth,
              .through_host = true};
const Op kSlogdet{.name = "slogdet",
                  .infer = slogdet_infer,
                  .launch = slogdet_launch,
                  .vjp = slogdet_vjp,
                  .saves = kSavesInputs,
                  .through_host = true};

// ---- triangular systems ------------------------------------------------------------------------
void triangular_infer(Call& c) { c.output(c.in[1].shape(), c.in[1].dtype()); }
void triangular_launch(Call& c) {
  const LinalgArgs& a = c.args<LinalgArgs>();
  const int n = int(c.in[1].size(-2)), k = int(c.in[1].size(-1));
  each_matrix(c, 0.3 * n * n * k + 200, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    T* const x = copy_matrix<T>(c.in[1], c.out[0], i);
    if (n && k)
      lapack<T>("solve_triangular")
          .trsm(kRowMajor, kLeft, a.flag ? kUpper : kLower, kNoTrans, a.flag2 ? kUnit : kNonUnit, n,
                k, T(1), c.in[0].data<T>() + i * n * n, n, x, k);
  });
}
const Op kTriangular{.name = "solve_triangular",
                     .infer = triangular_infer,
                     .launch = triangular_launch,
                     .vjp = triangular_vjp,
                     .saves = Saves{1, 1},
                     .through_host = true};

// ---- QR ----------------------------------------------------------------------------------------
void qr_infer(Call& c) {
  const Tensor& a = c.in[0];
  const int64_t m = a.size(-2), n = a.size(-1);
  const int64_t k = c.args<LinalgArgs>().flag ? m : std::min(m, n);
  c.output(with_last(a, m, k), a.dtype());
  c.output(with_last(a, k, n), a.dtype());
}
void qr_launch(Call& c) {
  const int m = int(c.in[0].size(-2)), n = int(c.in[0].size(-1)), k = std::min(m, n);
  const int columns = int(c.out[0].size(-1));  // of Q
  each_matrix(c, 0.5 * m * n * k + 1000, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    const int64_t width = std::max(n, columns);
    Scratch scratch(size_t(m * width + k) * sizeof(T));
    T *const w = scratch.as<T>(), *const tau = w + m * width;  // A, then its reflectors
    const T* const a = c.in[0].data<T>() + i * m * n;
    T *const q = c.out[0].data<T>() + i * m * columns, *const r =
                                                           c.out[1].data<T>() + i * columns * n;
    for (int64_t row = 0; row < m; ++row) {
      std::copy_n(a + row * n, n, w + row * width);
      std::fill_n(w + row * width + n, width - n, T(0));
    }
    if (k) lapack<T>("qr").geqrf(kRowMajor, m, n, w, int(width), tau);
    for (int64_t row = 0; row < columns; ++row)
      for (int64_t j = 0; j < n; ++j) r[row * n + j] = j < row ? T(0) : w[row * width + j];
    if (m && columns && k) lapack<T>("qr").orgqr(kRowMajor, m, columns, k, w, int(width), tau);
    for (int64_t row = 0; row < m; ++row)
      for (int64_t j = 0; j < columns; ++j)
        q[row * columns + j] = k ? w[row * width + j] : row == j;
  });
}
const Op kQr{.name = "qr",
             .infer = qr_infer,
             .launch = qr_launch,
             .vjp = qr_vjp,
             .saves = kSavesOutputs,
             .through_host = true};

// ---- least squares -----------------------------------------------------------------------------
void lstsq_infer(Call& c) {
  const Tensor &a = c.in[0], &b = c.in[1];
  const int64_t m = a.size(-2), n = a.size(-1);
  c.output(with_last(a, n, b.size(-1)), a.dtype());
  c.output(linalg_shape(a, {}), DType::int64);
  c.output(linalg_shape(a, {std::min(m, n)}), a.dtype());
  c.output(linalg_shape(a, {}), DType::int32);
}
void lstsq_launch(Call& c) {
  const int m = int(c.in[0].size(-2)), n = int(c.in[0].size(-1)), k = int(c.in[1].size(-1));
  const int64_t least = std::min(m, n), most = std::max(m, n);
  each_matrix(c, 4.0 * m * n * least + 2000, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    Scratch scratch(size_t(int64_t(m) * n + most * k + n) * sizeof(T));
    T *const a = scratch.as<T>(), *const b = a + int64_t(m) * n;
    int* const pivots = reinterpret_cast<int*>(b + most * k);
    std::copy_n(c.in[0].data<T>() + i * m * n, int64_t(m) * n, a);
    std::copy_n(c.in[1].data<T>() + i * m * k, int64_t(m) * k, b);
    std::fill_n(b + int64_t(m) * k, (most - m) * k, T(0));  // for the solution, when n > m
    int rank = 0, info = 0;
    T* const x = c.out[0].data<T>() + i * n * k;
    const auto& args = c.args<LinalgArgs>();
    T* const values = c.out[2].data<T>() + i * least;
    std::fill_n(values, least, T(0));
    std::fill_n(pivots, n, 0);  // every column may be exchanged
    if (least && k && args.flag)
      info = lapack<T>("lstsq").gelsd(kRowMajor, m, n, k, a, n, b, k, values, T(args.x), &rank);
    else if (least && k)
      info = lapack<T>("lstsq").gelsy(kRowMajor, m, n, k, a, n, b, k, pivots, T(args.x), &rank);
    if (least)
      std::copy_n(b, int64_t(n) * k, x);
    else
      std::fill_n(x, int64_t(n) * k, T(0));
    c.out[1].data<int64_t>()[i] = rank;
    c.out[3].data<int>()[i] = info;
  });
}
const Op kLstsq{.name = "lstsq",
                .infer = lstsq_infer,
                .launch = lstsq_launch,
                .vjp = lstsq_vjp,
                .saves = Saves{kAll, 1},
                .through_host = true};

}  // namespace

Outputs linalg_cholesky(const Tensor& a, bool upper) {
  return run(make_call(kCholesky, {linalg_square("cholesky", a)}, LinalgArgs{upper}));
}
Outputs linalg_lu_factor(const Tensor& a) {
  return run(make_call(kLu, {linalg_matrix("lu_factor", a)}, LinalgArgs{}));
}
Tensor linalg_lu_solve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool transposed) {
  const Tensor a = linalg_square("lu_solve", lu), x = linalg_right("lu_solve", a, b);
  check(pivots.dtype() == DType::int32 && pivots.shape() == linalg_shape(a, {a.size(-1)}),
        ErrorKind::shape, "lu_solve: pivots must be int32 of shape ", linalg_shape(a, {a.size(-1)}),
        ", got ", pivots);
  return apply(kLuSolve, {a, contiguous(pivots), x}, LinalgArgs{transposed});
}
Outputs linalg_solve(const Tensor& a, const Tensor& b) {
  const Tensor x = linalg_square("solve", a);
  return run(make_call(kSolve, {x, linalg_right("solve", x, b)}, LinalgArgs{}));
}
Outputs linalg_inv(const Tensor& a) {
  return run(make_call(kInv, {linalg_square("inv", a)}, LinalgArgs{}));
}
Tensor linalg_det(const Tensor& a) { return apply(kDet, {linalg_square("det", a)}, LinalgArgs{}); }
Outputs linalg_slogdet(const Tensor& a) {
  return run(make_call(kSlogdet, {linalg_square("slogdet", a)}, LinalgArgs{}));
}
Tensor linalg_solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool unit) {
  const Tensor x = linalg_square("solve_triangular", a);
  return apply(kTriangular, {x, linalg_right("solve_triangular", x, b)}, LinalgArgs{upper, unit});
}
Outputs linalg_qr(const Tensor& a, bool complete) {
  return run(make_call(kQr, {linalg_matrix("qr", a)}, LinalgArgs{complete}));
}
Outputs linalg_lstsq(const Tensor& a, const Tensor& b, double rcond, bool values) {
  const Tensor x = linalg_matrix("lstsq", a);
  LinalgArgs args;
  args.flag = values;
  args.x = rcond;
  return run(make_call(kLstsq, {x, linalg_right("lstsq", x, b)}, args));
}

}  // namespace lamina
