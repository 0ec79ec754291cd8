"""Chains of transforms on batches of images: runs of crops, flips, padding, division and
normalisation become one call of the C++ function gather_batch."""

from __future__ import annotations

import lamina
from lamina import _core


def _wide(value, count: int):
    """An int or a tensor (B) as an int64 tensor (B)."""
    if isinstance(value, lamina.Tensor):
        return value.to(lamina.int64)
    return lamina.full((count,), int(value), dtype=lamina.int64)


class Gather:
    """One pass over a batch, put together by transforms that come after one another.

    The result is the window of h x w pixels of the images x[rows] at (top, left), then mirrored,
    divided and normalised. top, left, mirror and upturn are ints or int64 tensors (B).

    Args:
        x: images (N, C, H, W) or (N, H, W), which count as one channel.
        rows: int64 (B), the images of the batch; None: all.
    """

    def __init__(self, x, rows=None):
        self.x, self.rows = x, rows
        self.count = int(x.shape[0] if rows is None else rows.shape[0])
        self.channels = int(x.shape[1]) if x.ndim == 4 else 1
        self.h, self.w = int(x.shape[-2]), int(x.shape[-1])
        self.top = self.left = self.mirror = self.upturn = 0
        self.changed = self.cut = self.to_float = False
        self.fill = None
        self.stats = None

    @property
    def possible(self) -> bool:
        """Whether the C++ function takes these images."""
        return self.x.dtype in (lamina.uint8, lamina.float32) and not (
            self.x.requires_grad and lamina.is_grad_enabled()
        )

    @property
    def bytes(self) -> bool:
        """Whether the images are, so far, bytes."""
        return self.x.dtype is lamina.uint8 and not self.to_float

    def may_pad(self, fill) -> bool:
        """Whether a border of `fill` can be added: the source pixels around the window must be
        outside the image, and `fill` must be exact in the units of x."""
        if self.cut or self.stats is not None or not isinstance(fill, (int, float)):
            return False
        if self.fill is not None and fill != self.fill:
            return False
        if self.bytes:
            return fill == int(fill) and 0 <= fill <= 255
        return fill == 0 if self.x.dtype is lamina.uint8 else True

    def crop(self, top, left, h: int, w: int) -> None:
        """The window of h x w at (top, left) of what there is so far."""
        self.top = self.top + self._inside(self.upturn, top, self.h - h - top)
        self.left = self.left + self._inside(self.mirror, left, self.w - w - left)
        self.h, self.w = h, w
        self.changed = self.cut = True

    def pad(self, left: int, top: int, right: int, bottom: int, fill) -> None:
        """A border of `fill`, where `may_pad` allows one."""
        self.fill = fill
        self.crop(-top, -left, self.h + top + bottom, self.w + left + right)
        self.cut = min(left, top, right, bottom) < 0

    @staticmethod
    def _inside(flipped, plain, turned):
        """`plain`, or `turned` where the images are flipped."""
        if isinstance(flipped, lamina.Tensor):
            return plain + flipped * (turned - plain)
        return turned if flipped else plain

    def flip(self, horizontal: bool, which) -> None:
        """Flips the images where `which`, a bool tensor (B) or a bool, is true."""
        which = which.to(lamina.int64) if isinstance(which, lamina.Tensor) else int(which)
        self.changed = True
        if horizontal:
            self.mirror = self.mirror + which - 2 * self.mirror * which
        else:
            self.upturn = self.upturn + which - 2 * self.upturn * which

    def run(self):
        """The batch (B, C, h, w)."""
        rows = lamina.arange(self.count) if self.rows is None else self.rows
        windows = None
        if self.changed:
            windows = lamina.stack(
                [_wide(v, self.count) for v in (self.top, self.left, self.mirror, self.upturn)], 1
            )
        divisor = 255.0 if self.to_float and self.x.dtype is lamina.uint8 else 1.0
        if self.count == 0 or 0 in (self.h, self.w):
            kind = lamina.uint8 if self.bytes else lamina.float32
            return lamina.empty((self.count, self.channels, self.h, self.w), dtype=kind)
        return _core.gather_batch(
            self.x, rows, divisor, self.stats, windows, self.h, self.w, float(self.fill or 0),
            not self.bytes,
        )  # fmt: skip


_TRUST: dict = {}  # of each class of transforms seen so far
_KINDS: list = []


def _kinds() -> list:
    """Compose and Transform, which are made of what is here; imported once: every batch asks."""
    if not _KINDS:
        from ._base import Compose, Transform

        _KINDS[:] = (Compose, Transform)  # whole: other threads may be here too
    return _KINDS


def _trusted(kind) -> tuple[bool, bool]:
    """Whether `apply` and `fuse` of a class of transforms tell the truth: they do unless a subclass
    redefines what they stand for (`forward`, or `apply`) without them."""
    if kind in _TRUST:
        return _TRUST[kind]
    Transform = _kinds()[1]

    def depth(name: str) -> int:
        return next(i for i, cls in enumerate(kind.__mro__) if name in cls.__dict__)

    batch = kind.__call__ is Transform.__call__ and depth("apply") <= depth("forward")
    _TRUST[kind] = (batch, batch and depth("fuse") <= depth("apply"))
    return _TRUST[kind]


def flatten(transform) -> list | None:
    """The steps of a transform, all of which work on batches; None when there is another."""
    if transform is None:
        return []
    Compose, Transform = _kinds()
    if type(transform) is Compose:
        steps: list = []
        for t in transform.transforms:
            part = flatten(t)
            if part is None:
                return None
            steps += part
        return steps
    if isinstance(transform, Transform) and _trusted(type(transform))[0]:
        return [transform] if transform.works_on_batches() else None
    return None


def can_batch(transform) -> bool:
    """Whether `transform` (None: nothing) does to a batch what it does to its images: it is made of
    the transforms of this package, without functions of the user's own."""
    return flatten(transform) is not None


def run(steps: list, x, rows, draws):
    """The images x[rows] (None: all), a batch (B, C, h, w), after the transforms `steps`."""
    i = 0
    while True:
        plan, first = Gather(x, rows), i
        while i < len(steps) and plan.possible and _trusted(type(steps[i]))[1]:
            if not steps[i].fuse(plan, draws):
                break
            i += 1
        if i > first:
            x = plan.run()
        elif rows is not None:
            x = plan.run() if plan.possible else x[rows]
        rows = None
        if x.ndim == 3:
            x = x.unsqueeze(1)
        if i == len(steps):
            return x
        x = steps[i].apply(x, draws)
        i += 1


def make_batch(transform, images, index, draws):
    """The batch (B, C, h, w) of the images `index` after `transform`.

    Args:
        transform: one for which `can_batch` is true.
        images: (N, C, H, W) or (N, H, W), which counts as one channel.
        index: int64 (B), in [-N, N).
        draws: where random numbers come from: ``draws.uniform(k)`` gives float32 (B, k) in [0, 1).

    Raises IndexError for an index out of range.
    """
    steps = flatten(transform)
    if steps is None:
        raise TypeError(f"make_batch: {transform!r} does not work on batches; see can_batch")
    return run(steps, images, index, draws)
