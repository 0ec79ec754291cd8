"""Steps run eagerly and from a plan, whose every bit must agree: for tests of what plans join."""

from __future__ import annotations

import lamina
from lamina import optim


def bits(value):
    if isinstance(value, (list, tuple)):
        return [bits(v) for v in value]
    return value.dtype, tuple(value.shape), value.detach().numpy().tobytes()


def replayed(step, *args, calls=5):
    """Plan and results of a step, whose replays must equal what it does eagerly."""
    call = lamina.compile(step, fullgraph=True)
    for _ in range(calls):
        got = call(*args)
    assert call.plan is not None
    assert bits(got) == bits(step(*args))
    return call.plan, got


def trained(build, *args, steps=6):
    """Losses, parameters, gradients and buffers of a training step, eager and replayed."""
    results, plan = [], None
    for compiled in (False, True):
        lamina.manual_seed(1)
        model, loss_of = build()
        optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)

        def step(*args, model=model, loss_of=loss_of, optimizer=optimizer):
            optimizer.zero_grad()
            loss = loss_of(model, *args)
            loss.backward()
            optimizer.step()
            return loss.detach()

        call = lamina.compile(step, fullgraph=True) if compiled else step
        losses = [bits(call(*args)) for _ in range(steps)]
        grads = [bits(p.grad) for p in model.parameters() if p.grad is not None]
        results.append((losses, [bits(v) for v in model.state_dict().values()], grads))
        plan = call.plan if compiled else None
    assert results[0] == results[1]
    return plan
