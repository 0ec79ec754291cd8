"""Dropout: random elements or whole channels become 0, the rest is scaled up to keep the mean.

Masks come from the default generator's Philox stream and are not stored; backward makes them again.
"""

from __future__ import annotations

from .. import _core
from .._core import Tensor

__all__ = ["dropout", "dropout_", "alpha_dropout", "alpha_dropout_", "feature_dropout",
           "feature_dropout_", "feature_alpha_dropout", "feature_alpha_dropout_"]  # fmt: skip
__functional__ = ["dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d",
                  "dropout3d"]  # fmt: skip

_SELU_LIMIT = 1.7580993408473766  # selu(x) -> -1.758... as x -> -inf (Klambauer et al., 2017)


def _check(name: str, p) -> None:
    if not 0 <= p <= 1:
        raise _core.ArgumentError(f"{name}: probability has to be between 0 and 1, but got {p}")


def _check_channels(input: Tensor, train) -> None:
    if train and input.dim() < 2:
        raise _core.ShapeError(
            "feature_dropout: Feature dropout requires at least 2 dimensions in the input, "
            f"(N, C, ...), got shape {tuple(input.shape)}"
        )


def dropout(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Each element is 0 with probability p, else x / (1 - p) (Srivastava et al., JMLR 2014).

    Args:
        input: floating tensor of any shape. p: in [0, 1]; 0 and 1 are exact.
        training: when False, `input` is returned. inplace: write into `input`.
    Raises ValueError for p outside [0, 1], DTypeError for other dtypes.
    """
    _check("dropout", p)
    if not training or p == 0 or input.numel() == 0:
        return input
    return _core.dropout_(input, p, None) if inplace else _core.dropout(input, p, None)


def dropout_(input: Tensor, p, train) -> Tensor:
    """In place `dropout`."""
    return dropout(input, p, train, True)


def _keep(input: Tensor, p, channels: bool) -> Tensor:
    """1 / (1 - p) where kept, else 0; one value per element, or per (sample, channel)."""
    shape = input.shape
    if channels:
        if len(shape) < 2:
            raise _core.ShapeError(
                "feature_dropout: expected an input with a sample and a channel dimension, got "
                f"shape {tuple(shape)}"
            )
        shape = (*shape[:2], *[1] * (len(shape) - 2))
    return _core.dropout(input.new_full(shape, 1), p, None)


def feature_dropout(input: Tensor, p, train) -> Tensor:
    """`dropout` of whole channels of (N, C, ...) (Tompson et al., CVPR 2015)."""
    _check("feature_dropout", p)
    _check_channels(input, train)
    if not train or p == 0 or input.numel() == 0:
        return input
    return input * _keep(input, p, True)


def feature_dropout_(input: Tensor, p, train) -> Tensor:
    """In place `feature_dropout`."""
    _check("feature_dropout", p)
    _check_channels(input, train)
    if not train or p == 0 or input.numel() == 0:
        return input
    return input.mul_(_keep(input, p, True))


def _channels(name, input, p, training, inplace, batched) -> Tensor:
    """`feature_dropout` of (N, C, ...), or of (C, ...) when not `batched`."""
    x = input if batched else input.unsqueeze(0)
    y = (feature_dropout_ if inplace else feature_dropout)(x, p, training)
    if inplace:
        return input
    return y if batched else y.squeeze(0)


def _warn_dims(name, got, spatial) -> None:
    """The warning for an input that has not `spatial` dimensions after its channels."""
    import warnings

    warnings.warn(
        f"{name}: Received a {got}-D input to {name}, which is deprecated and will result in an "
        "error in a future release. To retain the behavior and silence this warning, please use "
        f"dropout instead. Note that {name} exists to provide channel-wise dropout on inputs with "
        f"{spatial} spatial dimensions, a channel dimension, and an optional batch dimension (i.e. "
        f"{spatial + 1}D or {spatial + 2}D inputs).",
        stacklevel=3,
    )


def dropout1d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L).

    Raises ValueError for p outside [0, 1], ShapeError for other shapes.
    """
    _check("dropout1d", p)
    if input.dim() not in (2, 3):
        raise _core.ShapeError(
            f"dropout1d: Expected 2D or 3D input, (C, L) or (N, C, L), but received a "
            f"{input.dim()}D input of shape {tuple(input.shape)}"
        )
    return _channels("dropout1d", input, p, training, inplace, input.dim() == 3)


def dropout2d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """`dropout` of whole channels of (N, C, H, W).

    As in PyTorch, an input of three dimensions is (N, C, L), of two (N, C), of more than four
    (N, C, ...), each with a warning. Raises ValueError for p outside [0, 1], and ShapeError in
    training for fewer dimensions.
    """
    _check("dropout2d", p)
    if input.dim() == 3:
        import warnings

        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. To maintain the 1D channel-wise dropout behavior, please switch to using "
            "dropout1d instead.",
            stacklevel=2,
        )
    elif input.dim() != 4:
        _warn_dims("dropout2d", input.dim(), 2)
    return _channels("dropout2d", input, p, training, inplace, True)


def dropout3d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """`dropout` of whole channels of (N, C, D, H, W) or, of any other number of dimensions,
    (C, ...); other than four or five dimensions with a warning.

    Raises ValueError for p outside [0, 1].
    """
    _check("dropout3d", p)
    if input.dim() not in (4, 5):
        _warn_dims("dropout3d", input.dim(), 3)
    return _channels("dropout3d", input, p, training, inplace, input.dim() == 5)


def _alpha(input: Tensor, p, channels: bool) -> tuple[Tensor, Tensor]:
    """Factor and summand of alpha dropout: y = x * factor + summand."""
    limit = -_SELU_LIMIT
    if p == 1:
        zero = input.new_full((), 0)
        return zero, zero
    a = ((1 - p) * (1 + p * limit * limit)) ** -0.5
    kept = _keep(input, p, channels) * (1 - p)
    return kept * a, (1 - kept) * (limit * a) - p * limit * a


def alpha_dropout(input: Tensor, p=0.5, training=False, inplace=False) -> Tensor:
    """Dropout for SELU networks: a (x m + s (1 - m)) + b with m = 1 with probability 1 - p,
    s = -1.758, and a, b that keep mean 0 and variance 1 (Klambauer et al., NeurIPS 2017)."""
    return _apply_alpha("alpha_dropout", input, p, training, inplace, False)


def feature_alpha_dropout(input: Tensor, p=0.5, training=False, inplace=False) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...)."""
    return _apply_alpha("feature_alpha_dropout", input, p, training, inplace, True)


def _apply_alpha(name, input, p, training, inplace, channels) -> Tensor:
    _check(name, p)
    if not training or p == 0 or input.numel() == 0:
        return input
    factor, summand = _alpha(input, p, channels)
    return input.mul_(factor).add_(summand) if inplace else input * factor + summand


def alpha_dropout_(input: Tensor, p, train) -> Tensor:
    """In place `alpha_dropout`."""
    return alpha_dropout(input, p, train, True)


def feature_alpha_dropout_(input: Tensor, p, train) -> Tensor:
    """In place `feature_alpha_dropout`."""
    return feature_alpha_dropout(input, p, train, True)
