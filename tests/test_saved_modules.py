"""Whole modules and NumPy arrays in files."""

import io
import json

import numpy as np
import pytest

import lamina
from lamina import nn, serialization
from lamina.serialization.tree import unpack


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.function, self.absent, self.again = nn.functional.relu, None, self.first
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("scale", lamina.ones(3), persistent=False)

    def forward(self, x):
        return self.norm(self.second(self.function(self.first(x)))) * self.scale


def saved(obj):
    file = io.BytesIO()
    lamina.save(obj, file)
    file.seek(0)
    return file


def test_a_module_of_ones_own_needs_leave():
    model = Tied().eval()
    file = saved(model)
    with pytest.raises(ValueError, match=r"it holds a test_saved_modules\.Tied; allow it"):
        lamina.load(file)
    file.seek(0)
    with serialization.safe_globals([Tied]):
        made = lamina.load(file)
    assert serialization.get_safe_globals() == []
    x = lamina.randn(4, 3)
    assert lamina.equal(made(x), model(x)) and not made.training
    assert made.second.weight is made.first.weight and made.again is made.first
    assert made.absent is None and "scale" not in made.state_dict()
    assert [n for n, _ in made.named_parameters()] == [n for n, _ in model.named_parameters()]
    file.seek(0)
    made = lamina.load(file, weights_only=False)
    assert lamina.equal(made(x), model(x))
    made(x).sum().backward()
    assert made.first.weight.grad is not None


def test_modules_of_lamina_need_none():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
    made = lamina.load(saved({"model": model}))["model"]
    x = lamina.randn(2, 1, 4, 4)
    assert lamina.equal(made(x), model(x)) and repr(made) == repr(model)


@pytest.mark.parametrize("name", [
    ["os", "system"], ["builtins", "eval"], ["lamina.hub", "load_state_dict_from_url"],
    ["lamina.serialization.files", "replacing"], ["lamina", "save"],
])  # fmt: skip
def test_a_file_cannot_name_other_code(name):
    for node in ({"global": name}, {"object": [*name, {"dict": []}]}):
        metadata = {"lamina.tree": json.dumps({"version": 1, "tree": node})}
        with pytest.raises(ValueError, match="it holds"):
            unpack({}, metadata)


def test_safe_globals_list():
    serialization.add_safe_globals([Tied])
    assert serialization.get_safe_globals() == [Tied]
    serialization.clear_safe_globals()
    assert serialization.get_safe_globals() == []


@pytest.mark.parametrize("dtype", ["float64", "int32", "bool", "complex64"])
def test_arrays(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    made = lamina.load(saved({"a": array[:, ::2], "x": np.float64(2.5), "n": np.int64(3)}))
    assert isinstance(made["a"], np.ndarray) and made["a"].dtype == array.dtype
    assert np.array_equal(made["a"], array[:, ::2]) and made["x"] == 2.5 and made["n"] == 3


def test_arrays_without_a_dtype_here():
    with pytest.raises(TypeError, match=r"save: obj\['a'\]: .*no lamina dtype"):
        lamina.save({"a": np.zeros(2, np.longdouble)}, io.BytesIO())
