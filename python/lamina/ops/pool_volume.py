"""Pooling of volumes, and putting pooled elements back.

Inputs of the 3d functions are (N, C, D, H, W) or (C, D, H, W). A window is a product of a run of
each dimension, so the planes are pooled first and then the depth, each pooled plane as one row: D
kernel elements are read where a window at once would read D H W. Of the maxima of a window the
first in row-major order wins both times (of NaNs the last). Arguments, sizes and errors are those
of `lamina.ops.pool`.
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .._expect import fails
from ._method import under_autocast
from .pool import _avg, _lp_of, _max, _size

__all__: list[str] = []
__functional__ = [
    "max_pool3d", "max_pool3d_with_indices", "avg_pool3d", "adaptive_avg_pool3d",
    "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "lp_pool3d", "max_unpool1d",
    "max_unpool2d", "max_unpool3d", "fractional_max_pool2d", "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d", "fractional_max_pool3d_with_indices",
]  # fmt: skip


def _triple(name: str, what: str, value, least: int) -> tuple:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 3
    if len(values) == 1:
        values *= 3
    if len(values) != 3:
        raise ValueError(f"{name}: {what} must be one int or 3, got {value}")
    if min(values) < least:
        raise ValueError(f"{name}: {what} must be at least {least}, got {value}")
    return values


def _check(name: str, x: Tensor) -> None:
    if not x.is_floating_point():
        raise _core.DTypeError(
            f"{name}: expected a floating dtype, got {x.dtype}; convert with .float()"
        )
    if x.dim() not in (4, 5):
        raise _core.ShapeError(
            f"{name}: expected (C, D, H, W) or (N, C, D, H, W), got shape {tuple(x.shape)}"
        )
    if 0 in x.shape[-3:]:
        raise _core.ShapeError(
            f"{name}: shape {tuple(x.shape)} has nothing to pool over; its last 3 sizes must not "
            "be 0"
        )


def _windows(name, x, kernel_size, stride, padding, dilation, ceil_mode) -> tuple:
    """(kernel, stride, padding, dilation) as triples that fit the input."""
    _check(name, x)
    kernel = _triple(name, "kernel_size", kernel_size, 1)
    given = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    stride = kernel if given else _triple(name, "stride", stride, 1)
    padding, dilation = _triple(name, "padding", padding, 0), _triple(name, "dilation", dilation, 1)
    for n, k, p, d in zip(x.shape[-3:], kernel, padding, dilation):
        reach = (k - 1) * d + 1
        if 2 * p > reach:
            raise ValueError(
                f"{name}: padding {p} must be at most half of what the kernel covers, {reach}"
            )
        if not ceil_mode and n + 2 * p < reach:
            raise _core.ShapeError(
                f"{name}: shape {tuple(x.shape)} with padding {padding} is smaller than the kernel "
                f"{kernel}" + (" with its dilation" if max(dilation) > 1 else "")
            )
    return kernel, stride, padding, dilation


def _rows(planes: Tensor) -> Tensor:
    """(..., D, H', W') as (..., D, H' W')."""
    return planes.reshape(*planes.shape[:-2], planes.shape[-2] * planes.shape[-1])


def _volume(rows: Tensor, planes: Tensor) -> Tensor:
    return rows.reshape(*rows.shape[:-1], *planes.shape[-2:])


def _planes(x: Tensor) -> Tensor:
    """(..., C, D, H, W) as (..., C D, H, W): what the 2d functions take."""
    return x.reshape(*x.shape[:-4], x.shape[-4] * x.shape[-3], *x.shape[-2:])


def _by_planes(x: Tensor, over_planes, over_rows) -> Tensor:
    y = over_planes(_planes(x))
    y = y.reshape(*x.shape[:-2], *y.shape[-2:])
    return _volume(over_rows(_rows(y)), y)


def _max_by_planes(x: Tensor, over_planes, over_rows) -> tuple[Tensor, Tensor]:
    """The maxima and their places d H W + h W + w."""
    y, at = over_planes(_planes(x))
    y = y.reshape(*x.shape[:-2], *y.shape[-2:])
    largest, row = over_rows(_rows(y))
    plane = y.shape[-2] * y.shape[-1]  # row: d * plane + place in the pooled plane
    within = _rows(at.reshape(y.shape)).flatten(-2).gather(-1, row.flatten(-2)).reshape(row.shape)
    places = row.div(plane, rounding_mode="floor") * (x.shape[-2] * x.shape[-1]) + within
    return _volume(largest, y), _volume(places, y)


@under_autocast("float32")
def max_pool3d(
    input: Tensor, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=False,
):  # fmt: skip
    """The largest element of each window (k, l, m) of (D, H, W); NaN wins.

    `stride` is `kernel_size` by default. With return_indices also the positions of the maxima,
    d H W + h W + w (int64).
    """
    k, s, p, d = _windows("max_pool3d", input, kernel_size, stride, padding, dilation, ceil_mode)

    def planes(x, indices):
        return _max(x, 2, k[1:], s[1:], p[1:], d[1:], ceil_mode, indices)

    def rows(x, indices):
        return _max(x, 2, (k[0], 1), (s[0], 1), (p[0], 0), (d[0], 1), ceil_mode, indices)

    if return_indices:
        return _max_by_planes(input, lambda x: planes(x, True), lambda x: rows(x, True))
    return _by_planes(input, lambda x: planes(x, False), lambda x: rows(x, False))


def max_pool3d_with_indices(
    input: Tensor, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=True,
):  # fmt: skip
    """`max_pool3d` with ``return_indices=True``."""
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


@under_autocast("float32")
def avg_pool3d(
    input: Tensor, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
) -> Tensor:  # fmt: skip
    """y = sum of each window / number of its elements, or / `divisor_override`.

    Zeros in the padding count unless ``count_include_pad=False``; what `ceil_mode` lets reach past
    the padding never does. `stride` is `kernel_size` by default.
    """
    k, s, p, _ = _windows("avg_pool3d", input, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override == 0:
        raise ValueError("avg_pool3d: divisor_override must not be 0")
    one = None if divisor_override is None else 1
    return _by_planes(
        input,
        lambda x: _avg(x, 2, k[1:], s[1:], p[1:], ceil_mode, count_include_pad, one),
        lambda x: _avg(x, 2, (k[0], 1), (s[0], 1), (p[0], 0), ceil_mode, count_include_pad,
                       divisor_override),
    )  # fmt: skip


def _adaptive_sizes(name: str, x: Tensor, output_size) -> tuple:
    _check(name, x)
    sizes = _size(output_size, 3)
    return _triple(name, "output_size", sizes, -1)


@under_autocast("float32")
def adaptive_avg_pool3d(input: Tensor, output_size) -> Tensor:
    """`output_size` (int, or three ints or None, which keeps a size) means per volume; output i
    covers inputs floor(i n / size) to ceil((i + 1) n / size) - 1 of each dimension."""
    d, h, w = _adaptive_sizes("adaptive_avg_pool3d", input, output_size)
    return _by_planes(
        input,
        lambda x: _core.adaptive_avg_pool(x, 2, (h, w)),
        lambda x: _core.adaptive_avg_pool(x, 2, (d, -1)),
    )


@under_autocast("float32")
def adaptive_max_pool3d(input: Tensor, output_size, return_indices=False):
    """As `adaptive_avg_pool3d`, the largest element; with return_indices also its position
    d H W + h W + w."""
    d, h, w = _adaptive_sizes("adaptive_max_pool3d", input, output_size)
    if return_indices:
        return _max_by_planes(
            input,
            lambda x: _core.adaptive_max_pool(x, 2, (h, w), True),
            lambda x: _core.adaptive_max_pool(x, 2, (d, -1), True),
        )
    return _by_planes(
        input,
        lambda x: _core.adaptive_max_pool(x, 2, (h, w), False)[0],
        lambda x: _core.adaptive_max_pool(x, 2, (d, -1), False)[0],
    )


def adaptive_max_pool3d_with_indices(input: Tensor, output_size, return_indices=True):
    """`adaptive_max_pool3d` with ``return_indices=True``."""
    return adaptive_max_pool3d(input, output_size, True)


def lp_pool3d(input: Tensor, norm_type, kernel_size, stride=None, ceil_mode=False) -> Tensor:
    """(sum over each window of x^p)^(1/p), p = `norm_type`."""
    k = _triple("lp_pool3d", "kernel_size", kernel_size, 1)

    def means(powers):
        return avg_pool3d(powers, k, stride, 0, ceil_mode)

    return _lp_of(input, norm_type, means, k[0] * k[1] * k[2])


# ---- maxima back to their places -----------------------------------------------------------------
def _unpool(name, nd, input, indices, kernel_size, stride, padding, output_size) -> Tensor:
    if input.dim() not in (nd + 1, nd + 2):
        raise _core.ShapeError(
            f"{name}: expected an input of {nd + 1} or {nd + 2} dimensions, got shape "
            f"{tuple(input.shape)}"
        )
    if tuple(input.shape) != tuple(indices.shape):
        raise _core.ShapeError(
            f"{name}: expected indices of the input's shape {tuple(input.shape)}, got "
            f"{tuple(indices.shape)}"
        )
    if indices.dtype != _core.int64:
        raise _core.DTypeError(f"{name}: expected int64 indices, got {indices.dtype}")

    def each(value):
        values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * nd
        return values * nd if len(values) == 1 else values

    kernel, padding = each(kernel_size), each(padding)
    stride = each(stride) if stride else kernel
    sizes = [
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(input.shape[-nd:], stride, padding, kernel)
    ]
    if output_size is not None:
        given = list(output_size)[-nd:]
        if len(output_size) not in (nd, nd + 1, nd + 2) or len(given) != nd:
            raise ValueError(
                f"{name}: output_size should be a sequence of {nd} or {nd + 2} ints, got "
                f"{tuple(output_size)}"
            )
        for size, least, step in zip(given, sizes, stride):
            if not least - step < size < least + step:
                raise ValueError(
                    f"{name}: invalid output_size {tuple(output_size)}: a size must be between "
                    f"{least - step} and {least + step}, without these"
                )
        sizes = given
    total = 1
    for n in sizes:
        total *= n
    places = indices.flatten(-nd)
    what = (
        f"{name}: an index lies outside [0, {total}), the elements of an output of size "
        f"{tuple(sizes)}"
    )
    if fails((places >= 0) & (places < total), _core.RangeError, what):
        raise _core.RangeError(what)
    flat = input.new_zeros((*input.shape[:-nd], total))
    return flat.scatter(-1, places, input.flatten(-nd)).reshape(*input.shape[:-nd], *sizes)


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0,
                 output_size=None) -> Tensor:  # fmt: skip
    """The maxima of `max_pool1d` back at their `indices`, zeros elsewhere.

    input and indices (int64): (N, C, L) or (C, L); result (N, C, L') with L' = (L - 1) stride -
    2 padding + kernel_size, or `output_size`. Of maxima with one place the last remains. Raises
    ShapeError for other shapes, IndexError for indices outside, ValueError for an impossible size.
    """
    return _unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@under_autocast("float32")
def max_unpool2d(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0,
                 output_size=None) -> Tensor:  # fmt: skip
    """`max_unpool1d` for (N, C, H, W) or (C, H, W)."""
    return _unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@under_autocast("float32")
def max_unpool3d(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0,
                 output_size=None) -> Tensor:  # fmt: skip
    """`max_unpool1d` for (N, C, D, H, W) or (C, D, H, W)."""
    return _unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


# ---- windows at random places --------------------------------------------------------------------
def _starts(n: int, size: int, kernel: int, u) -> list:
    """Where the windows along a dimension begin, u in [0, 1) per sequence (Graham, 2015)."""
    if size == 1:
        return [n - kernel]
    alpha = (n - kernel) / (size - 1)
    return [int((i + u) * alpha) - int(u * alpha) for i in range(size - 1)] + [n - kernel]


def _fractional(name, nd, input, kernel_size, output_size, output_ratio, return_indices, samples):
    if input.dim() not in (nd + 1, nd + 2):
        raise _core.ShapeError(
            f"{name}: expected an input of {nd + 1} or {nd + 2} dimensions, got shape "
            f"{tuple(input.shape)}"
        )
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name}: give one of output_size and output_ratio")

    def each(value):
        return tuple(value) if isinstance(value, (tuple, list)) else (value,) * nd

    sizes, kernel = tuple(input.shape[-nd:]), each(kernel_size)
    if output_size is not None:
        out = each(output_size)
    else:
        out = tuple(int(n * r) for n, r in zip(sizes, each(output_ratio)))
    for n, k, m in zip(sizes, kernel, out):
        if m < 1 or m + k - 1 > n:
            raise ValueError(
                f"{name}: output size {out} with kernel {kernel} does not fit an input of size "
                f"{sizes}: it must be at least 1 and at most size - kernel + 1"
            )
    x = input if input.dim() == nd + 2 else input.unsqueeze(0)
    batch, channels = x.shape[:2]
    if samples is None:
        samples = input.new_empty((batch, channels, nd)).uniform_()
    if tuple(samples.shape) != (batch, channels, nd):
        raise _core.ShapeError(
            f"{name}: expected random samples of shape {(batch, channels, nd)}, got "
            f"{tuple(samples.shape)}"
        )
    from .creation import tensor

    # the places of every window's elements; for images `samples` holds the width's first
    places = []
    for draws in samples.reshape(-1, nd).tolist():
        windows = [[0]]
        for d, (n, k, m) in enumerate(zip(sizes, kernel, out)):
            at = _starts(n, m, k, draws[1 - d if nd == 2 else d])
            windows = [[p * n + a + i for p in w for i in range(k)] for w in windows for a in at]
        places.append(windows)
    index = tensor(places, dtype=_core.int64).reshape(batch, channels, *out, -1)
    flat = x.reshape(batch, channels, -1)
    found = flat.gather(2, index.reshape(batch, channels, -1)).reshape(index.shape)
    values, which = found.max(-1)
    at = index.gather(-1, which.unsqueeze(-1)).squeeze(-1)
    if input.dim() == nd + 1:
        values, at = values.squeeze(0), at.squeeze(0)
    return (values, at) if return_indices else values


def fractional_max_pool2d(
    input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices=False,
    _random_samples=None,
):  # fmt: skip
    """Maxima over windows at random places: `output_size`, or the sizes times `output_ratio`,
    pseudo-random steps of two neighbouring lengths apart (Graham, "Fractional max-pooling", 2015).

    (N, C, H, W) or (C, H, W); kernel_size: int or two. With return_indices also the positions
    h * W + w. _random_samples: (N, C, 2) numbers in [0, 1) instead of drawn ones. Raises ValueError
    for sizes that do not fit.
    """
    return _fractional("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio,
                       return_indices, _random_samples)  # fmt: skip


@under_autocast("float32")
def fractional_max_pool3d(
    input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices=False,
    _random_samples=None,
):  # fmt: skip
    """`fractional_max_pool2d` for (N, C, D, H, W) or (C, D, H, W)."""
    return _fractional("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio,
                       return_indices, _random_samples)  # fmt: skip


def fractional_max_pool2d_with_indices(
    input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices=False,
    _random_samples=None,
):  # fmt: skip
    """`fractional_max_pool2d` with ``return_indices=True``."""
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True,
                                 _random_samples)  # fmt: skip


def fractional_max_pool3d_with_indices(
    input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices=False,
    _random_samples=None,
):  # fmt: skip
    """`fractional_max_pool3d` with ``return_indices=True``."""
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True,
                                 _random_samples)  # fmt: skip
