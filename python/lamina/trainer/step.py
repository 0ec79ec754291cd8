"""One training step of a trainer, replayed from a plan where that is possible."""

from __future__ import annotations

from lamina import Tensor
from lamina.compiler import CompiledFunction
from lamina.utils._pytree import tree_map_only


def step_of(trainer):
    """A function of a batch's tensors that trains on them; it returns the loss and the output.

    The same function for all epochs: its plans belong to it. Hooks of callbacks that are not
    `replayable` must run at every step, in Python: then nothing is compiled.
    """
    hooks = trainer._hooks("on_backward")
    plain = all(getattr(hook.__self__, "replayable", False) for hook in hooks)
    if trainer.compiled is not None and plain:
        return trainer.compiled
    model, loss_of, optimizer = trainer.model, trainer.loss, trainer.optimizer

    def step(*batch):
        optimizer.zero_grad()
        output = model(*batch[:-1])
        loss = loss_of(output, batch[-1])
        loss.backward()
        for hook in hooks:
            hook(trainer)
        optimizer.step()
        return loss.detach(), tree_map_only(Tensor, Tensor.detach, output)

    if not trainer.compile or not plain:
        return step
    trainer.compiled = CompiledFunction(step, tell=trainer._say)
    return trainer.compiled
