"""Custom differentiable functions with a Python forward and backward."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..ops.creation import zeros


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors and any attributes."""

    def __init__(self):
        self._saved: tuple = ()  # an output as its number, for the tape keeps it
        self._versions: tuple = ()
        self._outputs: tuple = ()  # those saved, while backward runs
        self._not_differentiable: tuple = ()
        self._dirty: tuple = ()
        self._materialize = True
        self.needs_input_grad: tuple = ()

    def save_for_backward(self, *tensors) -> None:
        """Keeps tensors for backward; modifying one in place afterwards is detected."""
        self._saved = tensors
        self._versions = tuple(t._version if isinstance(t, Tensor) else 0 for t in tensors)

    @property
    def saved_tensors(self) -> tuple:
        """The tensors given to `save_for_backward`."""
        for t, version in zip(self._saved, self._versions):
            if isinstance(t, Tensor) and t._version != version:
                raise RuntimeError(
                    f"saved_tensors: a tensor of shape {tuple(t.shape)} was modified in place "
                    f"(version {t._version}, saved at {version}); save a clone"
                )
        return tuple(self._outputs[t] if isinstance(t, int) else t for t in self._saved)

    def _hand_over(self, outputs) -> int:
        """Outputs that were saved become their numbers, so that ctx does not keep what keeps it;
        returns their mask."""
        mask, saved = 0, list(self._saved)
        for k, t in enumerate(saved):
            for i, o in enumerate(outputs[:32]):
                if t is o:
                    saved[k] = i
                    mask |= 1 << i
        self._saved = tuple(saved)
        return mask

    def mark_non_differentiable(self, *tensors) -> None:
        """These outputs need no gradient."""
        self._not_differentiable = tensors

    def mark_dirty(self, *tensors) -> None:
        """These inputs were modified in place and are returned."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """With False, backward gets None instead of zeros for unused outputs."""
        self._materialize = value


class Function:
    """Subclass with static ``forward(ctx, *args)`` and ``backward(ctx, *grad_outputs)``; call
    ``MyFunction.apply(*args)``.

    backward returns one gradient (or None) per argument of forward.

    >>> class Double(lamina.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return g * 2
    >>> x = lamina.tensor([3.0], requires_grad=True)
    >>> Double.apply(x).backward()
    >>> x.grad
    tensor([2.])
    """

    @staticmethod
    def forward(*args, **kwargs):
        """The value. With a separate `setup_context`, without ctx."""
        raise NotImplementedError("autograd.Function: define forward(ctx, *args)")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """One gradient (or None) per argument of forward."""
        raise NotImplementedError("autograd.Function: define backward(ctx, *grad_outputs)")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Optional: saves for backward when forward takes no ctx."""

    @classmethod
    def apply(cls, *args, **kwargs):
        """Runs forward and records the call when a tensor argument requires grad."""
        ctx = FunctionCtx()
        tensors = [a for a in args if isinstance(a, Tensor)]
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        recording = _core.grad_enabled()
        _core.set_grad_enabled(False)
        try:
            if cls.setup_context is not Function.setup_context:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args, **kwargs)
        finally:
            _core.set_grad_enabled(recording)
        if not (recording and any(t.requires_grad for t in tensors)):
            return result
        single = isinstance(result, Tensor)
        outputs = [result] if single else list(result)
        for i, o in enumerate(outputs):  # an input returned as it is becomes a view of itself
            if isinstance(o, Tensor) and any(o is t for t in tensors):
                if not any(o is d for d in ctx._dirty):
                    outputs[i] = o.detach()
        differentiable = [
            o for o in outputs
            if isinstance(o, Tensor) and (o.dtype.is_floating_point or o.dtype.is_complex)
            and not any(o is n for n in ctx._not_differentiable)
        ]  # fmt: skip
        positions = [i for i, o in enumerate(outputs) if any(o is d for d in differentiable)]

        blank = [(o.shape, o.dtype, o.device) if isinstance(o, Tensor) else None for o in outputs]
        given = [isinstance(a, Tensor) for a in args]

        def run_backward(saved, grads):  # holds no output: they hold it
            full: list = [None] * len(blank)
            for i, g in zip(positions, grads):
                full[i] = g
            if ctx._materialize:
                for i, like in enumerate(blank):
                    if full[i] is None and like is not None:
                        full[i] = zeros(like[0], dtype=like[1], device=like[2])
            ctx._outputs = saved
            try:
                got = cls.backward(ctx, *full)
            finally:
                ctx._outputs = ()
            got = got if isinstance(got, (tuple, list)) else (got,)
            if len(got) < len(given) or any(g is not None for g in got[len(given) :]):
                raise RuntimeError(
                    f"{cls.__name__}.backward: returned {len(got)} gradients for {len(given)} "
                    "arguments of forward; return None for those that need none"
                )
            return [g for g, tensor in zip(got, given) if tensor]

        saves = ctx._hand_over(differentiable)
        _core.record_function(tensors, differentiable, saves, bool(ctx._saved), run_backward)
        return outputs[0] if single else tuple(outputs)
