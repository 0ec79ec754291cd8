"""Pooling where rows of windows meet edges: against loops over windows in NumPy."""

import numpy as np
import pytest

import lamina
from lamina.nn import functional as F

CASES = [  # input, kernel, stride, padding, dilation, ceil_mode
    ((1, 2, 9, 40), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((1, 2, 9, 40), (3, 3), (1, 1), (1, 1), (1, 1), False),
    ((2, 1, 7, 37), (2, 3), (1, 3), (1, 0), (2, 1), True),
    ((1, 1, 5, 70), (3, 2), (2, 5), (0, 1), (1, 3), False),
    ((1, 3, 4, 17), (1, 5), (1, 4), (0, 2), (1, 1), True),
    ((1, 1, 1, 8), (2, 2), (4, 3), (1, 1), (3, 2), True),  # windows that see padding alone
    ((2, 3, 1, 3), (2, 1), (4, 3), (1, 0), (2, 2), False),
]


def windows(size, kernel, stride, padding, dilation, outputs):
    """Per output the positions inside the input that its window covers."""
    return [
        [p for k in range(kernel) if 0 <= (p := i * stride - padding + k * dilation) < size]
        for i in range(outputs)
    ]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_max(case, dtype):
    shape, kernel, stride, padding, dilation, ceil = case
    a = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    a.reshape(-1)[::23] = a.reshape(-1)[1]  # ties
    x = lamina.tensor(a, requires_grad=True)
    y = F.max_pool2d(x, kernel, stride, padding, dilation, ceil)
    g = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    y.backward(lamina.tensor(g))
    rows, columns = (
        windows(shape[2 + d], kernel[d], stride[d], padding[d], dilation[d], y.shape[2 + d])
        for d in range(2)
    )
    want, slope = np.full(y.shape, -np.inf, dtype), np.zeros(shape)
    for n, c, i, j in np.ndindex(*y.shape):
        places = [(h, w) for h in rows[i] for w in columns[j]]
        if places:
            h, w = max(places, key=lambda p: a[(n, c, *p)])
            want[n, c, i, j] = a[n, c, h, w]
            slope[n, c, h, w] += g[n, c, i, j]
    np.testing.assert_array_equal(y.detach().numpy(), want)
    np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", [c for c in CASES if c[4] == (1, 1)])
@pytest.mark.parametrize("include", [True, False])
def test_mean(case, include):
    shape, kernel, stride, padding, dilation, ceil = case
    a = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y = F.avg_pool2d(lamina.tensor(a), kernel, stride, padding, ceil, include)
    rows, columns = (
        windows(shape[2 + d], kernel[d], stride[d], padding[d], 1, y.shape[2 + d]) for d in range(2)
    )
    for n, c, i, j in np.ndindex(*y.shape):
        seen = [a[n, c, h, w] for h in rows[i] for w in columns[j]]
        counted = 1
        for d, k in ((0, i), (1, j)):
            first = k * stride[d] - padding[d]
            last = min(first + kernel[d], shape[2 + d] + padding[d])
            counted *= last - first if include else len((rows, columns)[d][k])
        assert y[n, c, i, j].item() == pytest.approx(sum(seen) / counted, rel=1e-5, abs=1e-6)
