"""Autocast: the types of results are PyTorch's, gradients are right, models train as in float32.

``--device cuda`` runs the same with the rules of CUDA.
"""

import contextlib

import numpy as np
import pytest

import lamina
from autocast_cases import CASES
from lamina import nn, optim

F = nn.functional
KINDS = {"float32": "float32", "lower": None, "mixed": "mixed"}


def lower(m, device):
    return m.bfloat16 if device == "cpu" else m.float16


def operands(m, shapes, kind, device):
    made = []
    for i, shape in enumerate(shapes):
        half = kind == "lower" or (kind == "mixed" and i % 2 == 0)
        x = m.linspace(0.1, 0.9, int(np.prod(shape)), device=device).reshape(shape)
        made.append(x.to(lower(m, device)) if half else x)
    return made


@contextlib.contextmanager
def torch_region(torch, device):
    if device == "cpu":
        with torch.autocast("cpu"):
            yield
        return
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():  # types of CUDA without CUDA
        torch.set_autocast_enabled("cuda", True)
        try:
            yield
        finally:
            torch.set_autocast_enabled("cuda", False)
            torch.clear_autocast_cache()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")
def test_types(name, kind, device):
    torch = pytest.importorskip("torch")
    if device != "cpu" and "Cell" in name:
        pytest.skip("torch's cells abort on tensors without memory")
    call, shapes = CASES[name]
    with torch_region(torch, device):
        try:
            expected = call(torch, torch.nn.functional, *operands(torch, shapes, kind, device))
        except Exception as error:  # no such kernel for mixed types, or none of types alone
            pytest.skip(f"torch: {error}"[:90])
    with lamina.autocast(device):
        result = call(lamina, F, *operands(lamina, shapes, kind, device))
    assert str(result.dtype) == str(expected.dtype).replace("torch.", "lamina.")


# ---- gradients -----------------------------------------------------------------------------------
def test_gradients_of_float32_parameters(device):
    """dtypes, and values within the rounding of the half type."""
    lamina.manual_seed(0)
    x = lamina.randn(8, 16, device=device)
    layer = nn.Linear(16, 4).to(device)
    plain = [g.clone() for g in lamina.autograd.grad(layer(x).square().sum(), layer.parameters())]
    with lamina.autocast(device, dtype=lamina.bfloat16):
        y = layer(x)
        assert y.dtype is lamina.bfloat16
        loss = y.float().square().sum()
    loss.backward()
    for p, g in zip(layer.parameters(), plain):
        assert p.grad.dtype is lamina.float32
        assert (p.grad - g).norm() <= 0.02 * g.norm()


def test_gradients_flow_through_shared_casts(device):
    """A parameter used twice is converted once, and gets both gradients."""
    w = lamina.eye(3, device=device).requires_grad_()
    x = lamina.full((2, 3), 0.5, device=device)
    with lamina.autocast(device):
        y = (x @ w) @ w
        first, second = y.sum().float(), (x @ w).float().sum()
    (first + second).backward()
    w2 = lamina.eye(3, device=device).requires_grad_()
    (((x @ w2) @ w2).sum() + (x @ w2).sum()).backward()
    assert lamina.equal(w.grad, w2.grad)


def test_backward_inside_the_region(device):
    layer = nn.Linear(4, 4).to(device)
    with lamina.autocast(device):
        layer(lamina.ones(2, 4, device=device)).float().sum().backward()
    assert layer.weight.grad.dtype is lamina.float32
    assert layer.weight.grad.tolist() == [[2.0] * 4] * 4


# ---- regions -------------------------------------------------------------------------------------
def test_nesting_and_types(device):
    other = lamina.float16 if device == "cpu" else lamina.bfloat16
    x = lamina.ones(2, 2, device=device)
    assert not lamina.is_autocast_enabled(device)
    with lamina.autocast(device) as region:
        assert lamina.is_autocast_enabled(device) and region.fast_dtype is lower(lamina, device)
        assert (x @ x).dtype is lower(lamina, device)
        with lamina.autocast(device, enabled=False):
            assert not lamina.is_autocast_enabled(device) and (x @ x).dtype is lamina.float32
        with lamina.autocast(device, dtype=other):
            assert (x @ x).dtype is other and lamina.get_autocast_dtype(device) is other
        assert (x @ x).dtype is lower(lamina, device)
    assert (x @ x).dtype is lamina.float32
    assert lamina.get_autocast_dtype(device) is lower(lamina, device)
    with pytest.raises(RuntimeError), lamina.autocast(device):
        x @ lamina.ones(3, 3, device=device)
    assert not lamina.is_autocast_enabled(device)


def test_decorator(device):
    @lamina.autocast(device)
    def product(x):
        """Docs."""
        return x @ x

    assert product(lamina.ones(2, 2, device=device)).dtype is lower(lamina, device)
    assert product.__doc__ == "Docs."


def test_only_its_device_and_no_doubles(device):
    if lamina.cuda.is_available():
        other = "cuda" if device == "cpu" else "cpu"
        with lamina.autocast(device):
            y = lamina.ones(2, 2, device=other)
            assert (y @ y).dtype is lamina.float32
    with lamina.autocast(device):
        x = lamina.ones(2, 2, dtype=lamina.float64, device=device)
        assert (x @ x).dtype is lamina.float64
        n = lamina.ones(2, 2, dtype=lamina.int64)
        assert (n @ n).dtype is lamina.int64


def test_a_parameter_is_converted_once_and_anew_when_written(device):
    w = lamina.ones(4, 4, device=device, requires_grad=True)
    x = lamina.ones(1, 4, device=device)
    with lamina.autocast(device):
        assert (x @ w).tolist() == [[4.0] * 4]
        with lamina.no_grad():
            w.mul_(2)
        assert (x @ w).tolist() == [[8.0] * 4]
        with lamina.no_grad():
            assert not (x @ w).requires_grad
        assert (x @ w).requires_grad


def test_names():
    with pytest.warns(UserWarning, match="not supported. Disabling"):
        region = lamina.autocast("cpu", dtype=lamina.float64)
    with region:
        assert not lamina.is_autocast_cpu_enabled()
    with pytest.raises(ValueError, match="Expected `device_type`"):
        lamina.autocast(lamina.device("cpu"))
    assert lamina.amp.is_autocast_available("cpu") and lamina.amp.autocast is lamina.autocast
    assert lamina.is_autocast_cache_enabled()
    assert lamina.get_autocast_cpu_dtype() is lamina.bfloat16
    assert lamina.get_autocast_gpu_dtype() is lamina.float16
    lamina.set_autocast_enabled("cpu", True)
    lamina.set_autocast_dtype("cpu", lamina.float16)
    try:
        assert (lamina.ones(2, 2) @ lamina.ones(2, 2)).dtype is lamina.float16
    finally:
        lamina.set_autocast_enabled("cpu", False)
        lamina.set_autocast_dtype("cpu", lamina.bfloat16)
    lamina.set_autocast_cache_enabled(False)
    assert not lamina.is_autocast_cache_enabled()
    lamina.set_autocast_cache_enabled(True)
    lamina.clear_autocast_cache()


@pytest.mark.parametrize("cast", [None, "float32"])
def test_custom_functions(cast):
    seen = []

    class Product(lamina.autograd.Function):
        @staticmethod
        @lamina.amp.custom_fwd(device_type="cpu", cast_inputs=cast and getattr(lamina, cast))
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            seen.append((lamina.is_autocast_enabled("cpu"), a.dtype))
            return a @ b

        @staticmethod
        @lamina.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            seen.append((lamina.is_autocast_enabled("cpu"), (g @ b.t()).dtype))
            return g @ b.t(), a.t() @ g

    a = lamina.ones(2, 2, dtype=lamina.bfloat16, requires_grad=True)
    b = lamina.ones(2, 2, requires_grad=True)
    with lamina.autocast("cpu"):
        y = Product.apply(a, b)
    y.float().sum().backward()
    if cast is None:
        assert y.dtype is lamina.bfloat16
        assert seen == [(True, lamina.bfloat16), (True, lamina.bfloat16)]
    else:
        assert y.dtype is lamina.float32
        assert seen == [(False, lamina.float32), (False, lamina.float32)]


def test_threads_have_regions_of_their_own():
    import threading

    seen = []
    x = lamina.ones(2, 2)
    with lamina.autocast("cpu"):
        thread = threading.Thread(target=lambda: seen.append((x @ x).dtype))
        thread.start()
        thread.join()
    assert seen == [lamina.float32]


# ---- training ------------------------------------------------------------------------------------
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.layer(self.embed(x.reshape(-1, 8, 8))).mean(1))


MODELS = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)),
    "conv": lambda: nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4),
    ),
    "transformer": Attention,
}  # fmt: skip


def train(name, device, dtype, compiled=False, steps=40):
    lamina.manual_seed(0)
    model = MODELS[name]().to(device)
    x = lamina.randn(32, 1, 8, 8).to(device)
    target = lamina.arange(32).to(device) % 4
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def step(x, target):
        optimizer.zero_grad()
        with lamina.autocast(device, dtype=dtype, enabled=dtype is not None):
            loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    step = lamina.compile(step, fullgraph=True) if compiled else step
    return [step(x, target).item() for _ in range(steps)]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", MODELS)
def test_training(name, dtype, device):
    """The losses of training in float32, within the rounding of the half type."""
    steps = 40 if device == "cpu" else 6
    full = train(name, device, None, steps=steps)
    half = train(name, device, getattr(lamina, dtype), steps=steps)
    bound = 0.05 if dtype == "bfloat16" else 0.02
    assert max(abs(a - b) for a, b in zip(full, half)) < bound * full[0], (full, half)
    if device == "cpu":
        assert half[-1] < 0.6 * half[0]


@pytest.mark.parametrize("name", MODELS)
def test_compiled_training(name, device):
    """Replays of a step with a region inside have the bits of the eager step."""
    steps = 8 if device == "cpu" else 5
    assert train(name, device, lamina.bfloat16, True, steps) == train(
        name, device, lamina.bfloat16, False, steps
    )


def test_plans_are_kept_apart(device):
    """A step that is compiled outside a region is recorded anew inside one, and both stay."""
    layer = nn.Linear(4, 4).to(device)
    x = lamina.randn(2, 4, device=device)

    @lamina.compile(fullgraph=True)
    def infer(x):
        with lamina.no_grad():
            return layer(x)

    for _ in range(4):
        assert infer(x).dtype is lamina.float32
        with lamina.autocast(device):
            assert infer(x).dtype is lower(lamina, device)
        with lamina.no_grad():
            layer.weight.mul_(1.5)  # a converted weight is not kept from step to step
        with lamina.autocast(device):
            assert lamina.equal(infer(x), layer(x))
