"""AutoAugment's learned policies, and AugMix.

Sources: E. Cubuk, B. Zoph, D. Mane, V. Vasudevan, Q. Le, "AutoAugment: Learning Augmentation
Strategies from Data", CVPR 2019, tables of the appendix; D. Hendrycks, N. Mu, E. Cubuk, B. Zoph,
J. Gilmer, B. Lakshminarayanan, "AugMix: A Simple Data Processing Method to Improve Robustness and
Uncertainty", ICLR 2020.
"""

from __future__ import annotations

import enum
import math

import lamina

from ._images import InterpolationMode, need_mode
from .augment import _Augment, _linear, _space


class AutoAugmentPolicy(enum.Enum):
    """The data set that a policy was learned on."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


# Per line a pair of changes: name, how often in tenths, and strength 0 to 9 where it has one.
_POLICIES = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize 4 8, Rotate 6 9; Solarize 6 5, AutoContrast 6; Equalize 8, Equalize 6;
        Posterize 6 7, Posterize 6 6; Equalize 4, Solarize 2 4; Equalize 4, Rotate 8 8;
        Solarize 6 3, Equalize 6; Posterize 8 5, Equalize 10; Rotate 2 3, Solarize 6 8;
        Equalize 6, Posterize 4 6; Rotate 8 8, Color 4 0; Rotate 4 9, Equalize 6;
        Equalize 0, Equalize 8; Invert 6, Equalize 10; Color 6 4, Contrast 10 8;
        Rotate 8 8, Color 10 2; Color 8 8, Solarize 8 7; Sharpness 4 7, Invert 6;
        ShearX 6 5, Equalize 10; Color 4 0, Equalize 6; Equalize 4, Solarize 2 4;
        Solarize 6 5, AutoContrast 6; Invert 6, Equalize 10; Color 6 4, Contrast 10 8;
        Equalize 8, Equalize 6""",
    AutoAugmentPolicy.CIFAR10: """
        Invert 1, Contrast 2 6; Rotate 7 2, TranslateX 3 9; Sharpness 8 1, Sharpness 9 3;
        ShearY 5 8, TranslateY 7 9; AutoContrast 5, Equalize 9; ShearY 2 7, Posterize 3 7;
        Color 4 3, Brightness 6 7; Sharpness 3 9, Brightness 7 9; Equalize 6, Equalize 5;
        Contrast 6 7, Sharpness 6 5; Color 7 7, TranslateX 5 8; Equalize 3, AutoContrast 4;
        TranslateY 4 3, Sharpness 2 6; Brightness 9 6, Color 2 8; Solarize 5 2, Invert 0;
        Equalize 2, AutoContrast 6; Equalize 2, Equalize 6; Color 9 9, Equalize 6;
        AutoContrast 8, Solarize 2 8; Brightness 1 3, Color 7 0; Solarize 4 5, AutoContrast 9;
        TranslateY 9 9, TranslateY 7 9; AutoContrast 9, Solarize 8 3; Equalize 8, Invert 1;
        TranslateY 7 9, AutoContrast 9""",
    AutoAugmentPolicy.SVHN: """
        ShearX 9 4, Invert 2; ShearY 9 8, Invert 7; Equalize 6, Solarize 6 6;
        Invert 9, Equalize 6; Equalize 6, Rotate 9 3; ShearX 9 4, AutoContrast 8;
        ShearY 9 8, Invert 4; ShearY 9 5, Solarize 2 6; Invert 9, AutoContrast 8;
        Equalize 6, Rotate 9 3; ShearX 9 4, Solarize 3 3; ShearY 8 8, Invert 7;
        Equalize 9, TranslateY 6 6; Invert 9, Equalize 6; Contrast 3 3, Rotate 8 4;
        Invert 8, TranslateY 0 2; ShearY 7 6, Solarize 4 8; Invert 6, Rotate 8 4;
        ShearY 3 7, TranslateX 9 3; ShearX 1 6, Invert 6; Solarize 7 2, TranslateY 6 7;
        ShearY 8 4, Invert 8; ShearX 7 9, TranslateY 8 3; ShearY 8 5, AutoContrast 7;
        ShearX 7 2, Invert 1""",
}
_STRENGTHS = 10


def read_policy(text: str) -> list:
    """Pairs of (name, probability, strength or None)."""

    def change(words):
        name, tenths, *strength = words.split()
        return name, int(tenths) / 10, int(strength[0]) if strength else None

    return [tuple(change(part) for part in line.split(",")) for line in text.split(";")]


class AutoAugment(_Augment):
    """One of the 25 pairs of changes of a learned policy, each change with its own probability.

    Args:
        policy: AutoAugmentPolicy.IMAGENET, CIFAR10 or SVHN.
        interpolation, fill: as `functional.affine`.

    Images are uint8 tensors (1 or 3 channels) or Pillow images. Raises ValueError for a policy that
    is none.
    """

    count = 5  # which pair, two chances, two signs

    def __init__(self, policy=AutoAugmentPolicy.IMAGENET, interpolation=InterpolationMode.NEAREST,
                 fill=None):  # fmt: skip
        if policy not in _POLICIES:
            raise ValueError(f"AutoAugment: policy must be an AutoAugmentPolicy, got {policy!r}")
        self.policy, self.policies = policy, read_policy(_POLICIES[policy])
        self.interpolation, self.fill = need_mode("AutoAugment", interpolation), fill

    def space(self, h, w):
        moves = (150.0 / 331.0 * w, 150.0 / 331.0 * h)
        return {**_space(0.3, moves, 30.0, 0.9, 4), "Invert": (None, False)}

    def arguments(self, row, h, w):
        space, found = self.space(h, w), []
        pair = self.policies[int(row[0] * len(self.policies))]
        for (name, p, strength), chance, sign in zip(pair, row[1:3], row[3:5]):
            if chance < p:
                magnitude, signed = space[name]
                value = magnitude(strength / (_STRENGTHS - 1)) if magnitude else 0.0
                found.append((name, -value if signed and sign < 0.5 else value))
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}(policy={self.policy}, fill={self.fill})"


_TRIES = 12  # each is accepted with a probability above 0.95


def gamma_of(uniforms: list[float], shape: float) -> float:
    """A Gamma(shape, 1) draw made of 3 * 12 + 1 uniform numbers (Marsaglia and Tsang, 2000)."""
    d = (shape if shape >= 1 else shape + 1) - 1 / 3
    c, v = 1 / math.sqrt(9 * d), 1.0
    for i in range(_TRIES):
        a, b, u = (max(x, 1e-12) for x in uniforms[3 * i : 3 * i + 3])
        z = math.sqrt(-2 * math.log(a)) * math.cos(2 * math.pi * b)
        v = max(1 + c * z, 0.0) ** 3
        if v > 0 and math.log(u) < 0.5 * z * z + d - d * v + d * math.log(v):
            break
    boost = 1.0 if shape >= 1 else max(uniforms[3 * _TRIES], 1e-12) ** (1 / shape)
    return max(d * v * boost, 1e-300)


class AugMix(_Augment):
    """m x + (1 - m) sum_i w_i chain_i(x): the image blended with `mixture_width` chains of changes,
    m ~ Beta(alpha, alpha), w ~ Dirichlet(alpha).

    Args:
        severity: strengths are drawn from the lowest `severity` of 10.
        mixture_width: how many chains. chain_depth: changes in each, -1: one to three, drawn.
        alpha: of the Beta and the Dirichlet distribution.
        all_ops: also brightness, colour, contrast and sharpness, which the corruptions of the
            paper's tests resemble.
        interpolation, fill: as `functional.affine`.

    Images are uint8 tensors (1 or 3 channels) or Pillow images. Raises ValueError for a severity
    outside 1 to 10.
    """

    def __init__(self, severity: int = 3, mixture_width: int = 3, chain_depth: int = -1,
                 alpha: float = 1.0, all_ops: bool = True,
                 interpolation=InterpolationMode.BILINEAR, fill=None):  # fmt: skip
        if not 1 <= severity <= _STRENGTHS:
            raise ValueError(
                f"AugMix: the severity must be between 1 and {_STRENGTHS}, got {severity}"
            )
        self.severity, self.mixture_width = severity, mixture_width
        self.chain_depth, self.alpha, self.all_ops = chain_depth, alpha, all_ops
        self.interpolation, self.fill = need_mode("AugMix", interpolation), fill
        self.depth = chain_depth if chain_depth > 0 else 3
        self.chain = 1 + 3 * self.depth  # draws: the length, and name, strength, sign of each
        self.count = (3 * _TRIES + 1) * (2 + mixture_width) + mixture_width * self.chain

    def space(self, h, w):
        space = _space(0.3, (w / 3.0, h / 3.0), 30.0, 0.9, 4)
        del space["Identity"]
        space["Posterize"] = (lambda place: 4 - round(place * 4), False)
        if not self.all_ops:
            for name in ("Brightness", "Color", "Contrast", "Sharpness"):
                del space[name]
        space["Rotate"] = (_linear(30.0), True)
        return space

    def arguments(self, row, h, w):
        size, width = 3 * _TRIES + 1, self.mixture_width
        draws = [gamma_of(row[i * size : (i + 1) * size], self.alpha) for i in range(2 + width)]
        keep, rest = draws[0] / sum(draws[:2]), draws[1] / sum(draws[:2])
        weights = [rest * v / sum(draws[2:]) for v in draws[2:]]
        chains, row = [], row[size * (2 + width) :]
        for i in range(width):
            part = row[i * self.chain : (i + 1) * self.chain]
            length = self.chain_depth if self.chain_depth > 0 else 1 + int(part[0] * 3)
            steps = []
            for j in range(length):
                u, strength, sign = part[1 + 3 * j : 4 + 3 * j]
                place = int(strength * self.severity) / (_STRENGTHS - 1)
                steps.append(self.pick(h, w, u, place, sign))
            chains.append(steps)
        return keep, weights, chains

    def one(self, img, arguments):
        if not isinstance(img, lamina.Tensor):
            from ._pillow import by_tensor

            return by_tensor(lambda x: self.one(x, arguments), img)
        keep, weights, chains = arguments
        mixed = img.to(lamina.float32) * keep
        for weight, steps in zip(weights, chains):
            mixed = mixed + super().one(img, steps).to(lamina.float32) * weight
        return mixed.to(img.dtype)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(severity={self.severity}, mixture_width={self.mixture_width}, "
            f"chain_depth={self.chain_depth}, alpha={self.alpha}, all_ops={self.all_ops}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
