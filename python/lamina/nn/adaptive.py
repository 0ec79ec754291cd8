"""A softmax over many classes, most of them rare: frequent classes first, the rest in clusters."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..ops._method import results
from ..ops.creation import empty, zeros
from . import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


_Result = results("_ASMoutput", "output", "loss")


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of `n_classes` classes, sorted by falling frequency, and their loss.

    Classes below cutoffs[0] are in the head with one entry for each cluster [cutoffs[i],
    cutoffs[i+1]); log p(class of cluster i) = head's entry + log softmax within the cluster, whose
    scores are a product of matrices (in_features, in_features / div_value^(i+1)) and (.., classes).

    ``layer(input, target)``: input (N, in_features) or (in_features), target int64 (N) or ();
    the result's ``output`` holds the targets' log-probabilities, its ``loss`` minus their mean.
    head_bias: whether the head has a bias. Raises ValueError for cutoffs that are not rising
    integers in [1, n_classes - 1], RuntimeError for other shapes, IndexError for other targets.

    Grave, Joulin, Cissé, Grangier and Jégou, "Efficient softmax approximation for GPUs" (2017).
    """

    def __init__(self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False,
                 device=None, dtype=None):  # fmt: skip
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            any(int(c) != c for c in cutoffs)
            or cutoffs != sorted(set(cutoffs))
            or min(cutoffs) <= 0
            or max(cutoffs) > n_classes - 1
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
                f"order, where each value is between 1 and n_classes-1; got {cutoffs}"
            )
        self.in_features, self.n_classes, self.div_value = in_features, n_classes, div_value
        self.cutoffs = [*cutoffs, n_classes]
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head_bias = head_bias
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:])):
            hidden = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, hidden, bias=False, **made),
                    Linear(hidden, high - low, bias=False, **made),
                )
            )

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> tuple:
        """(output, loss); see the class."""
        input, target = input_, target_
        if input.dim() not in (1, 2) or target.shape != input.shape[:-1]:
            raise RuntimeError(
                "AdaptiveLogSoftmaxWithLoss: expected input (N, in_features) and target (N), or "
                f"(in_features) and (), got {tuple(input.shape)} and {tuple(target.shape)}"
            )
        if input.dim() == 1:
            output, loss = self.forward(input[None], target[None])
            return _Result(output[0], loss)
        if len(target) and not 0 <= int(target.min()) <= int(target.max()) < self.n_classes:
            raise IndexError(
                f"AdaptiveLogSoftmaxWithLoss: targets should be in [0, {self.n_classes - 1}], got "
                f"{int(target.min())} to {int(target.max())}"
            )
        in_head, output = target.clone(), zeros(len(target), dtype=input.dtype)
        for i, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:])):
            rows = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if len(rows):
                inside = F.log_softmax(self.tail[i](input[rows]), 1)
                found = inside.gather(1, (target[rows] - low)[:, None]).squeeze(1)
                output = output.index_copy(0, rows, found)
                in_head[rows] = self.shortlist_size + i
        head = F.log_softmax(self.head(input), 1)
        output = output + head.gather(1, in_head[:, None]).squeeze(1)
        return _Result(output, -output.mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities (N, n_classes) of all classes, for input (N, in_features)."""
        head = F.log_softmax(self.head(input), 1)
        output = empty(len(input), self.n_classes, dtype=head.dtype)
        output[:, : self.shortlist_size] = head[:, : self.shortlist_size]
        for i, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:])):
            inside = F.log_softmax(self.tail[i](input), 1)
            output[:, low:high] = inside + head[:, self.shortlist_size + i, None]
        return output

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each row, int64 (N)."""
        return _core.argmax(self.log_prob(input), 1, False)
