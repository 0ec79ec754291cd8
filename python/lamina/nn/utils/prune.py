"""Pruning: parameters with elements held at zero, with ``torch.nn.utils.prune``'s names.

A pruned parameter `name` becomes the parameter ``<name>_orig`` and the buffer ``<name>_mask``; a
forward pre-hook computes ``<name> = <name>_orig * <name>_mask`` before every forward pass, so that
training changes only what is left. Pruning a parameter again chooses among what is left.

>>> layer = lamina.nn.Linear(4, 2)
>>> layer = l1_unstructured(layer, "weight", amount=3)
>>> int((layer.weight == 0).sum())
3
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from ..._core import Tensor
from ...autograd import no_grad
from ...ops.creation import ones_like
from ...ops.join import cat
from ...random import randperm
from ..module import Module

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured",
    "PruningContainer", "RandomStructured", "RandomUnstructured", "custom_from_mask",
    "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


def _check_amount(amount) -> None:
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise TypeError(f"prune: amount must be an int or a float, got {amount!r}")
    if amount < 0 or (isinstance(amount, float) and amount > 1):
        raise ValueError(
            f"prune: amount must be a count or a part between 0.0 and 1.0, got {amount}"
        )


def _count(amount, size: int) -> int:
    """How many of `size` things an amount (a count, or a part) means."""
    count = round(amount * size) if isinstance(amount, float) else amount
    if count > size:
        raise ValueError(f"prune: amount {amount} is more than the {size} there are to prune")
    return count


class BasePruningMethod(ABC):
    """How elements are chosen; as the forward pre-hook of a module it computes the parameter.

    A subclass defines `compute_mask` and ``PRUNING_TYPE``: "unstructured" (single elements),
    "structured" (slices along ``dim``) or "global".
    """

    PRUNING_TYPE = "unstructured"
    dim: int  # of a structured method
    _tensor_name: str

    def __call__(self, module: Module, inputs) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The new mask (zeros and ones), from the tensor of importances and the mask until now."""

    def apply_mask(self, module: Module) -> Tensor:
        """The pruned parameter: the original times the mask."""
        name = self._tensor_name
        original, mask = getattr(module, name + "_orig"), getattr(module, name + "_mask")
        return original * mask.to(original.dtype)

    @classmethod
    def apply(cls, module: Module, name: str, *args, importance_scores=None, **kwargs):
        """Prune a module's parameter by this method (with its arguments); returns the hook.

        importance_scores: of the parameter's shape, to choose by instead of its values. Raises
        ValueError for another shape.
        """
        method = cls(*args, **kwargs)
        method._tensor_name = name
        found = _hook(module, name)
        weight = getattr(module, name)
        if importance_scores is None:
            importance_scores = weight
        elif importance_scores.shape != weight.shape:
            raise ValueError(
                f"prune: importance_scores has shape {tuple(importance_scores.shape)}, the "
                f"parameter '{name}' {tuple(weight.shape)}"
            )
        hook: BasePruningMethod = method
        with no_grad():
            if found is None:
                mask = method.compute_mask(importance_scores.detach(), ones_like(weight))
            else:
                key, before = found
                hook = PruningContainer(before)
                hook.add_pruning_method(method)
                mask = hook.compute_mask(
                    importance_scores.detach(), getattr(module, name + "_mask").to(weight.dtype)
                )
        if found is None:
            original = module._parameters.pop(name)
            module.register_parameter(name + "_orig", original)
            module.register_buffer(name + "_mask", mask)
        else:
            del module._forward_pre_hooks[key]
            module._buffers[name + "_mask"] = mask
        setattr(module, name, hook.apply_mask(module))
        module.register_forward_pre_hook(hook)
        return hook

    def prune(self, t: Tensor, default_mask=None, importance_scores=None) -> Tensor:
        """`t` with the chosen elements at zero; `default_mask` is the mask until now."""
        scores = t if importance_scores is None else importance_scores
        mask = ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores.detach(), mask).to(t.dtype)

    def remove(self, module: Module) -> None:
        """Make the pruned values a plain parameter again (see `remove`)."""
        name = self._tensor_name
        with no_grad():
            weight = self.apply_mask(module)
            original = module._parameters.pop(name + "_orig")
            original.copy_(weight)
        if name in module.__dict__:
            delattr(module, name)
        del module._buffers[name + "_mask"]
        module.register_parameter(name, original)


class PruningContainer(BasePruningMethod):
    """Methods applied one after another to a parameter, each to what those before have left."""

    def __init__(self, *args: BasePruningMethod):
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1 and isinstance(args[0], PruningContainer):
            self._tensor_name = args[0]._tensor_name
            self._pruning_methods = args[0]._pruning_methods
        else:
            self._tensor_name = args[0]._tensor_name if args else ""
            for method in args:
                self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Append a method. TypeError for something else, ValueError for another parameter's."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"prune: {type(method)} is not a BasePruningMethod subclass")
        if method._tensor_name != self._tensor_name:
            raise ValueError(
                f"prune: a method for parameter '{method._tensor_name}' cannot join those for "
                f"'{self._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, index):
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The last method's mask among what `default_mask` leaves."""
        method = self._pruning_methods[-1]
        mask = default_mask.clone()
        if method.PRUNING_TYPE == "unstructured":
            left = mask == 1
            mask[left] = method.compute_mask(t[left], mask[left])
        elif method.PRUNING_TYPE == "structured":
            dim = method.dim % t.dim()
            others = [d for d in range(t.dim()) if d != dim]
            left = (mask.sum(others) if others else mask) != 0
            at = left.nonzero().reshape(-1)
            part = method.compute_mask(t.index_select(dim, at), mask.index_select(dim, at))
            mask = mask.index_copy(dim, at, part)
        else:
            mask = method.compute_mask(t, mask)
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing: the parameter gets a mask of ones."""

    def compute_mask(self, t, default_mask):
        """`default_mask`."""
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """`amount` elements (a count, or a part between 0.0 and 1.0), drawn at random."""

    def __init__(self, amount):
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t, default_mask):
        """Zeros at elements drawn without replacement."""
        count, mask = _count(self.amount, t.numel()), default_mask.clone().reshape(-1)
        mask[randperm(t.numel(), device=t.device)[:count]] = 0
        return mask.reshape(default_mask.shape)


class L1Unstructured(RandomUnstructured):
    """`amount` elements of the smallest magnitude."""

    def compute_mask(self, t, default_mask):
        """Zeros at the smallest |t|."""
        count, mask = _count(self.amount, t.numel()), default_mask.clone().reshape(-1)
        if count:
            mask[t.abs().reshape(-1).topk(count, largest=False).indices] = 0
        return mask.reshape(default_mask.shape)


class RandomStructured(BasePruningMethod):
    """`amount` slices along `dim`, drawn at random."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount, dim: int = -1):
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def _choice(self, t: Tensor, count: int) -> Tensor:
        return randperm(t.shape[self.dim], device=t.device)[:count]

    def compute_mask(self, t, default_mask):
        """Zeros in the chosen slices; IndexError for a dimension that t lacks."""
        if not -t.dim() <= self.dim < t.dim():
            raise IndexError(f"prune: there is no dimension {self.dim} in shape {tuple(t.shape)}")
        at = self._choice(t, _count(self.amount, t.shape[self.dim]))
        return default_mask.index_fill(self.dim, at, 0)


class LnStructured(RandomStructured):
    """`amount` slices along `dim` with the smallest n-norm."""

    def __init__(self, amount, n, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def _choice(self, t, count):
        others = [d for d in range(t.dim()) if d != self.dim % t.dim()]
        norms = t.norm(self.n, others) if others else t.abs()
        return norms.topk(count, largest=False).indices


class CustomFromMask(BasePruningMethod):
    """A given mask."""

    PRUNING_TYPE = "global"

    def __init__(self, mask):
        self.mask = mask

    def compute_mask(self, t, default_mask):
        """The product of both masks. ValueError when their shapes differ."""
        if default_mask.shape != self.mask.shape:
            raise ValueError(
                f"prune: the mask has shape {tuple(self.mask.shape)}, the parameter "
                f"{tuple(default_mask.shape)}"
            )
        return default_mask * self.mask.to(default_mask.dtype)


# ---- functions -----------------------------------------------------------------------------------
def identity(module: Module, name: str) -> Module:
    """Give a parameter a mask of ones. Returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount) -> Module:
    """Prune `amount` elements drawn at random: a count, or a part between 0.0 and 1.0. Returns the
    module. Raises ValueError for more than there are left."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount, importance_scores=None) -> Module:
    """Prune the `amount` elements of the smallest magnitude (or of the smallest
    `importance_scores`). Han et al., "Learning both weights and connections" (2015)."""
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount, dim: int) -> Module:
    """Prune `amount` slices along `dim` (rows, filters, ...) drawn at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module: Module, name: str, amount, n, dim: int, importance_scores=None) -> Module:
    """Prune the `amount` slices along `dim` with the smallest n-norm. Li et al., "Pruning filters
    for efficient ConvNets" (2017)."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune where `mask` is 0."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: Any, importance_scores=None, **kwargs
) -> None:
    """Prune many parameters as if they were one, by an unstructured method's class (and its
    arguments, as ``amount=0.2``).

    importance_scores: from (module, name) to a tensor of that parameter's shape. Raises TypeError
    for parameters that are no iterable of pairs, or for a method that is not unstructured.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    pairs = list(parameters)
    if importance_scores is not None and not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    scores = importance_scores or {}
    relevant: list[Tensor] = [scores.get(pair, getattr(*pair)).detach() for pair in pairs]
    masks = [
        getattr(m, name + "_mask").to(s.dtype) if _hook(m, name) else ones_like(s)
        for (m, name), s in zip(pairs, relevant)
    ]
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    container.add_pruning_method(method)
    with no_grad():
        final = container.compute_mask(
            cat([s.reshape(-1) for s in relevant]), cat([m.reshape(-1) for m in masks])
        )
    at = 0
    for (module, name), s in zip(pairs, relevant):
        custom_from_mask(module, name, final[at : at + s.numel()].reshape(s.shape))
        at += s.numel()


def remove(module: Module, name: str) -> Module:
    """Make pruning permanent: the parameter holds its pruned values, and mask and hook are gone.

    Raises ValueError when the parameter is not pruned.
    """
    found = _hook(module, name)
    if found is None:
        raise ValueError(
            f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
        )
    key, hook = found
    hook.remove(module)
    del module._forward_pre_hooks[key]
    return module


def is_pruned(module: Module) -> bool:
    """Whether the module, or one inside it, has a pruned parameter."""
    return any(
        isinstance(hook, BasePruningMethod)
        for m in module.modules()
        for hook, _ in m._forward_pre_hooks.values()
    )


def _hook(module: Module, name: str):
    """(key, hook) of the pruned parameter, or None."""
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return key, hook
    return None
