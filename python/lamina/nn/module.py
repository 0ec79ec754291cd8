"""Module, the base of every layer and model: it registers what is assigned to it, calls `forward`
with hooks around it, and prints itself.

Its other halves: `_tree` (walking), `_state` (state_dict), `_convert` (dtype and device), `_hooks`.
"""

from __future__ import annotations

import os

from .. import _core, compiler
from .._core import Tensor
from ..autograd import anomaly_mode
from ._convert import Convert
from ._hooks import _KINDS as _HOOKS
from ._hooks import (
    GLOBAL,
    BackwardHooks,
    HookDict,
    RemovableHandle,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
)
from ._state import State
from ._tree import Tree
from .parameter import Buffer, Parameter

__all__ = ["Module"]
_GLOBAL_HOOKS = (  # reached as lamina.nn.modules.module.register_module_...
    register_module_forward_hook, register_module_forward_pre_hook,
    register_module_full_backward_hook, register_module_full_backward_pre_hook,
)  # fmt: skip

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LAMINA_ERRORS = (
    _core.ShapeError, _core.DTypeError, _core.DeviceError, _core.OutOfMemoryError,
)  # fmt: skip


def _kind(value) -> str:
    """How a wrong value is named in an error."""
    return f"lamina.{type(value).__name__}" if isinstance(value, Tensor) else type(value).__name__


def _is_ours(error: BaseException) -> bool:
    """Whether lamina raised it: one of its types, or raised in one of its files."""
    if isinstance(error, _LAMINA_ERRORS):
        return True
    if not isinstance(error, (RuntimeError, ValueError, TypeError, IndexError)):
        return False
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and frame.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def _locate(error, module) -> None:
    """Adds to an error, once, the path and type of the module whose forward raised it. Each module
    on the way up knows a longer path and replaces the shorter one."""
    found = getattr(error, "_module", None)
    if found is None:
        if isinstance(error, NotImplementedError) or not _is_ours(error):
            return
        if len(error.args) != 1 or not isinstance(error.args[0], str):
            return
        found = error._module = (module, error.args[0])
    inner, message = found
    path = next((n for n, m in module.named_modules() if m is inner), None)
    if path is None:
        return
    name = f"{inner._get_name()}({inner.extra_repr()})".replace("\n", " ")
    error.args = (f"{message}\n  in module {path} ({name})" if path else
                  f"{message}\n  in module {name}",)  # fmt: skip


class Module(Tree, State, Convert):
    """Base class of layers and models; subclass it and define ``forward``.

    Parameters, Buffers and Modules assigned to attributes are registered, so that `parameters`,
    `state_dict`, `to` and `train` find them. Calling the module calls ``forward``.

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc = nn.Linear(4, 2)
    ...     def forward(self, x):
    ...         return self.fc(x).relu()
    """

    training: bool
    _hooked = False  # on an instance, True from the first hook on

    def __init__(self):
        put = super().__setattr__
        put("training", True)
        put("_parameters", {})
        put("_buffers", {})
        put("_non_persistent_buffers_set", set())
        put("_modules", {})
        for hooks in _HOOKS:
            put(hooks, HookDict())

    def forward(self, *args, **kwargs):
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    # ---- the call --------------------------------------------------------------------------------
    def __call__(self, *args, **kwargs):
        try:
            if self._hooked:
                return self._call_hooked(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            _locate(error, self)
            raise

    def _has_hooks(self) -> bool:
        return any(GLOBAL[kind] or self.__dict__[kind] for kind in _HOOKS)

    def _call_hooked(self, args: tuple, kwargs: dict):
        hooks = {kind: (*GLOBAL[kind].values(), *self.__dict__[kind].values()) for kind in _HOOKS}
        if not any(hooks.values()):
            self.__dict__.pop("_hooked", None)
            return self.forward(*args, **kwargs)
        always = [entry for entry in hooks["_forward_hooks"] if entry[2]]
        called: list = []
        result = None
        try:
            for hook, with_kwargs in hooks["_forward_pre_hooks"]:
                answer = hook(self, args, kwargs) if with_kwargs else hook(self, args)
                if answer is None:
                    continue
                if not with_kwargs:
                    args = answer if isinstance(answer, tuple) else (answer,)
                elif isinstance(answer, tuple) and len(answer) == 2:
                    args, kwargs = answer
                else:
                    raise RuntimeError(
                        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                        f"but got {answer}."
                    )
            backward = None
            if hooks["_backward_hooks"] or hooks["_backward_pre_hooks"]:
                backward = BackwardHooks(
                    self, hooks["_backward_hooks"], hooks["_backward_pre_hooks"]
                )
                args = backward.inputs(args)
            result = self.forward(*args, **kwargs)
            for entry in hooks["_forward_hooks"]:
                called.append(entry)
                result = self._after(entry, args, kwargs, result)
            return result if backward is None else backward.outputs(result)
        except Exception:
            for entry in always:  # they run even now; the first error is the one to report
                if not any(entry is c for c in called):
                    try:
                        result = self._after(entry, args, kwargs, result)
                    except Exception as late:
                        import warnings

                        warnings.warn(
                            f"a forward hook with always_call=True raised {late!r} while another "
                            "error was being handled",
                            stacklevel=3,
                        )
            raise

    def _after(self, entry, args, kwargs, result):
        hook, with_kwargs, _ = entry
        answer = (hook(self, args, kwargs, result) if with_kwargs else
                  hook(self, args, result))  # fmt: skip
        return result if answer is None else answer

    def _add_hook(self, kind: str, entry, prepend) -> RemovableHandle:
        object.__setattr__(self, "_hooked", True)
        return getattr(self, kind).add(entry, prepend=prepend)

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """``hook(module, args)`` runs before forward and may return new arguments (a tuple, or one
        value); with `with_kwargs`, ``hook(module, args, kwargs)`` returning None or (args, kwargs).
        `prepend` puts it first. Returns a handle with ``remove()``."""
        return self._add_hook("_forward_pre_hooks", (hook, bool(with_kwargs)), prepend)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """``hook(module, args, output)`` runs after forward and may return another output; with
        `with_kwargs`, ``hook(module, args, kwargs, output)``; with `always_call` also when forward
        raises (output None). Returns a handle."""
        entry = (hook, bool(with_kwargs), bool(always_call))
        return self._add_hook("_forward_hooks", entry, prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """``hook(module, grad_input, grad_output)`` runs when the gradients of this call's inputs
        are known and may return others. Both are tuples with None where there is no gradient."""
        return self._add_hook("_backward_hooks", hook, prepend)

    def register_backward_hook(self, hook):
        """The old name of `register_full_backward_hook`."""
        return self.register_full_backward_hook(hook)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """``hook(module, grad_output)`` runs before the module's backward and may return another
        grad_output."""
        return self._add_hook("_backward_pre_hooks", hook, prepend)

    # ---- registration ----------------------------------------------------------------------------
    def _check_name(self, name, kind: str, own: dict) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            got = f", got: {name}" if kind == "module" else ""
            raise KeyError(f'{kind} name can\'t contain "."{got}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in own:
            raise KeyError(f"attribute '{name}' already exists")

    def _own(self, kind: str, what: str) -> dict:
        if kind not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        return self.__dict__[kind]

    def register_parameter(self, name, param) -> None:
        """Registers a Parameter (or None, for a parameter that is absent) under a name.

        Raises KeyError for a name that is taken, empty or has a dot, TypeError for another type,
        ValueError for a tensor that is not a leaf.
        """
        own = self._own("_parameters", "parameter")
        self._check_name(name, "parameter", own)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_kind(param)}' object to parameter '{name}' "
                "(lamina.nn.Parameter or None required)"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be "
                "created explicitly; compute the value in forward() instead."
            )
        own[name] = param

    def register_buffer(self, name, tensor, persistent=True) -> None:
        """Registers a tensor (sparse ones too, or None) that is state but not trained; `persistent`
        puts it into ``state_dict()``. Errors as `register_parameter`."""
        own = self._own("_buffers", "buffer")
        self._check_name(name, "buffer", own)
        sparse = getattr(tensor, "is_sparse", False)
        if tensor is not None and not isinstance(tensor, Tensor) and not sparse:
            raise TypeError(
                f"cannot assign '{_kind(tensor)}' object to buffer '{name}' "
                "(lamina Tensor or None required)"
            )
        own[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name, module) -> None:
        """Registers a submodule (or None). Errors as `register_parameter`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        own = self._own("_modules", "module")
        self._check_name(name, "module", own)
        own[name] = module

    def register_module(self, name, module) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def _forget(self, name: str, *kinds: str) -> None:
        """Takes `name` out of the places that would hide what is about to be registered."""
        self.__dict__.pop(name, None)
        for kind in kinds:
            self.__dict__.get(kind, {}).pop(name, None)
        self.__dict__.get("_non_persistent_buffers_set", set()).discard(name)

    def __setattr__(self, name, value) -> None:
        d = self.__dict__
        if isinstance(value, Parameter):
            self._own("_parameters", "parameters")
            self._forget(name, "_buffers", "_modules")
            self.register_parameter(name, value)
        elif name in d.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_kind(value)}' as parameter '{name}' (lamina.nn.Parameter "
                    "or None expected)"
                )
            d["_parameters"][name] = None
        elif isinstance(value, Module):
            self._own("_modules", "module")
            self._forget(name, "_parameters", "_buffers")
            d["_modules"][name] = value
        elif name in d.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_kind(value)}' as child module '{name}' (lamina.nn.Module "
                    "or None expected)"
                )
            d["_modules"][name] = None
        elif name in d.get("_buffers", ()) or isinstance(value, Buffer):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_kind(value)}' as buffer '{name}' (lamina.nn.Buffer, "
                    "lamina.Tensor or None expected)"
                )
            if isinstance(value, Buffer):
                self._own("_buffers", "buffers")
                self._forget(name, "_parameters", "_modules")
                self.register_buffer(name, value, value.persistent)
            else:
                d["_buffers"][name] = value
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name):
        d = self.__dict__
        if "_parameters" in d:
            if name in d["_parameters"]:
                return d["_parameters"][name]
            if name in d["_modules"]:
                return d["_modules"][name]
            if name in d["_buffers"]:
                return d["_buffers"][name]
        return object.__getattribute__(self, name)  # raises, with a failing property's own error

    def __delattr__(self, name) -> None:
        for kind in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(kind, ()):
                del self.__dict__[kind][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __setstate__(self, state) -> None:
        self.__dict__.update(state)
        for hooks in _HOOKS:
            self.__dict__.setdefault(hooks, HookDict())

    def __dir__(self):
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._modules,
                 *self._buffers}  # fmt: skip
        return sorted(n for n in names if not n[:1].isdigit())

    # ---- printing --------------------------------------------------------------------------------
    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        for name, module in self._modules.items():
            lines.append(f"({name}): " + repr(module).replace("\n", "\n  "))
        if len(lines) == 1 and extra:
            return f"{self._get_name()}({extra})"
        inside = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{self._get_name()}({inside})"


# ---- anomaly mode: every module says when it runs ------------------------------------------------
def _child_name(parent: Module, module: Module) -> str:
    return next((n for n, m in parent._modules.items() if m is module), type(module).__name__)


def _tracked_call(self, *args, **kwargs):
    anomaly_mode.entered(self, _child_name)
    try:
        return _plain_call(self, *args, **kwargs)
    finally:
        anomaly_mode.left()


def _noted_call(self, *args, **kwargs):
    compiler.note_module(self)
    return _plain_call(self, *args, **kwargs)


_plain_call = Module.__call__


def _track(on: bool) -> None:
    Module.__call__ = _tracked_call if on else _plain_call  # type: ignore[method-assign]


def _note(on: bool) -> None:
    Module.__call__ = _noted_call if on else _plain_call  # type: ignore[method-assign]


anomaly_mode.on_change(_track)
compiler.listeners.append(_note)  # a step is being recorded: its plan is for the modules' modes
