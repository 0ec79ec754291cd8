"""Runs of a step, eager and compiled, that must agree call by call: for test_compile_*.py.

A case makes a step and a function `each(i, call)` that does what comes before call i and returns
what is compared.
"""

from __future__ import annotations

import random
import warnings

import lamina


class Cases(dict):
    """Cases by name; a decorator adds one."""

    def __call__(self, make):
        self[make.__name__] = make
        return make


def x_of(i):
    return lamina.full((3,), float(i + 1))


def plain(value):
    if isinstance(value, lamina.Tensor):
        return value.dtype, value.detach().cpu().numpy().copy().tolist(), value.requires_grad
    return [plain(v) for v in value] if isinstance(value, (tuple, list)) else value


def run(make, compiled):
    lamina.manual_seed(0)
    random.seed(0)
    step, each = make()
    call = lamina.compile(step) if compiled else step
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [plain(each(i, call)) for i in range(14)], plain(lamina.get_rng_state())


def assert_as_eager(make):
    """Fails unless the compiled step does what the eager one does."""
    assert run(make, True) == run(make, False)
