"""Rows of complex arithmetic and Fourier transforms, on real inputs: pairs in a last dimension."""

import numpy as np

from row import Row


def z(m, x):
    return m.complex(x[..., 0], x[..., 1])


def out(m, y):
    return m.stack([y.real, y.imag], -1)


def c(x):
    return x[..., 0] + 1j * x[..., 1]


def pairs(y):
    return np.stack([y.real, y.imag], -1)


def near(lo, hi):
    """Pairs whose modulus is in [lo, hi), of any angle but those near the negative axis."""

    def draw(rng, shape):
        r, a = rng.uniform(lo, hi, shape[:-1]), rng.uniform(-3, 3, shape[:-1])
        return np.stack([r * np.cos(a), r * np.sin(a)], -1).astype(np.float32).astype(float)

    return draw


def unary(name, f=None, domain=(-2.0, 2.0), tol=2e-6):
    return Row(f"complex_{name}", lambda m, x: out(m, getattr(m, name)(z(m, x))),
               lambda x: pairs((f or getattr(np, name))(c(x))), lambda n: [(2, n, 2)],
               domain=domain, tol=tol)  # fmt: skip


def binary(name, f, domain=(-2.0, 2.0), **kw):
    return Row(f"complex_{name}", lambda m, x, y: out(m, f(z(m, x), z(m, y))),
               lambda x, y: pairs(f(c(x), c(y))), lambda n: [(3, n, 2), (n, 2)],
               domain=domain, **kw)  # fmt: skip


def dft(x, sign=-1):
    """The definition, along the last dimension."""
    n = x.shape[-1]
    j = np.arange(n)
    return x @ np.exp(sign * 2j * np.pi / max(n, 1) * (np.outer(j, j) % max(n, 1)))


def from_half(x, n):
    """The n-point inverse of half a spectrum, by the definition."""
    full = np.concatenate([x, np.conj(x[..., 1 : (n + 1) // 2][..., ::-1])], -1)
    full[..., 0] = full[..., 0].real
    if n % 2 == 0:
        full[..., n // 2] = full[..., n // 2].real
    return (dft(full, 1) / n).real


LENGTHS = (1, 2, 3, 4, 5, 8, 12, 16, 17, 30, 31, 49, 64, 77, 97, 128, 169)
ROWS = [
    binary("mul", lambda x, y: x * y),
    binary("div", lambda x, y: x / y, domain=[(-2.0, 2.0), near(0.5, 2)]),
    binary("pow", lambda x, y: x**y, domain=[near(0.5, 2), (-1.0, 1.0)], tol=1e-5),
    binary("add_sub", lambda x, y: x + 2 * y - x * 1j),
    unary("exp"),
    unary("log", domain=near(0.3, 3)),
    unary("sqrt", domain=near(0.3, 3)),
    unary("sin"),
    unary("cos"),
    unary("tan", domain=near(0.1, 1.2), tol=1e-5),
    unary("sinh"),
    unary("cosh"),
    unary("tanh", domain=near(0.1, 1.2), tol=1e-5),
    Row("complex_abs", lambda m, x: z(m, x).abs(), lambda x: abs(c(x)), lambda n: [(2, n, 2)],
        domain=near(0.3, 3)),
    Row("complex_angle", lambda m, x: z(m, x).angle(), lambda x: np.angle(c(x)),
        lambda n: [(2, n, 2)], domain=near(0.3, 3)),
    Row("complex_sum", lambda m, x: out(m, z(m, x).sum(-1)), lambda x: pairs(c(x).sum(-1)),
        lambda n: [(3, n, 2)], tol=4e-6),
    Row("complex_prod", lambda m, x: out(m, z(m, x).prod(-1)), lambda x: pairs(c(x).prod(-1)),
        lambda n: [(3, n, 2)], domain=near(0.8, 1.2), sizes=(0, 1, 2, 5, 16), large=None,
        tol=1e-5),
    Row("complex_matmul", lambda m, x, y: out(m, z(m, x) @ z(m, y)),
        lambda x, y: pairs(c(x) @ c(y)), lambda n: [(2, 3, n, 2), (n, 4, 2)], tol=1e-5),
    Row("fft", lambda m, x: out(m, m.fft.fft(z(m, x))), lambda x: pairs(dft(c(x))),
        lambda n: [(3, n, 2)], sizes=LENGTHS),
    Row("fft_columns", lambda m, x: out(m, m.fft.ifft(z(m, x), dim=0, norm="forward")),
        lambda x: pairs(dft(c(x).T, 1).T), lambda n: [(n, 19, 2)], sizes=LENGTHS, large=2048),
    Row("rfft", lambda m, x: out(m, m.fft.rfft(x)),
        lambda x: pairs(dft(x)[..., : x.shape[-1] // 2 + 1]), lambda n: [(3, n)], sizes=LENGTHS),
    Row("rfft_columns", lambda m, x: out(m, m.fft.rfft(x, dim=1)),
        lambda x: pairs(np.swapaxes(dft(np.swapaxes(x, 1, 2)), 1, 2)[:, : x.shape[1] // 2 + 1]),
        lambda n: [(2, n, 5)], sizes=LENGTHS, large=2048),
    Row("irfft_even", lambda m, x: m.fft.irfft(z(m, x)),
        lambda x: from_half(c(x), 2 * x.shape[1] - 2), lambda n: [(3, n // 2 + 1, 2)],
        sizes=(2, 4, 6, 16, 34, 62, 128)),
    Row("irfft_odd", lambda m, x: m.fft.irfft(z(m, x), 2 * x.shape[1] - 1),
        lambda x: from_half(c(x), 2 * x.shape[1] - 1), lambda n: [(3, n // 2 + 1, 2)],
        sizes=(1, 4, 6, 16, 30, 96), large=2048),
]  # fmt: skip
