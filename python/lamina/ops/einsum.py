"""einsum: sums of products named by letters, computed as permutations and matrix products."""

from __future__ import annotations

from .. import _core
from .._core import Tensor

__all__ = ["einsum"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def einsum(*args) -> Tensor:
    """Sums of products of the operands' elements, after Einstein's convention.

    ``einsum(equation, *operands)``: one letter names each dimension of each operand, as in
    ``"bij,bjk->bik"``. Letters that are missing after ``->`` are summed over; without ``->`` the
    result has the letters that occur once, in alphabetical order. A letter twice in one operand
    takes its diagonal. ``...`` stands for any further dimensions, which broadcast, as do sizes 1.
    ``einsum(x, [0, 1], y, [1, 2], [0, 2])`` names dimensions by integers below 52 and ``Ellipsis``.

    Operands are multiplied from left to right; each pair is one batched matrix product. Raises
    ValueError for a malformed equation, ShapeError when sizes of one letter differ.

    >>> lamina.einsum("ij,j->i", lamina.ones(2, 3), lamina.ones(3))
    tensor([3., 3.])
    """
    if not args:
        raise _core.ArgumentError("einsum: expected an equation and its operands")
    if isinstance(args[0], str):
        equation, operands = args[0], args[1:]
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
    else:
        equation, operands = _from_sublists(args)
    inputs, output = _parse(equation, operands)
    last = {label: i for i, labels in enumerate(inputs) for label in labels}
    x, labels = _diagonals(equation, operands[0], inputs[0])
    for i in range(1, len(operands)):
        y, labels_y = _diagonals(equation, operands[i], inputs[i])
        kept = {n for n in (*labels, *labels_y) if n in output or last[n] > i}
        x, labels = _pair(equation, x, labels, y, labels_y, kept)
    gone = [d for d, n in enumerate(labels) if n not in output]
    if gone:
        x = x.sum(gone)
        labels = [n for n in labels if n in output]
    order = [labels.index(n) for n in output]
    return x if order == list(range(len(order))) else x.permute(order)


def _from_sublists(args):
    """The equation and operands of the form einsum(x, [0, 1], ..., [0, 2])."""

    def text(sublist):
        return "".join("..." if n is Ellipsis else _LETTERS[n] for n in sublist)

    pairs = len(args) // 2
    equation = ",".join(text(args[2 * i + 1]) for i in range(pairs))
    if len(args) % 2:
        equation += "->" + text(args[-1])
    return equation, tuple(args[2 * i] for i in range(pairs))


def _names(equation, term):
    """'a...b' -> (['a'], ['b'], True): names before and after the dots, whether there are any."""
    head, dots, tail = term.partition("...")
    for name in head + tail:
        if name not in _LETTERS:
            raise _core.ArgumentError(
                f"einsum: {name!r} in {equation!r} is not a letter, a comma, '->' or '...'"
            )
    return list(head), list(tail), bool(dots)


def _parse(equation, operands):
    """Labels of every operand's dimensions and of the result's. The dots' dimensions are labelled
    -1, -2, ... from the last, so that they line up as broadcasting does."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise _core.ArgumentError(
            f"einsum: {equation!r} names {len(terms)} operands, but {len(operands)} are given"
        )
    inputs, widest = [], 0
    for i, (term, x) in enumerate(zip(terms, operands)):
        if not isinstance(x, Tensor):
            raise TypeError(f"einsum: operand {i + 1} must be a Tensor, not {type(x).__name__}")
        head, tail, dots = _names(equation, term)
        more = x.dim() - len(head) - len(tail)
        if more < 0 or (more and not dots):
            raise _core.ArgumentError(
                f"einsum: {term!r} in {equation!r} names {len(head) + len(tail)} dimensions, but "
                f"operand {i + 1} has shape {tuple(x.shape)}"
            )
        widest = max(widest, more)
        inputs.append([*head, *range(-more, 0), *tail])
    every = [name for labels in inputs for name in labels]
    if arrow:
        head, tail, dots = _names(equation, right)
        output = [*head, *(range(-widest, 0) if dots else ()), *tail]
        for name in output:
            if output.count(name) > 1 or (name not in every):
                what = "twice in" if output.count(name) > 1 else "in no operand, but in"
                raise _core.ArgumentError(f"einsum: {name!r} is {what} the result of {equation!r}")
    else:
        once = [n for n in every if isinstance(n, str) and every.count(n) == 1]
        output = [*range(-widest, 0), *sorted(once)]
    return inputs, output


def _diagonals(equation, x, labels):
    """x with one dimension per label, and these labels."""
    labels = list(labels)
    for name in list(labels):
        while labels.count(name) > 1:
            i = labels.index(name)
            j = labels.index(name, i + 1)
            if x.shape[i] != x.shape[j]:
                raise _core.ShapeError(
                    f"einsum: {name!r} of {equation!r} names sizes {x.shape[i]} and {x.shape[j]} "
                    f"of one operand with shape {tuple(x.shape)}; they must be equal"
                )
            x = x.diagonal(0, i, j)
            labels = [n for d, n in enumerate(labels) if d not in (i, j)] + [name]
    return x, labels


def _pair(equation, x, labels_x, y, labels_y, kept):
    """The product of two operands, summed over the labels that are not kept."""
    for name in set(labels_x) & set(labels_y):
        a, b = x.shape[labels_x.index(name)], y.shape[labels_y.index(name)]
        if a != b and a != 1 and b != 1:
            raise _core.ShapeError(
                f"einsum: {name!r} of {equation!r} names sizes {a} and {b}; they must be equal or 1"
                if isinstance(name, str)
                else f"einsum: the dots of {equation!r} stand for sizes {a} and {b} at dimension "
                f"{name}; they must be equal or 1"
            )
        # A size of 1 against n, summed: the other operand's sum is all that counts.
        if a != b and name not in kept:
            if a == 1:
                y = y.sum(labels_y.index(name), keepdim=True)
            else:
                x = x.sum(labels_x.index(name), keepdim=True)
    x, labels_x = _sum_alone(x, labels_x, {*labels_y, *kept})
    y, labels_y = _sum_alone(y, labels_y, {*labels_x, *kept})
    both = [n for n in labels_x if n in labels_y]
    batch, depth = [n for n in both if n in kept], [n for n in both if n not in kept]
    rows = [n for n in labels_x if n not in both]
    columns = [n for n in labels_y if n not in both]
    size = {n: s for n, s in zip(labels_x, x.shape)}
    for n, s in zip(labels_y, y.shape):
        size[n] = s if n not in size or size[n] == 1 else size[n]
    labels = [*batch, *rows, *columns]
    x = x.permute([labels_x.index(n) for n in [*batch, *rows, *depth]])
    y = y.permute([labels_y.index(n) for n in [*batch, *depth, *columns]])
    nb, nr, nc = len(batch), len(rows), len(columns)
    if not depth:  # no sum: a broadcast product
        x = x.reshape(*x.shape, *[1] * nc)
        y = y.reshape(*y.shape[:nb], *[1] * nr, *y.shape[nb:])
        return x * y, labels
    outer = [size[n] for n in batch]
    x = x.expand(*outer, *x.shape[nb:])
    y = y.expand(*outer, *y.shape[nb:])
    b, m, k, n = (_product(size, names) for names in (batch, rows, depth, columns))
    if batch:
        z = _core.bmm(x.reshape(b, m, k), y.reshape(b, k, n))
    else:
        z = _core.mm(x.reshape(m, k), y.reshape(k, n))
    return z.reshape([size[n] for n in labels]), labels


def _sum_alone(x, labels, others):
    """x summed over the labels that neither the other operand nor the rest needs."""
    gone = [d for d, n in enumerate(labels) if n not in others]
    if gone:
        x = x.sum(gone)
        labels = [n for n in labels if n in others]
    return x, labels


def _product(size, names):
    """How many elements the named dimensions have together."""
    n = 1
    for name in names:
        n *= size[name]
    return n
