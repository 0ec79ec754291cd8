"""Low-rank layers and the CP decomposition."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.utils.decomposition import cp_decomposition, cp_product, low_rank_linear

rng = np.random.default_rng(0)


@pytest.mark.parametrize("bias", [True, False])
def test_low_rank_linear(bias):
    layer = nn.Linear(7, 5, bias=bias).double()
    w = layer.weight.detach().numpy()
    x = lamina.tensor(rng.standard_normal((3, 7)))
    full = low_rank_linear(layer, 5)
    np.testing.assert_allclose(full(x).detach().numpy(), layer(x).detach().numpy(), rtol=1e-10)
    half = low_rank_linear(layer, 2)
    u, s, vh = np.linalg.svd(w)
    want = u[:, :2] * s[:2] @ vh[:2]
    got = half[1].weight.detach().numpy() @ half[0].weight.detach().numpy()
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    assert np.linalg.norm(w - got, 2) == pytest.approx(s[2])
    with pytest.raises(ValueError, match="within 1 and 5"):
        low_rank_linear(layer, 6)


@pytest.mark.parametrize("shape", [(6, 5, 4), (4, 3, 5, 3), (6, 5)])
def test_cp_finds_what_was_put_together(shape):
    lamina.manual_seed(0)
    true = [lamina.tensor(rng.standard_normal((n, 2))) for n in shape]
    x = cp_product(lamina.tensor([2.0, 1.0], dtype=lamina.float64), true)
    want = sum(
        c * np.multiply.outer(np.multiply.outer(f[0], f[1]), 1)
        if len(f) == 2 else c * np.einsum("i,j,...->ij...", f[0], f[1],
                                          f[2] if len(f) == 3 else np.multiply.outer(f[2], f[3]))
        for c, f in ((2.0, [t.numpy()[:, 0] for t in true]), (1.0, [t.numpy()[:, 1] for t in true]))
    )  # fmt: skip
    np.testing.assert_allclose(x.numpy(), want, rtol=1e-12)
    weights, factors = cp_decomposition(x, 2, iterations=400, tolerance=1e-13, restarts=4)
    assert [tuple(f.shape) for f in factors] == [(n, 2) for n in shape]
    for f in factors:
        np.testing.assert_allclose(np.linalg.norm(f.numpy(), axis=0), 1, rtol=1e-10)
    error = (cp_product(weights, factors) - x).norm().item() / x.norm().item()
    assert error < 1e-5


def test_cp_errors():
    with pytest.raises(lamina.ShapeError):
        cp_decomposition(lamina.zeros(3), 1)
    with pytest.raises(ValueError, match="rank"):
        cp_decomposition(lamina.zeros(3, 3), 0)
