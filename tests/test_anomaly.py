"""Anomaly mode names the operation and module that first make NaN or infinity."""

import pytest

import lamina
from lamina import nn


class Log(nn.Module):
    def forward(self, x):
        return x.log()


def net():
    return nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(), Log()))


def test_forward_names_op_and_module():
    x = lamina.tensor([1.0, -1.0, 2.0])
    assert net()(x).isinf().any()  # off: values as they come
    with lamina.autograd.detect_anomaly(), pytest.raises(RuntimeError) as error:
        net()(x)
    text = str(error.value)
    assert text.startswith("log: made infinity in 1 of the 3 elements of its result (3,), its ")
    assert "in module 1.1 (Log())" in text
    assert not lamina.autograd.is_anomaly_enabled()


def test_backward_names_op_and_module():
    class Root(nn.Module):
        def forward(self, x):
            return x.sqrt()

    model = nn.Sequential(nn.Identity(), Root())
    x = lamina.tensor([0.0, 4.0], requires_grad=True)
    with lamina.autograd.detect_anomaly():
        y = model(x).sum()
        with pytest.raises(RuntimeError) as error:
            y.backward()
    assert str(error.value) == (
        "sqrt: its backward made infinity in 1 elements of the gradient (2,) of input 0, the "
        "gradient of its result holds none (anomaly mode); it ran in module Sequential.1"
    )


def test_what_was_there_before_is_no_anomaly():
    with lamina.autograd.set_detect_anomaly(True):
        x = lamina.tensor([float("nan"), float("inf"), 1.0])
        assert (x + 1).isnan().any()
        full = lamina.zeros(2, 2).masked_fill(lamina.ones(2, 2).bool(), float("-inf"))
        assert full.isinf().all()
        with pytest.raises(RuntimeError, match="div_?: made NaN"):
            lamina.zeros(2) / lamina.zeros(2)
        y = lamina.full((3,), -1.0)
        with pytest.raises(RuntimeError, match="made NaN"):
            y.log_()
    assert not lamina.autograd.is_anomaly_enabled()


def test_the_mode_nests_and_can_be_left_on():
    lamina.autograd.set_detect_anomaly(True)
    try:
        with lamina.autograd.detect_anomaly(check_nan=False):
            (lamina.zeros(1) / 0).isnan()
        assert lamina.autograd.is_anomaly_enabled()
    finally:
        lamina.autograd.set_detect_anomaly(False)
    assert type(nn.Module).__call__ is type.__call__
    assert nn.Module.__call__.__name__ == "__call__"
