"""Matrix and tensor products.

Both operands must have the same dtype. float16 and bfloat16 compute as float32, integers modulo
2^64. Every element of a product is one chain of multiply-adds in blocks of 384, whose sums are
added in order: a row of a result has the same bits whatever the other rows and the number of
threads are. The environment variable LAMINA_BLAS=openblas computes float products with OpenBLAS
(the package scipy-openblas32) instead of lamina's own loops.
"""

from __future__ import annotations

import os

from .. import _core
from .._core import Tensor
from ._method import method, older, takes_tensors, under_autocast, write

__all__ = [
    "matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "outer", "ger", "addmm", "addmv",
    "addbmm", "baddbmm", "addr", "tensordot", "kron", "chain_matmul", "bilinear",
]  # fmt: skip
__functional__ = ["linear", "bilinear"]


def locate_blas() -> None:
    """Tells the compiled core where scipy-openblas32's library lies."""
    try:
        import scipy_openblas32  # type: ignore[import-untyped]
    except ImportError:
        return  # whoever needs it says what is missing
    folder = scipy_openblas32.get_lib_dir()
    for name in sorted(os.listdir(folder)):
        if name.startswith("lib") and (".so" in name or name.endswith(".dylib")):
            _core.set_blas_library(os.path.join(folder, name))
            return


if os.environ.get("LAMINA_BLAS", "own") == "openblas":
    locate_blas()


def _sparse(error: TypeError, input, other) -> Tensor:
    """The product when an operand is sparse; otherwise the error stays."""
    if getattr(input, "is_sparse", False) or getattr(other, "is_sparse", False):
        from ..sparse import mm

        return mm(input, other)
    raise error


# ---- products of two tensors --------------------------------------------------------------------
@method
def matmul(input: Tensor, other: Tensor, *, out=None) -> Tensor:
    """``input @ other``: y[..., i, j] = sum_k input[..., i, k] other[..., k, j].

    Shapes (..., M, K) and (..., K, N) give (..., M, N); the leading dimensions broadcast. A 1-D
    operand counts as a row on the left and as a column on the right, and its dimension is missing
    in the result; two 1-D operands give their dot product. Raises ShapeError when the sizes K
    differ, DTypeError when the dtypes do.

    >>> lamina.tensor([[1.0, 2.0], [3.0, 4.0]]) @ lamina.tensor([1.0, 1.0])
    tensor([3., 7.])
    """
    try:
        return write(out, _core.matmul(input, other))
    except TypeError as error:
        return _sparse(error, input, other)


@method
def mm(input: Tensor, mat2: Tensor, *, out=None) -> Tensor:
    """The product of two matrices: (M, K) and (K, N) give (M, N). See `matmul`."""
    try:
        return write(out, _core.mm(input, mat2))
    except TypeError as error:
        return _sparse(error, input, mat2)


@method
def bmm(input: Tensor, mat2: Tensor, *, out=None) -> Tensor:
    """Products of matrices in pairs: (B, M, K) and (B, K, N) give (B, M, N). See `matmul`."""
    return write(out, _core.bmm(input, mat2))


@method
def mv(input: Tensor, vec: Tensor, *, out=None) -> Tensor:
    """Matrix times vector: (M, K) and (K,) give (M,)."""
    return write(out, _core.mv(input, vec))


@method
def dot(input: Tensor, tensor: Tensor, *, out=None) -> Tensor:
    """sum_k input[k] tensor[k] of two 1-D tensors of one length, summed as `lamina.sum` does."""
    return write(out, _core.dot(input, tensor))


@method
def vdot(input: Tensor, other: Tensor, *, out=None) -> Tensor:
    """sum_k conj(input[k]) other[k] of two 1-D tensors of one length."""
    return write(out, _core.dot(_core.conj(input), other))


@method
@takes_tensors
def inner(input: Tensor, other: Tensor, *, out=None) -> Tensor:
    """Sums of products along the last dimensions: (..., K) and (---, K) give (..., ---).

    A 0-dim operand multiplies the other one. Raises ShapeError when the last sizes differ.
    """
    if input.dim() == 0 or other.dim() == 0:
        return write(out, input * other)
    if input.shape[-1] != other.shape[-1]:
        raise _core.ShapeError(
            f"inner: shapes {tuple(input.shape)} and {tuple(other.shape)} have last sizes "
            f"{input.shape[-1]} and {other.shape[-1]}; they must be equal"
        )
    return write(out, tensordot(input, other, ([-1], [-1])))


@method
def outer(input: Tensor, vec2: Tensor, *, out=None) -> Tensor:
    """input[i] vec2[j]: (M,) and (N,) give (M, N)."""
    return write(out, _core.outer(input, vec2))


@method
def ger(input: Tensor, vec2: Tensor, *, out=None) -> Tensor:
    """Another name of `outer`."""
    return outer(input, vec2, out=out)


# ---- products added to something ----------------------------------------------------------------
def _older(name: str, *args):
    """``f(beta, x, alpha, a, b)`` and ``x.f(beta, alpha, a, b)``; alpha may be left out."""
    tensors, numbers = older(name, 3, *args)
    return tensors, (*numbers, 1)


@method
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *more, beta=1, alpha=1, out=None) -> Tensor:
    """beta input + alpha (mat1 @ mat2), `input` broadcast to the product's shape (M, N).

    With beta 0 `input` is not read. Raises ShapeError when the sizes do not fit, DTypeError when
    the dtypes differ.
    """
    if more:
        (input, mat1, mat2), (beta, alpha, *_) = _older("addmm", input, mat1, mat2, *more)
    return write(out, _core.addmm(input, mat1, mat2, beta, alpha))


@method
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *more, beta=1, alpha=1, out=None) -> Tensor:
    """beta input + alpha (mat @ vec): (M, K) and (K,), `input` broadcast to (M,)."""
    if more:
        (input, mat, vec), (beta, alpha, *_) = _older("addmv", input, mat, vec, *more)
    return write(out, _core.addmv(input, mat, vec, beta, alpha))


@method
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *more, beta=1, alpha=1, out=None
) -> Tensor:  # fmt: skip
    """beta input + alpha bmm(batch1, batch2), `input` broadcast to (B, M, N)."""
    if more:
        (input, batch1, batch2), (beta, alpha, *_) = _older("baddbmm", input, batch1, batch2, *more)
    return write(out, _core.baddbmm(input, batch1, batch2, beta, alpha))


@method
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *more, beta=1, alpha=1, out=None
) -> Tensor:  # fmt: skip
    """beta input + alpha sum_b batch1[b] @ batch2[b], `input` broadcast to (M, N)."""
    if more:
        (input, batch1, batch2), (beta, alpha, *_) = _older("addbmm", input, batch1, batch2, *more)
    if batch1.dim() != 3 or batch2.dim() != 3 or batch1.shape[0] != batch2.shape[0]:
        _core.bmm(batch1, batch2)  # says what is wrong
    left = batch1.permute(1, 0, 2).flatten(1)
    return addmm(input, left, batch2.flatten(0, 1), beta=beta, alpha=alpha, out=out)


@method
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *more, beta=1, alpha=1, out=None) -> Tensor:
    """beta input + alpha outer(vec1, vec2), `input` broadcast to (M, N)."""
    if more:
        (input, vec1, vec2), (beta, alpha, *_) = _older("addr", input, vec1, vec2, *more)
    product = _core.outer(vec1, vec2)
    if alpha != 1:
        product = alpha * product
    if beta != 0:
        product = product + (input if beta == 1 else beta * input)
    return write(out, product)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias`` in one pass over the result.

    input (..., in), weight (out, in), bias (out,) or None give (..., out); weight (in,) and a 0-dim
    bias give (...). Raises ShapeError when the sizes do not fit, DTypeError when the dtypes differ.
    """
    if weight.dim() == 1:
        y = _core.matmul(input, weight)
        return y if bias is None else y + bias
    return _core.linear(input, weight, bias)


@takes_tensors
@under_autocast(cuda="widest")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_k = input1^T W_k input2 + b_k for each pair of vectors.

    input1 (..., in1), input2 (..., in2), weight (out, in1, in2), bias (out,) or None give
    (..., out). The product with input1 is one matrix product. Raises ShapeError when sizes differ.
    """
    a, b, w = tuple(input1.shape), tuple(input2.shape), tuple(weight.shape)
    if len(w) != 3 or not a or not b or a[:-1] != b[:-1] or (a[-1], b[-1]) != w[1:]:
        raise _core.ShapeError(
            f"bilinear: input1 {a}, input2 {b} and weight {w} do not fit; expected (..., in1), "
            "(..., in2) with the same leading sizes, and (out, in1, in2)"
        )
    if bias is not None and tuple(bias.shape) != w[:1]:
        raise _core.ShapeError(f"bilinear: bias must be {w[:1]}, got {tuple(bias.shape)}")
    out, in1, in2 = w
    rows = input1.numel() // in1 if in1 else input2.numel() // max(in2, 1)
    left = input1.reshape((rows, in1)) @ weight.permute((1, 0, 2)).reshape((in1, out * in2))
    y = (left.reshape((rows, out, in2)) * input2.reshape((rows, 1, in2))).sum(-1)
    return (y if bias is None else y + bias).reshape((*a[:-1], out))


# ---- tensor products ----------------------------------------------------------------------------
@takes_tensors
@under_autocast(cuda="widest")
def tensordot(a: Tensor, b: Tensor, dims=2, out=None) -> Tensor:
    """Sums of products over pairs of dimensions: y[i.., j..] = sum_k a[i.., k..] b[k.., j..].

    dims: how many of a's last and b's first dimensions are summed over, or two lists of dimensions,
    the first of a, the second of b. Raises ShapeError when paired sizes differ.
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.dim(), b.dim()):
            raise _core.ArgumentError(
                f"tensordot: dims={dims} does not fit shapes {tuple(a.shape)} and {tuple(b.shape)}"
            )
        of_a, of_b = list(range(a.dim() - dims, a.dim())), list(range(dims))
    else:
        of_a, of_b = ([d] if isinstance(d, int) else list(d) for d in dims)
    of_a = [d + a.dim() if d < 0 else d for d in of_a]
    of_b = [d + b.dim() if d < 0 else d for d in of_b]
    sizes_a = [a.shape[d] for d in of_a]
    sizes_b = [b.shape[d] for d in of_b]
    if sizes_a != sizes_b:
        raise _core.ShapeError(
            f"tensordot: dimensions {of_a} of shape {tuple(a.shape)} have sizes {sizes_a}, "
            f"dimensions {of_b} of shape {tuple(b.shape)} have {sizes_b}; they must be equal"
        )
    free_a = [d for d in range(a.dim()) if d not in of_a]
    free_b = [d for d in range(b.dim()) if d not in of_b]
    shape_a, shape_b = [a.shape[d] for d in free_a], [b.shape[d] for d in free_b]
    if not free_a and not free_b and of_a and not a.is_cuda:  # which no autocast region converts
        at = [of_b[of_a.index(d)] for d in range(a.dim())]
        return write(out, _core.dot(a.reshape(-1), b.permute(*at).reshape(-1)))
    depth, rows, columns = 1, 1, 1
    for n in sizes_a:
        depth *= n
    for n in shape_a:
        rows *= n
    for n in shape_b:
        columns *= n
    left = a.permute(*free_a, *of_a).reshape(rows, depth)
    right = b.permute(*of_b, *free_b).reshape(depth, columns)
    return write(out, _core.mm(left, right).reshape(*shape_a, *shape_b))


@method
@takes_tensors
def kron(input: Tensor, other: Tensor, *, out=None) -> Tensor:
    """The Kronecker product: blocks input[i..] * other; sizes multiply dimension by dimension.

    The tensor with fewer dimensions gets leading ones of size 1.
    """
    n = max(input.dim(), other.dim())
    a = [1] * (n - input.dim()) + list(input.shape)
    b = [1] * (n - other.dim()) + list(other.shape)
    shape = [x * y for x, y in zip(a, b)]
    if n == 0:
        return write(out, input * other)
    # Both as wide as the result: its rows are products of rows.
    left = input.reshape(*a, 1).expand(*a, b[-1])
    right = other.reshape(*b[:-1], 1, b[-1]).expand(*b[:-1], a[-1], b[-1])
    left = left.reshape([s for size in a[:-1] for s in (size, 1)] + [shape[-1]])
    right = right.reshape([s for size in b[:-1] for s in (1, size)] + [shape[-1]])
    return write(out, (left * right).reshape(shape))


def chain_matmul(*matrices: Tensor, out=None) -> Tensor:
    """The product of matrices in the order of multiplications that takes least work.

    The order is found by dynamic programming over the sizes (Cormen et al., "Introduction to
    Algorithms", matrix-chain multiplication).
    """
    for i, x in enumerate(matrices):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"chain_matmul: argument {i + 1} must be a Tensor, not {type(x).__name__}"
            )
        if x.dim() != 2 or (i and x.shape[0] != matrices[i - 1].shape[1]):
            before = f" after {tuple(matrices[i - 1].shape)}" if i else ""
            raise _core.ShapeError(
                f"chain_matmul: expected matrices that can be multiplied, got shape "
                f"{tuple(x.shape)}{before}"
            )
    if not matrices:
        raise _core.ArgumentError("chain_matmul: expected at least one matrix")
    if len(matrices) == 1:
        return write(out, matrices[0])
    sizes = [m.shape[0] for m in matrices] + [matrices[-1].shape[1]]
    n = len(matrices)
    best: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def product(i, j):
        if i == j:
            return matrices[i]
        k = best[i, j][1]
        return _core.mm(product(i, k), product(k + 1, j))

    return write(out, product(0, n - 1))
