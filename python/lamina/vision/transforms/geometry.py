"""Where pixels go: crops, flips, borders."""

from __future__ import annotations

import lamina

from . import _chain, functional
from ._base import Transform, need_probability


class _Moving(Transform):
    """A transform that `fuse` describes whole; other dtypes, and images that need a gradient, take
    the same windows one image at a time."""

    def apply(self, x, draws):
        plan = _chain.Gather(x)
        if not self.fuse(plan, draws):
            x = self.bordered(x)
            plan = _chain.Gather(x)
            self.cut(plan, draws)
        if plan.possible:
            return plan.run()
        if not len(x):
            return x[..., : plan.h, : plan.w]
        return lamina.stack([_one(x[b], plan, b) for b in range(len(x))])

    def bordered(self, x):
        """The images with the border that `cut` expects."""
        return x

    def fuse(self, plan, draws) -> bool:
        self.cut(plan, draws)
        return True

    def cut(self, plan, draws) -> None:
        """Adds the window, or the flips, to the pass."""
        raise NotImplementedError(type(self).__name__)


def _one(image, plan, b: int):
    """The window of image b, by slices, as `plan` would give it."""
    top, left, mirror, upturn = (
        int(v[b]) if isinstance(v, lamina.Tensor) else int(v)
        for v in (plan.top, plan.left, plan.mirror, plan.upturn)
    )
    h, w = image.shape[-2:]
    border = [max(-left, 0), max(-top, 0), max(left + plan.w - w, 0), max(top + plan.h - h, 0)]
    if any(border):
        image = functional.pad(image, border, plan.fill or 0)
    top, left = max(top, 0), max(left, 0)
    image = image[..., top : top + plan.h, left : left + plan.w]
    flips = [d for d, f in ((-1, mirror), (-2, upturn)) if f]
    return image.flip(flips) if flips else image


class RandomHorizontalFlip(_Moving):
    """Mirrors each image left to right with probability p."""

    def __init__(self, p: float = 0.5):
        self.p = need_probability("RandomHorizontalFlip", p)

    def cut(self, plan, draws) -> None:
        plan.flip(True, draws.uniform(1)[:, 0] < self.p)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomVerticalFlip(_Moving):
    """Turns each image upside down with probability p."""

    def __init__(self, p: float = 0.5):
        self.p = need_probability("RandomVerticalFlip", p)

    def cut(self, plan, draws) -> None:
        plan.flip(False, draws.uniform(1)[:, 0] < self.p)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class _Bordered(_Moving):
    """A transform that first adds a border, of which `border(h, w)` gives the widths."""

    fill: object = 0
    padding_mode: str = "constant"

    def border(self, h: int, w: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) for an image of h x w."""
        raise NotImplementedError(type(self).__name__)

    def fuse(self, plan, draws) -> bool:
        border = self.border(plan.h, plan.w)
        if any(border):
            if self.padding_mode != "constant" or not plan.may_pad(self.fill):
                return False
            plan.pad(*border, self.fill)
        self.cut(plan, draws)
        return True

    def bordered(self, x):
        border = self.border(int(x.shape[-2]), int(x.shape[-1]))
        return functional.pad(x, border, self.fill, self.padding_mode) if any(border) else x

    def cut(self, plan, draws) -> None:
        pass


def _need_fill(name: str, fill):
    """fill as torchvision takes it: a number, or a list or tuple of numbers."""
    values = fill if isinstance(fill, (list, tuple)) else [fill]
    if not values or any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in values):
        raise TypeError(f"{name}: fill must be a number or one for each channel, got {fill!r}")
    return fill if not isinstance(fill, (list, tuple)) or len(fill) > 1 else fill[0]


def _need_mode(name: str, mode: str) -> str:
    if mode not in functional.MODES:
        raise ValueError(f"{name}: padding_mode must be one of {functional.MODES}, got {mode!r}")
    return mode


class Pad(_Bordered):
    """A border; arguments as `functional.pad`."""

    def __init__(self, padding, fill=0, padding_mode: str = "constant"):
        self.padding = padding
        self._sides = functional.sides("Pad", padding)
        self.fill = _need_fill("Pad", fill)
        self.padding_mode = _need_mode("Pad", padding_mode)

    def border(self, h, w):
        if self.padding_mode == "constant":
            left, top, right, bottom = self._sides
            if h + top + bottom < 0 or w + left + right < 0:
                raise ValueError(f"Pad: padding {self.padding} cuts more than the image {h} x {w}")
        return self._sides

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(padding={self.padding}, fill={self.fill}, "
            f"padding_mode={self.padding_mode})"
        )


class CenterCrop(_Bordered):
    """The window of `size` (int, or (height, width)) in the middle; 0 where it leaves the image."""

    def __init__(self, size):
        self.size = functional.pair("CenterCrop", size)

    def border(self, h, w):
        ch, cw = self.size
        top, left = max((ch - h) // 2, 0), max((cw - w) // 2, 0)
        return left, top, max(cw - w, 0) - left, max(ch - h, 0) - top

    def cut(self, plan, draws) -> None:
        ch, cw = self.size
        if (plan.h, plan.w) != (ch, cw):
            top, left = functional.middle(plan.h, ch), functional.middle(plan.w, cw)
            plan.crop(top, left, ch, cw)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class RandomCrop(_Bordered):
    """A window of `size` at a random place, each place alike.

    Args:
        size: int (a square) or (height, width).
        padding: border added first: int, (left and right, top and bottom), or (left, top, right,
            bottom); None: none.
        pad_if_needed: then add what an image smaller than the window lacks, on both sides.
        fill, padding_mode: of the borders, as `functional.pad`.

    Raises ValueError when the window is larger than the image with its border.
    """

    def __init__(
        self, size, padding=None, pad_if_needed: bool = False, fill=0,
        padding_mode: str = "constant",
    ):  # fmt: skip
        self.size = functional.pair("RandomCrop", size)
        self.padding = padding
        self._sides = (0, 0, 0, 0) if padding is None else functional.sides("RandomCrop", padding)
        self.pad_if_needed = pad_if_needed
        self.fill = _need_fill("RandomCrop", fill)
        self.padding_mode = _need_mode("RandomCrop", padding_mode)

    def border(self, h, w):
        left, top, right, bottom = self._sides
        if self.pad_if_needed:
            x = max(self.size[1] - (w + left + right), 0)
            y = max(self.size[0] - (h + top + bottom), 0)
            left, top, right, bottom = left + x, top + y, right + x, bottom + y
        if h + top + bottom < self.size[0] or w + left + right < self.size[1]:
            raise ValueError(
                f"RandomCrop: crop size {self.size} is larger than the image "
                f"{(h + top + bottom, w + left + right)}; use padding or pad_if_needed=True"
            )
        return left, top, right, bottom

    def bordered(self, x):
        left, top, right, bottom = self.border(int(x.shape[-2]), int(x.shape[-1]))
        mode = self.padding_mode
        if not self.pad_if_needed or mode == "constant":
            border = [left, top, right, bottom]
            return functional.pad(x, border, self.fill, mode) if any(border) else x
        x = functional.pad(x, self._sides, self.fill, mode)  # mirrors the first border too
        for dim in (0, 1):
            lack = max(self.size[1 - dim] - int(x.shape[-1 - dim]), 0)
            if lack:
                x = functional.pad(x, [lack, 0] if dim == 0 else [0, lack], self.fill, mode)
        return x

    def cut(self, plan, draws) -> None:
        h, w = self.size
        places = lamina.tensor([plan.h - h + 1.0, plan.w - w + 1.0])
        at = (draws.uniform(2) * places).to(lamina.int64)  # below places: u <= 1 - 2^-24
        plan.crop(at[:, 0], at[:, 1], h, w)

    @staticmethod
    def get_params(img, output_size) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a random window of `output_size` = (height, width)."""
        _, h, w = functional.get_dimensions(img)
        th, tw = output_size
        if h < th or w < tw:
            raise ValueError(f"RandomCrop: crop size {(th, tw)} is larger than the image {(h, w)}")
        u, v = lamina.rand(2).tolist()
        return int(u * (h - th + 1)), int(v * (w - tw + 1)), th, tw

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class FiveCrop:
    """The windows of `size` in the four corners and the middle, a tuple of five images; see
    `functional.five_crop`."""

    def __init__(self, size):
        self.size = functional.pair(type(self).__name__, size)

    def __call__(self, img):
        return functional.five_crop(img, self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class TenCrop(FiveCrop):
    """`FiveCrop` of the image and of its mirror image (upside down with `vertical_flip`)."""

    def __init__(self, size, vertical_flip: bool = False):
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def __call__(self, img):
        return functional.ten_crop(img, self.size, self.vertical_flip)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, vertical_flip={self.vertical_flip})"
