// Singular values and eigenvalues: svd (divide and conquer), eigh, eig, pseudo-inverse.
// One matrix per task of the pool; gradients: linalg_grad.cpp.
#include <cmath>

#include "ops/linalg.h"
#include "ops/linalg_batch.h"
#include "ops/linalg_grad.h"

namespace lamina {
namespace {

double cube(const Call& c) {
  const double m = double(c.in[0].size(-2)), n = double(c.in[0].size(-1));
  return m * n * std::min(m, n);
}

// ---- singular values ---------------------------------------------------------------------------
void svd_infer(Call& c) {
  const Tensor& a = c.in[0];
  const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
  const bool full = c.args<LinalgArgs>().flag;
  c.output(linalg_shape(a, {m, full ? m : k}), a.dtype());
  c.output(linalg_shape(a, {k}), a.dtype());
  c.output(linalg_shape(a, {full ? n : k, n}), a.dtype());
  c.output(linalg_shape(a, {}), DType::int32);
}
// The factors of matrix i; job: 'A' all of U and V, 'S' k of each, 'N' none.
template <class T>
int svd_one(const char* who, const Tensor& x, int64_t i, char job, T* u, T* s, T* vt) {
  const int m = int(x.size(-2)), n = int(x.size(-1)), k = std::min(m, n);
  const int columns = job == 'A' ? m : k;
  if (k == 0) {  // U and V are identities
    for (int64_t r = 0; job == 'A' && r < m; ++r)
      for (int64_t j = 0; j < m; ++j) u[r * m + j] = r == j;
    for (int64_t r = 0; job == 'A' && r < n; ++r)
      for (int64_t j = 0; j < n; ++j) vt[r * n + j] = r == j;
    return 0;
  }
  Scratch copy(size_t(m) * size_t(n) * sizeof(T));
  std::copy_n(x.data<T>() + i * m * n, int64_t(m) * n, copy.as<T>());
  return lapack<T>(who).gesdd(kRowMajor, job, m, n, copy.as<T>(), n, s, u, columns, vt, n);
}
void svd_launch(Call& c) {
  const Tensor &u = c.out[0], &s = c.out[1], &v = c.out[2];
  const char job = c.args<LinalgArgs>().flag ? 'A' : 'S';
  each_matrix(c, 8 * cube(c) + 5000, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    c.out[3].data<int>()[i] =
        svd_one<T>("svd", c.in[0], i, job, u.data<T>() + i * u.size(-1) * u.size(-2),
                   s.data<T>() + i * s.size(-1), v.data<T>() + i * v.size(-1) * v.size(-2));
  });
}
const Op kSvd{.name = "svd",
              .infer = svd_infer,
              .launch = svd_launch,
              .vjp = svd_vjp,
              .saves = Saves{0, 7},
              .through_host = true};

void svdvals_infer(Call& c) {
  const Tensor& a = c.in[0];
  c.output(linalg_shape(a, {std::min(a.size(-1), a.size(-2))}), a.dtype());
  c.output(linalg_shape(a, {}), DType::int32);
}
void svdvals_launch(Call& c) {
  const Tensor& s = c.out[0];
  each_matrix(c, 3 * cube(c) + 2000, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    T none = 0;  // U and V^T, not referred to
    c.out[1].data<int>()[i] =
        svd_one<T>("svdvals", c.in[0], i, 'N', &none, s.data<T>() + i * s.size(-1), &none);
  });
}
const Op kSvdvals{
    .name = "svdvals", .infer = svdvals_infer, .launch = svdvals_launch, .through_host = true};

void pinv_infer(Call& c) {
  const Tensor& a = c.in[0];
  c.output(linalg_shape(a, {a.size(-1), a.size(-2)}), a.dtype());
  c.output(linalg_shape(a, {}), DType::int32);
}
void pinv_launch(Call& c) {
  const LinalgArgs& args = c.args<LinalgArgs>();
  const int64_t m = c.in[0].size(-2), n = c.in[0].size(-1), k = std::min(m, n);
  each_matrix(c, 9 * cube(c) + 5000, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    Scratch scratch(size_t(m * k + k + k * n) * sizeof(T));
    T *const u = scratch.as<T>(), *const s = u + m * k, *const v = s + k;
    T* const y = c.out[0].data<T>() + i * m * n;
    c.out[1].data<int>()[i] = svd_one<T>("pinv", c.in[0], i, 'S', u, s, v);
    const T least = k ? std::max(T(args.x), T(args.y) * s[0]) : T(0);
    std::fill_n(y, m * n, T(0));
    for (int64_t j = 0; j < k && s[j] > least; ++j)  // y += v_j u_j^T / s_j
      for (int64_t r = 0; r < n; ++r) {
        const T f = v[j * n + r] / s[j];
        for (int64_t q = 0; q < m; ++q) y[r * m + q] += f * u[q * k + j];
      }
  });
}
const Op kPinv{.name = "pinv",
               .infer = pinv_infer,
               .launch = pinv_launch,
               .vjp = pinv_vjp,
               .saves = Saves{1, 1},
               .through_host = true};

// ---- eigenvalues of symmetric matrices ---------------------------------------------------------
void eigvals_infer(Call& c) {
  c.output(linalg_shape(c.in[0], {c.in[0].size(-1)}), c.in[0].dtype());
  c.output(linalg_shape(c.in[0], {}), DType::int32);
}
void eigh_infer(Call& c) {
  c.output(linalg_shape(c.in[0], {c.in[0].size(-1)}), c.in[0].dtype());
  c.output(c.in[0].shape(), c.in[0].dtype());
  c.output(linalg_shape(c.in[0], {}), DType::int32);
}
void eigh_launch(Call& c) {
  const int n = int(c.in[0].size(-1));
  const char uplo = c.args<LinalgArgs>().flag ? 'U' : 'L';
  each_matrix(c, 3 * cube(c) + 2000, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    T* const v = copy_matrix<T>(c.in[0], c.out[1], i);
    c.out[2].data<int>()[i] =
        n ? lapack<T>("eigh").syevd(kRowMajor, 'V', uplo, n, v, n, c.out[0].data<T>() + i * n) : 0;
  });
}
void eigvalsh_launch(Call& c) {
  const int n = int(c.in[0].size(-1));
  const char uplo = c.args<LinalgArgs>().flag ? 'U' : 'L';
  each_matrix(c, cube(c) + 2000, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    Scratch copy(size_t(n) * size_t(n) * sizeof(T));
    std::copy_n(c.in[0].data<T>() + i * n * n, int64_t(n) * n, copy.as<T>());
    c.out[1].data<int>()[i] =
        n ? lapack<T>("eigvalsh")
                .syevd(kRowMajor, 'N', uplo, n, copy.as<T>(), n, c.out[0].data<T>() + i * n)
          : 0;
  });
}
const Op kEigh{.name = "eigh",
               .infer = eigh_infer,
               .launch = eigh_launch,
               .vjp = eigh_vjp,
               .saves = Saves{0, 3},
               .through_host = true};
const Op kEigvalsh{
    .name = "eigvalsh", .infer = eigvals_infer, .launch = eigvalsh_launch, .through_host = true};

// ---- eigenvalues of general matrices -----------------------------------------------------------
// LAPACK gives a conjugate pair of vectors as two columns: the real part, then the imaginary one of
// the eigenvalue with the positive imaginary part, which comes first.
template <class T>
int eig_one(const char* who, const Tensor& x, int64_t i, T* w, T* v) {
  const int64_t n = x.size(-1);
  if (n == 0) return 0;
  Scratch scratch(size_t(2 * n * n + 2 * n) * sizeof(T));
  T *const a = scratch.as<T>(), *const columns = a + n * n;
  T *const re = columns + n * n, *const im = re + n;
  std::copy_n(x.data<T>() + i * n * n, n * n, a);
  const int info = lapack<T>(who).geev(kRowMajor, 'N', v ? 'V' : 'N', int(n), a, int(n), re, im,
                                       columns, int(n), columns, int(n));
  if (info < 0) return info;
  for (int64_t j = 0; j < n; ++j) {
    w[2 * j] = re[j];
    w[2 * j + 1] = im[j];
  }
  for (int64_t r = 0; v && r < n; ++r)
    for (int64_t j = 0; j < n; ++j) {
      const T* const at = columns + r * n + j;
      T* const to = v + 2 * (r * n + j);
      to[0] = im[j] < 0 ? at[-1] : at[0];
      to[1] = im[j] > 0 ? at[1] : im[j] < 0 ? -at[0] : T(0);
    }
  return info;
}
void eig_infer(Call& c) {
  const int64_t n = c.in[0].size(-1);
  c.output(linalg_shape(c.in[0], {n, 2}), c.in[0].dtype());
  if (c.args<LinalgArgs>().flag) c.output(linalg_shape(c.in[0], {n, n, 2}), c.in[0].dtype());
  c.output(linalg_shape(c.in[0], {}), DType::int32);
}
void eig_launch(Call& c) {
  const bool vectors = c.args<LinalgArgs>().flag;
  const int64_t n = c.in[0].size(-1);
  each_matrix(c, 12 * cube(c) + 2000, [&](auto zero, int64_t i) {
    using T = decltype(zero);
    T* const v = vectors ? c.out[1].data<T>() + i * 2 * n * n : nullptr;
    c.out[vectors ? 2 : 1].data<int>()[i] =
        eig_one(vectors ? "eig" : "eigvals", c.in[0], i, c.out[0].data<T>() + i * 2 * n, v);
  });
}
const Op kEig{.name = "eig",
              .infer = eig_infer,
              .launch = eig_launch,
              .vjp = eig_vjp,
              .saves = Saves{0, 3},
              .through_host = true};
const Op kEigvals{
    .name = "eigvals", .infer = eig_infer, .launch = eig_launch, .through_host = true};

}  // namespace

Outputs linalg_svd(const Tensor& a, bool full) {
  return run(make_call(kSvd, {linalg_matrix("svd", a)}, LinalgArgs{full}));
}
Outputs linalg_svdvals(const Tensor& a) {
  return run(make_call(kSvdvals, {linalg_matrix("svdvals", a)}, LinalgArgs{}));
}
Outputs linalg_eigh(const Tensor& a, bool upper) {
  return run(make_call(kEigh, {linalg_square("eigh", a)}, LinalgArgs{upper}));
}
Outputs linalg_eigvalsh(const Tensor& a, bool upper) {
  return run(make_call(kEigvalsh, {linalg_square("eigvalsh", a)}, LinalgArgs{upper}));
}
Outputs linalg_eig(const Tensor& a) {
  return run(make_call(kEig, {linalg_square("eig", a)}, LinalgArgs{true}));
}
Outputs linalg_eigvals(const Tensor& a) {
  return run(make_call(kEigvals, {linalg_square("eigvals", a)}, LinalgArgs{false}));
}
Outputs linalg_pinv(const Tensor& a, double atol, double rtol) {
  return run(make_call(kPinv, {linalg_matrix("pinv", a)}, LinalgArgs{false, false, atol, rtol}));
}

}  // namespace lamina
