"""Metrics of classifiers. Letters: N samples, C classes."""

from __future__ import annotations

import lamina

from .base import Metric


def predicted(name: str, output, target):
    """Class indices, int64, of the shape of `target`.

    output: scores with the classes in dimension 1 ((N, C) or (N, C, ...)), or class indices already
    (an integer tensor), or, for two classes, one score per sample: (N,) or (N, 1), positive = 1.
    target: int64 class indices, (N,) or (N, ...); class probabilities (N, C, ...) count as their
    largest. Raises ValueError for shapes that do not fit.
    """
    if output.dtype.is_floating_point:
        one_score = output.shape == target.shape or (
            output.ndim == target.ndim + 1 and output.shape[1] == 1
        )
        if one_score:
            classes = (output.reshape(target.shape) > 0).to(lamina.int64)
        else:
            classes = lamina.argmax(output, 1 if output.ndim > 1 else 0)
    else:
        classes = output
    if classes.shape != target.shape:
        raise ValueError(
            f"{name}: output of shape {tuple(output.shape)} does not fit a target of shape "
            f"{tuple(target.shape)}; expected scores (N, C, ...) and class indices (N, ...)"
        )
    return classes


def indices(output, target):
    """`target` as class indices: where it has the floating scores' shape, its largest class."""
    if target.dtype.is_floating_point and target.ndim > 1 and target.shape == output.shape:
        return lamina.argmax(target, 1)
    return target


class Accuracy(Metric):
    """The share of samples whose class is right: (1/N) sum_i [y_i in top-k of output_i].

    Args:
        k: how many of the highest scores may hold the right class.
        ignore_index: a label that does not count.
    """

    percent = True
    counts = ("right", "total")

    def __init__(self, k: int = 1, ignore_index: int | None = None, name: str | None = None):
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"Accuracy: k must be a positive integer, got {k!r}")
        self.k, self.ignore_index = k, ignore_index
        self.name = name or ("accuracy" if k == 1 else f"top{k}")
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.right = self.total = 0

    def update(self, output, target) -> None:
        """Take in scores (N, C, ...) and class indices (N, ...)."""
        with lamina.no_grad():
            target = indices(output, target)
            if self.k == 1:
                hits = predicted("Accuracy", output, target) == target
            else:
                if output.ndim < 2 or output.shape[1] < self.k:
                    raise ValueError(
                        f"Accuracy: top {self.k} needs scores of at least {self.k} classes, got "
                        f"shape {tuple(output.shape)}"
                    )
                top = lamina.topk(output, self.k, 1)[1]
                hits = (top == target.unsqueeze(1)).any(1)
            if self.ignore_index is None:
                self.total += target.numel()
            else:
                counted = target != self.ignore_index
                hits = hits & counted
                self.total = self.total + counted.sum()
            self.right = self.right + hits.sum()

    def compute(self) -> float:
        """The accuracy in [0, 1]; NaN when nothing was seen."""
        total = int(self.total)
        return int(self.right) / total if total else float("nan")


class ConfusionMatrix(Metric):
    """Counts M[i, j] of samples of class i that were taken for class j: int64 (C, C).

    Args:
        num_classes: C. Labels outside [0, C) raise ValueError when the matrix is computed.
    """

    name = "confusion"
    counts = ("matrix", "bad")

    def __init__(self, num_classes: int, name: str | None = None):
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(
                f"ConfusionMatrix: num_classes must be a positive integer, got {num_classes!r}"
            )
        self.num_classes = num_classes
        self.name = name or type(self).name
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        C = self.num_classes
        self.matrix = lamina.zeros((C, C), dtype=lamina.int64)
        self.bad = 0

    def update(self, output, target) -> None:
        """Take in scores (N, C, ...) and class indices (N, ...)."""
        with lamina.no_grad():
            C = self.num_classes
            target = indices(output, target)
            guess = predicted(type(self).__name__, output, target).reshape(-1)
            target = target.to(lamina.int64).reshape(-1)
            good = (target >= 0) & (target < C) & (guess >= 0) & (guess < C)
            place = lamina.where(good, target * C + guess, 0)
            flat = self.matrix.to(place.device).reshape(-1)
            self.matrix = flat.scatter_add(0, place, good.to(lamina.int64)).reshape(C, C)
            self.bad = self.bad + (~good).sum()

    def _counted(self):
        if int(self.bad):
            raise ValueError(
                f"{type(self).__name__}: {int(self.bad)} samples have a label or prediction "
                f"outside [0, {self.num_classes})"
            )
        return self.matrix

    def compute(self):
        """The matrix, int64 (C, C). ValueError when a label was outside [0, C)."""
        return self._counted()


class _PerClass(ConfusionMatrix):
    """A number per class from the confusion matrix, averaged."""

    percent = True

    def __init__(self, num_classes: int, average: str | None = "macro", name: str | None = None):
        if average not in ("macro", "micro", None):
            raise ValueError(
                f"{type(self).__name__}: average must be 'macro', 'micro' or None, got {average!r}"
            )
        super().__init__(num_classes, name)
        self.average = average

    def _ratio(self, tp, fp, fn):
        raise NotImplementedError

    def compute(self):
        """A float, or with average=None a float64 tensor (C,). 0 where nothing can be divided."""
        M = self._counted().to(lamina.float64)
        tp = M[range(len(M)), range(len(M))]
        fp, fn = M.sum(0) - tp, M.sum(1) - tp
        if self.average == "micro":
            tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
        above, below = self._ratio(tp, fp, fn)
        value = above / lamina.where(below > 0, below, 1)
        return value if self.average is None else float(value.mean())


class Precision(_PerClass):
    """TP_c / (TP_c + FP_c) for each class c; 'macro': the mean over classes, 'micro': of the summed
    counts, None: all of them."""

    name = "precision"

    def _ratio(self, tp, fp, fn):
        return tp, tp + fp


class Recall(_PerClass):
    """TP_c / (TP_c + FN_c) for each class c; averages as of `Precision`."""

    name = "recall"

    def _ratio(self, tp, fp, fn):
        return tp, tp + fn


class F1(_PerClass):
    """2 TP_c / (2 TP_c + FP_c + FN_c), the harmonic mean of precision and recall; averages as of
    `Precision`."""

    name = "f1"

    def _ratio(self, tp, fp, fn):
        return 2 * tp, 2 * tp + fp + fn
