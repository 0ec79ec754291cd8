"""The part of Module that writes and reads its state: ``state_dict`` and ``load_state_dict``."""

from __future__ import annotations

import weakref
from collections import OrderedDict, namedtuple

from .._core import Tensor
from ..autograd import no_grad
from ._hooks import HookDict
from .parameter import Parameter

_EXTRA = "_extra_state"


class _IncompatibleKeys(namedtuple("_IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` returns: keys the module has and the dict lacks, and the reverse."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class _WithModule:
    """A hook called with its module first; does not keep the module alive."""

    def __init__(self, hook, module):
        self.hook, self.module = hook, weakref.ref(module)

    def __call__(self, *args):
        return self.hook(self.module(), *args)

    def __getstate__(self):
        return self.hook, self.module()

    def __setstate__(self, state):
        self.hook, module = state
        self.module = weakref.ref(module)


class State:
    """state_dict, load_state_dict, extra state and their hooks."""

    _version = 1
    _modules: dict
    _parameters: dict
    _buffers: dict
    _non_persistent_buffers_set: set

    def _hooks_of(self, kind: str) -> HookDict:
        if kind not in self.__dict__:
            object.__setattr__(self, kind, HookDict())
        return self.__dict__[kind]

    # ---- writing ---------------------------------------------------------------------------------
    def get_extra_state(self):
        """What a subclass wants to keep in the state dict besides tensors; define both this and
        `set_extra_state`."""
        raise RuntimeError(f"get_extra_state: {type(self).__name__} does not define it")

    def set_extra_state(self, state) -> None:
        """Takes back what `get_extra_state` returned."""
        raise RuntimeError(f"set_extra_state: {type(self).__name__} does not define it")

    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        for name, p in self._parameters.items():
            if p is not None:
                destination[prefix + name] = p if keep_vars else p.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            destination[prefix + _EXTRA] = self.get_extra_state()

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """An ordered dict of all parameters and persistent buffers by path.

        The tensors share memory with the module's and have no history (``keep_vars=True``: they are
        the module's own). Its attribute ``_metadata`` holds each module's version.
        """
        if args:  # the positional form of old programs
            destination = args[0]
            prefix = args[1] if len(args) > 1 else prefix
            keep_vars = args[2] if len(args) > 2 else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()  # type: ignore[attr-defined]
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in tuple(self.__dict__.get("_state_dict_pre_hooks", {}).values()):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for replaces, hook in tuple(self.__dict__.get("_state_dict_hooks", {}).values()):
            answer = hook(self, destination, prefix, metadata)
            if replaces and answer is not None:
                destination = answer
        return destination

    def register_state_dict_pre_hook(self, hook):
        """``hook(module, prefix, keep_vars)`` runs before `state_dict` collects."""
        return self._hooks_of("_state_dict_pre_hooks").add(hook)

    def register_state_dict_post_hook(self, hook):
        """``hook(module, state_dict, prefix, local_metadata)`` may change the dict in place."""
        return self._hooks_of("_state_dict_hooks").add((False, hook))

    def _register_state_dict_hook(self, hook):
        """As `register_state_dict_post_hook`; a dict the hook returns replaces the state dict."""
        return self._hooks_of("_state_dict_hooks").add((True, hook))

    # ---- reading ---------------------------------------------------------------------------------
    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys,
                              unexpected_keys, error_msgs) -> None:  # fmt: skip
        """Reads this module's own tensors (not its children's). Override to accept older files."""
        for hook in tuple(self.__dict__.get("_load_state_dict_pre_hooks", {}).values()):
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
                 error_msgs)  # fmt: skip
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = {n: p for n, p in self._parameters.items() if p is not None}
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                own[name] = buffer
        for name, mine in own.items():
            key = prefix + name
            if key in state_dict:
                self._load_one(name, key, mine, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)
        key = prefix + _EXTRA
        if type(self).set_extra_state is not State.set_extra_state:
            if key in state_dict:
                self.set_extra_state(state_dict[key])
            elif strict:
                missing_keys.append(key)
        elif strict and key in state_dict:
            unexpected_keys.append(key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != prefix + _EXTRA:
                    name, *below = key[len(prefix) :].split(".", 1)
                    if below:
                        if name not in self._modules:
                            unexpected_keys.append(key)
                    elif name not in own:
                        unexpected_keys.append(key)

    def _load_one(self, name, key, mine, value, assign, error_msgs) -> None:
        if not isinstance(value, Tensor) and not getattr(value, "is_sparse", False):
            error_msgs.append(
                f'While copying the parameter named "{key}", expected lamina.Tensor or Tensor-like '
                f"object from checkpoint but received {type(value)}"
            )
            return
        if len(mine.shape) == 0 and tuple(value.shape) == (1,):
            value = value[0]  # scalars of very old files
        if tuple(mine.shape) != tuple(value.shape):
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {value.shape} from "
                f"checkpoint, the shape in current model is {mine.shape}."
            )
            return
        try:
            with no_grad():
                if not assign:
                    mine.copy_(value)
                elif not isinstance(mine, Parameter):
                    self._buffers[name] = value
                elif isinstance(value, Parameter):
                    self._parameters[name] = value.requires_grad_(mine.requires_grad)
                else:
                    self._parameters[name] = Parameter(value, requires_grad=mine.requires_grad)
        except Exception as error:
            action = "swapping" if assign else "copying"
            error_msgs.append(
                f'While {action} the parameter named "{key}", whose dimensions in the model are '
                f"{mine.shape} and whose dimensions in the checkpoint are {value.shape}, an "
                f"exception occurred : {error.args}."
            )

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copies the tensors of a state dict into this module's; returns (missing_keys,
        unexpected_keys).

        Args:
            strict: raise when the keys differ.
            assign: take the tensors themselves, with their dtypes, instead of copying values.

        Raises RuntimeError listing every missing key, unexpected key and size mismatch; TypeError
        when state_dict is no dict.
        """
        if not hasattr(state_dict, "keys") or not hasattr(state_dict, "__getitem__"):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing, unexpected, errors = [], [], []
        metadata = getattr(state_dict, "_metadata", None)
        source = OrderedDict(state_dict)
        if metadata is not None:
            source._metadata = metadata  # type: ignore[attr-defined]

        def load(module, local, prefix) -> None:
            local_metadata = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(
                local, prefix, local_metadata, True, missing, unexpected, errors
            )
            for name, child in module._modules.items():
                if child is not None:
                    path = f"{prefix}{name}."
                    load(child, {k: v for k, v in local.items() if k.startswith(path)}, path)
            keys = _IncompatibleKeys(missing, unexpected)
            for hook in tuple(module.__dict__.get("_load_state_dict_post_hooks", {}).values()):
                if hook(module, keys) is not None:
                    raise ValueError(
                        "register_load_state_dict_post_hook: a hook must return None; change the "
                        "lists in incompatible_keys instead"
                    )

        load(self, source, "")
        if strict:
            for kind, keys in (("Unexpected", unexpected), ("Missing", missing)):
                if keys:
                    listed = ", ".join(f'"{k}"' for k in keys)
                    errors.insert(0, f"{kind} key(s) in state_dict: {listed}. ")
        if errors:
            raise RuntimeError(
                "Error(s) in loading state_dict for {}:\n\t{}".format(
                    type(self).__name__, "\n\t".join(errors)
                )
            )
        return _IncompatibleKeys(missing, unexpected)

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        call = _WithModule(hook, self) if with_module else hook
        return self._hooks_of("_load_state_dict_pre_hooks").add(call)

    def register_load_state_dict_pre_hook(self, hook):
        """``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)`` runs before this module's tensors are read."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook):
        """``hook(module, incompatible_keys)`` runs after this module's tensors are read and may
        change the two lists in place."""
        return self._hooks_of("_load_state_dict_post_hooks").add(hook)
