"""The base of all optimizers: parameter groups, state, hooks, saving and loading."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from .. import compiler
from .._core import Tensor, clear_grads, float32
from ..autograd import no_grad
from ..ops.creation import tensor
from ..utils.hooks import HookDict, RemovableHandle
from ._state import States, edits_list


class _Required:
    """Marks an option that every parameter group must give itself."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


_global_pre_hooks = HookDict()
_global_post_hooks = HookDict()


def register_optimizer_step_pre_hook(hook: Callable) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before every step of every optimizer.

    A hook may return new ``(args, kwargs)`` for the step.
    """
    return _global_pre_hooks.add(hook)


def register_optimizer_step_post_hook(hook: Callable) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after every step of every optimizer."""
    return _global_post_hooks.add(hook)


def _with_hooks(step: Callable) -> Callable:
    """`step` with the optimizer's hooks around it; notes that a step was taken."""

    @functools.wraps(step)
    def hooked(self, *args, **kwargs):
        self._opt_called = True
        if compiler.active is not None:
            compiler.note_optimizer(self)
        pre, post = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks
        if not (pre or post or _global_pre_hooks or _global_post_hooks):
            return step(self, *args, **kwargs)
        if getattr(type(self).step, "__wrapped__", None) is not step:  # called through super()
            return step(self, *args, **kwargs)
        for hook in chain(_global_pre_hooks.values(), pre.values()):
            result = hook(self, args, kwargs)
            if result is None:
                continue
            if not (isinstance(result, tuple) and len(result) == 2):
                raise RuntimeError(
                    f"{hook} must return None or a tuple of (new_args, new_kwargs), but got "
                    f"{result!r}"
                )
            args, kwargs = result
        out = step(self, *args, **kwargs)
        for hook in chain(post.values(), _global_post_hooks.values()):
            hook(self, args, kwargs)
        return out

    return hooked


class Optimizer:
    """Base class of all optimizers.

    params: an iterable of Tensors, of (name, Tensor) pairs, or of dicts, each one a parameter
        group with its own options beside the key ``params``.
    defaults: a dict with the options of groups that do not give their own.

    A subclass defines ``step(closure=None)``. Attributes: ``param_groups`` (list of dicts),
    ``state`` (from parameter to a dict of its state), ``defaults``.

    Raises TypeError for parameters that are not Tensors or come in a set, ValueError for an empty
    list, a tensor that is not a leaf, a missing option, or a parameter in two groups.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])

    _counters = frozenset({"step"})  # states that are float32 numbers whatever the parameter is

    def __init__(self, params: Iterable, defaults: dict[str, Any]):
        self.defaults = defaults
        self._init_hooks()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or "
                f"dicts, but got {type(params).__name__}"
            )
        self.state = States()
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _init_hooks(self) -> None:
        self._optimizer_step_pre_hooks = HookDict()
        self._optimizer_step_post_hooks = HookDict()
        self._state_dict_pre_hooks = HookDict()
        self._state_dict_post_hooks = HookDict()
        self._load_pre_hooks = HookDict()
        self._load_post_hooks = HookDict()
        self._opt_called = False  # a step was taken (the schedulers warn when none was)
        self._plans: list = []  # what built-in optimizers keep between steps

    @property
    def state(self) -> States:
        """From parameter to a dict of its state. Assigning another mapping replaces all states, an
        empty one forgets them."""
        try:
            return self.__dict__["state"]
        except KeyError:  # before __init__: as an attribute that is not there
            raise AttributeError("Optimizer: state is made by __init__") from None

    @state.setter
    def state(self, value: Any) -> None:
        states = States()
        if type(value) is States:
            states = value
        else:
            for key, own in value.items():
                states[key] = own
        edits_list[0] += 1  # also where both are empty: lists kept between steps are not these
        self.__dict__["state"] = states

    def _hook_lists(self) -> tuple[HookDict, ...]:
        own = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks
        return (*own, _global_pre_hooks, _global_post_hooks)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.state = state.get("state", {})
        self._init_hooks()

    def __repr__(self) -> str:
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            for key in sorted(group):
                if key not in ("params", "param_names"):
                    text += f"    {key}: {group[key]}\n"
        return text + ")"

    # ---- groups ----------------------------------------------------------------------------
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: ``{"params": [...], option: value, ...}``; other options get defaults.

        Useful for layers that start to train later. Errors as of the class.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        else:
            params = list(params)
        named = [isinstance(p, tuple) for p in params]
        if any(named):
            if not all(named):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are "
                    "missing"
                )
            param_group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        param_group["params"] = params
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is "
                    f"{type(p).__module__}.{type(p).__name__}"
                )
            if not (p.is_leaf or self.defaults.get("differentiable")):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)
        if len({id(p) for p in params}) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error",
                stacklevel=3,
            )
        if self.param_groups and (
            ("param_names" in param_group) != ("param_names" in self.param_groups[0])
        ):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                + ("with" if "param_names" in param_group else "without")
                + " names to the optimizer"
            )
        earlier = {id(p) for g in self.param_groups for p in g["params"]}
        if any(id(p) in earlier for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; with set_to_none=False fill them with zeros."""
        if set_to_none:
            for group in self.param_groups:
                clear_grads(group["params"])
            return
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.detach_()
                        p.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient. Each optimizer defines its own.

        closure: a function that computes the loss (zero_grad, forward, backward) and returns it;
        it is called with gradients enabled and its result returned.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define step()")

    # ---- hooks -----------------------------------------------------------------------------
    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new
        ``(args, kwargs)``."""
        return self._optimizer_step_pre_hooks.add(hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return self._optimizer_step_post_hooks.add(hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False):
        """Call ``hook(optimizer)`` before `state_dict` is formed."""
        return self._state_dict_pre_hooks.add(hook, prepend=prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False):
        """Call ``hook(optimizer, state_dict)`` on what `state_dict` will return; a result other
        than None replaces it."""
        return self._state_dict_post_hooks.add(hook, prepend=prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False):
        """Call ``hook(optimizer, state_dict)`` on a shallow copy before it is loaded; a result
        other than None is loaded instead."""
        return self._load_pre_hooks.add(hook, prepend=prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False):
        """Call ``hook(optimizer)`` after `load_state_dict`."""
        return self._load_post_hooks.add(hook, prepend=prepend)

    # ---- saving and loading ----------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """The whole optimizer as a dict of plain containers, numbers and tensors.

        ``{"state": {number: {name: tensor}}, "param_groups": [{option: value, "params":
        [numbers]}]}``: parameters are numbered through all groups in order. Tensors are the
        optimizer's own, not copies.
        """
        for hook in self._state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            packed = {k: v for k, v in group.items() if k != "params"}
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            (numbers[id(k)] if isinstance(k, Tensor) else k): (
                dict(v) if isinstance(v, dict) else v
            )
            for k, v in self.state.items()
        }
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a `state_dict` (lamina's or PyTorch's), by parameter number.

        Tensors are copied to the parameter's device and dtype (``step`` keeps its own); arrays of
        other libraries that speak DLPack are accepted. Raises ValueError when the number of
        groups or of a group's parameters differs.
        """
        state_dict = dict(state_dict)
        for hook in self._load_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(saved)}, this optimizer has {len(self.param_groups)}"
            )
        for i, (theirs, ours) in enumerate(zip(saved, self.param_groups)):
            if len(theirs["params"]) != len(ours["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    f"optimizer's group: group {i} has {len(theirs['params'])} parameters, this "
                    f"optimizer's {len(ours['params'])}"
                )
        by_number = dict(
            zip(
                chain.from_iterable(g["params"] for g in saved),
                chain.from_iterable(g["params"] for g in self.param_groups),
            )
        )
        state = States()
        for key, value in state_dict["state"].items():
            param = by_number.get(key)
            state[param if param is not None else key] = (
                value if param is None else _adapt(param, value, self._counters)
            )
        groups = []
        for theirs, ours in zip(saved, self.param_groups):
            group = {k: copy.deepcopy(v) for k, v in theirs.items() if k != "params"}
            group["params"] = ours["params"]
            if "param_names" in ours:
                group["param_names"] = ours["param_names"]
            for name, default in self.defaults.items():  # options older files did not know
                group.setdefault(name, default)
            groups.append(group)
        self.state, self.param_groups, self._plans = state, groups, []
        for hook in self._load_post_hooks.values():
            hook(self)


def _adapt(param: Tensor, value: Any, counters: frozenset, key: str | None = None) -> Any:
    """A loaded state as `param` needs it: copied, in its dtype and on its device, containers
    likewise; `counters` stay float32 numbers of the CPU."""
    if isinstance(value, dict):
        return {k: _adapt(param, v, counters, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_adapt(param, v, counters, key) for v in value)
    if not isinstance(value, Tensor) and hasattr(value, "__dlpack__"):
        from .. import from_dlpack

        value = from_dlpack(value)
    if key in counters:
        return tensor(float(value), dtype=float32, device="cpu")
    if isinstance(value, Tensor):
        value = value.detach()
        if param.dtype.is_floating_point and value.dtype.is_floating_point:
            return value.to(device=param.device, dtype=param.dtype, copy=True)
        return value.to(device=param.device, copy=True)
    return value
