"""Cases of complex arithmetic for comparison with PyTorch: a function and its inputs."""

import numpy as np

RNG = np.random.default_rng(0)


def z(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


A, B, V, M, R = z(3, 4), z(3, 4), z(4), z(4, 4), RNG.standard_normal((3, 4))
ROWS, PLACES = np.array([2, 0, 0]), RNG.integers(0, 3, (3, 4))
ORDER = np.array([[0, 1, 2, 0], [1, 2, 0, 1], [2, 0, 1, 2]])
MASK = RNG.random((3, 4)) > 0.4


def t(m, x):
    return m.from_numpy(x.copy())


def written(f):
    """A function that writes into a copy of its first argument and returns that."""

    def value(m, x, *rest):
        y = x * 1
        f(m, y, *rest)
        return y

    return value


def through_pairs(m, x):
    y = x * 1
    m.view_as_complex(y).mul_(2j)
    return y


UNARY = (
    "exp log sqrt sin cos tan sinh cosh tanh abs angle reciprocal square sigmoid rsqrt exp2 log2 "
    "log10 sgn neg conj_physical clone conj"
).split()
CASES = {
    **{n: (lambda m, x, n=n: getattr(m, n)(x), A) for n in UNARY},
    **{f"pow {p}": (lambda m, x, p=p: x**p, A) for p in (2, 3, -1, -2, 0.5, 1.7, 1 + 0.5j, 0)},
    "power": (lambda m, x, y: x**y, A, B),
    "number to a power": (lambda m, x: 2.0**x, A),
    "real to a power": (lambda m, r, x: (r * r + 1) ** x, R, A),
    **{
        f"{n} {k}": (f, *xs)
        for n, f in {
            "add": lambda m, a, b: a + b, "sub": lambda m, a, b: a - b,
            "mul": lambda m, a, b: a * b, "div": lambda m, a, b: a / b,
        }.items()
        for k, xs in {
            "complex": (A, B), "by real": (A, R), "of real": (R, A), "broadcast": (A, V),
            "real broadcast": (R, V), "0-dim": (A, z(1)[0].reshape(())),
        }.items()
    },
    "alpha": (lambda m, a, b: m.add(a, b, alpha=2.5), A, B),
    "numbers": (lambda m, a: (1 - 2j) - a * 2j / 3 + 1, A),
    "parts": (lambda m, a: a.real * a.imag, A),
    "view_as_real": (lambda m, a: m.view_as_real(a) ** 2, A),
    "view_as_complex": (lambda m, r: m.view_as_complex(r * r), RNG.standard_normal((3, 2))),
    "complex": (lambda m, r, s: m.complex(r, s) ** 2, R, R + 1),
    "polar": (lambda m, r, s: m.polar(r, s), R * R + 0.1, R),
    "matmul": (lambda m, a, b: a @ b, A, M),
    "matrix vector": (lambda m, a, b: a @ b, A, V),
    "vector matrix": (lambda m, a, b: a @ b, V, M),
    "dot": (lambda m, a, b: a @ b, V, V + 1),
    "batches": (lambda m, a, b: a @ b, z(2, 3, 4), M),
    "bmm": (lambda m, a, b: m.bmm(a, b), z(2, 3, 4), z(2, 4, 2)),
    "adjoint": (lambda m, a: a @ a.mH, A),
    "linear": (lambda m, a, b, v: m.nn.functional.linear(a, b, v), A, z(5, 4), z(5)),
    "addmm": (lambda m, a, b, v: m.addmm(v, a, b, beta=2, alpha=0.5), A, M, z(3, 4)),
    "vdot": (lambda m, a, b: m.vdot(a, b), V, V + 1),
    "vecdot": (lambda m, a, b: m.linalg.vecdot(a, b), A, B),
    "einsum": (lambda m, a, b: m.einsum("ij,kj->ik", a, b), A, B),
    "sum": (lambda m, a: a.sum(), A),
    "sum over a dimension": (lambda m, a: a.sum(0), A),
    "mean": (lambda m, a: a.mean(1, keepdim=True), A),
    "prod": (lambda m, a: a.prod(), A),
    "prod over a dimension": (lambda m, a: a.prod(1), z(3, 5)),
    "cumsum": (lambda m, a: a.cumsum(1), A),
    "norm": (lambda m, a: a.norm(), A),
    "vector_norm": (lambda m, a: m.linalg.vector_norm(a, 3, dim=1), A),
    "var": (lambda m, a: a.var(0) + a.std(0), A),
    "index": (lambda m, a: a[t(m, ROWS)] * 2j, A),
    "two indices": (lambda m, a: a[t(m, ROWS), t(m, ROWS)], A),
    "mask": (lambda m, a: a[t(m, MASK)], A),
    "slice": (lambda m, a: a[1:, ::2], A),
    "index_select": (lambda m, a: m.index_select(a, 1, t(m, ROWS)), A),
    "gather": (lambda m, a: a.gather(0, t(m, PLACES)), A),
    "scatter": (lambda m, a, b: a.scatter(0, t(m, ORDER), b), A, B),
    "scatter_add": (lambda m, a, b: a.scatter_add(0, t(m, PLACES), b), A, B),
    "index_add": (lambda m, a, b: a.index_add(0, t(m, ROWS), b), A, B),
    "index_put": (lambda m, a, b: a.index_put((t(m, ROWS),), b, accumulate=True), A, B),
    "masked_fill": (lambda m, a: a.masked_fill(t(m, MASK), 1j), A),
    "where": (lambda m, a, b: m.where(t(m, MASK), a, b), A, B),
    "take": (lambda m, a: m.take(a, t(m, PLACES)), A),
    "cat": (lambda m, a, b: m.cat([a, b], 1), A, B),
    "cat with real": (lambda m, a, b: m.cat([a, b], 0), A, R),
    "stack": (lambda m, a, b: m.stack([a, b], 1), A, B),
    "permute": (lambda m, a: a.permute(2, 0, 1).reshape(4, 6), z(2, 3, 4)),
    "flip and roll": (lambda m, a: a.flip(0).roll(1, 1), A),
    "triangles": (lambda m, a: a.tril() + a.triu(1), A),
    "diagonals": (lambda m, a: m.diag_embed(m.diag(a)), A),
    "unfold": (lambda m, a: a.unfold(1, 2, 1), A),
    "expand": (lambda m, a: a.expand(2, 3, 4).repeat(1, 2, 1), A),
    "split": (lambda m, a: m.cat(a.split(3, 1)[::-1], 1), A),
    "unbind": (lambda m, a: m.stack(a.unbind(0), 1), A),
    "pad": (lambda m, a: m.nn.functional.pad(a, (1, 2, 0, 1)), A),
    "pad with a value": (lambda m, a: m.nn.functional.pad(a, (1, 2), value=2.0), A),
    "pad circular": (lambda m, a: m.nn.functional.pad(a, (1, 2), mode="circular"), A),
    "from real": (lambda m, r: r.to(m.complex128) * 1j, R),
    "lerp": (lambda m, a, b: m.lerp(a, b, 0.3), A, B),
    "addcmul": (lambda m, a, b: m.addcmul(a, a, b, value=2), A, B),
    "add_": (written(lambda m, y, b: y.add_(b)), A, B),
    "mul_": (written(lambda m, y, b: y.mul_(b)), A, B),
    "exp_": (written(lambda m, y: y.exp_()), A),
    "add_ real": (written(lambda m, y, b: y.add_(b)), A, R),
    "write a column": (written(lambda m, y, b: y.__setitem__((slice(None), 1), b[:, 0])), A, B),
    "write a number": (written(lambda m, y: y.__setitem__(0, 2j)), A),
    "write rows": (written(lambda m, y, b: y.__setitem__(t(m, ORDER[:2, 0]), b[:2])), A, B),
    "write a mask": (written(lambda m, y: y.__setitem__(t(m, MASK), 1j)), A),
    "write a part": (written(lambda m, y: y.real.mul_(3)), A),
    "copy a part": (written(lambda m, y, r: y.imag.copy_(r)), A, R),
    "set a part": (written(lambda m, y, r: setattr(y, "real", r)), A, R),
    "write pairs": (written(lambda m, y: m.view_as_real(y)[:, 1].mul_(2)), A),
    "write through pairs": (through_pairs, RNG.standard_normal((3, 2))),
    "eigvals": (lambda m, a: m.linalg.eigvals(a), M.real.copy()),
}  # fmt: skip
NO_SECOND = {"eigvals", "conj"}  # and those whose gradient has no graph
