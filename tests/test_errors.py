"""What users get wrong, and the exact text they are told: operation, values, way out."""

from __future__ import annotations

import pytest

import lamina

NAMES = {"lamina": lamina, "T": lamina.tensor, "z": lamina.zeros}
MISTAKES = [
    ("z(2,3)+z(4)", "ShapeError",
     "add: shapes (2, 3) and (4,) do not broadcast: sizes 3 and 4 differ at dimension "
     "1; each pair of sizes must be equal or one of them 1"),
    ('z(2,3)+"a"', "TypeError",
     "unsupported operand type(s) for +: 'lamina.Tensor' and 'str'"),
    ("T([[1,2],[3]])", "ArgumentError",
     "tensor: expected a sequence of length 2 at dimension 1 but got length 1; all "
     "rows must be equally long"),
    ("z(2,-1)", "ShapeError",
     "empty: negative size in shape (2, -1)"),
    ("z(2,3).reshape(4)", "ShapeError",
     "reshape: shape (2, 3) with 6 elements cannot become (4,) with 4; the number of "
     "elements must stay the same"),
    ("z(2,3).reshape(-1,-1)", "ShapeError",
     "reshape: only one size may be -1, got (-1, -1)"),
    ("z(2,3).view(7)", "ShapeError",
     "view: shape (2, 3) with 6 elements cannot become (7,) with 7; the number of "
     "elements must stay the same"),
    ("z(2,3).t().view(6)", "ShapeError",
     "view: shape (3, 2) with strides (1, 3) cannot be seen as (6,) without copying; "
     "use .reshape(...)"),
    ("z(2,3).permute(0,0)", "ShapeError",
     "permute: dimension 0 appears twice in (0, 0)"),
    ("z(2,3).permute(0)", "ShapeError",
     "permute: 1 dimensions (0,) given for a tensor with 2: shape (2, 3)"),
    ("z(2,3).transpose(0,5)", "RangeError",
     "transpose: dim 5 is out of range for a tensor with 2 dimensions (expected -2 to "
     "1)"),
    ("z(2,3).expand(2,4)", "ShapeError",
     "expand: shape (2, 3) cannot expand to (2, 4): size 3 at dimension 1 is neither 1"
     " nor 4"),
    ("z(2,3).squeeze(3)", "RangeError",
     "squeeze: dim 3 is out of range for a tensor with 2 dimensions (expected -2 to 1)"),
    ("z(2,3).unsqueeze(5)", "RangeError",
     "unsqueeze: dim 5 is out of range for a tensor with 3 dimensions (expected -3 to "
     "2)"),
    ("z(2,3)[5]", "RangeError",
     "index: index 5 is out of bounds for dimension 0 with size 2"),
    ("z(2,3)[0,0,0]", "RangeError",
     "index: too many indices (3) for a tensor with 2 dimensions, shape (2, 3)"),
    ("z(2,3)[1.5]", "RangeError",
     "index: expected an int, slice, None, Ellipsis, bool, tensor, array or sequence "
     "of these, got float"),
    ('z(2,3)["a"]', "RangeError",
     "index: expected an int, slice, None, Ellipsis, bool, tensor, array or sequence "
     "of these, got str"),
    ("z(2,3)[::-1]", "ArgumentError",
     "index: slice step must be positive, got -1; use .flip() to reverse"),
    ("z(2,3)[T([5])]", "RangeError",
     "index: index 5 is out of bounds for dimension 0 with size 2"),
    ("z(2,3)[T([True,False,True])]", "RangeError",
     "index: the mask with shape (3,) does not match the tensor with shape (2, 3) at "
     "dimension 0"),
    ("z(2,3).index_select(0, T([4]))", "RangeError",
     "index_select: index 4 is out of bounds for dimension 0 with size 2"),
    ("z(2,3).index_select(0, T([0.5]))", "RangeError",
     "index_select: index tensors must be of an integer type, got (1,) float32; "
     "convert with .long()"),
    ("z(2,3).gather(1, T([[7]]))", "RangeError",
     "gather: index 7 is out of bounds for dimension 1 with size 3"),
    ("z(2,3).masked_fill(T([1.0]), 0)", "DTypeError",
     "masked_fill: the mask must be bool, got (1,) float32; compare with != 0"),
    ("lamina.cat([])", "ArgumentError",
     "cat: expected a non-empty list of tensors"),
    ("lamina.cat([z(2,3), z(2)])", "ShapeError",
     "cat: tensor 1 has shape (2,), which does not fit (2, 3): all sizes except that "
     "of dimension 0 must match"),
    ("lamina.cat([z(2,3), z(3,3)], 1)", "ShapeError",
     "cat: tensor 1 has shape (3, 3), which does not fit (2, 3): all sizes except that"
     " of dimension 1 must match"),
    ("lamina.stack([z(2), z(3)])", "ShapeError",
     "stack: tensor 1 has shape (3,), but tensor 0 has shape (2,); shapes must be "
     "equal"),
    ("z(2,3).split([1,2], 0)", "ShapeError",
     "split: sizes (1, 2) sum to 3, but dimension 0 has size 2"),
    ("z(2,3).chunk(0)", "ArgumentError",
     "chunk: chunks must be positive, got 0"),
    ("z(2,3).sum(5)", "RangeError",
     "sum: dim 5 is out of range for a tensor with 2 dimensions (expected -2 to 1)"),
    ("z(2,3).sum((0,0))", "ArgumentError",
     "sum: dim 0 appears twice in dims (0, 0)"),
    ("z(2,0).max(1)", "RangeError",
     "max: dimension 1 of shape (2, 0) is empty and no elements have no max; give "
     "another dim"),
    ("z(0).argmax()", "RangeError",
     "argmax: an empty tensor (shape (0,)) has none; give a dim that is not empty"),
    ("z(2,3).item()", "ArgumentError",
     "item: only a tensor with one element can become a Python number, got shape (2, "
     "3); use .tolist() or index it"),
    ("bool(z(2,3))", "RuntimeError",
     "bool: the truth value of a tensor with shape (2, 3) is ambiguous; use .any(), "
     ".all() or .numel()"),
    ("len(T(1.0))", "TypeError",
     "len: a 0-dim tensor has no length"),
    ("z(2,3).backward()", "RuntimeError",
     "backward: the tensor does not require grad and has no history; set "
     "requires_grad=True on a leaf it is computed from"),
    ("lamina.ones(2,requires_grad=True).sum().backward(lamina.ones(3))", "ShapeError",
     "backward: gradient has shape (3,) but the output has shape ()"),
    ("T([1,2],requires_grad=True)", "RuntimeError",
     "requires_grad: only floating point and complex tensors can require "
     "gradients, got (2,) int64"),
    ("lamina.ones(2,requires_grad=True).add_(1)", "RuntimeError",
     "add: a leaf tensor that requires grad is being used in an in-place operation; do"
     " it under lamina.no_grad(), or on a copy"),
    ("lamina.ones(2,requires_grad=True).numpy()", "RuntimeError",
     "numpy: the tensor requires grad; use .detach().numpy(), or numpy(force=True)"),
    ("lamina.ones(2,dtype=lamina.bfloat16).numpy()", "TypeError",
     "numpy: NumPy has no bfloat16; convert with .float() first"),
    ("lamina.from_numpy([1,2])", "TypeError",
     "from_numpy: expected a NumPy array, got list; use lamina.tensor"),
    ('z(2).to("cuda")', "DeviceError",
     "device: cuda is not available (this build of lamina has no CUDA library); use 'cpu'"),
    ("z(2).to(3.5)", "TypeError",
     "to: expected a dtype, a device or a tensor, got 3.5"),
    ('z(2,dtype="float32")', "TypeError",
     "dtype: argument 1 must be a lamina.dtype such as lamina.float32, not str"),
    ("T([1.0]) & T([2.0])", "DTypeError",
     "bitwise_and: expected integer or bool tensors, got (1,) float32; convert with "
     ".to(lamina.int64)"),
    ("T([1]).add_(0.5)", "DTypeError",
     "add: result type float32 cannot be written into a tensor of int64; convert with "
     ".to() or use the out-of-place form"),
    ("z(2,3).add_(z(4,3))", "ShapeError",
     "add: shapes (2, 3) and (4, 3) do not broadcast: sizes 2 and 4 differ at "
     "dimension 0; each pair of sizes must be equal or one of them 1"),
    ("z(2).expand(3,2).add_(1)", "RuntimeError",
     "add: the output (3, 2) float32 is an expanded view whose elements share memory; "
     ".clone() it before writing in place"),
    ("-(z(2) > 0)", "DTypeError",
     "neg: not defined for bool; invert a mask with ~, compare two with ^"),
    ("(z(2) > 0) - (z(2) > 1)", "DTypeError",
     "sub: not defined for bool; invert a mask with ~, compare two with ^"),
    ("lamina.nn.functional.embedding(T([0, -1]), z(3, 2))", "RangeError",
     "embedding: index -1 is out of bounds for dimension 0 with size 3"),
    ("z(3).index_select(0, T([-1]))", "RangeError",
     "index_select: index -1 is out of bounds for dimension 0 with size 3"),
    ("z(3).index_add(0, T([-1]), z(1))", "RangeError",
     "index_add: index -1 is out of bounds for dimension 0 with size 3"),
    ("lamina.arange(2**62)", "OutOfMemoryError",
     "memory: shape (4611686018427387904,) has too many elements"),
    ("z(1).expand(2**62).clone()", "OutOfMemoryError",
     "memory: shape (4611686018427387904,) has too many elements"),
    ("z(3).diagflat(2**62)", "OutOfMemoryError",
     "memory: shape (4611686018427387907, 4611686018427387907) has too many elements"),
    ("lamina.nn.functional.adaptive_avg_pool1d(z(2,3,4), 2**62)", "OutOfMemoryError",
     "memory: shape (2, 3, 4611686018427387904) has too many elements"),
    ("lamina.arange(0,10,0)", "ArgumentError",
     "arange: step must be nonzero"),
    ("lamina.arange(0,10,-1)", "ArgumentError",
     "arange: from 0 to 10 with step -1 goes the wrong way; change the sign of step"),
    ("lamina.linspace(0,1,-2)", "ArgumentError",
     "linspace: number of steps must be non-negative, got -2"),
    ('lamina.full((2,),"x")', "TypeError",
     "full: argument 2 must be a number, not str"),
    ("z(2,3).clamp()", "ArgumentError",
     "clamp: at least one of min and max must be given"),
    ("z(3).fill_(z(2))", "ShapeError",
     "fill_: the value must be a number or 0-dim, got shape (2,); use copy_ to "
     "broadcast"),
    ("z(3).unfold(0,5,1)", "ShapeError",
     "unfold: size 5 does not fit dimension 0 with size 3"),
    ("lamina.randint(5,2,(3,))", "ArgumentError",
     "randint: needs low < high, got [5, 2)"),
    ("lamina.rand(2,dtype=lamina.int64)", "DTypeError",
     "rand: dtype must be floating, got int64; use randint for integers"),
    ("lamina.normal(0.0,-1.0,(2,))", "RuntimeError",
     "normal: std must not be negative, got -1.0"),
    ("lamina.bernoulli(T([1.5]))", "RuntimeError",
     "bernoulli: probabilities must be in [0, 1]"),
    ("lamina.multinomial(T([-1.0,2.0]),1)", "RuntimeError",
     "multinomial: weights must be finite and not negative, got -1 at row 0, column 0"),
    ("lamina.set_num_threads(0)", "ArgumentError",
     "set_num_threads: expected 1 to 256 threads, got 0"),
    ("lamina.set_default_dtype(lamina.int64)", "TypeError",
     "set_default_dtype: only floating point dtypes are allowed, got int64; use "
     "float32 or float64"),
    ("lamina.mean(T([1,2]))", "DTypeError",
     "mean: the result needs a floating dtype, got (2,) int64; use .float() or "
     "dtype=lamina.float32"),
    ("lamina.var(T([1,2]))", "DTypeError",
     "var: expected a floating tensor, got (2,) int64; convert with .float() or give "
     "dtype="),
    ("lamina.autograd.grad(lamina.ones(1, requires_grad=True).sum(), "
     "lamina.ones(1, requires_grad=True))", "RuntimeError",
     "autograd.grad: one of the inputs was not used in computing the outputs; pass "
     "allow_unused=True to get None for it"),
    ("lamina.exp([1])", "TypeError",
     "exp: argument 1 must be a Tensor, not list"),
    ("lamina.where(T([1.0]), z(1), z(1))", "DTypeError",
     "where: the condition must be bool, got (1,) float32; compare with != 0"),
    ("lamina.randperm(-1)", "ArgumentError",
     "randperm: n must not be negative, got -1"),
    ('z(2)[0] = "a"', "DTypeError",
     "tensor: cannot convert an object of type str; pass numbers, (nested) lists of "
     "numbers, arrays or tensors"),
    ("z(2,3)[0] = z(5)", "ShapeError",
     "index: shapes (5,) and (3,) do not broadcast: sizes 5 and 3 differ at dimension "
     "0; each pair of sizes must be equal or one of them 1"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "error", "text"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_mistake(code, error, text):
    with pytest.raises(Exception) as caught:
        exec(code, dict(NAMES))
    assert type(caught.value).__name__ == error
    assert str(caught.value) == text


def test_error_types_are_pytorchs():
    """Code that catches PyTorch's RuntimeError, or NumPy's ValueError, keeps working."""
    assert issubclass(lamina.ShapeError, (RuntimeError, ValueError))
    assert issubclass(lamina.ShapeError, ValueError)
    assert issubclass(lamina.DTypeError, RuntimeError) and issubclass(lamina.DTypeError, TypeError)
    assert issubclass(lamina.OutOfMemoryError, MemoryError)
