"""einsum against NumPy: equations, gradients, lists of dimensions, errors."""

import re

import numpy as np
import pytest

import lamina
from lamina import zeros


def draw(*shape, seed=0):
    return lamina.tensor(np.random.default_rng(seed).standard_normal(shape))


def close(y, ref):
    assert tuple(y.shape) == np.shape(ref)
    np.testing.assert_allclose(
        y.numpy(), ref, rtol=0, atol=1e-12 * max(1, np.abs(ref).max(initial=0))
    )


EQUATIONS = [
    ("ij->ji", (3, 4)), ("ij", (3, 4)), ("ji", (3, 4)), ("ij->", (3, 4)), ("ii", (4, 4)),
    ("ii->i", (4, 4)), ("iij->ij", (3, 3, 2)), ("ijij->ij", (2, 3, 2, 3)),
    ("...ii->...i", (2, 3, 3)),
    ("i,i", (5,), (5,)), ("i,j", (5,), (3,)), ("i,i->i", (5,), (5,)), ("i,->i", (5,), ()),
    ("ij,jk", (2, 3), (3, 4)), ("ij,kj->ki", (2, 3), (4, 3)), ("ij,ij->", (2, 3), (2, 3)),
    ("ij,j->i", (2, 3), (3,)), ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)), ("ij,kl->", (2, 3), (4, 5)),
    ("bij,bkj->ikb", (5, 2, 3), (5, 4, 3)), ("...ij,...jk->...ik", (6, 1, 2, 3), (5, 3, 4)),
    ("i...,i->...", (3, 2, 4), (3,)), ("...,...", (2, 3), (3,)),
    ("b...i,ij->b...j", (2, 5, 6, 3), (3, 4)),
    ("abc,cd,def->abef", (2, 3, 4), (4, 5), (5, 2, 3)), ("ij,ij,ij->j", (3, 4), (3, 4), (3, 4)),
    ("ik,jkl,il->ij", (2, 3), (4, 3, 5), (2, 5)), (" i j , j k -> i k ", (2, 3), (3, 4)),
    ("Ab,bA->A", (2, 3), (3, 2)), ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
    ("...->", (2, 3)),
    ("ij,jk->ik", (2, 0), (0, 3)), ("iij,jk->ik", (3, 3, 4), (4, 2)),
    ("a,b,c->cab", (2,), (3,), (4,)),
]  # fmt: skip


@pytest.mark.parametrize("equation, shapes", [(e, s) for e, *s in EQUATIONS])
def test_einsum_agrees_with_numpy(equation, shapes):
    arrays = [np.random.default_rng(i).standard_normal(s) for i, s in enumerate(shapes)]
    if equation == "...->":  # NumPy has no sum over the dots
        expected = arrays[0].sum()
    else:
        expected = np.einsum(equation, *arrays)
    tensors = [lamina.tensor(a, requires_grad=True) for a in arrays]
    y = lamina.einsum(equation, *tensors)
    close(y.detach(), expected)
    assert y.detach().equal(lamina.einsum(equation, [t.detach() for t in tensors]))
    grads = lamina.autograd.grad((y * y).sum(), tensors)
    for i, g in enumerate(grads):  # y is linear in operand i: its change along v is y(v)
        v = draw(*g.shape, seed=9)
        change = lamina.einsum(
            equation, *[v if i == j else t.detach() for j, t in enumerate(tensors)]
        )
        slope = 2 * (y.detach() * change).sum().item()
        assert (g * v).sum().item() == pytest.approx(slope, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("equation", ["i,i->", "bi,bi->b", "bi,ci->bc"])
def test_einsum_keeps_the_type_and_sums_in_float32(equation):
    shape = (2,) if equation[0] == "i" else (3, 2)
    ints = lamina.ones(shape, dtype=lamina.int32)
    assert lamina.einsum(equation, ints, ints).dtype is lamina.int32
    large = lamina.full(shape, 300.0, dtype=lamina.float16)
    sign = lamina.tensor([1.0, -1.0], dtype=lamina.float16)
    assert not lamina.einsum(equation, large, (large * sign)).any()  # 90,000 is past float16


def test_einsum_with_lists_of_dimensions():
    x, y = draw(2, 3), draw(3, 4, seed=1)
    close(lamina.einsum(x, [0, 1], y, [1, 2], [0, 2]), x.numpy() @ y.numpy())
    close(lamina.einsum(x, [0, 1], y, [1, 2]), x.numpy() @ y.numpy())
    close(lamina.einsum(x, [Ellipsis, 7], [7, Ellipsis]), x.numpy().T)


SHAPE_ERRORS = [
    (lambda: lamina.einsum("ij,jk->ik", zeros(2, 3), zeros(4, 5)),
     "einsum: 'j' of 'ij,jk->ik' names sizes 3 and 4; they must be equal or 1"),
    (lambda: lamina.einsum("ii->i", zeros(2, 3)),
     "einsum: 'i' of 'ii->i' names sizes 2 and 3 of one operand with shape (2, 3); they must be "
     "equal"),
    (lambda: lamina.einsum("...i,...i->...", zeros(2, 3), zeros(4, 3)),
     "einsum: the dots of '...i,...i->...' stand for sizes 2 and 4 at dimension -1; they must be "
     "equal or 1"),
]  # fmt: skip
VALUE_ERRORS = [
    (lambda: lamina.einsum("ij,jk", zeros(2, 3)),
     "einsum: 'ij,jk' names 2 operands, but 1 are given"),
    (lambda: lamina.einsum("ij,jk->ii", zeros(2, 3), zeros(3, 4)),
     "einsum: 'i' is twice in the result of 'ij,jk->ii'"),
    (lambda: lamina.einsum("ij->iz", zeros(2, 3)),
     "einsum: 'z' is in no operand, but in the result of 'ij->iz'"),
    (lambda: lamina.einsum("i?->i", zeros(2, 3)),
     "einsum: '?' in 'i?->i' is not a letter, a comma, '->' or '...'"),
    (lambda: lamina.einsum("ijk->i", zeros(2, 3)),
     "einsum: 'ijk' in 'ijk->i' names 3 dimensions, but operand 1 has shape (2, 3)"),
    (lambda: lamina.einsum(), "einsum: expected an equation and its operands"),
    (lambda: lamina.einsum("ij,jk,->ik", zeros(2, 3), zeros(3, 4), zeros(2)),
     "einsum: '' in 'ij,jk,->ik' names 0 dimensions, but operand 3 has shape (2,)"),
    (lambda: lamina.einsum("i...j...->ij", zeros(2, 3)),
     "einsum: '.' in 'i...j...->ij' is not a letter, a comma, '->' or '...'"),
]  # fmt: skip


@pytest.mark.parametrize("kind, call, text", [
    *((lamina.ShapeError, *e) for e in SHAPE_ERRORS),
    *((ValueError, *e) for e in VALUE_ERRORS),
])  # fmt: skip
def test_errors_name_the_values(kind, call, text):
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        call()


def test_operands_must_be_tensors():
    with pytest.raises(TypeError, match="^einsum: operand 2 must be a Tensor, not ndarray$"):
        lamina.einsum("i,i", zeros(2), np.zeros(2))
