"""Comparisons for tests."""

from __future__ import annotations

from ._core import Tensor, bfloat16, complex64, complex128, float16, float32, float64
from .ops.creation import as_tensor

_TOLERANCE = {float16: (1e-3, 1e-5), bfloat16: (1.6e-2, 1e-5), float32: (1.3e-6, 1e-5),
              float64: (1e-7, 1e-7), complex64: (1.3e-6, 1e-5),
              complex128: (1e-7, 1e-7)}  # fmt: skip

_OLD_TOLERANCE = {float16: (1e-3, 1e-3), float32: (1e-4, 1e-5), float64: (1e-5, 1e-8)}


def assert_close(actual, expected, *, allow_subclasses=True, rtol=None, atol=None,
                 equal_nan=False, check_device=True, check_dtype=True, check_layout=True,
                 check_stride=False, msg=None):  # fmt: skip
    """Raises AssertionError unless |actual - expected| <= atol + rtol |expected| everywhere.

    Tensors, numbers, or containers of them; shapes and (with check_dtype) dtypes must be equal.
    Without rtol and atol both depend on the dtype (1.3e-6 and 1e-5 for float32). msg: the
    error's text, or a function of it.
    """
    if isinstance(expected, dict):
        if set(actual) != set(expected):
            raise AssertionError(f"the keys {set(actual)} differ from {set(expected)}")
        pairs = [(actual[k], expected[k]) for k in expected]
    elif isinstance(expected, (list, tuple)):
        if len(actual) != len(expected):
            raise AssertionError(f"the lengths {len(actual)} and {len(expected)} differ")
        pairs = list(zip(actual, expected))
    else:
        text = _difference(actual, expected, rtol, atol, equal_nan, check_dtype)
        if text:
            raise AssertionError(msg(text) if callable(msg) else msg or text)
        return
    for a, b in pairs:
        assert_close(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=check_dtype,
                     msg=msg)  # fmt: skip


def _wide(x: Tensor) -> Tensor:
    return x.cdouble() if x.dtype.is_complex else x.double()


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg="") -> None:
    """`assert_close` of tensors, or of what becomes tensors, whatever their dtypes, with its older
    bounds: rtol and atol 1e-4 and 1e-5 for float32, 1e-5 and 1e-8 for float64."""
    actual = as_tensor(actual)
    expected = expected if isinstance(expected, Tensor) else as_tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        pairs = [_OLD_TOLERANCE.get(t.dtype, (0.0, 0.0)) for t in (actual, expected)]
        rtol, atol = (max(values) for values in zip(*pairs))
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False,
                 msg=msg or None)  # fmt: skip


def _difference(actual, expected, rtol, atol, equal_nan, check_dtype) -> str:
    numbers = not isinstance(actual, Tensor) and not isinstance(expected, Tensor)
    a, b = as_tensor(actual), as_tensor(expected)
    if a.shape != b.shape:
        return f"the shapes {tuple(a.shape)} and {tuple(b.shape)} differ"
    if a.dtype is not b.dtype:
        if check_dtype and not numbers:
            return f"the dtypes {a.dtype} and {b.dtype} differ"
        a, b = _wide(a), _wide(b)
    if rtol is None:
        rtol, atol = _TOLERANCE.get(float64 if numbers else a.dtype, (0.0, 0.0))
    atol = atol or 0.0
    a, b = _wide(a.detach()), _wide(b.detach())
    close = a.isclose(b, rtol, atol, equal_nan)
    if bool(close.all()):
        return ""
    worst = (a - b).abs()[~close]
    return (
        f"{int((~close).sum())} of {close.numel()} elements differ, the largest difference is "
        f"{float(worst.max()):g} (allowed: rtol {rtol:g}, atol {atol:g})"
    )
