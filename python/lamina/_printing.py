"""How tensors print: PyTorch's layout and number formats."""

from __future__ import annotations

import math

from . import _core
from ._core import Tensor

__all__ = ["set_printoptions"]

_options: dict = {
    "precision": 4,
    "threshold": 1000,
    "edgeitems": 3,
    "linewidth": 80,
    "sci_mode": None,
}


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
) -> None:
    """Digits after the point, elements before summarising, items kept at each edge, line width.

    `profile` is "default", "short" or "full" and sets all of them first.
    """
    if profile is not None:
        _options.update(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)
        if profile == "short":
            _options.update(precision=2, edgeitems=2)
        elif profile == "full":
            _options.update(threshold=math.inf)
    given = dict(
        precision=precision, threshold=threshold, edgeitems=edgeitems, linewidth=linewidth,
        sci_mode=sci_mode,
    )  # fmt: skip
    _options.update({k: v for k, v in given.items() if v is not None})


def _formatter(values: list, floating: bool):
    """A function number -> text, all texts equally wide."""
    if not floating:
        width = max((len(str(v)) for v in values), default=0)
        return lambda v: str(v).rjust(width)
    finite = [abs(v) for v in values if math.isfinite(v) and v != 0]
    precision = _options["precision"]
    integral = all(v == int(v) for v in values if math.isfinite(v))
    scientific = False
    if finite:
        low, high = min(finite), max(finite)
        scientific = high / low > 1000 or high > 1e8 or low < 1e-4
    if _options["sci_mode"] is not None:
        scientific = _options["sci_mode"]
    if scientific:
        form = f"{{:.{precision}e}}"
    elif integral:
        form = "{:.0f}."
    else:
        form = f"{{:.{precision}f}}"

    def text(v: float) -> str:
        return form.format(v) if math.isfinite(v) else str(v)

    # As PyTorch: infinities and NaN do not widen the columns of whole numbers.
    counted = [v for v in values if math.isfinite(v)] or values
    width = max((len(text(v)) for v in counted), default=0)
    return lambda v: text(v).rjust(width)


def _complex_formatter(values: list):
    """As PyTorch: real parts as wide as each other, imaginary ones next to them."""
    real = _formatter([v.real for v in values], True)
    imag = _formatter([v.imag for v in values], True)

    def text(v: complex) -> str:
        plus = "" if v.imag < 0 else "+"
        return f"{real(v.real)}{plus}{imag(v.imag).strip()}j"

    text.width = len(real(0.0)) + len(imag(0.0)) + 1  # type: ignore[attr-defined]
    return text


def _kept(n: int, summarise: bool) -> list:
    """Indices shown along one dimension; None stands for the dots."""
    edge = _options["edgeitems"]
    if not summarise or n <= 2 * edge:
        return list(range(n))
    return [*range(edge), None, *range(n - edge, n)]


def _collect(data, shape, summarise: bool, out: list) -> None:
    if not shape:
        out.append(data)
        return
    for i in _kept(shape[0], summarise):
        if i is not None:
            _collect(data[i], shape[1:], summarise, out)


def _layout(data, shape, summarise: bool, fmt, indent: int) -> str:
    if not shape:
        return fmt(data)
    kept = _kept(shape[0], summarise)
    if len(shape) == 1:
        items = [" ..." if i is None else fmt(data[i]) for i in kept]
        width = getattr(fmt, "width", max((len(s) for s in items), default=0))
        per_line = max(1, (_options["linewidth"] - indent) // (width + 2))
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    rows = [
        "..." if i is None else _layout(data[i], shape[1:], summarise, fmt, indent + 1)
        for i in kept
    ]
    return "[" + ("," + "\n" * (len(shape) - 1) + " " * (indent + 1)).join(rows) + "]"


def tensor_repr(self: Tensor) -> str:
    """The text of ``repr(tensor)``."""
    prefix = f"{type(self).__name__.lower() if type(self) is Tensor else 'tensor'}("
    shape = tuple(self.shape)
    plain = self.detach() if self.requires_grad else self
    summarise = self.numel() > _options["threshold"]
    if self.numel() == 0:
        body = "[]"
    else:
        for d, n in enumerate(shape):  # only what is shown leaves the tensor
            edge = _options["edgeitems"]
            if summarise and n > 2 * edge + 1:
                ends = [plain.narrow(d, 0, edge + 1), plain.narrow(d, n - edge, edge)]
                plain = _core.cat(ends, d)
        shown = plain.tolist()
        shape_shown = tuple(plain.shape)
        values: list = []
        _collect(shown, shape_shown, summarise, values)
        fmt = (
            _complex_formatter(values) if self.dtype.is_complex
            else _formatter(values, self.dtype.is_floating_point)
        )  # fmt: skip
        body = _layout(shown, shape_shown, summarise, fmt, len(prefix))
    extra = []
    if self.numel() == 0 and len(shape) != 1:
        extra.append(f"size={shape}")
    default = _core.default_dtype()
    implied = (default, _core.int64, _core.bool, default.to_complex())
    if self.dtype not in implied or (self.numel() == 0 and self.dtype is not implied[0]):
        extra.append(f"dtype={self.dtype}")
    if self.is_cuda:
        extra.append(f"device='{self.device}'")
    if self._call_name:
        extra.append(f"grad_fn={self.grad_fn}")
    elif self.requires_grad:
        extra.append("requires_grad=True")
    return prefix + ", ".join([body, *extra]) + ")"


def _format(self: Tensor, spec: str) -> str:
    if self.dim() == 0:
        return format(self.item(), spec)
    return object.__format__(self, spec) if spec else repr(self)


Tensor.__repr__ = tensor_repr
Tensor.__format__ = _format
