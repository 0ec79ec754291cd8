"""Gradients made smaller before a step (Pascanu et al., ICML 2013)."""

from __future__ import annotations

import warnings

from ..._core import Tensor
from ...autograd import no_grad
from ...ops.creation import zeros
from ...ops.join import stack

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_",
    "get_total_norm",
]  # fmt: skip


def _list(tensors) -> list:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _grads(parameters) -> list:
    return [p.grad for p in _list(parameters) if p.grad is not None]


@no_grad()
def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None) -> Tensor:
    """The norm of all elements of the tensors together: (sum |x|^p)^(1/p), p = norm_type; the
    largest |x| for infinity. A tensor without dimensions; 0 for no elements.

    `foreach` is accepted and changes nothing. Raises RuntimeError when the norm is not finite and
    error_if_nonfinite is set.
    """
    tensors, p = _list(tensors), float(norm_type)
    norms = [t.detach().norm(p) for t in tensors if t.numel()]
    if not norms:
        return zeros((), dtype=tensors[0].dtype if tensors else None)
    total = norms[0] if len(norms) == 1 else stack(norms).norm(p)
    if error_if_nonfinite and not total.isfinite().item():
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite, so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite "
            "norm anyway, set `error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None, *,
                          eps=1e-6) -> None:  # fmt: skip
    """Multiplies every gradient by min(1, max_norm / (total_norm + eps)), in place. eps is not an
    argument of PyTorch's; with 0 a clipped norm is max_norm and nothing less."""
    grads = _grads(parameters)
    if grads:
        scale = (max_norm / (total_norm + eps)).clamp(max=1.0)
        for g in grads:
            g.mul_(scale.to(g.dtype))


@no_grad()
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False,
                    foreach=None, *, eps=1e-6) -> Tensor:  # fmt: skip
    """Scales all gradients together so that their norm is at most `max_norm`; returns the norm
    there was. Arguments and errors as `get_total_norm`; eps as `clip_grads_with_norm_`.

    >>> nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    """
    parameters = _list(parameters)
    total = get_total_norm(_grads(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, float(max_norm), total, eps=eps)
    return total


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False,
                   foreach=None) -> Tensor:  # fmt: skip
    """The old name of `clip_grad_norm_`; warns."""
    warnings.warn(
        "`nn.utils.clip_grad_norm` is now deprecated in favor of `nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad()
def clip_grad_value_(parameters, clip_value, foreach=None) -> None:
    """Clamps every element of every gradient to [-clip_value, clip_value], in place."""
    bound = float(clip_value)
    for g in _grads(parameters):
        g.clamp_(min=-bound, max=bound)
