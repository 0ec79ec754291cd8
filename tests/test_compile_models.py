"""lamina.compile on every layer, loss and optimizer, on models, and on training steps of many
kinds: the bits of the eager step, including gradients, buffers and the random numbers after it."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
import row
from compile_cases import OPTIMIZERS, REFUSED, STEPS, mlp, square, train
from lamina import _core, nn, optim
from lamina.vision import models
from layer_cases import CASES, draw

pytestmark = pytest.mark.on_device

CALLS = 7
MODELS = {  # name: (size of the images, channels, arguments)
    "lenet5": (28, 1, {}),
    "resnet20": (9, 3, {}),
    "VisionTransformer": (
        32,
        3,
        {
            "image_size": 32,
            "patch_size": 8,
            "num_layers": 2,
            "num_heads": 2,
            "hidden_dim": 16,
            "mlp_dim": 32,
        },
    ),
    "squeezenet1_1": (40, 3, {}),
    "mobilenet_v2": (32, 3, {"width_mult": 0.35}),
    "mobilenet_v3_small": (33, 3, {"dilated": True}),
    "shufflenet_v2_x0_5": (33, 3, {}),
    "efficientnet_b0": (32, 3, {}),
}


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    monkeypatch.setenv("LAMINA_CHECK", "0")


def tensors_in(value):
    """All tensors in nested tuples and lists, and in modules with their gradients."""
    if isinstance(value, lamina.Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.state_dict().values()
        yield from (p.grad for p in value.parameters() if p.grad is not None)
        yield from tensors_in(getattr(value, "last", None))
    elif isinstance(value, (tuple, list)):
        for v in value:
            yield from tensors_in(v)


def bits(value):
    return [
        (t.dtype, tuple(t.shape), bytes(_core.bytes_of(t.detach().cpu().contiguous())))
        for t in tensors_in(value)
    ]


def run(build, inputs, compiled, calls=CALLS):
    """The bits of what the calls return and leave behind, and how often Python ran."""
    lamina.manual_seed(1)
    step, parts = build()
    runs = iter(range(100))

    def counted(*args):
        next(runs)
        return step(*args)

    call = lamina.compile(counted, fullgraph=True) if compiled else counted
    rng, seen = np.random.default_rng(3), []
    for _ in range(calls):
        seen.append(bits(call(*inputs(rng))))
        seen.append(bits(parts))
    return seen, bits(lamina.get_rng_state()), next(runs)


def assert_replays_with_eager_bits(build, inputs, monkeypatch=None, calls=CALLS):
    want, rng, _ = run(build, inputs, False, calls)
    got, rng_after, python = run(build, inputs, True, calls)
    assert got == want and rng_after == rng
    assert python <= 4  # the others were replays
    if monkeypatch:
        monkeypatch.setenv("LAMINA_CHECK", "1")
        got, rng_after, _ = run(build, inputs, True)
        assert got == want and rng_after == rng


def two(rng):
    return [lamina.tensor(rng.normal(size=(4, 6)).astype("float32")) for _ in range(2)]


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_many_kinds(name, monkeypatch):
    assert_replays_with_eager_bits(STEPS[name], two, monkeypatch)


@pytest.mark.parametrize("name", REFUSED)
def test_steps_that_are_refused_say_where(name):
    build, words = REFUSED[name]
    with pytest.raises(RuntimeError, match=rf"({words}).*\(.*\.py:\d+, in "):
        run(build, two, True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name, monkeypatch):
    def build():
        return train(mlp(), square, OPTIMIZERS[name])

    assert_replays_with_eager_bits(build, two, monkeypatch)


# The windows of fractional pooling are drawn in Python.
REPLAYED = [c for c in CASES if not c.layer.startswith("Fractional")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", REPLAYED, ids=lambda c: c.id())
def test_every_layer_and_loss(case):
    def inputs(rng):
        return [lamina.tensor(draw(kind, (3, *shape), rng)) for kind, shape in case.inputs]

    def build():
        layer, scale = case.make(lamina), nn.Parameter(lamina.ones(1, dtype=lamina.float64))
        optimizer = optim.SGD([*layer.parameters(), scale], 1e-4)

        def step(x, *rest):
            optimizer.zero_grad()
            out = layer(x * scale if x.is_floating_point() else x, *rest)
            parts = [t for t in tensors_in(out) if t.requires_grad]
            if parts:
                sum(t.square().sum() for t in parts).backward()
                optimizer.step()
            with lamina.no_grad():
                return layer(x.clone(), *rest), [t.detach() for t in tensors_in(out)]

        return step, [layer, scale]

    if case.kwargs.get("max_norm") or case.kwargs.get("momentum", 0) is None:
        with pytest.raises(RuntimeError, match=r"reads a value .*\(.*\.py:\d+, in step"):
            run(build, inputs, True)
    else:
        assert_replays_with_eager_bits(build, inputs)


@pytest.mark.parametrize("name", MODELS)
def test_vision_models(name):
    size, channels, settings = MODELS[name]

    def inputs(rng):
        return [lamina.tensor(rng.normal(size=(2, channels, size, size)).astype("float32"))]

    def build():
        model = getattr(models, name)(num_classes=5, **settings)
        step, parts = train(model, lambda m, x, y: m(x).square().mean())

        def both(x):
            loss = step(x, None)
            with lamina.no_grad():
                return loss, model(x)

        return both, parts

    # An emulated device takes seconds a step.
    calls = CALLS if row.DEVICE == "cpu" else 5
    assert_replays_with_eager_bits(build, inputs, calls=calls)
