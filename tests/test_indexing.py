"""x[...] and x[...] = v against NumPy, every form; errors; gradients."""

from __future__ import annotations

import numpy as np
import pytest

import lamina

A = np.arange(2 * 3 * 4 * 5, dtype=np.float64).reshape(2, 3, 4, 5)
I = np.array([0, 2, 1, 1])
M = np.array([True, False, True])

FORMS = {
    "int": 1,
    "negative": -1,
    "ints": (1, 2),
    "all_ints": (1, 2, 3, 4),
    "slice": slice(0, 1),
    "slice_step": (slice(None), slice(0, 3, 2)),
    "slice_past_end": (slice(None), slice(1, 100)),
    "slice_negative": (slice(None), slice(-2, None)),
    "slice_empty": (slice(None), slice(2, 1)),
    "ellipsis": (..., 2),
    "ellipsis_middle": (1, ..., slice(1, 3)),
    "only_ellipsis": ...,
    "none": (None, slice(None), None, 1),
    "none_last": (..., None),
    "bool_scalar": True,
    "list": [1, 0, 1],
    "array": (slice(None), I % 3),
    "array_2d": (slice(None), np.array([[0, 1], [2, 0]])),
    "two_arrays": (np.array([0, 1]), np.array([2, 0])),
    "arrays_apart": (np.array([0, 1]), slice(None), np.array([3, 0])),
    "array_none_array": (slice(None), np.array([0, 1]), None, np.array([3, 0])),
    "arrays_broadcast": (np.array([[0], [1]]), np.array([2, 0, 1])),
    "array_and_int": (slice(None), 1, np.array([0, 3])),
    "negative_array": (slice(None), np.array([-1, -3])),
    "mask": (slice(None), M),
    "mask_2d": (np.array([[True, False, True], [False, True, False]]),),
    "mask_full": A > 50,
    "mask_none": np.zeros((2, 3, 4, 5), bool),
    "mask_and_array": (slice(None), M, np.array([0, 3])),
    "mask_and_slice": (slice(None), M, slice(1, 3)),
    "empty_array": (slice(None), np.zeros(0, np.int64)),
    "zero_d_array": (np.array(1),),
}
each_form = pytest.mark.parametrize("form", FORMS, ids=list(FORMS))


def _once(form) -> bool:
    """Whether the form selects no element twice: else NumPy does not define which value stays."""
    selected = np.arange(A.size).reshape(A.shape)[FORMS[form]]
    return len(np.unique(selected)) == np.size(selected)


each_form_once = pytest.mark.parametrize("form", [f for f in FORMS if _once(f)])


def convert(key):
    """The same key with lamina tensors for arrays."""
    if isinstance(key, tuple):
        return tuple(convert(k) for k in key)
    return lamina.tensor(key) if isinstance(key, np.ndarray) else key


@each_form
def test_read(form):
    key = FORMS[form]
    want = A[key]
    got = lamina.tensor(A)[convert(key)]
    assert tuple(got.shape) == want.shape
    np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_array_equal(lamina.tensor(A)[key].numpy(), want)  # NumPy arrays as keys


@each_form
def test_read_a_view(form):
    key = FORMS[form]
    big = np.full((2, 6, 4, 10), -1.0)
    big[:, ::2, :, ::2] = A
    got = lamina.tensor(big)[:, ::2, :, ::2][convert(key)]
    np.testing.assert_array_equal(got.numpy(), A[key])


@each_form
def test_assign_a_number(form):
    a, t = A.copy(), lamina.tensor(A)
    a[FORMS[form]] = -5
    t[convert(FORMS[form])] = -5
    np.testing.assert_array_equal(t.numpy(), a)


@each_form_once
def test_assign_an_array(form):
    key = FORMS[form]
    a, t = A.copy(), lamina.tensor(A)
    value = np.random.default_rng(0).standard_normal(A[key].shape)
    a[key] = value
    t[convert(key)] = lamina.tensor(value.astype(float))
    np.testing.assert_array_equal(t.numpy(), a)


@each_form_once
def test_assign_broadcasts(form):
    key = FORMS[form]
    a, t = A.copy(), lamina.tensor(A)
    shape = A[key].shape
    value = np.array(7) if len(shape) == 0 else np.arange(shape[-1])
    a[key] = value
    t[convert(key)] = lamina.tensor(value.astype(float))
    np.testing.assert_array_equal(t.numpy(), a)


@each_form
def test_gradient_adds_up(form):
    key = FORMS[form]
    x = lamina.tensor(A, requires_grad=True)
    y = x[convert(key)]
    g = np.random.default_rng(0).standard_normal(tuple(y.shape))
    if y.numel() == 0:
        return
    y.backward(lamina.tensor(g))
    want = np.zeros_like(A)
    np.add.at(want, key, g)
    np.testing.assert_allclose(x.grad.numpy(), want, rtol=1e-12)


@each_form_once
def test_gradient_of_assignment(form):
    key = FORMS[form]
    x = lamina.tensor(A, requires_grad=True)
    v = lamina.tensor(np.ones(A[key].shape), requires_grad=True)
    y = x * 2
    y[convert(key)] = v * 3
    g = np.random.default_rng(0).standard_normal(A.shape)
    y.backward(lamina.tensor(g))
    want = 2 * g
    want[key] = 0
    gx = np.zeros_like(A) if x.grad is None else x.grad.numpy()  # None: nothing of x is left
    np.testing.assert_allclose(gx, want, rtol=1e-12)
    np.testing.assert_allclose(v.grad.numpy(), 3 * g[key], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "int64", "int32", "int16", "int8", "uint8", "bool"])
def test_every_dtype(dtype):
    a = (np.arange(12).reshape(3, 4) % 2).astype(dtype)
    t = lamina.tensor(a)
    np.testing.assert_array_equal(t[1].numpy(), a[1])
    np.testing.assert_array_equal(t[lamina.tensor([2, 0])].numpy(), a[[2, 0]])
    t[1] = 0
    a[1] = 0
    t[t == 0] = 1
    a[a == 0] = 1
    np.testing.assert_array_equal(t.numpy(), a)


def test_a_number_is_a_selection_before_index_tensors():
    """As PyTorch, unlike NumPy: the number goes first, then one index tensor stands in place."""
    got = lamina.tensor(A)[0, :, lamina.tensor([3, 0])]
    np.testing.assert_array_equal(got.numpy(), A[0][:, [3, 0]])


def test_views_share_memory():
    t = lamina.zeros(3, 4)
    t[1][2] = 5
    t[:, 0] += 1
    t[2, 1:3].fill_(7)
    want = np.zeros((3, 4))
    want[1, 2] = 5
    want[:, 0] += 1
    want[2, 1:3] = 7
    np.testing.assert_array_equal(t.numpy(), want)


def test_augmented_assignment_with_index_tensor():
    t = lamina.zeros(5)
    t[lamina.tensor([0, 2])] += 3
    np.testing.assert_array_equal(t.numpy(), [3, 0, 3, 0, 0])


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        (5, IndexError, "index: index 5 is out of bounds for dimension 0 with size 2"),
        (-3, IndexError, "index: index -3 is out of bounds for dimension 0 with size 2"),
        ((0, 0, 0, 0, 0), IndexError, "too many indices"),
        (slice(None, None, -1), ValueError, "step"),
        (1.5, (TypeError, IndexError), "index"),
        ("a", (TypeError, IndexError), "index"),
    ],
)
def test_bad_keys(key, error, text):
    with pytest.raises(error, match=text):
        lamina.tensor(A)[key]


def test_bad_index_tensors():
    t = lamina.tensor(A)
    with pytest.raises(IndexError, match="index 7 is out of bounds for dimension 1 with size 3"):
        t[:, lamina.tensor([0, 7])]
    with pytest.raises(IndexError, match="mask"):
        t[lamina.tensor([True, False, True])]
    with pytest.raises((TypeError, IndexError), match="float"):
        t[lamina.tensor([0.5])]
    with pytest.raises((RuntimeError, ValueError), match="shape"):
        t[0] = lamina.zeros(7)


def test_gather_and_scatter():
    a = np.arange(12.0).reshape(3, 4)
    index = np.array([[0, 1, 2, 0], [2, 0, 0, 1]])
    t = lamina.tensor(a)
    got = lamina.gather(t, 0, lamina.tensor(index))
    np.testing.assert_array_equal(got.numpy(), np.take_along_axis(a, index, 0))
    got = lamina.zeros(3, 4, dtype=lamina.float64).scatter_add(
        0, lamina.tensor(index), lamina.tensor(a[:2])
    )
    want = np.zeros((3, 4))
    for i in range(2):
        for j in range(4):
            want[index[i, j], j] += a[i, j]
    np.testing.assert_array_equal(got.numpy(), want)
    with pytest.raises(IndexError):
        lamina.gather(t, 0, lamina.tensor([[3, 0, 0, 0]]))


def test_embedding_gradient_skips_padding():
    w = lamina.tensor(np.random.default_rng(0).standard_normal((5, 3)), requires_grad=True)
    ids = lamina.tensor([[1, 2], [2, 4]])
    y = lamina.embedding(w, ids, padding_idx=4)
    assert tuple(y.shape) == (2, 2, 3)
    y.backward(lamina.ones(2, 2, 3, dtype=lamina.float64))
    np.testing.assert_array_equal(w.grad.numpy()[:, 0], [0, 1, 2, 0, 0])
    with pytest.raises(IndexError, match="index 5 is out of bounds"):
        lamina.embedding(w, lamina.tensor([5]))
