"""Optimizers: formulas against NumPy, instruction sets, threads, layouts, PyTorch's results."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina import _core, optim
from optim_cases import (
    SHAPES,
    STEPS,
    assert_halves_are_rounded,
    each,
    each_of_torch,
    leaf,
    reference,
    same_bits,
    set_grads,
    train,
    values,
)

try:
    import torch
except ImportError:
    torch = None


# ---- values --------------------------------------------------------------------------------------
@each
def test_formula(name, options):
    want = reference(name, options)
    for dtype, tol in ((lamina.float64, 1e-12), (lamina.float32, 3e-6)):
        got, _ = train(name, options, dtype)
        for g, w in zip(got, want):
            bound = tol * max(1.0, np.abs(w).max(initial=0.0))
            assert np.abs(g - w).max(initial=0.0) <= bound, (dtype, w.shape)


@each
def test_formula_on_every_instruction_set(name, options):
    want = reference(name, options)
    before = _core.isa()
    try:
        runs = []
        for isa in _core.available_isas():
            _core.select_isa(isa)
            runs.append(train(name, options)[0])
            for g, w in zip(train(name, options, lamina.float64)[0], want):
                bound = 1e-12 * max(1.0, np.abs(w).max(initial=0.0))
                assert np.abs(g - w).max(initial=0.0) <= bound, isa
    finally:
        _core.select_isa(before)
    # Every operation is rounded by itself, so the bits are the same everywhere.
    assert all(same_bits(runs[0], other) for other in runs[1:])


@each
def test_bits_do_not_depend_on_threads(name, options):
    shapes = [(70_001,), (3, 5), (129, 640), (1,), (31_000,)]
    before = lamina.get_num_threads()
    try:
        runs = []
        for threads in (1, 2, 3):
            lamina.set_num_threads(threads)
            runs.append(train(name, options, steps=slice(3), shapes=shapes)[0])
    finally:
        lamina.set_num_threads(before)
    assert same_bits(runs[0], runs[1]) and same_bits(runs[0], runs[2])


@each_of_torch
def test_like_torch(name, options):
    pytest.importorskip("torch")
    start, grads = values()
    for dtype, theirs_dtype in ((lamina.float32, "float32"), (lamina.float64, "float64")):
        got, optimizer = train(name, options, dtype)
        params = [
            torch.tensor(p, dtype=getattr(torch, theirs_dtype), requires_grad=True) for p in start
        ]
        theirs = getattr(torch.optim, name)(params, **options)
        for row in grads:
            for p, g in zip(params, row):
                p.grad = torch.tensor(g, dtype=p.dtype)
            theirs.step()
        # 20 steps, each within a few roundings of the parameter and of the step (about lr).
        ulp = np.finfo(theirs_dtype).eps
        for g, p in zip(got, params):
            w = p.detach().numpy()
            assert np.all(np.abs(g - w) <= 8 * ulp * np.maximum(np.abs(w), 1)), w.shape
        ours_state, their_state = optimizer.state_dict(), theirs.state_dict()
        assert ours_state["param_groups"] == their_state["param_groups"]
        assert set(ours_state["state"]) == set(their_state["state"])
        for i, s in their_state["state"].items():
            assert list(ours_state["state"][i]) == list(s)
            for key, value in s.items():
                a, b = ours_state["state"][i][key].numpy(), value.numpy()
                assert a.shape == b.shape and a.dtype == b.dtype, key
                bound = 16 * ulp * max(1, np.abs(b).max(initial=0))
                assert np.all(np.abs(a - b) <= bound), key


@each_of_torch
def test_load_what_torch_saved(name, options):
    pytest.importorskip("torch")
    start, grads = values()
    params = [torch.tensor(p, dtype=torch.float32, requires_grad=True) for p in start]
    theirs = getattr(torch.optim, name)(params, **options)

    def their_steps(rows):
        for row in rows:
            for p, g in zip(params, row):
                p.grad = torch.tensor(g, dtype=p.dtype)
            theirs.step()

    their_steps(grads[:10])
    ours = [leaf(p.detach().numpy()) for p in params]
    optimizer = getattr(optim, name)(ours, lr=123.0)
    optimizer.load_state_dict(theirs.state_dict())
    their_steps(grads[10:])
    for row in grads[10:]:
        set_grads(ours, row)
        optimizer.step()
    for a, b in zip(ours, params):
        a, b = a.detach().numpy(), b.detach().numpy()
        assert np.all(np.abs(a - b) <= 1e-6 * np.maximum(np.abs(b), 1))


def test_torch_loads_what_we_saved():
    pytest.importorskip("torch")
    _, optimizer = train("Adam", {"lr": 0.01})
    saved = optimizer.state_dict()
    saved["state"] = {
        i: {k: torch.from_numpy(v.numpy()) for k, v in s.items()} for i, s in saved["state"].items()
    }
    params = [torch.zeros(s, requires_grad=True) for s in SHAPES]
    theirs = torch.optim.Adam(params)
    theirs.load_state_dict(saved)
    assert theirs.state_dict()["state"][0]["step"] == STEPS


@pytest.mark.parametrize("layout", ["transposed", "stepped", "offset"])
def test_parameters_that_are_views(layout):
    rng = np.random.default_rng(1)
    a = rng.standard_normal((6, 10)).astype(np.float32)
    base = lamina.tensor(a)
    view = {
        "transposed": lambda t: t.t(),
        "stepped": lambda t: t[:, 1::2],
        "offset": lambda t: t[1:4],
    }[layout]
    p = view(base).detach().requires_grad_()
    grads = rng.standard_normal((5, *p.shape)).astype(np.float32)
    plain = leaf(p.detach().numpy())
    for name, options in (("SGD", {"lr": 0.1, "momentum": 0.9}), ("Adam", {"amsgrad": True})):
        two = [getattr(optim, name)([x], **options) for x in (p, plain)]
        for g in grads:
            p.grad = lamina.tensor(np.ascontiguousarray(g.T)).t() if g.ndim == 2 else None
            plain.grad = lamina.tensor(g)
            for o in two:
                o.step()
    np.testing.assert_array_equal(p.detach().numpy(), plain.detach().numpy())
    expected = a.copy()
    at = {"transposed": expected.T, "stepped": expected[:, 1::2], "offset": expected[1:4]}[layout]
    at[...] = plain.detach().numpy()
    np.testing.assert_array_equal(base.numpy(), expected)  # and nothing else was written


@pytest.mark.parametrize("dtype", [lamina.float16, lamina.bfloat16])
def test_half_parameters(dtype):
    p = leaf([1.0, -2.0, 3.0]).detach().to(dtype).requires_grad_()
    o = optim.Adam([p], lr=0.25)
    p.grad = lamina.tensor([1.0, 1.0, -1.0]).to(dtype)
    o.step()
    assert p.dtype is dtype and o.state[p]["exp_avg"].dtype is dtype
    assert o.state[p]["step"].dtype is lamina.float32
    assert p.detach().to(lamina.float32).numpy().tolist() == [0.75, -2.25, 3.25]


@each
def test_halves_are_float32_rounded_at_every_step(name, options):
    for dtype in (lamina.float16, lamina.bfloat16):
        assert_halves_are_rounded(name, options, dtype)


def test_mixed_dtypes_in_one_group():
    a, b = leaf([1.0, 2.0]), leaf([1.0, 2.0], lamina.float64)
    o = optim.RMSprop([a, b], lr=0.1, momentum=0.9)
    for _ in range(3):
        set_grads([a, b], [[1.0, -1.0]] * 2)
        o.step()
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6)


def test_nan_reaches_the_parameter_and_stays_in_amsgrad():
    p = leaf([1.0, 1.0])
    o = optim.Adam([p], amsgrad=True)
    for g in ([float("nan"), 1.0], [1.0, 1.0]):
        set_grads([p], [g])
        o.step()
    assert np.isnan(p.detach().numpy()).tolist() == [True, False]
    assert np.isnan(o.state[p]["max_exp_avg_sq"].numpy()).tolist() == [True, False]
