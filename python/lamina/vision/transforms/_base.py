"""What transforms are, and those made of others."""

from __future__ import annotations

import lamina
from lamina.utils.data._draws import GlobalDraws

from . import _chain
from ._images import is_pillow


def lift(name: str, image):
    """A batch (B, C, H, W) of an image (H, W) or (C, H, W) or a batch, and how many dimensions to
    take away afterwards. Raises TypeError or ValueError for anything else."""
    if not isinstance(image, lamina.Tensor):
        raise TypeError(
            f"{name}: expected an image tensor (C, H, W) or a batch (B, C, H, W), got "
            f"{type(image).__name__}; put ToTensor before it"
        )
    if not 2 <= image.ndim <= 4:
        raise ValueError(
            f"{name}: expected an image (C, H, W) or a batch (B, C, H, W), got shape "
            f"{tuple(image.shape)}"
        )
    extra = 4 - image.ndim
    return image.reshape((1,) * extra + tuple(image.shape)), extra


def lower(batch, extra: int):
    """Takes away the `extra` leading dimensions that `lift` added."""
    for _ in range(extra):
        batch = batch[0]
    return batch


class Transform:
    """Base class. A subclass defines ``apply(x, draws)``, from a batch (B, C, H, W) to a batch;
    single images are batches of one.

    `draws.uniform(k)` gives float32 (B, k), uniform in [0, 1); an image's result may depend on its
    own row only, and the number of calls of `uniform` on the shape of the batch only. Subclasses
    that define ``forward(image)`` instead, as in PyTorch, see images one at a time. Pillow images
    go through ``picture(image, draws)``, which makes a tensor and back unless a subclass knows
    better; `pictures` False refuses them.
    """

    pictures = True

    def __call__(self, img):
        return self.forward(img)

    def forward(self, img):
        """The transformed image (C, H, W) or batch (B, C, H, W), or Pillow image."""
        if self.pictures and is_pillow(img):
            return self.picture(img, GlobalDraws(1))
        x, extra = lift(type(self).__name__, img)
        return lower(_chain.run([self], x, None, GlobalDraws(len(x))), extra)

    def apply(self, x, draws):
        """The transformed batch."""
        raise NotImplementedError(
            f"{type(self).__name__}: a Transform must define apply(x, draws) or forward(img)"
        )

    def picture(self, img, draws):
        """The transformed Pillow image."""
        from ._pillow import by_tensor

        return by_tensor(lambda x: _chain.run([self], x.unsqueeze(0), None, draws)[0], img)

    def fuse(self, plan: _chain.Gather, draws) -> bool:
        """Adds this transform to the pass `plan`; False, with nothing drawn, if it cannot be."""
        return False

    def works_on_batches(self) -> bool:
        """Whether `apply` may be used."""
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def need_probability(name: str, p) -> float:
    """p as a float. Raises ValueError outside [0, 1]."""
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be a probability in [0, 1], got {p!r}")
    return float(p)


def pick(which, yes, no):
    """The images of `yes` where `which` (bool (B)) is true, else those of `no`."""
    if yes.shape == no.shape and yes.dtype == no.dtype:
        return lamina.where(which.reshape(-1, 1, 1, 1), yes, no)
    if len(which) == 1:
        return yes if bool(which[0]) else no
    raise ValueError(
        f"images of one batch would differ: some {tuple(yes.shape[1:])} of {yes.dtype}, some "
        f"{tuple(no.shape[1:])} of {no.dtype}; transform them one by one"
    )


class Compose:
    """Transforms one after another: ``Compose([f, g])(x) = g(f(x))``.

    Args:
        transforms: a list of callables. Those of this package are joined into as few passes over
            memory as possible.
    """

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, img):
        if isinstance(img, lamina.Tensor) and 2 <= img.ndim <= 4:
            steps = _chain.flatten(self)
            if steps:
                x, extra = lift("Compose", img)
                return lower(_chain.run(steps, x, None, GlobalDraws(len(x))), extra)
        for t in self.transforms:
            img = t(img)
        return img

    def __repr__(self) -> str:
        lines = "".join(f"\n    {t!r}" for t in self.transforms)
        return f"{type(self).__name__}({lines}\n)"


class Lambda:
    """A function of the user's as a transform. Raises TypeError when it is not callable."""

    def __init__(self, lambd):
        if not callable(lambd):
            raise TypeError(f"Lambda: lambd must be callable, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img):
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Several(Transform):
    """A transform with a list of others inside."""

    def __init__(self, transforms):
        if not isinstance(transforms, (list, tuple)):
            raise TypeError(
                f"{type(self).__name__}: transforms must be a list, got {type(transforms).__name__}"
            )
        self.transforms = transforms

    def works_on_batches(self) -> bool:
        return all(_chain.flatten(t) is not None for t in self.transforms)

    def forward(self, img):
        if self.works_on_batches() and isinstance(img, lamina.Tensor):
            return super().forward(img)
        return self.choose(img)

    def choose(self, img):
        """What to do with `img` when a transform of the user's is inside: one choice for all."""
        raise NotImplementedError(type(self).__name__)

    def __repr__(self) -> str:
        lines = "".join(f"\n    {t!r}" for t in self.transforms)
        return f"{type(self).__name__}({lines}\n)"


def _run(transform, x, draws):
    steps = _chain.flatten(transform)
    assert steps is not None
    return _chain.run(steps, x, None, draws)


class RandomApply(_Several):
    """The whole list of transforms with probability p, else nothing.

    On a batch each image is chosen by itself, so the transforms must keep shape and dtype.
    """

    def __init__(self, transforms, p: float = 0.5):
        super().__init__(transforms)
        self.p = need_probability("RandomApply", p)

    def apply(self, x, draws):
        chosen = draws.uniform(1)[:, 0] < self.p
        return pick(chosen, _run(Compose(self.transforms), x, draws), x)

    def choose(self, img):
        if float(lamina.rand(1)) >= self.p:
            return img
        for t in self.transforms:
            img = t(img)
        return img


class RandomOrder(_Several):
    """The transforms in a random order; one order for all images of a batch."""

    def works_on_batches(self) -> bool:
        return False

    def choose(self, img):
        for i in lamina.randperm(len(self.transforms)).tolist():
            img = self.transforms[i](img)
        return img


class RandomChoice(_Several):
    """One of the transforms, i with probability p[i] / sum(p); without p all alike.

    On a batch each image has its own choice, so all must give the same shape and dtype.
    """

    def __init__(self, transforms, p=None):
        super().__init__(transforms)
        if not transforms:
            raise ValueError("RandomChoice: needs at least one transform")
        weights = [1.0] * len(transforms) if p is None else [float(v) for v in p]
        if len(weights) != len(transforms) or min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(
                f"RandomChoice: p must be {len(transforms)} non-negative weights, one for each "
                f"transform and not all 0, got {p}"
            )
        self.p = p
        self._ends = [sum(weights[: i + 1]) / sum(weights) for i in range(len(weights) - 1)]

    def apply(self, x, draws):
        u = draws.uniform(1)[:, 0]
        made = [_run(t, x, draws) for t in self.transforms]
        out = made[-1]
        for end, y in reversed(list(zip(self._ends, made))):
            out = pick(u < end, y, out)
        return out

    def choose(self, img):
        u = float(lamina.rand(1))
        return self.transforms[sum(u >= end for end in self._ends)](img)
