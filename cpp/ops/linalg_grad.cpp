// Gradients of the linear algebra ops, written in ops, so that they can be differentiated again.
//
// Sources: Giles, "An extended collection of matrix derivative results" (2008); Murray,
// "Differentiation of the Cholesky decomposition" (2016); Townsend, "Differentiating the singular
// value decomposition" (2016); Walter and Lehmann, "Algorithmic differentiation of linear algebra
// functions" (2010); Golub and Pereyra, "The differentiation of pseudo-inverses" (1973).
// Below, g is the gradient of the output, ' is the transpose; where singular values or eigenvalues
// repeat, gradients of the vectors do not exist and come out infinite or NaN.
#include "ops/linalg_grad.h"

#include "ops/join.h"
#include "ops/linalg.h"
#include "ops/linalg_batch.h"
#include "ops/scan.h"
#include "ops/transfer.h"

namespace lamina {
namespace {

Tensor t(const Tensor& x) { return transpose(x, -2, -1); }
Tensor half(const Tensor& x) { return mul(x, scalar_tensor(0.5)); }
Tensor diag(const Tensor& x) { return diagonal(x, 0, -2, -1); }
Tensor as_diag(const Tensor& x) { return diag_embed(x, 0, -2, -1); }
Tensor column(const Tensor& x) { return unsqueeze(x, -1); }
Tensor row(const Tensor& x) { return unsqueeze(x, -2); }
Tensor scalars(const Tensor& x) { return column(column(x)); }  // one number per matrix
Tensor identity(int64_t n, DType dtype) { return as_diag(ones({n}, dtype)); }
bool any_zero(const Tensor& x) {
  const GradMode off(false);
  const Tensor smallest = to_host(amin(reshape(mul(x, x), {-1})));
  return x.dtype() == DType::float64 ? *smallest.data<double>() == 0 : *smallest.data<float>() == 0;
}
// Lower triangle with the diagonal halved.
Tensor phi(const Tensor& x) { return sub(tril(x, 0), half(as_diag(diag(x)))); }
// Lower triangle with the strict part doubled by its own transpose: tril(x) + tril(x, -1)'.
Tensor copy_lower(const Tensor& x) { return add(tril(x, 0), t(tril(x, -1))); }
// w_j - w_i, and 1 on the diagonal.
Tensor gaps(const Tensor& w) {
  return add(sub(row(w), column(w)), identity(w.size(-1), w.dtype()));
}
// A^-T, through `linalg_solve`: zero for no rows.
Tensor inverse_transposed(const Tensor& a) { return t(linalg_inv(a)[0]); }

}  // namespace

// A = L L':  gA = sym(L^-T phi(L' gL) L^-1).
void cholesky_vjp(Vjp& c) {
  if (!c.has_gradient(0)) return c.set(0, zeros(c.shape(0), c.dtype(0)));
  const bool upper = c.args<LinalgArgs>().flag;
  const Tensor l = upper ? t(c.out()) : c.out(), g = upper ? t(c.g()) : c.g();
  const Tensor middle = phi(matmul(t(l), g)), lt = t(l);
  const Tensor left = linalg_solve_triangular(lt, middle, true, false);      // L^-T phi
  const Tensor both = t(linalg_solve_triangular(lt, t(left), true, false));  // (.) L^-1
  c.set(0, half(add(both, t(both))));
}

// A X = B:  gB = A^-T g,  gA = -gB X'.
void solve_vjp(Vjp& c) {
  const Tensor gb = linalg_solve(t(c.in(0)), c.g())[0];
  if (c.needs(1)) c.set(1, gb);
  if (c.needs(0)) c.set(0, neg(matmul(gb, t(c.out()))));
}

// gA = -X' g X'.
void inv_vjp(Vjp& c) {
  const Tensor xt = t(c.out());
  c.set(0, neg(matmul(matmul(xt, c.g()), xt)));
}

// gA = g det(A) A^-T. A singular A: the cofactors from A = U S V', det U det V U diag(prod of the
// other s) V'.
void det_vjp(Vjp& c) {
  const Tensor a = c.in(0), y = c.out(), g = c.g();
  if (y.numel() == 0 || !any_zero(y)) {
    c.set(0, mul(scalars(mul(g, y)), inverse_transposed(a)));
    return;
  }
  const Outputs svd = linalg_svd(a, false);
  const Tensor &u = svd[0], &v = svd[2];
  const Tensor others = product_of_others(svd[1], {svd[1].dim() - 1});
  const Tensor sign = mul(linalg_det(u), linalg_det(v));
  c.set(0, mul(scalars(mul(g, sign)), matmul(mul(u, row(others)), v)));
}

// gA = g A^-T.
void slogdet_vjp(Vjp& c) {
  if (!c.has_gradient(1)) return c.set(0, zeros(c.shape(0), c.dtype(0)));
  c.set(0, mul(scalars(c.g(1)), inverse_transposed(c.in(0))));
}

// A X = B, A triangular:  gB = A^-T g,  gA = -gB X', its triangle.
void triangular_vjp(Vjp& c) {
  const LinalgArgs& args = c.args<LinalgArgs>();
  const Tensor gb = linalg_solve_triangular(t(c.in(0)), c.g(), !args.flag, args.flag2);
  if (c.needs(1)) c.set(1, gb);
  if (!c.needs(0)) return;
  const Tensor ga = neg(matmul(gb, t(c.out())));
  c.set(0, args.flag ? triu(ga, args.flag2) : tril(ga, -int64_t(args.flag2)));
}

// A = Q R, m >= n:  gA = (gQ + Q copy_lower(gM)) R^-T,  gM = R gR' - gQ' Q. m < n: R = [U V] with U
// square, A = [X Y], Y = Q V: gY = Q gV, and X as above with gQ + Y gV' and gU.
void qr_vjp(Vjp& c) {
  const Tensor q = c.out(0), r = c.out(1);
  const int64_t m = q.size(-2), k = q.size(-1), n = r.size(-1);
  check(k == std::min(m, n), ErrorKind::not_implemented,
        "qr: the gradient of mode='complete' for a ", m, " x ", n,
        " matrix is not defined; use mode='reduced'");
  Tensor gq = c.g(0), gr = c.g(1), u = r, gy;
  if (m < n) {
    const Tensor gv = narrow(gr, -1, m, n - m), y = matmul(q, narrow(r, -1, m, n - m));
    gy = matmul(q, gv);
    gq = add(gq, matmul(y, t(gv)));
    gr = narrow(gr, -1, 0, m);
    u = narrow(r, -1, 0, m);
  }
  const Tensor middle = sub(matmul(u, t(gr)), matmul(t(gq), q));
  const Tensor left = add(gq, matmul(q, copy_lower(middle)));
  const Tensor gx = t(linalg_solve_triangular(u, t(left), true, false));
  c.set(0, gy.defined() ? cat({gx, gy}, -1) : gx);
}

// The gradient of P = pinv(A), for a gradient g of P:
//   gA = -P' g P' + (I - A P) g' P P' + P' P g' (I - P A).
static Tensor pinv_gradient(const Tensor& a, const Tensor& p, const Tensor& g) {
  const Tensor pt = t(p), gt = t(g);
  const Tensor one = matmul(matmul(pt, g), pt);
  const Tensor right = matmul(gt, matmul(p, pt));  // both m x n
  const Tensor left = matmul(matmul(pt, p), gt);
  const Tensor two = sub(right, matmul(a, matmul(p, right)));
  const Tensor three = sub(left, matmul(matmul(left, p), a));
  return add(sub(two, one), three);
}
void pinv_vjp(Vjp& c) { c.set(0, pinv_gradient(c.in(0), c.out(), c.g())); }

// X = pinv(A) B:  gB = P' g,  gA from gP = g B'.
void lstsq_vjp(Vjp& c) {
  if (!c.has_gradient(0)) return;
  const Tensor a = c.in(0), g = c.g();
  const Tensor p = linalg_pinv(a, 0, c.args<LinalgArgs>().x)[0];
  if (c.needs(1)) c.set(1, matmul(t(p), g));
  if (c.needs(0)) c.set(0, pinv_gradient(a, p, matmul(g, t(c.in(1)))));
}

// A = U S V':  gA = U [(skew(U' gU) / E) S + S (skew(V' gV) / E) + diag(gS)] V'
//                  + (I - U U') gU S^-1 V' + U S^-1 gV' (I - V V'),
// skew(X) = X - X', E_ij = s_j^2 - s_i^2, 1 on the diagonal.
void svd_vjp(Vjp& c) {
  const Tensor u = c.out(0), s = c.out(1), vt = c.out(2);
  const int64_t m = u.size(-2), n = vt.size(-1), k = s.size(-1);
  const bool vectors = c.has_gradient(0) || c.has_gradient(2);
  check(!vectors || (u.size(-1) == k && vt.size(-2) == k), ErrorKind::not_implemented,
        "svd: the gradient of full_matrices=True for a ", m, " x ", n,
        " matrix depends on an arbitrary choice of vectors; use full_matrices=False");
  if (!vectors) {
    const Tensor uk = narrow(u, -1, 0, k), vk = narrow(vt, -2, 0, k);
    return c.set(0, matmul(mul(uk, row(c.g(1))), vk));
  }
  const Tensor e = gaps(mul(s, s)), v = t(vt);
  Tensor middle = zeros_like(e);
  if (c.has_gradient(1)) middle = as_diag(c.g(1));
  Tensor rest;
  const auto plus = [](const Tensor& a, const Tensor& b) { return a.defined() ? add(a, b) : b; };
  if (c.has_gradient(0)) {
    const Tensor gu = c.g(0), x = matmul(t(u), gu);
    middle = add(middle, mul(div(sub(x, t(x)), e), row(s)));
    if (m > k) rest = plus(rest, matmul(div(sub(gu, matmul(u, x)), row(s)), vt));
  }
  if (c.has_gradient(2)) {
    const Tensor gv = t(c.g(2)), x = matmul(vt, gv);
    middle = add(middle, mul(column(s), div(sub(x, t(x)), e)));
    if (n > k) rest = plus(rest, matmul(u, t(div(sub(gv, matmul(v, x)), row(s)))));
  }
  const Tensor inner = matmul(matmul(u, middle), vt);
  c.set(0, rest.defined() ? add(inner, rest) : inner);
}

// A = V diag(w) V':  gA = V (diag(gw) + (V' gV) / E) V',  E_ij = w_j - w_i, no diagonal part.
void eigh_vjp(Vjp& c) {
  const Tensor w = c.out(0), v = c.out(1);
  Tensor middle;
  if (c.has_gradient(1)) {
    const Tensor x = div(matmul(t(v), c.g(1)), gaps(w));
    middle = sub(x, as_diag(diag(x)));
  }
  if (c.has_gradient(0)) {
    const Tensor d = as_diag(c.g(0));
    middle = middle.defined() ? add(middle, d) : d;
  }
  if (middle.defined()) c.set(0, matmul(matmul(v, middle), t(v)));
}

// ---- eig: complex matrices as pairs of real ones -----------------------------------------------
namespace {

struct Pair {
  Tensor re, im;
};
Pair pair(const Tensor& x) { return {select(x, -1, 0), select(x, -1, 1)}; }
Pair adjoint(const Pair& x) { return {t(x.re), neg(t(x.im))}; }
Pair conj(const Pair& x) { return {x.re, neg(x.im)}; }
Pair operator-(const Pair& a, const Pair& b) { return {sub(a.re, b.re), sub(a.im, b.im)}; }
Pair operator+(const Pair& a, const Pair& b) { return {add(a.re, b.re), add(a.im, b.im)}; }
Pair product(const Pair& a, const Pair& b) {
  return {sub(matmul(a.re, b.re), matmul(a.im, b.im)), add(matmul(a.re, b.im), matmul(a.im, b.re))};
}
Pair quotient(const Pair& a, const Pair& b) {  // element by element
  const Tensor d = add(mul(b.re, b.re), mul(b.im, b.im));
  return {div(add(mul(a.re, b.re), mul(a.im, b.im)), d),
          div(sub(mul(a.im, b.re), mul(a.re, b.im)), d)};
}
// A^-1 B through the real matrix [[Re A, -Im A], [Im A, Re A]].
Pair solve(const Pair& a, const Pair& b) {
  const int64_t n = a.re.size(-1);
  const Tensor block = cat({cat({a.re, neg(a.im)}, -1), cat({a.im, a.re}, -1)}, -2);
  const Tensor x = linalg_solve(block, cat({b.re, b.im}, -2))[0];
  return {narrow(x, -2, 0, n), narrow(x, -2, n, n)};
}

}  // namespace

// A = V diag(w) V^-1, columns of V of length 1 (H: conjugate transpose, conj: conjugate):
//   gA = V^-H (diag(gw) + (V^H gV - V^H V diag(Re(V^H gV))) / conj(E)) V^H,  E_ij = w_j - w_i,
// whose real part is A's gradient (Boeddeker et al., "On the computation of complex-valued
// gradients with application to statistically optimum beamforming", 2019).
void eig_vjp(Vjp& c) {
  const Pair w = pair(c.out(0)), v = pair(c.out(1)), vh = adjoint(v);
  const Tensor eye = identity(w.re.size(-1), w.re.dtype());
  Pair middle{};
  if (c.has_gradient(1)) {
    const Pair x = product(vh, pair(c.g(1))), gram = product(vh, v);
    const Tensor lengths = row(diag(x.re));
    const Pair e{add(sub(row(w.re), column(w.re)), eye), sub(row(w.im), column(w.im))};
    middle = quotient(x - Pair{mul(gram.re, lengths), mul(gram.im, lengths)}, conj(e));
    const Tensor off = sub(ones_like(eye), eye);
    middle = {mul(middle.re, off), mul(middle.im, off)};
  }
  if (c.has_gradient(0)) {
    const Pair g = pair(c.g(0)), d{as_diag(g.re), as_diag(g.im)};
    middle = middle.re.defined() ? middle + d : d;
  }
  if (middle.re.defined()) c.set(0, solve(vh, product(middle, vh)).re);
}

}  // namespace lamina
