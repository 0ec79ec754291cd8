"""PyTorch's functions on lists of tensors, ``_foreach_<op>(tensors, ...)``: an operation on each.

An argument may be one for all (a number, or a tensor without dimensions) or a list with one per
tensor; the names that end in ``_`` write into the tensors of the first list. Source: the PyTorch
functions of the same name, used by optimizers and averages of weights.
"""

from __future__ import annotations

from . import ops

_UNARY = """abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p
log2 neg reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc""".split()
_BINARY = ("add", "sub", "mul", "div", "pow", "lerp", "addcmul", "addcdiv")
_BOUNDS = {"maximum": "clamp_min", "clamp_min": "clamp_min",
           "minimum": "clamp_max", "clamp_max": "clamp_max"}  # fmt: skip
_NAMES = {
    f"_foreach_{n}{end}": (_BOUNDS.get(n, n), end)
    for n in (*_UNARY, *_BINARY, *_BOUNDS)
    for end in ("", "_")
}


def _each(value, i: int):
    return value[i] if isinstance(value, (list, tuple)) else value


def _same_lengths(name: str, tensors, args) -> None:
    for a in args:
        if isinstance(a, (list, tuple)) and len(a) != len(tensors):
            raise RuntimeError(
                f"{name}: Tensor lists must have the same number of tensors, got {len(tensors)} "
                f"and {len(a)}"
            )


def _make(name: str):
    method, end = _NAMES[name]
    each = getattr(ops, method)

    def function(self, *args, alpha=1, value=None, scalars=None, weight=None):
        more = {"alpha": alpha} if alpha != 1 else {}
        if weight is not None:  # lerp
            args = (*args, weight)
        if method.startswith("addc"):
            scale = next((s for s in (*args[2:], scalars, value) if s is not None), 1)
            args = args[:2]
        if method == "pow" and not isinstance(self, (list, tuple)):  # a number to several powers
            return tuple(each(self, a) for a in args[0])
        _same_lengths(name, self, args)
        results = []
        for i, t in enumerate(self):
            if method.startswith("addc"):
                more = {"value": _each(scale, i)}
            values = [_each(a, i) for a in args]
            results.append(each(t, *values, **more))
            if end:
                t.copy_(results[-1])
        return None if end else tuple(results)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{method}`` of each tensor" + (", in place." if end else ": a tuple.")
    return function


def _foreach_zero_(self) -> None:
    """Each tensor filled with 0."""
    for t in self:
        t.zero_()


def _foreach_copy_(self, src, non_blocking=False) -> None:
    """Each tensor of `self` filled with the elements of the one in `src`."""
    _same_lengths("_foreach_copy_", self, (src,))
    for t, s in zip(self, src):
        t.copy_(s)


def _foreach_norm(self, ord=2, dtype=None) -> tuple:
    """The vector norm of each tensor."""
    from .linalg import vector_norm

    return tuple(vector_norm(t, ord, dtype=dtype) for t in self)


def __getattr__(name: str):
    if name in _NAMES:
        globals()[name] = _make(name)
        return globals()[name]
    raise AttributeError(f"module 'lamina' has no attribute {name!r}")
