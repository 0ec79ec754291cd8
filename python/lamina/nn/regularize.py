"""Regularisers beyond PyTorch's dropout layers, and maxout. PyTorch has none of these layers
(torchvision has StochasticDepth)."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from . import functional as F
from .linear import Linear
from .module import Module
from .parameter import Parameter

__all__ = [
    "BlurPool2d", "ConcreteDropout", "DropConnect", "Maxout", "StochasticDepth",
    "VariationalDropout", "stochastic_depth_rates",
]  # fmt: skip


class VariationalDropout(Module):
    """Dropout with one mask for all positions along `dim` (time): the same units are dropped at
    every step of a sequence (Gal and Ghahramani, NeurIPS 2016).

    dim: 1 for (N, T, ...), 0 for (T, N, ...). Any shape to the same. ValueError for p outside
    [0, 1].
    """

    def __init__(self, p=0.5, dim=1):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.dim = p, dim

    def forward(self, input: Tensor) -> Tensor:
        """x with units dropped in training, x otherwise."""
        return F.variational_dropout(input, self.p, self.dim, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, dim={self.dim}"


class _Mask(Module):
    _drops = True

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, weight: Tensor) -> Tensor:
        return F.dropout(weight, self.p, self.training)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


class DropConnect(Module):
    """A layer whose single weights are dropped: in training each element of its parameter `name`
    is 0 with probability p, else w / (1 - p), drawn anew for every call (one mask for the batch);
    in evaluation the layer is unchanged.

    layer: any module; its parameter becomes a computed one (`nn.utils.parametrize`). Called as the
    layer is. For several parameters nest it. Raises ValueError for p outside [0, 1].

    Wan et al., "Regularization of neural networks using DropConnect" (ICML 2013), whose evaluation
    by moments is replaced by the mean, as dropout's is.
    """

    def __init__(self, layer: Module, p=0.5, name="weight"):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        from .utils.parametrize import register_parametrization

        self.p, self.name = p, name
        self.layer = register_parametrization(layer, name, _Mask(p), unsafe=True)

    def forward(self, *args, **kwargs):
        """The layer's result with a masked weight."""
        return self.layer(*args, **kwargs)

    def extra_repr(self) -> str:
        return f"p={self.p}, name={self.name!r}"


class ConcreteDropout(Module):
    """Dropout whose rate is learned: x (1 - z) / (1 - p), z near 0 or 1 and differentiable by p.

    The rate follows from the loss plus `penalty` of the layer that takes the output. In evaluation
    the input passes unchanged. Any shape to the same.

    Parameter: logit, of p = sigmoid(logit), at first `p`. Raises ValueError unless 0 < p < 1.

    Gal, Hron and Kendall, "Concrete dropout" (NeurIPS 2017).
    """

    def __init__(self, p=0.1, temperature=0.1):
        super().__init__()
        if not 0 < p < 1:
            raise ValueError(f"ConcreteDropout: p must be between 0 and 1, got {p}")
        rate = _core.full((), float(p), _core.default_dtype())
        self.logit = Parameter((rate / (1 - rate)).log())
        self.temperature = temperature

    @property
    def p(self) -> Tensor:
        """The rate, with its gradient."""
        return _core.sigmoid(self.logit)

    def forward(self, input: Tensor) -> Tensor:
        """x with units (nearly) dropped in training, x otherwise."""
        return F.concrete_dropout(input, self.logit, self.temperature) if self.training else input

    def penalty(self, weight: Tensor, weight_regularizer=1e-6, dropout_regularizer=1e-5) -> Tensor:
        """weight_regularizer |W|^2 / (1 - p) - dropout_regularizer K H(p), with the weight
        (out, K, ...) of the layer behind and H(p) = -p log p - (1 - p) log(1 - p)."""
        p = self.p
        entropy = -p * p.log() - (1 - p) * (1 - p).log()
        size = (weight * weight).sum() / (1 - p)
        return weight_regularizer * size - dropout_regularizer * weight.shape[1] * entropy

    def extra_repr(self) -> str:
        return f"p={self.p.item():.3g}, temperature={self.temperature}"


class StochasticDepth(Module):
    """Drops the branch of a residual block as a whole: ``y = x + StochasticDepth(p, mode)(F(x))``
    (Huang et al., "Deep networks with stochastic depth", ECCV 2016).

    mode: "batch", one draw for all samples, or "row", one for each. The arguments are
    torchvision's; `stochastic_depth_rates` gives the rates of a network's blocks.
    """

    def __init__(self, p: float, mode: str):
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, input: Tensor) -> Tensor:
        """x / (1 - p) or 0 in training, x otherwise."""
        return F.stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(p={self.p}, mode={self.mode})"


def stochastic_depth_rates(blocks: int, last_survival: float = 0.5) -> list[float]:
    """The dropping rates of `blocks` residual blocks, 1 - survival, where the survival falls
    linearly: survival_l = 1 - l / blocks * (1 - last_survival), l = 1 ... blocks (Huang et al.,
    equation 4)."""
    return [i / blocks * (1 - last_survival) for i in range(1, blocks + 1)]


class Maxout(Module):
    """y_c = max over `pieces` linear maps: (*, in_features) to (*, out_features), a learned convex
    activation (Goodfellow et al., "Maxout networks", ICML 2013).

    Holds ``linear``, with weight (out_features pieces, in_features) and bias. F.maxout does the
    same to channels of a convolution.
    """

    def __init__(self, in_features, out_features, pieces=2, bias=True, device=None, dtype=None):
        super().__init__()
        self.pieces = pieces
        self.linear = Linear(in_features, out_features * pieces, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """The largest of the pieces."""
        return F.maxout(self.linear(input), self.pieces, -1)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


class BlurPool2d(Module):
    """Down-sampling under a binomial low-pass filter: (N, C, H, W) to
    (N, C, ceil(H / stride), ceil(W / stride)) (Zhang, ICML 2019; see F.blur_pool2d)."""

    def __init__(self, size=3, stride=2):
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, input: Tensor) -> Tensor:
        """The smaller image."""
        return F.blur_pool2d(input, self.size, self.stride)

    def extra_repr(self) -> str:
        return f"size={self.size}, stride={self.stride}"
