"""Less memory for more time: intermediate results are computed again in backward."""

from __future__ import annotations

from .._core import Tensor
from .._core import grad_enabled as _grad_enabled
from ..amp.autocast_mode import again, current
from ..autograd import Function, enable_grad
from ..autograd import backward as _backward
from ..random import default_generator, fork_rng
from ._pytree import tree_flatten, tree_unflatten

__all__ = [
    "check_backward_validity", "checkpoint", "checkpoint_sequential", "detach_variable",
    "get_device_states", "set_device_states",
]  # fmt: skip


class _Checkpoint(Function):
    """Runs without recording; backward runs again, recording, and goes through that."""

    @staticmethod
    def forward(ctx, run, preserve, *tensors):
        ctx.run, ctx.preserve = run, preserve
        ctx.rng = default_generator._get() if preserve else None
        ctx.autocast = current()
        ctx.save_for_backward(*tensors)
        return run(tensors)

    @staticmethod
    def backward(ctx, *grads):
        inputs = []
        for t in ctx.saved_tensors:
            copy = t.detach()
            copy.requires_grad = t.requires_grad
            inputs.append(copy)
        with fork_rng(enabled=ctx.preserve), enable_grad(), again(ctx.autocast):
            if ctx.preserve:
                default_generator._set(*ctx.rng)
            outputs = ctx.run(tuple(inputs))
        pairs = [
            (o, g) for o, g in zip(outputs, grads)
            if isinstance(o, Tensor) and o.requires_grad and g is not None
        ]  # fmt: skip
        if not pairs:
            raise RuntimeError(
                "checkpoint: none of the outputs requires grad; at least one input must"
            )
        _backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *[t.grad for t in inputs])


def checkpoint(function, *args, use_reentrant=None, context_fn=None, preserve_rng_state=True,
               determinism_check="default", debug=False, early_stop=True, **kwargs):  # fmt: skip
    """``function(*args, **kwargs)`` whose intermediate results are not kept but computed again
    when backward needs them (Chen et al., "Training deep nets with sublinear memory cost", 2016).

    Args:
        function: takes and returns tensors, or containers of them; called once more in backward,
            with the random numbers it had (unless `preserve_rng_state` is False) and in the
            autocast region it had.
        use_reentrant, context_fn, determinism_check, debug, early_stop: accepted, without effect.

    Parameters that `function` uses get their gradients too, also when no argument requires grad;
    they are added to ``.grad``, so `autograd.grad` sees the arguments only.
    """
    if not _grad_enabled():
        return function(*args, **kwargs)
    leaves, spec = tree_flatten((args, kwargs))
    places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
    shape: list = []

    def run(tensors):
        full = list(leaves)
        for i, t in zip(places, tensors):
            full[i] = t
        inner_args, inner_kwargs = tree_unflatten(full, spec)
        outputs, out_spec = tree_flatten(function(*inner_args, **inner_kwargs))
        shape[:] = [out_spec]
        return tuple(outputs)

    tensors = [leaves[i] for i in places]
    if not any(t.requires_grad for t in tensors):  # the parameters inside may need one
        from ..ops.creation import empty

        marker = empty(0, requires_grad=True)
        outputs = _Checkpoint.apply(
            lambda all_tensors: run(all_tensors[:-1]), preserve_rng_state, *tensors, marker
        )
    else:
        outputs = _Checkpoint.apply(run, preserve_rng_state, *tensors)
    return tree_unflatten(outputs, shape[0])


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """A chain of modules (or a Sequential) in `segments` pieces, all but the last one a
    `checkpoint`.

    Raises ValueError for unknown arguments.
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError(f"checkpoint_sequential: unexpected arguments {', '.join(kwargs)}")
    functions = list(functions.children() if hasattr(functions, "children") else functions)
    size = len(functions) // segments
    end = -1

    def piece(start, end):
        def forward(x):
            for f in functions[start : end + 1]:
                x = f(x)
            return x

        return forward

    for start in range(0, size * (segments - 1), size):
        end = start + size - 1
        input = checkpoint(piece(start, end), input, preserve_rng_state=preserve)
    return piece(end + 1, len(functions) - 1)(input)


def get_device_states(*args) -> tuple[list, list]:
    """(devices, states of their generators) of tensors that are not on the CPU: there are none."""
    return [], []


def set_device_states(devices, states, *, device_type=None) -> None:
    """Nothing for the empty lists of `get_device_states`; raises RuntimeError for others."""
    if devices or states:
        raise RuntimeError(f"set_device_states: there is no device but the CPU, got {devices}")


def detach_variable(inputs: tuple) -> tuple:
    """The tensors of `inputs` detached, each requiring a gradient as before; other values as they
    are. Raises RuntimeError when `inputs` is no tuple."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            "Only tuple of tensors is supported. Got Unsupported input type: "
            f"{type(inputs).__name__}"
        )
    detached = []
    for value in inputs:
        if isinstance(value, Tensor):
            needs, value = value.requires_grad, value.detach()
            value.requires_grad = needs
        detached.append(value)
    return tuple(detached)


def check_backward_validity(inputs) -> None:
    """Warns when no tensor among `inputs` requires a gradient."""
    if not any(t.requires_grad for t in inputs if isinstance(t, Tensor)):
        import warnings

        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2
        )
