"""Parameters computed from other parameters: ``layer.weight = f(original)``.

>>> class Symmetric(nn.Module):
...     def forward(self, x):
...         return x.triu() + x.triu(1).t()
>>> layer = nn.Linear(3, 3)
>>> _ = nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
>>> bool((layer.weight == layer.weight.t()).all())
True
"""

from __future__ import annotations

import copy
from contextlib import contextmanager

from ..._core import Tensor
from ...autograd import no_grad
from ..container import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization",
    "remove_parametrizations", "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]  # fmt: skip

_depth = 0  # how many `cached` blocks are open
_values: dict = {}  # what has been computed inside them


@contextmanager
def cached():
    """Inside the block each parametrized tensor is computed once, when first used; the values are
    forgotten at the end of the outermost block. For layers whose weight is used many times."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if not _depth:
            _values.clear()


def _replace(holder: Module, name: str, value: Tensor, like: Tensor) -> None:
    """Makes `value` the parameter (or buffer, as `like` was) `name` of `holder`."""
    if isinstance(like, Parameter):
        holder.register_parameter(name, Parameter(value.detach(), like.requires_grad))
    else:
        holder.register_buffer(name, value)


class ParametrizationList(ModuleList):
    """The functions of one tensor, applied in order, and what they are applied to: ``original``,
    or ``original0``, ``original1``, ... when the first function's `right_inverse` returns several
    tensors. Made by `register_parametrization`.

    Raises ValueError when a function changes the dtype or shape, unless `unsafe`.
    """

    def __init__(self, modules, original: Tensor, unsafe: bool = False):
        if not len(modules):
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        start = original
        with no_grad():
            for module in reversed(list(modules)):
                if hasattr(module, "right_inverse"):
                    try:
                        start = module.right_inverse(start)
                    except NotImplementedError:
                        pass  # taken as the identity
        if not isinstance(start, Tensor) and not isinstance(start, (tuple, list)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(start).__name__}"
            )
        self.is_tensor = isinstance(start, Tensor)
        parts = [start] if isinstance(start, Tensor) else list(start)
        self.ntensors = len(parts)
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        for name, part in zip(names, parts):
            if not isinstance(part, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                    f"tuple...). Got element of the sequence with type {type(part).__name__}."
                )
            if part is original:  # the parameter stays itself: optimizers know it
                if isinstance(original, Parameter):
                    self.register_parameter(name, original)
                else:
                    self.register_buffer(name, original)
            else:
                _replace(self, name, part, original)
        if not unsafe:
            value = self()
            if value.dtype != original.dtype or value.shape != original.shape:
                raise ValueError(
                    "Registering a parametrization may not change the dtype or shape of the "
                    f"tensor: it was {tuple(original.shape)} {original.dtype} and became "
                    f"{tuple(value.shape)} {value.dtype}; unsafe=True permits this"
                )

    def originals(self) -> list[Tensor]:
        """The tensors the functions are applied to."""
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Changes the originals, in place, so that the functions give `value`.

        Raises RuntimeError when a function has no `right_inverse`, ValueError when what it returns
        does not fit the originals.
        """
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
            parts = [value] if isinstance(value, Tensor) else list(value)
            if len(parts) != self.ntensors:
                raise ValueError(
                    f"'right_inverse' must return {self.ntensors} tensors, got {len(parts)}"
                )
            for original, part in zip(self.originals(), parts):
                if part.dtype != original.dtype:
                    raise ValueError(
                        f"The tensor returned by `right_inverse` has dtype {part.dtype} while the "
                        f"original has dtype {original.dtype}"
                    )
                original.copy_(part)

    def forward(self) -> Tensor:
        """The computed tensor."""
        functions = list(self)
        value = functions[0](*self.originals())
        for function in functions[1:]:
            value = function(value)
        return value


def _property(name: str) -> property:
    """The attribute that computes the tensor, and takes values through `right_inverse`."""

    def get(self):
        computed = self.parametrizations[name]
        if not _depth:
            return computed()
        key = (id(self), name)
        if key not in _values:
            _values[key] = computed()
        return _values[key]

    def put(self, value) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def _own_class(module: Module) -> None:
    """Gives the module a class of its own, where the computed attributes are put."""
    base = type(module)

    def refuse(self):
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). See: "
            "save model.state_dict() instead of the model"
        )

    def deep(self, memo):
        own = {k: v for k, v in vars(type(self)).items() if k not in ("__dict__", "__weakref__")}
        twin = object.__new__(type(type(self).__name__, (base,), own))
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    body = {"__getstate__": refuse, "__module__": base.__module__, "__deepcopy__": deep}
    module.__class__ = type(f"Parametrized{base.__name__}", (base,), body)
    module.parametrizations = ModuleDict()


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *,
                             unsafe: bool = False) -> Module:  # fmt: skip
    """``module.<tensor_name>`` becomes ``parametrization(original)``, computed when it is read.

    The parameter or buffer moves to ``module.parametrizations.<tensor_name>.original`` (with the
    attribute ``0`` for the function). Registered again, the next function is applied to the result
    of the last. A function's ``right_inverse(value)`` gives the originals of an assigned value.
    unsafe: allow another shape or dtype. Returns the module.

    Raises ValueError for a name that is no parameter or buffer, or another shape or dtype.
    """
    if is_parametrized(module, tensor_name):
        chain = module.parametrizations[tensor_name]
        before = getattr(module, tensor_name)
        if not unsafe:
            after = parametrization(before)
            if not isinstance(after, Tensor) or (after.shape, after.dtype) != (
                before.shape, before.dtype,
            ):  # fmt: skip
                raise ValueError(
                    "Registering a parametrization may not change the dtype or shape of the "
                    f"tensor {tensor_name!r}, {tuple(before.shape)} {before.dtype}"
                )
        chain.append(parametrization)
        chain.unsafe |= unsafe
        chain.train(module.training)
        return module
    original = module._parameters.get(tensor_name, module._buffers.get(tensor_name))
    if original is None:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    chain = ParametrizationList([parametrization], original, unsafe)
    chain.train(module.training)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _own_class(module)
    setattr(type(module), tensor_name, _property(tensor_name))
    module.parametrizations[tensor_name] = chain
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module has computed tensors, or one of that name."""
    chains = module._modules.get("parametrizations")
    if not isinstance(chains, ModuleDict):
        return False
    return len(chains) > 0 if tensor_name is None else tensor_name in chains


def remove_parametrizations(module: Module, tensor_name: str,
                            leave_parametrized: bool = True) -> Module:  # fmt: skip
    """The tensor is a plain parameter (or buffer) again, with its computed value; or, with
    ``leave_parametrized=False``, with the value of ``original``. Returns the module.

    Raises ValueError when it is not computed, or has several originals and is to keep them.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    chain = module.parametrizations[tensor_name]
    if not leave_parametrized and not chain.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    first = chain.originals()[0]
    with no_grad():
        value = getattr(module, tensor_name)
        if chain.is_tensor:  # the parameter keeps its identity
            if leave_parametrized:
                first.copy_(value)
            value = first
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if value is first and isinstance(first, Parameter):
        module.register_parameter(tensor_name, first)
    else:
        _replace(module, tensor_name, value, first)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__mro__[1]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The module's class as it was before anything was registered."""
    return type(module).__mro__[1] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module: Module, to_module: Module,
                                         tensor_name: str | None = None) -> Module:  # fmt: skip
    """Copies the functions and the originals of one tensor, or of all computed ones, to a module of
    the same kind; returns it. Raises ValueError when there is nothing to copy."""
    if not is_parametrized(from_module, tensor_name):
        raise ValueError("transfer_parametrizations_and_params: from_module has no parametrization")
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        source = from_module.parametrizations[name]
        if not is_parametrized(to_module, name):
            for function in source:
                register_parametrization(
                    to_module, name, copy.deepcopy(function), unsafe=source.unsafe
                )
        with no_grad():
            for a, b in zip(to_module.parametrizations[name].originals(), source.originals()):
                a.copy_(b)
    return to_module
