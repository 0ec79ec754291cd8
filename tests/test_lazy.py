"""Layers that learn their input's size at the first call."""

import numpy as np
import pytest

import lamina
from lamina import nn

CASES = [
    ("LazyLinear", (5,), {}, (2, 3, 7)), ("LazyLinear", (5,), {"bias": False}, (7,)),
    ("LazyConv1d", (4, 3), {"stride": 2}, (2, 6, 9)),
    ("LazyConv2d", (4, 3), {"padding": 1, "groups": 2}, (2, 6, 5, 5)),
    ("LazyConvTranspose1d", (4, 3), {"output_padding": 1, "stride": 2}, (2, 6, 5)),
    ("LazyConvTranspose2d", (4, 2), {"bias": False}, (2, 6, 5, 4)),
    ("LazyBatchNorm1d", (), {}, (4, 3)), ("LazyBatchNorm2d", (), {"affine": False}, (2, 3, 4, 4)),
    ("LazyInstanceNorm1d", (), {}, (2, 3, 4)),
    ("LazyInstanceNorm2d", (), {"affine": True}, (2, 3, 4, 4)),
    ("LazyConv3d", (4, 3), {"padding": 1}, (2, 6, 5, 5, 4)),
    ("LazyConvTranspose3d", (4, 2), {"stride": 2}, (2, 6, 3, 4, 2)),
    ("LazyBatchNorm3d", (), {}, (2, 3, 4, 4, 2)), ("LazyInstanceNorm3d", (), {}, (2, 3, 4, 4, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), CASES)
def test_first_call(name, args, kwargs, shape):
    layer = getattr(nn, name)(*args, **kwargs)
    x = lamina.tensor(np.random.default_rng(0).normal(size=shape), dtype=lamina.float32)
    parameters = list(layer.parameters())
    y = layer(x)
    assert type(layer) is getattr(nn, name.removeprefix("Lazy"))
    assert all(a is b for a, b in zip(parameters, layer.parameters()))  # an optimizer has these
    assert all(type(p) is nn.Parameter for p in parameters)
    if parameters:
        y.sum().backward()
        assert all(p.grad is not None and p.grad.shape == p.shape for p in parameters)
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(*args, **kwargs)
    theirs(torch.zeros(shape))
    ours, wanted = layer.state_dict(), theirs.state_dict()
    assert {k: tuple(v.shape) for k, v in ours.items()} == {
        k: tuple(v.shape) for k, v in wanted.items()
    }
    assert repr(layer) == repr(theirs)


def test_loading_before_the_first_call():
    layer, other = nn.LazyLinear(3), nn.Linear(4, 3)
    layer.load_state_dict(other.state_dict())
    x = lamina.ones(2, 4)
    assert lamina.equal(layer(x), other(x))


def test_training_from_the_start():
    net = nn.Sequential(nn.LazyLinear(8), nn.Tanh(), nn.LazyLinear(1))
    optimizer = lamina.optim.SGD(net.parameters(), lr=0.1)
    x = lamina.randn(32, 5)
    losses = []
    for _ in range(30):
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        nn.LazyConv2d(4, 3, groups=2)(lamina.zeros(1, 3, 5, 5))
