"""Weights that replays keep in panels: the bits are eager ones, and every write is seen."""

import ctypes

import numpy as np
import pytest

import lamina
from lamina import nn

SETTLED = 14  # calls after which weights that stay the same are packed


def make(sizes, dtype=lamina.float32, bias=True):
    lamina.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(a, b, bias=bias) for a, b in zip(sizes, sizes[1:])])
    return model.to(dtype).eval()


def settle(model, rows=1):
    """The model compiled and called until its weights are packed; the input."""
    compiled = lamina.compile(model, fullgraph=True)
    weight = model[0].weight
    x = lamina.randn(rows, weight.shape[1], dtype=weight.dtype)
    with lamina.no_grad():
        for _ in range(SETTLED):
            compiled(x)
    return compiled, x


def packed(compiled):
    return compiled.plan.stats()["packed_bytes"]


def same(a, b):
    return lamina._core.bytes_of(a.contiguous()).tobytes() == (
        lamina._core.bytes_of(b.contiguous()).tobytes()
    )


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize(
    "sizes", [(64, 64), (128, 65), (97, 131), (400, 384), (1000, 63), (5, 999)]
)
def test_same_bits(sizes, rows, dtype):
    model = make(sizes, dtype, bias=rows != 2)
    compiled, x = settle(model, rows)
    assert packed(compiled) == model[0].weight.nbytes * (model[0].weight.numel() >= 4096)
    with lamina.no_grad():
        y = model(x)
        assert same(compiled(x), y)
    w, b = model[0].weight.double().numpy(force=True), model[0].bias
    expected = x.double().numpy() @ w.T + (0 if b is None else b.double().numpy(force=True))
    np.testing.assert_allclose(y.double().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads(threads):
    model = make((1024, 1000, 37))
    before = lamina.get_num_threads()
    try:
        lamina.set_num_threads(threads)
        compiled, x = settle(model)
        with lamina.no_grad():
            assert packed(compiled) and same(compiled(x), model(x))
    finally:
        lamina.set_num_threads(before)


def write_by_optimizer(model):
    model[0].weight.grad = lamina.ones_like(model[0].weight)
    lamina.optim.SGD(model.parameters(), lr=0.1).step()


def write_by_compiled_step(model):
    optimizer = lamina.optim.SGD(model.parameters(), lr=0.1)
    x = lamina.ones(4, model[0].weight.shape[1])

    @lamina.compile
    def step(x):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    for _ in range(4):
        step(x)


def write_by_address(model):
    w = model[0].weight.detach()
    at = (ctypes.c_float * w.numel()).from_address(w.data_ptr())
    at[5] = 7.0


def write_by_dlpack(model):
    lamina.from_dlpack(model[0].weight.detach()).mul_(3)


def write_in_inference_mode(model):
    with lamina.inference_mode():
        model[0].weight.mul_(0.5)


WRITES = {
    "in place": lambda m: m[0].weight.detach().add_(1),
    ".data": lambda m: m[0].weight.data.mul_(2),
    ".data[...]": lambda m: m[0].weight.data.__setitem__((3, slice(None)), 1.5),
    "a view": lambda m: m[0].weight.detach()[1:3].zero_(),
    "load_state_dict": lambda m: m.load_state_dict({k: v + 1 for k, v in m.state_dict().items()}),
    "numpy": lambda m: m[0].weight.detach().numpy().__setitem__((0, 0), 9.0),
    "init": lambda m: nn.init.ones_(m[0].weight),
    "optimizer": write_by_optimizer,
    "compiled step": write_by_compiled_step,
    "address": write_by_address,
    "dlpack": write_by_dlpack,
    "inference mode": write_in_inference_mode,
}


def check_write_is_seen(model, compiled, x, way):
    """A plan that keeps weights gives, once these are written, what the model then gives."""
    assert packed(compiled)
    with lamina.no_grad():
        before = compiled(x).clone()
    WRITES[way](model)
    with lamina.no_grad():
        for _ in range(2 * SETTLED):
            y = model(x)
            assert not same(y, before)
            assert same(compiled(x), y)


@pytest.mark.parametrize("way", WRITES)
def test_writes_are_seen(way):
    model = make((128, 96))
    check_write_is_seen(model, *settle(model), way)


def test_a_numpy_array_that_is_kept():
    model = make((128, 96))
    compiled, x = settle(model)
    array = model[0].weight.detach().numpy()
    with lamina.no_grad():
        for i in range(2 * SETTLED):  # nothing is packed while somebody may write unseen
            array[i, i] += 1
            assert same(compiled(x), model(x))
        assert packed(compiled) == 0
        array[0, 0] = 5
        del array
        for _ in range(SETTLED):
            assert same(compiled(x), model(x))
        assert packed(compiled)


def test_what_is_trained_is_not_packed():
    model = make((128, 96))
    optimizer = lamina.optim.SGD(model.parameters(), lr=0.1)

    @lamina.compile
    def step(x):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    x = lamina.randn(1, 128)
    for _ in range(2 * SETTLED):
        step(x)
    assert packed(step) == 0


def test_the_summary_says_so():
    compiled, _ = settle(make((128, 96)))
    assert "0.049 MB of weights packed" in compiled.plan.summary()
