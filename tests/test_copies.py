"""Copies of views: what a dense copy of them holds, against NumPy."""

import itertools

import numpy as np
import pytest

import lamina


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.float16, np.bool_])
@pytest.mark.parametrize("shape", [(5, 7), (37, 41), (4, 33, 6), (3, 4, 5, 6), (65, 3), (0, 4)])
def test_copies_of_views(shape, dtype):
    """Every order of the dimensions, backwards, spread and with gaps: planes are transposed."""
    a = (np.random.default_rng(0).standard_normal(shape) * 50).astype(dtype)
    for order in itertools.permutations(range(len(shape))):
        x, want = lamina.from_numpy(a).permute(*order), a.transpose(order)
        np.testing.assert_array_equal(x.contiguous().numpy(), want)
        np.testing.assert_array_equal(x[::2, 1:].contiguous().numpy(), want[::2, 1:])
        np.testing.assert_array_equal(x.flip(-1).numpy(), want[..., ::-1])
        np.testing.assert_array_equal(lamina.empty_like(x).copy_(x).numpy(), want)
        spread = x.unsqueeze(-1).expand(*x.shape, 67).contiguous()
        np.testing.assert_array_equal(spread.numpy(), np.repeat(want[..., None], 67, -1))
