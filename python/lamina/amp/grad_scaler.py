"""GradScaler: multiplies the loss so that half-precision gradients do not vanish."""

from __future__ import annotations

import enum
import warnings
from typing import Any

from .. import _core, compiler
from .._core import Tensor
from ..autograd import no_grad
from ..ops.creation import full, zeros


class OptState(enum.Enum):
    """Where an optimizer is between two calls of `GradScaler.update`."""

    READY, UNSCALED, STEPPED = range(3)


class _State:
    """What is known of one optimizer since the last `update`."""

    def __init__(self):
        self.stage = OptState.READY
        self.found: dict[Any, Tensor] = {}  # per device: 1 where a gradient was not finite


class GradScaler:
    """Loss scaling (Micikevicius et al., "Mixed precision training", ICLR 2018).

    ``scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update()``: gradients are
    divided by the scale before the step, which is skipped when one is not finite; then the scale
    is multiplied by `backoff_factor`, and by `growth_factor` after `growth_interval` good steps.

    The scale and the count of good steps are tensors on the device of the loss. In a step that
    `lamina.compile` replays nothing is read from them: the optimizer's launch looks itself whether
    it is to do something. There, on CUDA, a skipped step still counts in the state ``step`` of the
    optimizer, though Adam's corrections leave it out.

    Args:
        device: "cuda" (the default) or "cpu". Without a CUDA device a scaler for "cuda" warns and
            is disabled: `scale` returns its argument and `step` just steps.
        init_scale, growth_factor, backoff_factor, growth_interval: as above.
        enabled: False: as without a device, silently.

    Raises ValueError unless growth_factor > 1 and backoff_factor < 1.
    """

    def __init__(self, device="cuda", init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5,
                 growth_interval=2000, enabled=True):  # fmt: skip
        self._device = device
        self._enabled = bool(enabled)
        if self._enabled and device == "cuda" and not _core.device_count():
            warnings.warn(
                "lamina.cuda.amp.GradScaler is enabled, but CUDA is not available. Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if growth_factor <= 1.0:
            raise ValueError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise ValueError("The backoff factor must be < 1.0.")
        self._init_scale, self._init_growth_tracker = float(init_scale), 0
        self._scale: Tensor | None = None  # made when the first loss shows where
        self._growth_tracker: Tensor | None = None
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._per_optimizer_states: dict[int, _State] = {}
        self._skipped: dict[tuple, Tensor] = {}  # per optimizer: steps it skipped on a device

    def _start(self, device) -> Tensor:
        self._scale = full((), self._init_scale, dtype=_core.float32, device=device)
        self._growth_tracker = full((), self._init_growth_tracker, dtype=_core.int32, device=device)
        return self._scale

    def _state(self, optimizer) -> _State:
        return self._per_optimizer_states.setdefault(id(optimizer), _State())

    def _checked(self, name: str) -> Tensor:
        if self._scale is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None. This may indicate your script did not use "
                "scaler.scale(loss or outputs) earlier in the iteration."
            )
        return self._scale

    def scale(self, outputs):
        """A tensor, or an iterable of them, multiplied by the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            scale = self._scale if self._scale is not None else self._start(outputs.device)
            return outputs * (scale if scale.device == outputs.device else scale.to(outputs.device))
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(x) for x in outputs)
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def _unscale(self, optimizer) -> dict[Any, Tensor]:
        """Divides all gradients by the scale; per device whether one was not finite, as 0 or 1."""
        scale = self._checked("unscale_")
        lists: dict[Any, list] = {}
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.dtype is _core.float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                lists.setdefault(p.grad.device, []).append(p.grad)
        found = {}
        with no_grad():
            inverse = scale.double().reciprocal().float()
            for device, grads in lists.items():
                found[device] = zeros((), dtype=_core.float32, device=device)
                here = inverse if inverse.device == device else inverse.to(device)
                _core.unscale_(grads, found[device], here)
        return found

    def unscale_(self, optimizer) -> None:
        """Divides the gradients of the optimizer's parameters by the scale, once per step.

        Raises RuntimeError when called a second time since `update`, or after `step`, ValueError
        for float16 parameters.
        """
        if not self._enabled:
            return
        self._checked("unscale_")
        state = self._state(optimizer)
        if state.stage is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state.stage is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        state.found = self._unscale(optimizer)
        state.stage = OptState.UNSCALED

    def step(self, optimizer, *args, **kwargs) -> Any:
        """``optimizer.step(...)`` with true gradients, or nothing (None) when one is not finite.

        Raises RuntimeError for a closure, and for a second call since `update`.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._checked("step")
        state = self._state(optimizer)
        if state.stage is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state.stage is OptState.READY:
            self.unscale_(optimizer)
        if not state.found:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = self._step(optimizer, state.found, args, kwargs)
        state.stage = OptState.STEPPED
        return result

    def _step(self, optimizer, found: dict, args, kwargs):
        device = next(iter(found))
        guard = getattr(optimizer, "_guard", lambda device: "it decides in Python")
        why = guard(device.type) if len(found) == 1 else "its parameters are on several devices"
        if compiler.active is None or why:
            if why:
                compiler.refuse(f"{type(optimizer).__name__} skips no step by itself: {why}")
            if any(f.item() for f in found.values()):
                return None
            return optimizer.step(*args, **kwargs)
        key = (id(optimizer), device.type)
        if key not in self._skipped:
            self._skipped[key] = zeros((), dtype=_core.float32, device=device)
        _core.step_unless(found[device], self._skipped[key])
        try:
            result = optimizer.step(*args, **kwargs)
        finally:
            _core.step_unless(None, None)
        if device.type != "cpu":
            with no_grad():
                self._skipped[key].add_(found[device])
        return result

    def update(self, new_scale=None) -> None:
        """Adjusts the scale after the steps of an iteration, or sets it to `new_scale` (a number,
        or a float32 tensor of one element)."""
        if not self._enabled:
            return
        scale = self._checked("update")
        tracker = self._growth_tracker
        assert tracker is not None
        with no_grad():
            if isinstance(new_scale, Tensor):
                scale.copy_(new_scale.reshape(()))
            elif new_scale is not None:
                scale.fill_(float(new_scale))
            else:
                found = [
                    f if f.device == scale.device else f.to(scale.device)
                    for state in self._per_optimizer_states.values()
                    for f in state.found.values()
                ]
                if not found:
                    raise AssertionError("No inf checks were recorded prior to update.")
                total = found[0]
                for f in found[1:]:
                    total = total + f
                _core.update_scale_(
                    scale, tracker, total, float(self._growth_factor), float(self._backoff_factor),
                    self._growth_interval,
                )  # fmt: skip
        self._per_optimizer_states.clear()

    def get_scale(self) -> float:
        """The scale: 1 when disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else float(self._scale.item())

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by after `growth_interval` good steps."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Changes what `get_growth_factor` gives."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a step with infinite or NaN gradients."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Changes what `get_backoff_factor` gives."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many good steps in a row let the scale grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Changes what `get_growth_interval` gives."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        tracker = self._growth_tracker
        return self._init_growth_tracker if tracker is None else int(tracker.item())

    def is_enabled(self) -> bool:
        """Whether this scaler does anything."""
        return self._enabled

    def state_dict(self) -> dict:
        """The scale and its settings; empty when disabled. Read it between iterations."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict) -> None:
        """Restores what `state_dict` gave. Raises RuntimeError for an empty one when enabled."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._init_scale = float(state_dict["scale"])
        self._init_growth_tracker = int(state_dict["_growth_tracker"])
        if self._scale is not None and self._growth_tracker is not None:
            with no_grad():
                self._scale.fill_(self._init_scale)
                self._growth_tracker.fill_(self._init_growth_tracker)
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]

    def __getstate__(self) -> dict:
        if self._enabled and self._per_optimizer_states:
            raise RuntimeError(
                "A GradScaler instance may only be pickled at the beginning of an iteration, or at "
                "the end after scaler.update()."
            )
        state = self.__dict__.copy()
        if self._enabled:
            state["_init_scale"] = self.get_scale()
            state["_init_growth_tracker"] = self._get_growth_tracker()
        state["_scale"] = state["_growth_tracker"] = None
        state["_skipped"] = {}
        return state
