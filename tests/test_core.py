"""Tensors: creation, dtypes, promotion, views, conversion, printing, memory."""

from __future__ import annotations

import copy
import gc
import pickle

import numpy as np
import pytest

import lamina
from lamina import _core

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
          "bool"]  # fmt: skip


# ---- creation ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, "int64"), (1.5, "float32"), (True, "bool"), ([1, 2], "int64"), ([1, 2.5], "float32"),
        ([True, 2], "int64"), ([[True]], "bool"), ([], "float32"), ([[], []], "float32"),
    ],
)  # fmt: skip
def test_inferred_dtypes(data, dtype):
    t = lamina.tensor(data)
    assert t.dtype is getattr(lamina, dtype)
    if np.size(data):
        np.testing.assert_array_equal(t.numpy(), np.array(data))


def test_nested_lists_of_tensors_and_arrays():
    t = lamina.tensor([np.array([1, 2]), [lamina.tensor(3), lamina.tensor([4])]])
    np.testing.assert_array_equal(t.numpy(), [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="length"):
        lamina.tensor([[1, 2], [3]])


@pytest.mark.parametrize("args", [(5,), (2, 7), (1, 10, 3), (0.0, 1.0, 0.25), (5, 0, -2), (3, 3)])
def test_arange(args):
    got = lamina.arange(*args)
    np.testing.assert_allclose(got.numpy(), np.arange(*args), rtol=1e-6)
    assert got.dtype is (
        lamina.float32 if any(isinstance(a, float) for a in args) else lamina.int64
    )


def test_linspace_eye_full():
    np.testing.assert_allclose(lamina.linspace(-1, 2, 7).numpy(), np.linspace(-1, 2, 7), rtol=1e-6)
    assert lamina.linspace(0, 10, 5, dtype=lamina.int64).tolist() == [0, 2, 5, 7, 10]
    assert lamina.linspace(-5, 5, 4, dtype=lamina.int8).tolist() == [-5, -1, 1, 5]
    assert lamina.zeros(2, dtype=float).dtype is lamina.float64  # Python's float, as in PyTorch
    np.testing.assert_array_equal(lamina.eye(2, 3).numpy(), np.eye(2, 3))
    assert lamina.full((2, 2), 7).dtype is lamina.int64
    assert lamina.full((2,), True).dtype is lamina.bool
    assert tuple(lamina.zeros(2, 3).shape) == tuple(lamina.zeros((2, 3)).shape) == (2, 3)
    assert lamina.ones_like(lamina.zeros(3, dtype=lamina.int16)).dtype is lamina.int16


def test_negative_sizes_are_refused():
    with pytest.raises(RuntimeError, match="-1"):
        lamina.zeros(2, -1)


# ---- dtypes --------------------------------------------------------------------------------------
@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("b", DTYPES)
def test_conversion_between_all_dtypes(a, b):
    t = lamina.tensor([0, 1, 2, 100]).to(getattr(lamina, a)).to(getattr(lamina, b))
    want = [0, 1, 1, 1] if "bool" in (a, b) else [0, 1, 2, 100]
    assert t.tolist() == want
    assert t.dtype is getattr(lamina, b)


@pytest.mark.parametrize("values", [[1.0, -2.5, 3e38, 1e-40, np.inf, -np.inf, np.nan, 65504, 65520,
                                     6e-8, 1.0009765, 0.33333334, -0.0]])  # fmt: skip
def test_halves_round_as_numpy_does(values):
    a = np.array(values, np.float32)
    with np.errstate(over="ignore"):
        want = a.astype(np.float16)
    got = lamina.tensor(a).half()
    np.testing.assert_array_equal(got.numpy(), want)
    bits = a.view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(
        np.uint32
    )
    want32 = np.where(np.isnan(a), a, rounded.view(np.float32))
    np.testing.assert_array_equal(lamina.tensor(a).bfloat16().float().numpy(), want32)


@needs_torch
@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("b", DTYPES)
def test_promotion_is_pytorchs(a, b):
    x, y = (torch.ones(2, dtype=getattr(torch, d)) for d in (a, b))
    z, w = (lamina.ones(2, dtype=getattr(lamina, d)) for d in (a, b))
    assert str((z * w).dtype) == str((x * y).dtype).replace("torch", "lamina")
    for scalar in (2, 2.5, True):
        assert str((z * scalar).dtype) == str((x * scalar).dtype).replace("torch", "lamina")
    assert str((z / w).dtype) == str((x / y).dtype).replace("torch", "lamina")
    zero = lamina.tensor(1, dtype=getattr(lamina, b))  # a 0-dim tensor takes part weakly
    theirs = torch.tensor(1, dtype=getattr(torch, b))
    assert str((z * zero).dtype) == str((x * theirs).dtype).replace("torch", "lamina")


def test_integer_division_and_overflow():
    a = lamina.tensor([7, -7, 7, -7], dtype=lamina.int32)
    b = lamina.tensor([2, 2, -2, -2], dtype=lamina.int32)
    assert (a / b).dtype is lamina.float32
    assert (a // b).tolist() == [3, -4, -4, 3]
    assert (a % b).tolist() == [1, 1, -1, -1]
    assert (lamina.tensor([200], dtype=lamina.uint8) + 100).tolist() == [44]
    with pytest.raises(RuntimeError, match="floor_divide: integer division by zero"):
        lamina.tensor([1]) // lamina.tensor([0])


# ---- views ---------------------------------------------------------------------------------------
def test_views_alias_and_reshape_copies_when_it_must():
    x = lamina.arange(6).reshape(2, 3)
    x.t()[0, 1] = 100
    assert x[1, 0].item() == 100
    assert x.t().reshape(-1).tolist() == [0, 100, 1, 4, 2, 5]
    with pytest.raises(RuntimeError, match="view"):
        x.t().view(-1)
    assert x.view(-1).data_ptr() == x.data_ptr()
    assert not x.t().is_contiguous() and x.t().contiguous().is_contiguous()
    assert x.unsqueeze(1).shape == (2, 1, 3) and x.squeeze().shape == (2, 3)
    assert x.expand(4, 2, 3).stride() == (0, 3, 1)


def test_memory_is_reused_and_returned():
    gc.collect()
    before = _core.memory_stats()["in_use"]
    for _ in range(10):
        t = lamina.zeros(1000, 1000)
        del t
    assert _core.memory_stats()["in_use"] == before


def test_overlapping_copy():
    x = lamina.arange(10)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]


# ---- interop -------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int16",
                                   "int8", "uint8", "bool"])  # fmt: skip
def test_numpy_both_ways(dtype):
    a = (np.arange(12).reshape(3, 4) % 2).astype(dtype)
    t = lamina.from_numpy(a)
    assert str(t.dtype) == f"lamina.{dtype}"
    np.testing.assert_array_equal(t.numpy(), a)
    a[0, 0] = 1
    assert t[0, 0].item() == 1  # shared
    back = t.numpy()
    back[1, 1] = 0
    assert a[1, 1] == 0
    np.testing.assert_array_equal(lamina.from_numpy(a.T[:, ::2]).numpy(), a.T[:, ::2])
    np.testing.assert_array_equal(np.asarray(t), a)
    np.testing.assert_array_equal(lamina.tensor(a[::-1].copy()).numpy(), a[::-1])


def test_numpy_keeps_memory_alive():
    a = lamina.arange(1000).numpy()
    gc.collect()
    lamina.zeros(1000, dtype=lamina.int64)
    np.testing.assert_array_equal(a, np.arange(1000))
    t = lamina.from_numpy(np.arange(1000))
    gc.collect()
    assert t.sum().item() == 499500


def test_dlpack_both_ways():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(lamina.from_dlpack(a).numpy(), a)
    np.testing.assert_array_equal(np.from_dlpack(lamina.tensor(a)), a)
    if torch is not None:
        t = torch.arange(6).reshape(2, 3).t()
        np.testing.assert_array_equal(lamina.from_dlpack(t).numpy(), t.numpy())
        u = torch.from_dlpack(lamina.tensor(a))
        assert u.tolist() == a.tolist()


def test_numpy_of_a_tensor_that_requires_grad():
    with pytest.raises(RuntimeError, match="detach"):
        lamina.ones(2, requires_grad=True).numpy()


def test_python_numbers():
    assert lamina.tensor(3).item() == 3 and isinstance(lamina.tensor(3).item(), int)
    assert float(lamina.tensor([2.5])) == 2.5 and int(lamina.tensor(7.9)) == 7
    assert bool(lamina.tensor([True])) and not bool(lamina.tensor(0.0))
    assert [10, 20][lamina.tensor(1)] == 20
    assert len(lamina.zeros(3, 2)) == 3
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(lamina.ones(2))
    with pytest.raises((RuntimeError, ValueError), match="one element"):
        lamina.ones(2).item()
    with pytest.raises(TypeError):
        len(lamina.tensor(1))


def test_copies_and_pickles():
    x = lamina.arange(6.0).reshape(2, 3)
    y = copy.deepcopy(x)
    y[0, 0] = 9
    assert x[0, 0].item() == 0
    z = pickle.loads(pickle.dumps(x))
    assert z.tolist() == x.tolist() and z.dtype is x.dtype


# ---- printing ------------------------------------------------------------------------------------
@needs_torch
@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.tensor([1.0, 2.5, -3.0]),
        lambda m: m.tensor([1.0, 2.0]),
        lambda m: m.tensor([1e-8, 1e8]),
        lambda m: m.tensor([[1, 20], [300, 4]]),
        lambda m: m.tensor([True, False]),
        lambda m: m.tensor(3.14159265),
        lambda m: m.tensor(7),
        lambda m: m.tensor([]),
        lambda m: m.zeros(2, 0),
        lambda m: m.tensor([float("nan"), float("inf"), -float("inf"), 1.0]),
        lambda m: m.arange(2000),
        lambda m: m.arange(24.0).reshape(2, 3, 4),
        lambda m: m.tensor([1.0], dtype=m.float64),
        lambda m: m.tensor([1], dtype=m.int32),
        lambda m: m.tensor([1.0], requires_grad=True),
        lambda m: m.arange(40.0) / 3,
        lambda m: m.tensor([1.0, 5000.0]),
        lambda m: m.arange(10000.0).reshape(100, 100),
    ],
)
def test_repr_is_pytorchs(make):
    assert repr(make(lamina)) == repr(make(torch)).replace("torch.", "lamina.")


def test_repeat_interleave():
    x = lamina.arange(6).reshape(2, 3)
    a = x.numpy()
    np.testing.assert_array_equal(x.repeat_interleave(2).numpy(), a.repeat(2))
    for dim, repeats in [(1, [1, 0, 2]), (-1, [0, 0, 0]), (0, [3, 1]), (0, [2])]:
        got = x.repeat_interleave(lamina.tensor(repeats), dim).numpy()
        np.testing.assert_array_equal(got, a.repeat(repeats, dim))
    assert lamina.zeros(0).repeat_interleave(3).shape == (0,)
    with pytest.raises(lamina.OutOfMemoryError):
        x.repeat_interleave(10**12)


def test_in_place_methods_take_their_operands_only():
    x = lamina.ones(2)
    for call in (lambda: x.abs_(len), lambda: x.mul_(2, len)):
        with pytest.raises(TypeError, match="positional argument"):
            call()
    assert x.tolist() == [1, 1]
