"""Autocast: the types of results are PyTorch's, gradients are right, models train as in float32.

``--device cuda`` runs the same with the rules of CUDA.
"""

import contextlib
import pickle

import numpy as np
import pytest

import lamina
import row
from autocast_cases import CASES
from lamina import nn, optim

F = nn.functional
KINDS = {"float32": "float32", "lower": None, "mixed": "mixed"}


@pytest.fixture
def device():
    if row.DEVICE == "cuda" and not lamina.cuda.is_available():
        pytest.skip("there is no CUDA device")
    return row.DEVICE


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
    call, shapes = CASES[name]
    with torch_region(torch, device):
        try:
            expected = call(torch, torch.nn.functional, *operands(torch, shapes, kind, device))
        except (RuntimeError, ValueError) as error:  # PyTorch has no such kernel for mixed types
            pytest.skip(f"torch: {error}"[:90])
    with lamina.autocast(device):
        result = call(lamina, F, *operands(lamina, shapes, kind, device))
    assert str(result.dtype) == str(expected.dtype).replace("torch.", "lamina.")
