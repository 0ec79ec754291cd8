"""The learning-rate range test."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina import nn, optim
from lamina.trainer import lr_range_test


def problem():
    lamina.manual_seed(0)
    x = lamina.randn(64, 5)
    y = (x @ lamina.tensor([1.0, -2.0, 0.5, 0.0, 3.0])).unsqueeze(1)
    return nn.Linear(5, 1), [(x, y)]  # one batch: the losses differ by the rate alone


def test_range_and_that_nothing_changed():
    model, batches = problem()
    model.eval()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    found = lr_range_test(
        model, nn.functional.mse_loss, optimizer, batches, 1e-4, 10, steps=60, smoothing=0.5
    )
    factors = np.array(found.rates[1:]) / np.array(found.rates[:-1])
    np.testing.assert_allclose(factors, 1e5 ** (1 / 59), rtol=1e-9)
    assert found.rates[0] == pytest.approx(1e-4) and len(found.rates) < 60  # it ran away
    assert min(found.losses) < 0.2 * found.losses[0]
    assert found.losses[-1] > 4 * min(found.losses)  # the default of `stop`
    assert 1e-3 < found.suggestion < 1
    for k, v in model.state_dict().items():
        np.testing.assert_array_equal(v.numpy(), before[k])
    assert not model.training and optimizer.param_groups[0]["lr"] == 0.1
    assert not optimizer.state_dict()["state"] and model.weight.grad is None


def test_errors():
    model, batches = problem()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="low < high"):
        lr_range_test(model, nn.functional.mse_loss, optimizer, batches, 1.0, 0.1)
    with pytest.raises(ValueError, match="no batches"):
        lr_range_test(model, nn.functional.mse_loss, optimizer, [])
