"""Automatic differentiation: backward, grad, gradient modes, custom functions, gradient checks."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from ..ops._method import method
from .anomaly_mode import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .function import Function
from .grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from .gradcheck import gradcheck, gradgradcheck

__all__ = [
    "Function", "Variable", "backward", "detect_anomaly", "enable_grad", "functional", "grad",
    "gradcheck", "gradgradcheck", "inference_mode", "is_anomaly_enabled", "is_grad_enabled",
    "no_grad", "set_detect_anomaly",
    "set_grad_enabled",
]  # fmt: skip


def _list(x) -> list:
    if x is None:
        return []
    return [x] if isinstance(x, Tensor) else list(x)


def backward(
    tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None
) -> None:
    """Adds d(sum of tensors * grad_tensors) / d(leaf) to every leaf's ``.grad``.

    Args:
        tensors: one tensor or several; without `grad_tensors` each must have one element.
        grad_tensors: gradients of the same shapes, or None for 1.
        retain_graph: keep saved tensors for another backward (default: create_graph).
        create_graph: record the backward pass itself, for higher derivatives.
        inputs: accumulate only into these tensors, into each once.

    Raises RuntimeError when a tensor has no history, when its saved tensors were freed or modified,
    and when `inputs` is empty.
    """
    retain = create_graph if retain_graph is None else retain_graph
    tensors, grads = _list(tensors), _list(grad_tensors)
    if inputs is None:
        _core.backward(tensors, grads, retain, create_graph)
        return
    inputs = list({id(x): x for x in _list(inputs)}.values())
    if not inputs:
        raise RuntimeError("backward: inputs is empty; leave it out to reach every leaf")
    results = _core.gradients(tensors, grads, inputs, retain, create_graph, True)
    with set_grad_enabled(create_graph):
        for x, g in zip(inputs, results):
            if g is not None:
                _accumulate(x, g, create_graph)


def _accumulate(x: Tensor, g: Tensor, recorded: bool) -> None:
    if x.grad is None:
        x.grad = g.clone()  # other leaves may have got the same memory
    elif recorded:
        x.grad = x.grad + g
    else:
        x.grad.add_(g)
    _core.run_post_hooks(x)


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False,
    only_inputs=True, allow_unused=None, is_grads_batched=False, materialize_grads=False,
) -> tuple:  # fmt: skip
    """d(sum of outputs * grad_outputs) / d(inputs), returned, not accumulated.

    An input that was not used raises RuntimeError, gives None with `allow_unused`, or zeros with
    `materialize_grads`.
    """
    retain = create_graph if retain_graph is None else retain_graph
    inputs = _list(inputs)
    unused = bool(allow_unused) or materialize_grads
    results = _core.gradients(
        _list(outputs), _list(grad_outputs), inputs, retain, create_graph, unused
    )
    if materialize_grads:
        from ..ops.creation import zeros_like

        results = [zeros_like(x) if g is None else g for x, g in zip(inputs, results)]
    return tuple(results)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return _core.grad_enabled()


@method("backward")
def _backward(self: Tensor, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Adds d(self)/d(leaf) to every leaf's ``.grad``; see `lamina.autograd.backward`."""
    if inputs is None and (gradient is None or isinstance(gradient, Tensor)):
        retain = create_graph if retain_graph is None else retain_graph
        _core.backward_from(self, gradient, retain, create_graph)
    else:
        backward(self, gradient, retain_graph, create_graph, inputs)


@method
def requires_grad_(self: Tensor, requires_grad=True) -> Tensor:
    """Switches gradient accumulation on (or off) for a leaf; returns it."""
    self.requires_grad = requires_grad
    return self


@method
def retain_grad(self: Tensor) -> None:
    """Makes backward keep ``.grad`` of a tensor that is not a leaf."""
    if not self.requires_grad:
        raise RuntimeError("retain_grad: the tensor does not require grad")
    _core.retain_grad(self)
    if not self.is_leaf:
        self.__dict__["_retains_grad"] = True


def _retains_grad(self: Tensor) -> bool:
    return "_retains_grad" in self.__dict__


Tensor.retains_grad = property(_retains_grad, doc="Whether `retain_grad` was called.")


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away again."""

    def __init__(self, remove):
        self._remove = remove

    def remove(self) -> None:
        """Removes the hook; more calls do nothing."""
        if self._remove is not None:
            self._remove()
            self._remove = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


@method
def register_hook(self: Tensor, hook) -> RemovableHandle:
    """``hook(grad)`` runs when this tensor's gradient is computed and may return another one."""
    key = _core.add_hook(self, hook)
    return RemovableHandle(lambda: _core.remove_hook(self, key))


@method
def register_post_accumulate_grad_hook(self: Tensor, hook) -> RemovableHandle:
    """``hook(self)`` runs at the end of a backward that has added to this leaf's ``.grad``: an
    optimizer step inside backward, for one. Raises RuntimeError for a tensor that is no leaf."""
    key = _core.add_post_hook(self, hook)
    return RemovableHandle(lambda: _core.remove_hook(self, key))


class GradFn:
    """A step of the graph backward goes through, as ``tensor.grad_fn`` shows it: the operation that
    made a tensor, or (``AccumulateGrad``) a leaf where a gradient ends."""

    def __init__(self, node):
        self._node = node

    def name(self) -> str:
        """PyTorch's style of name, such as AddBackward0."""
        call = self._node.call_name
        if not call:
            return "torch::autograd::AccumulateGrad"
        return "".join(p[:1].upper() + p[1:] for p in call.split("_") if p) + "Backward0"

    @property
    def next_functions(self) -> tuple:
        """For every tensor the operation read, a pair: what made it (None: it needs no gradient),
        and which of its results that was."""
        return tuple((n and GradFn(n), index) for n, index in self._node.sources)

    @property
    def variable(self) -> Tensor:
        """The leaf, of an ``AccumulateGrad``; AttributeError else."""
        leaf = self._node.leaf
        if leaf is None:
            raise AttributeError(f"{self.name()} has no variable: it is no leaf's")
        return leaf

    def __eq__(self, other) -> bool:
        return isinstance(other, GradFn) and self._node == other._node

    def __hash__(self) -> int:
        return hash(self._node)

    def __repr__(self) -> str:
        return f"<{self.name().rpartition(':')[2]}>"


def _grad_fn(self: Tensor):
    node = _core.node_of(self)
    return node and GradFn(node)


Tensor.grad_fn = property(_grad_fn, doc="The operation that made this tensor; None for a leaf.")
Tensor._base = property(
    _core.base_of,
    doc="The tensor that this one is a view of; None for others, and for views made in `no_grad`.",
)


class _VariableType(type):
    def __instancecheck__(cls, instance) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableType):
    """PyTorch's older name of a tensor under autograd: ``Variable(x)`` is a tensor over the memory
    of `x`, and every tensor is an instance.

    Args:
        requires_grad: whether its gradient is accumulated. volatile: without effect, as in
            PyTorch.
    """

    def __new__(cls, data=None, requires_grad=False, volatile=None):
        """The tensor."""
        if data is None:
            data = _core.empty((0,), _core.default_dtype())
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if data.requires_grad and not requires_grad:
            return data.detach()
        variable = data.detach()
        variable.requires_grad = requires_grad
        return variable


from . import functional  # noqa: E402
