"""Rows of the matrix products."""

import numpy as np

import lamina
from lamina.ops.matmul import linear as lamina_linear
from row import Row

# A chain of n <= 33 multiply-adds of values up to 4: n units in the last place of 4, at worst; the
# bound allows half of that relative to the largest result.
TOL = 4e-6
SIZES = (0, 1, 15, 16, 17, 33)


def square(n):
    return [(n, n), (n, n)]


def linear(m, *args):
    return (lamina_linear if m is lamina else m.nn.functional.linear)(*args)


def np_linear(x, w, b):
    return x @ w.T + b


ROWS = [
    Row("matmul", lambda m, a, b: m.matmul(a, b), np.matmul, square, tol=TOL, large=150),
    Row("matmul_operator", lambda m, a, b: a @ b, np.matmul,
        lambda n: [(5, n), (n, 3)], tol=TOL, large=10_007),
    Row("matmul_transposed", lambda m, a, b: m.matmul(a.transpose(0, 1), b.transpose(0, 1)),
        lambda a, b: a.T @ b.T, lambda n: [(n, 19), (35, n)], tol=TOL, large=1009),
    Row("matmul_broadcast", lambda m, a, b: m.matmul(a, b), np.matmul,
        lambda n: [(2, 1, 3, n), (3, n, 5)], tol=TOL, large=1009),
    Row("matmul_folded", lambda m, a, b: m.matmul(a, b), np.matmul,
        lambda n: [(2, 3, n), (n, 7)], tol=TOL, large=1009),
    Row("matmul_wide_batch", lambda m, a, b: m.matmul(a, b), np.matmul,
        lambda n: [(n, 2, 3), (n, 3, 2)], tol=TOL, large=4001),
    Row("matmul_vectors", lambda m, a, b: m.matmul(a, b), np.matmul,
        lambda n: [(n,), (n,)], tol=TOL),
    Row("matmul_row", lambda m, a, b: m.matmul(a, b), np.matmul,
        lambda n: [(n,), (2, n, 5)], tol=TOL, large=1009),
    Row("matmul_column", lambda m, a, b: m.matmul(a, b), np.matmul,
        lambda n: [(2, 5, n), (n,)], tol=TOL, large=1009),
    Row("matmul_integers", lambda m, a, b: m.matmul(a, b), np.matmul, square, domain="int:100",
        grad=False, large=64),
    Row("mm", lambda m, a, b: m.mm(a, b), np.matmul, lambda n: [(n, 29), (29, 41)], tol=TOL,
        large=1009),
    Row("bmm", lambda m, a, b: m.bmm(a, b), np.matmul, lambda n: [(3, n, 6), (3, 6, n)], tol=TOL,
        large=150),
    Row("mv", lambda m, a, x: m.mv(a, x), np.matmul, lambda n: [(n, 18), (18,)], tol=TOL),
    Row("dot", lambda m, a, b: m.dot(a, b), np.dot, lambda n: [(n,), (n,)], tol=TOL),
    Row("inner", lambda m, a, b: m.inner(a, b), np.inner, lambda n: [(2, 3, n), (4, n)], tol=TOL,
        large=1009),
    Row("outer", lambda m, a, b: m.outer(a, b), np.outer, lambda n: [(n,), (5,)]),
    Row("addmm", lambda m, c, a, b: m.addmm(c, a, b, beta=0.5, alpha=-2.0),
        lambda c, a, b: 0.5 * c - 2 * (a @ b), lambda n: [(n, n), (n, 7), (7, n)], tol=TOL,
        large=150),
    Row("addmm_row", lambda m, c, a, b: m.addmm(c, a, b), lambda c, a, b: c + a @ b,
        lambda n: [(n,), (9, 7), (7, n)], tol=TOL, large=1009),
    Row("addmv", lambda m, c, a, x: m.addmv(c, a, x, alpha=3.0), lambda c, a, x: c + 3 * (a @ x),
        lambda n: [(n,), (n, 7), (7,)], tol=TOL),
    Row("baddbmm", lambda m, c, a, b: m.baddbmm(c, a, b, beta=2.0),
        lambda c, a, b: 2 * c + a @ b, lambda n: [(1, 4), (3, n, 7), (3, 7, 4)], tol=TOL,
        large=1009),
    Row("addbmm", lambda m, c, a, b: m.addbmm(c, a, b), lambda c, a, b: c + (a @ b).sum(0),
        lambda n: [(n, 4), (3, n, 7), (3, 7, 4)], tol=TOL, large=1009),
    Row("addr", lambda m, c, a, b: m.addr(c, a, b, beta=0.5, alpha=2.0),
        lambda c, a, b: 0.5 * c + 2 * np.outer(a, b), lambda n: [(n, 4), (n,), (4,)]),
    Row("linear", lambda m, x, w, b: linear(m, x, w, b), np_linear,
        lambda n: [(2, 3, n), (6, n), (6,)], tol=TOL, large=1009),
    Row("linear_outputs", lambda m, x, w, b: linear(m, x, w, b), np_linear,
        lambda n: [(31, 8), (n, 8), (n,)], tol=TOL, large=1009),
    Row("linear_rows", lambda m, x, w: linear(m, x, w), lambda x, w: x @ w.T,
        lambda n: [(n, 20), (10, 20)], tol=TOL, large=1009),
    Row("tensordot", lambda m, a, b: m.tensordot(a, b, ([0, 2], [1, 0])),
        lambda a, b: np.tensordot(a, b, ([0, 2], [1, 0])), lambda n: [(3, n, 4), (4, 3, 5)],
        tol=TOL, large=1009),
    Row("kron", lambda m, a, b: m.kron(a, b), np.kron, lambda n: [(2, n), (3, 2, 2)], large=1009),
    Row("einsum_attention", lambda m, q, k: m.einsum("bqhd,bkhd->bhqk", q, k),
        lambda q, k: np.einsum("bqhd,bkhd->bhqk", q, k), lambda n: [(2, n, 3, 4), (2, 5, 3, 4)],
        tol=TOL, large=257),
    Row("einsum_three", lambda m, a, b, c: m.einsum("ij,jk,ik->j", a, b, c),
        lambda a, b, c: np.einsum("ij,jk,ik->j", a, b, c), lambda n: [(3, n), (n, 4), (3, 4)],
        tol=2e-5, large=1009),
    Row("einsum_diagonal", lambda m, a: m.einsum("iji->j", a), lambda a: np.einsum("iji->j", a),
        lambda n: [(3, n, 3)], tol=TOL, large=1009),
]  # fmt: skip
