"""Modules as a PyTorch user treats them: the stories of nn_stories*.py end as in PyTorch."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

import lamina
from lamina import nn
from nn_stories_state import STORIES


def told(name: str, m) -> list:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [str(entry).replace("torch", "lamina") for entry in STORIES[name](m)]


@pytest.mark.parametrize("name", STORIES)
def test_story(name):
    found = told(name, lamina)
    assert found
    torch = pytest.importorskip("torch")
    assert found == told(name, torch)


def test_functions_that_are_imported_later():
    """The modules behind them are named by hand: each has the functions it is said to have."""
    import importlib

    functional = importlib.import_module("lamina.nn.functional")
    for stem, names in functional._LATER.items():
        module = importlib.import_module(f"lamina.ops.{stem}")
        assert sorted(names.split()) == sorted(module.__functional__)
        for name in names.split():
            assert getattr(functional, name) is getattr(module, name) and name in dir(functional)


def test_importing_nn_brings_nothing_slow():
    code = (
        "import sys, lamina; before = set(sys.modules); import lamina.nn; "
        "print(*(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = run.stdout.split()
    loaded = {name.split(".")[0] for name in names}
    assert not loaded & {"numpy", "torch", "inspect", "asyncio", "dataclasses", "typing"}, loaded
    assert "lamina.nn.utils" not in names


# ---- second derivatives --------------------------------------------------------------------------
NORMS = {
    "BatchNorm1d(3)": (lambda: nn.BatchNorm1d(3), (4, 3)),
    "BatchNorm1d(3) of sequences": (lambda: nn.BatchNorm1d(3), (2, 3, 5)),
    "BatchNorm1d without weight": (lambda: nn.BatchNorm1d(3, affine=False), (4, 3)),
    "BatchNorm2d(2)": (lambda: nn.BatchNorm2d(2), (2, 2, 3, 2)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(2, affine=True), (2, 2, 4)),
    "InstanceNorm2d running": (
        lambda: nn.InstanceNorm2d(2, affine=True, track_running_stats=True), (2, 2, 3, 2)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (3, 4)),
    "LayerNorm of two": (lambda: nn.LayerNorm((2, 3), bias=False), (2, 2, 3)),
    "LayerNorm without weight": (lambda: nn.LayerNorm(4, elementwise_affine=False), (3, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (3, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 3)),
    "GroupNorm of one": (lambda: nn.GroupNorm(1, 3, affine=False), (2, 3, 2)),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), (2, 4, 3)),
}  # fmt: skip


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_second_derivatives_of_norms(name, train):
    lamina.manual_seed(4)
    make, shape = NORMS[name]
    layer = make().double().train(train)
    for p in layer.parameters():
        p.data.uniform_(0.5, 1.5)
    if isinstance(getattr(layer, "running_var", None), lamina.Tensor):
        layer.running_var.uniform_(0.5, 1.5)
    x = lamina.randn(shape, dtype=lamina.float64, requires_grad=True)
    inputs = [x, *layer.parameters()]

    def run(*tensors):
        return layer(tensors[0])

    layer.momentum = 0.0  # a finite difference must not move the statistics
    assert lamina.autograd.gradcheck(run, inputs)
    assert lamina.autograd.gradgradcheck(run, inputs)


def test_gradient_penalty_through_batch_norm():
    lamina.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)).double()
    x = lamina.randn(5, 3, dtype=lamina.float64, requires_grad=True)

    def penalty():
        (g,) = lamina.autograd.grad(net(x).sum(), x, create_graph=True)
        return ((g.norm(dim=1) - 1) ** 2).mean()

    penalty().backward()
    w = net[0].weight
    for i, j in ((0, 0), (3, 2), (7, 1)):
        at, step = w[i, j].item(), 1e-6
        values = []
        for sign in (1, -1):
            w.data[i, j] = at + sign * step
            values.append(penalty().item())
        w.data[i, j] = at
        slope = (values[0] - values[1]) / (2 * step)
        assert w.grad[i, j].item() == pytest.approx(slope, rel=1e-5, abs=1e-8)
