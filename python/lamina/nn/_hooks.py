"""Hooks of modules: those of all modules, and the two cuts in the graph that let a module see the
gradients of its outputs and inputs."""

from __future__ import annotations

from .._core import Tensor
from ..autograd import Function
from ..utils.hooks import HookDict, RemovableHandle

_KINDS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


class _GlobalHooks(HookDict):
    """Hooks of every module; while there are any, `Module._hooked` is True for the class."""

    def pop(self, *args):
        hook = super().pop(*args)
        _note_global_hooks()
        return hook


GLOBAL = {kind: _GlobalHooks() for kind in _KINDS}  # they run before a module's own


def _note_global_hooks() -> None:
    from .module import Module

    Module._hooked = any(GLOBAL.values())


def every_module(kind: str, entry) -> RemovableHandle:
    """Adds a hook that runs on the calls of all modules."""
    handle = GLOBAL[kind].add(entry)
    _note_global_hooks()
    return handle


def register_module_forward_pre_hook(hook) -> RemovableHandle:
    """``hook(module, args)`` before the forward of every module; see
    `Module.register_forward_pre_hook`."""
    return every_module("_forward_pre_hooks", (hook, False))


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False) -> RemovableHandle:
    """``hook(module, args, output)`` after the forward of every module; see
    `Module.register_forward_hook`."""
    return every_module("_forward_hooks", (hook, bool(with_kwargs), bool(always_call)))


def register_module_full_backward_pre_hook(hook) -> RemovableHandle:
    """``hook(module, grad_output)`` before the backward of every module."""
    return every_module("_backward_pre_hooks", hook)


def register_module_full_backward_hook(hook) -> RemovableHandle:
    """``hook(module, grad_input, grad_output)`` after the backward of every module."""
    return every_module("_backward_hooks", hook)


class _Cut(Function):
    """The identity on several tensors, whose backward calls one function on all gradients."""

    @staticmethod
    def forward(ctx, seen, *tensors):
        ctx.seen = seen
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx, *grads):
        return (None, *ctx.seen(grads))


def _cut(values: tuple, seen):
    """(values with the tensors that need gradients replaced by the outputs of a cut, their
    positions). seen(gradients) is called in backward and returns the gradients to pass on."""
    at = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not at:
        return values, at
    made = _Cut.apply(seen, *(values[i] for i in at))
    full = list(values)
    for i, t in zip(at, made):
        full[i] = t
    return tuple(full), at


def _fill(n: int, at, grads) -> tuple:
    full: list = [None] * n
    for i, g in zip(at, grads):
        full[i] = g
    return tuple(full)


def _ask(hooks, module, args: tuple, grads: tuple, what: str) -> tuple:
    """Runs hooks that may return gradients to use in place of `grads`, the last of `args`."""
    for hook in hooks:
        answer = hook(module, grads, *args)
        if answer is not None:
            answer = answer if isinstance(answer, tuple) else (answer,)
            if len(answer) != len(grads):
                raise RuntimeError(
                    f"{what}: the hook returned {len(answer)} gradients for {len(grads)}; return "
                    "one for each, or None to keep them"
                )
            grads = answer
    return grads


class BackwardHooks:
    """One call of a module that has full backward hooks.

    hook(module, grad_input, grad_output) runs when the gradients of the inputs are known (of the
    outputs when no input needs one); pre_hook(module, grad_output) before the module's backward.
    """

    def __init__(self, module, hooks, pre_hooks):
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.n_in = self.n_out = 0
        self.in_at = self.out_at = ()  # positions of the tensors that need gradients
        self.grad_output = None

    def inputs(self, args: tuple) -> tuple:
        """The arguments, cut from the graph behind them if there are hooks to call."""
        self.n_in = len(args)
        if not self.hooks:
            return args
        args, self.in_at = _cut(args, self._input_gradients)
        return args

    def outputs(self, result):
        """The result (a tensor, tuple or list of tensors, or anything), cut likewise."""
        single = not isinstance(result, (tuple, list))
        values = (result,) if single else tuple(result)
        self.n_out = len(values)
        values, self.out_at = _cut(values, self._output_gradients)
        return values[0] if single else type(result)(values)

    def _output_gradients(self, grads):
        full = _ask(self.pre_hooks, self.module, (), _fill(self.n_out, self.out_at, grads),
                    "register_full_backward_pre_hook")  # fmt: skip
        self.grad_output = full
        if self.hooks and not self.in_at:
            nothing = (None,) * self.n_in
            for hook in self.hooks:
                if hook(self.module, nothing, full) is not None:
                    raise RuntimeError(
                        "register_full_backward_hook: the hook returned gradients for inputs that "
                        "need none; return None"
                    )
        return tuple(full[i] for i in self.out_at)

    def _input_gradients(self, grads):
        if self.grad_output is None:
            raise RuntimeError(
                "register_full_backward_hook: backward reached the module's inputs before its "
                "outputs; return from forward only tensors computed from the inputs"
            )
        full = _ask(self.hooks, self.module, (self.grad_output,),
                    _fill(self.n_in, self.in_at, grads),
                    "register_full_backward_hook")  # fmt: skip
        self.grad_output = None
        return tuple(full[i] for i in self.in_at)
