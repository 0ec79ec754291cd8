"""The state in which a model is applied rather than trained."""

from __future__ import annotations

import lamina


class Applying:
    """Eval mode, no gradients, and the default generator put back at the end."""

    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.modes = [(m, m.training) for m in self.model.modules()]
        self.random = lamina.get_rng_state()
        self.grad = lamina.no_grad()
        self.grad.__enter__()
        self.model.eval()

    def __exit__(self, *exc):
        for module, training in self.modes:
            module.training = training
        self.grad.__exit__(*exc)
        lamina.set_rng_state(self.random)
