"""nn.Module: registration, traversal, the call, conversion, copies, printing."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import lamina
from lamina import nn

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


class Scale(nn.Module):
    """x * weight, with a buffer that counts calls."""

    def __init__(self, n=2):
        super().__init__()
        self.weight = nn.Parameter(lamina.full((n,), 2.0))
        self.register_buffer("calls", lamina.tensor(0))

    def forward(self, x, shift=0.0):
        self.calls += 1
        return x * self.weight + shift

    def extra_repr(self):
        return f"n={self.weight.shape[0]}"


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Scale()
        self.b = nn.Sequential(Scale(), nn.ReLU())
        self.shared = self.a

    def forward(self, x):
        return self.b(self.a(x))


# ---- registration --------------------------------------------------------------------------------
def test_assignment_registers_and_replaces():
    m = nn.Module()
    m.x = nn.Parameter(lamina.ones(2))
    assert list(m._parameters) == ["x"] and "x" not in m.__dict__
    m.x = None
    assert m.x is None and list(m.parameters()) == []
    m.x = nn.Parameter(lamina.zeros(1))
    del m.x
    m.x = nn.ReLU()
    m.x = nn.Parameter(lamina.zeros(1))  # a parameter takes the name of a module over
    assert list(m._parameters) == ["x"] and list(m._modules) == []
    m.plain = 3
    m.plain = nn.Buffer(lamina.zeros(2), persistent=False)
    assert list(m.state_dict()) == ["x"] and "plain" in dict(m.named_buffers())
    m.plain = lamina.ones(3)  # a plain tensor replaces a buffer
    assert m._buffers["plain"].shape == (3,)
    del m.plain, m.x
    assert not hasattr(m, "plain") and not hasattr(m, "x")


def test_parameters_are_tensors_and_leaves():
    data = lamina.ones(2)
    p = nn.Parameter(data)
    assert isinstance(p, lamina.Tensor) and p.requires_grad and p.is_leaf
    data[0] = 5.0
    assert p[0].item() == 5.0  # memory is shared
    assert type(p * 1) is lamina.Tensor
    assert repr(p).startswith("Parameter containing:\ntensor([5., 1.]")
    assert not nn.Parameter(lamina.tensor([1]), requires_grad=False).requires_grad
    assert nn.Parameter().shape == (0,)
    assert isinstance(nn.Buffer(lamina.zeros(1)), nn.Buffer)
    assert not isinstance(lamina.zeros(1), nn.Buffer)


@pytest.mark.parametrize(
    ("action", "kind", "text"),
    [
        (
            lambda m: m.register_parameter("a.b", None),
            KeyError,
            'parameter name can\'t contain "."',
        ),
        (lambda m: m.register_parameter("", None), KeyError, "can't be empty"),
        (lambda m: m.register_parameter(3, None), TypeError, "should be a string. Got int"),
        (lambda m: m.register_parameter("training", None), KeyError, "already exists"),
        (lambda m: m.register_parameter("q", lamina.ones(1)), TypeError, "nn.Parameter or None"),
        (lambda m: m.register_buffer("q", 3), TypeError, "Tensor or None required"),
        (lambda m: m.add_module("q", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.add_module("a.b", nn.ReLU()), KeyError, "got: a.b"),
        (lambda m: setattr(m.a, "weight", 3), TypeError, "cannot assign 'int' as parameter"),
        (lambda m: setattr(m, "a", 3), TypeError, "as child module 'a'"),
        (lambda m: setattr(m.a, "calls", 3), TypeError, "as buffer 'calls'"),
        (lambda m: m.missing, AttributeError, "'Pair' object has no attribute 'missing'"),
        (lambda m: m.get_submodule("b.7"), AttributeError, "Sequential has no attribute `7`"),
        (lambda m: m.get_parameter("a.calls"), AttributeError, "is not an nn.Parameter"),
        (lambda m: m.get_buffer("a.weight"), AttributeError, "is not a buffer"),
        (lambda m: m.train(3), ValueError, "expected to be boolean"),
        (lambda m: m.to(lamina.int64), TypeError, "must be floating point"),
        (lambda m: nn.Module()(1), NotImplementedError, 'missing the required "forward"'),
        (lambda m: nn.Parameter(3), TypeError, "data must be a tensor, got int"),
    ],
)
def test_mistakes(action, kind, text):
    with pytest.raises(kind) as e:
        action(Pair())
    assert text in e.value.args[0]


def test_assigning_before_init():
    class Early(nn.Module):
        def __init__(self, value):
            self.x = value

    for value, what in ((nn.ReLU(), "module"), (nn.Parameter(lamina.ones(1)), "parameters")):
        with pytest.raises(AttributeError, match=f"cannot assign {what} before Module.__init__"):
            Early(value)


def test_a_failing_property_reports_its_own_error():
    class M(nn.Module):
        @property
        def broken(self):
            return self.nowhere

    with pytest.raises(AttributeError, match="nowhere"):
        M().broken  # noqa: B018


# ---- traversal -----------------------------------------------------------------------------------
def test_each_object_is_listed_once():
    m = Pair()
    assert [n for n, _ in m.named_modules()] == ["", "a", "b", "b.0", "b.1"]
    assert [n for n, _ in m.named_modules(remove_duplicate=False)][-1] == "shared"
    assert [n for n, _ in m.named_children()] == ["a", "b"]
    assert [n for n, _ in m.named_parameters()] == ["a.weight", "b.0.weight"]
    assert [n for n, _ in m.named_parameters(prefix="p", recurse=False)] == []
    assert [n for n, _ in m.named_parameters(remove_duplicate=False)][-1] == "shared.weight"
    assert [n for n, _ in m.named_buffers()] == ["a.calls", "b.0.calls"]
    assert len(list(m.parameters())) == 2 and len(list(m.modules())) == 5
    assert m.get_submodule("b.0") is m.b[0] and m.get_submodule("") is m
    assert m.get_parameter("b.0.weight") is m.b[0].weight
    m.set_submodule("b.1", nn.Tanh())
    assert isinstance(m.b[1], nn.Tanh)


def test_apply_train_grad_switches():
    m, seen = Pair(), []
    assert m.apply(lambda x: seen.append(x)) is m
    assert seen[-1] is m and seen[0] is m.a and len(seen) == 5
    assert not m.eval().b[0].training and m.train().b[0].training
    m(lamina.ones(2)).sum().backward()
    m.zero_grad(set_to_none=False)
    assert m.a.weight.grad.tolist() == [0.0, 0.0]
    m.zero_grad()
    assert m.a.weight.grad is None
    assert not any(p.requires_grad for p in m.requires_grad_(False).parameters())
    assert {"a", "b", "weight"} <= {*dir(m), *dir(m.a)} and "0" not in dir(m.b)


# ---- conversion ----------------------------------------------------------------------------------
def test_conversion_keeps_parameter_objects():
    m = Pair()
    weight = m.a.weight
    m(lamina.ones(2)).sum().backward()
    assert m.double() is m and m.a.weight is weight
    assert weight.dtype is lamina.float64 and weight.grad.dtype is lamina.float64
    assert m.a.calls.dtype is lamina.int64  # only floating point changes
    assert m(lamina.ones(2, dtype=lamina.float64)).dtype is lamina.float64
    kinds = {"half": lamina.float16, "bfloat16": lamina.bfloat16, "float": lamina.float32}
    for name, kind in kinds.items():
        assert getattr(m, name)().a.weight.dtype is kind
    assert m.to("cpu").to(lamina.float64).a.weight.dtype is lamina.float64
    assert m.to("cpu", lamina.float32).a.weight.dtype is lamina.float32
    assert m.to(lamina.ones(1, dtype=lamina.float64)).a.weight.dtype is lamina.float64
    assert m.type(lamina.float32).a.calls.dtype is lamina.float32
    with pytest.raises(lamina.DeviceError, match="not available"):
        m.to("cuda:1")


def test_shared_memory_reaches_forked_processes():
    import os

    m = Scale().share_memory()
    child = os.fork()
    if child == 0:
        m.weight.data.fill_(7.0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert m.weight.tolist() == [7.0, 7.0]


# ---- copies --------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent_and_keep_sharing(how):
    m = Pair()
    m.a.weight.tag = "x"
    m.a.weight.requires_grad_(False)
    c = how(m)
    assert c.shared is c.a and c.a is not m.a and c.a.weight is not m.a.weight
    assert type(c.a.weight) is nn.Parameter and c.a.weight.tag == "x"
    assert not c.a.weight.requires_grad and c.b[0].weight.requires_grad
    c.b[0].weight.data.fill_(9.0)
    assert m.b[0].weight.tolist() == [2.0, 2.0]
    np.testing.assert_array_equal(c(lamina.ones(2)).detach().numpy(), [18.0, 18.0])
    shallow = copy.copy(m.a)
    assert shallow.weight is m.a.weight


# ---- where an error happened ---------------------------------------------------------------------
def test_errors_name_the_module_once():
    m = Pair()
    with pytest.raises(lamina.ShapeError) as e:
        m(lamina.ones(3))
    assert str(e.value).count("in module") == 1
    assert str(e.value).endswith("\n  in module a (Scale(n=2))")
    with pytest.raises(lamina.ShapeError, match=r"\n  in module b\.0 \(Scale\(n=2\)\)$"):
        m.a.forward = lambda x: x
        m(lamina.ones(3))
    with pytest.raises(lamina.ShapeError, match=r"\n  in module Scale\(n=2\)$"):
        Scale()(lamina.ones(3))


def test_errors_of_others_are_left_alone():
    class Bad(nn.Module):
        def forward(self, x):
            raise ValueError("mine")

    with pytest.raises(ValueError) as e:
        nn.Sequential(Bad())(1)
    assert str(e.value) == "mine"


# ---- printing ------------------------------------------------------------------------------------
def test_repr():
    assert repr(Pair()) == (
        "Pair(\n  (a): Scale(n=2)\n  (b): Sequential(\n    (0): Scale(n=2)\n    (1): ReLU()\n  )\n"
        "  (shared): Scale(n=2)\n)"
    )


@needs_torch
def test_subclass_interface_is_that_of_pytorch():
    missing = {n for n in dir(torch.nn.Module) if not n.startswith("_")} - set(dir(nn.Module))
    assert missing <= {
        "T_destination", "call_super_init", "compile", "dump_patches", "ipu", "mtia", "xpu",
    }  # fmt: skip
