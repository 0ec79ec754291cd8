"""What values pixels have: conversion, normalisation, erasing."""

from __future__ import annotations

import math

import lamina

from . import functional
from ._base import Transform, need_probability


class ToTensor(Transform):
    """uint8 images become float32 in [0, 1]: y = x / 255; see `functional.to_tensor`.

    Takes tensors (C, H, W) or (B, C, H, W), which keep their layout (torchvision takes none), and
    NumPy arrays (H, W) or (H, W, C), which become (C, H, W).
    """

    def forward(self, img):
        """The image as a tensor."""
        return functional.to_tensor(img)

    def apply(self, x, draws):
        return functional.to_tensor(x)

    def fuse(self, plan, draws) -> bool:
        if plan.bytes and lamina.get_default_dtype() is not lamina.float32:
            return False
        plan.to_float = True
        return True


class PILToTensor:
    """A Pillow image as a tensor (C, H, W) with its values as they are; see
    `functional.pil_to_tensor`."""

    def __call__(self, pic):
        return functional.pil_to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ToPILImage:
    """A tensor (C, H, W) or NumPy array (H, W, C) as a Pillow image; see
    `functional.to_pil_image`."""

    def __init__(self, mode=None):
        self.mode = mode

    def __call__(self, pic):
        return functional.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class LinearTransformation(Transform):
    """y = (x - mean) M, the image x as a row of C * H * W numbers: whitening, for example.

    Args:
        transformation_matrix: float (D, D), D = C * H * W.
        mean_vector: float (D).

    Raises ValueError for other shapes, or images of another size.
    """

    pictures = False

    def __init__(self, transformation_matrix, mean_vector):
        shape = tuple(transformation_matrix.shape)
        if len(shape) != 2 or shape[0] != shape[1] or tuple(mean_vector.shape) != shape[:1]:
            raise ValueError(
                f"LinearTransformation: expected a matrix (D, D) and a mean (D), got {shape} and "
                f"{tuple(mean_vector.shape)}"
            )
        self.transformation_matrix, self.mean_vector = transformation_matrix, mean_vector

    def apply(self, x, draws):
        count = x[0].numel() if len(x) else len(self.mean_vector)
        if count != len(self.mean_vector):
            raise ValueError(
                f"LinearTransformation: made for {len(self.mean_vector)} numbers, got images "
                f"{tuple(x.shape[1:])}"
            )
        flat = x.reshape(-1, count) - self.mean_vector
        return (flat @ self.transformation_matrix).reshape(tuple(x.shape))


class ConvertImageDtype(Transform):
    """Another dtype with scaled values; see `functional.convert_image_dtype`."""

    pictures = False

    def __init__(self, dtype=lamina.float32):
        self.dtype = dtype

    def apply(self, x, draws):
        return functional.convert_image_dtype(x, self.dtype)

    def fuse(self, plan, draws) -> bool:
        if self.dtype is not lamina.float32:
            return False
        plan.to_float = True
        return True


class Normalize(Transform):
    """y[c] = (x[c] - mean[c]) / std[c] for floating-point images.

    Args:
        mean, std: one number for each channel, or one for all.
        inplace: accepted; images passed alone are then changed in place.

    Raises ValueError for a zero in std or numbers that do not fit the channels, TypeError for
    integer images.
    """

    pictures = False

    def __init__(self, mean, std, inplace: bool = False):
        self.mean, self.std, self.inplace = mean, std, inplace
        pairs = [[float(v) for v in (m if _is_list(m) else [m])] for m in (mean, std)]
        if any(s == 0 for s in pairs[1]):
            raise ValueError(f"Normalize: std must not be 0, got {std}")
        n = max(len(p) for p in pairs)
        if n == 0 or any(len(p) not in (1, n) for p in pairs):
            raise ValueError(f"Normalize: mean {mean} and std {std} must be of one length")
        means, stds = (p * (n if len(p) == 1 else 1) for p in pairs)
        self._stats = lamina.tensor([list(p) for p in zip(means, stds)], dtype=lamina.float32)

    def forward(self, img):
        """The normalised image."""
        if not self.inplace:
            return super().forward(img)
        return functional.normalize(img, self.mean, self.std, True)

    def apply(self, x, draws):
        return functional.normalize(x, self.mean, self.std)

    def fuse(self, plan, draws) -> bool:
        n = len(self._stats)
        if plan.bytes or plan.stats is not None or n not in (1, plan.channels):
            return False
        plan.stats = self._stats if n == plan.channels else self._stats.expand(plan.channels, 2)
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


def _is_list(value) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) == 1


class RandomErasing(Transform):
    """Erases a random rectangle of each image with probability p (Zhong et al., AAAI 2020).

    Args:
        p: probability for each image.
        scale: range of the rectangle's share of the image's area.
        ratio: range of height / width, drawn uniformly in the logarithm.
        value: what is put there: a number, one for each channel, or "random" (standard normal).
        inplace: change the images themselves.

    A rectangle that does not fit is drawn again, up to ten times. Raises TypeError or ValueError
    for arguments of another kind or out of order.
    """

    pictures = False

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False):
        self.p = need_probability("RandomErasing", p)
        for name, pair in (("scale", scale), ("ratio", ratio)):
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise TypeError(f"RandomErasing: {name} must be a pair of numbers, got {pair!r}")
            if not 0 <= pair[0] <= pair[1]:
                raise ValueError(f"RandomErasing: {name} must be in order, got {pair}")
        if scale[1] > 1:
            raise ValueError(f"RandomErasing: scale must be within [0, 1], got {scale}")
        if ratio[0] <= 0:
            raise ValueError(f"RandomErasing: ratio must be positive, got {ratio}")
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing: value must be a number or 'random', got {value!r}")
        if not isinstance(value, (int, float, str, list, tuple)):
            raise TypeError(f"RandomErasing: value must be a number or numbers, got {value!r}")
        self.scale, self.ratio, self.value, self.inplace = scale, ratio, value, inplace

    def apply(self, x, draws):
        # Of a row: chosen?, two halves of a seed, then (area, ratio, top, left) of ten attempts.
        u = draws.uniform(43)
        chosen = (u[:, 0] < self.p).tolist()
        fill = self.value
        if isinstance(fill, (list, tuple)):
            if len(fill) not in (1, int(x.shape[1])):
                raise ValueError(
                    f"RandomErasing: value has {len(fill)} numbers, but images have shape "
                    f"{tuple(x.shape[1:])}"
                )
            fill = lamina.tensor([float(v) for v in fill]).to(x.dtype).reshape(-1, 1, 1)
        out = x if self.inplace else x.clone()
        for b in [b for b, c in enumerate(chosen) if c]:
            row = u[b].tolist()
            h, w = (int(n) for n in x.shape[-2:])
            box = self._box(row[3:], h, w, self.scale, self.ratio)
            if box is None:
                continue
            top, left, h, w = box
            value = fill
            if self.value == "random":
                generator = lamina.Generator()
                generator.manual_seed((int(row[1] * 2**24) << 24) + int(row[2] * 2**24))
                value = lamina.randn((int(x.shape[1]), h, w), generator=generator).to(x.dtype)
            out[b, :, top : top + h, left : left + w] = value
        return out

    @staticmethod
    def get_params(img, scale, ratio, value=None):
        """(top, left, height, width, what to put there) of a random rectangle; the whole image and
        itself when none fits. value: a list of one number or one for each channel; None: noise."""
        c, h, w = functional.get_dimensions(img)
        box = RandomErasing._box(lamina.rand(40).tolist(), h, w, scale, ratio)
        if box is None:
            return 0, 0, h, w, img
        if value is None:
            return (*box, lamina.randn(c, *box[2:]))
        return (*box, lamina.tensor([float(v) for v in value]).reshape(-1, 1, 1))

    @staticmethod
    def _box(row, height: int, width: int, scale, ratio):
        """(top, left, height, width) of a rectangle inside the image, or None."""
        low, high = math.log(ratio[0]), math.log(ratio[1])
        for k in range(0, 40, 4):
            area = height * width * (scale[0] + (scale[1] - scale[0]) * row[k])
            shape = math.exp(low + (high - low) * row[k + 1])
            h, w = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if h < height and w < width:
                return int(row[k + 2] * (height - h + 1)), int(row[k + 3] * (width - w + 1)), h, w
        return None

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )
