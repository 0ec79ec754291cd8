"""Optimizers: formulas against NumPy, results of PyTorch, state, groups, hooks, errors."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

import lamina
from lamina import _core, optim

try:
    import torch
except ImportError:
    torch = None

STEPS = 20
SHAPES = [(7, 9), (33,), (), (2, 3, 5), (0, 4), (4099,)]


# ---- references in NumPy: one step of one parameter, state in a dict -----------------------------
def penalised(p, g, o):
    g = -g if o.get("maximize") else g
    return g + o.get("weight_decay", 0) * p


def sgd(p, g, s, o):
    g = penalised(p, g, o)
    momentum = o.get("momentum", 0)
    if momentum:
        fresh = 1 - o.get("dampening", 0)
        s["b"] = momentum * s["b"] + fresh * g if "b" in s else g
        g = g + momentum * s["b"] if o.get("nesterov") else s["b"]
    return p - o["lr"] * g


def adam(p, g, s, o, decoupled=False):
    beta1, beta2 = o.get("betas", (0.9, 0.999))
    decay = o.get("weight_decay", 1e-2 if decoupled else 0)
    if decoupled or o.get("decoupled_weight_decay"):
        p = p * (1 - o["lr"] * decay)
        g = penalised(p, g, {**o, "weight_decay": 0})
    else:
        g = penalised(p, g, o)
    t = s["t"] = s.get("t", 0) + 1
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g * g
    u = s["v"]
    if o.get("amsgrad"):
        u = s["u"] = np.maximum(s.get("u", 0), s["v"])
    root = np.sqrt(u / (1 - beta2**t)) + o.get("eps", 1e-8)
    return p - o["lr"] / (1 - beta1**t) * s["m"] / root


def adamw(p, g, s, o):
    return adam(p, g, s, o, decoupled=True)


def rmsprop(p, g, s, o):
    g = penalised(p, g, o)
    alpha, momentum = o.get("alpha", 0.99), o.get("momentum", 0)
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    square = s["v"]
    if o.get("centered"):
        s["a"] = alpha * s.get("a", 0) + (1 - alpha) * g
        square = square - s["a"] ** 2
    d = g / (np.sqrt(square) + o.get("eps", 1e-8))
    if momentum:
        d = s["b"] = momentum * s.get("b", 0) + d
    return p - o["lr"] * d


def adagrad(p, g, s, o):
    g = penalised(p, g, o)
    t = s["t"] = s.get("t", 0) + 1
    s["s"] = s.get("s", o.get("initial_accumulator_value", 0)) + g * g
    lr = o["lr"] / (1 + (t - 1) * o.get("lr_decay", 0))
    return p - lr * g / (np.sqrt(s["s"]) + o.get("eps", 1e-10))


REFERENCE = {
    "SGD": sgd,
    "Adam": adam,
    "AdamW": adamw,
    "RMSprop": rmsprop,
    "Adagrad": adagrad,
}
CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.02, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.4, 0.9), "eps": 1e-3, "weight_decay": 0.02}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "maximize": True}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "betas": (0.5, 0.6), "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.6, "eps": 1e-3, "weight_decay": 0.02}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "maximize": True}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True, "eps": 1e-2}),
    ("RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-2, "weight_decay": 0.02}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.02, "eps": 1e-3}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
]
each = pytest.mark.parametrize(
    ("name", "options"),
    CASES,
    ids=["-".join([n, *(k for k in o if k != "lr")]) for n, o in CASES],
)


def values(seed=0, shapes=SHAPES, steps=STEPS):
    """Parameters and the gradients of every step: float64 arrays, exact in float32."""
    rng = np.random.default_rng(seed)

    def draw(shape):
        return rng.standard_normal(shape).astype(np.float32).astype(np.float64)

    return [draw(s) for s in shapes], [[draw(s) for s in shapes] for _ in range(steps)]


def leaf(array, dtype=lamina.float32):
    return lamina.tensor(array, dtype=dtype).requires_grad_()


def set_grads(params, grads):
    for p, g in zip(params, grads):
        p.grad = None if g is None else lamina.tensor(g, dtype=p.dtype)


def train(name, options, dtype=lamina.float32, steps=slice(None), seed=0, shapes=SHAPES):
    start, grads = values(seed, shapes)
    params = [leaf(p, dtype) for p in start]
    optimizer = getattr(optim, name)(params, **options)
    for row in grads[steps]:
        set_grads(params, row)
        optimizer.step()
    return [p.detach().numpy() for p in params], optimizer


def reference(name, options):
    params, grads = values()
    state = [{} for _ in params]
    for row in grads:
        params = [REFERENCE[name](p, g, s, options) for p, g, s in zip(params, row, state)]
    return params


def same_bits(a, b):
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b))


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


@each
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


@each
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


# ---- which parameters, which state ---------------------------------------------------------------
@each
def test_parameters_without_gradient(name, options):
    start, grads = values(steps=6)
    masks = [(1, 0, 1, 0, 1, 1), (1, 1, 1, 0, 1, 1), (0, 1, 1, 0, 0, 1)] * 2
    params = [leaf(p) for p in start]
    optimizer = getattr(optim, name)(params, **options)
    alone = [leaf(p) for p in start]
    separate = [getattr(optim, name)([p], **options) for p in alone]
    versions = params[3]._version
    for row, mask in zip(grads, masks):
        row = [g if m else None for g, m in zip(row, mask)]
        set_grads(params, row)
        optimizer.step()
        for p, o, g in zip(alone, separate, row):
            if g is not None:
                set_grads([p], [g])
                o.step()
    assert same_bits([p.detach().numpy() for p in params], [p.detach().numpy() for p in alone])
    assert params[3]._version == versions  # never touched
    assert params[3] not in optimizer.state or name == "Adagrad"


def test_writes_count_as_writes():
    p = leaf([1.0, 2.0])
    y = (p * p).exp()
    p.grad = lamina.tensor([1.0, 1.0])
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.backward(lamina.tensor([1.0, 1.0]))


def test_options_are_read_at_every_step():
    p = leaf([1.0])
    o = optim.SGD([p], lr=0.5)
    set_grads([p], [[1.0]])
    o.step()
    o.param_groups[0]["lr"] = 0.25
    o.step()
    assert p.item() == 0.25
    o.param_groups[0]["momentum"] = 0.5  # buffers appear when they are first needed
    o.step()
    o.step()
    assert p.item() == 0.25 - 0.25 - 0.25 * 1.5


def test_edits_of_the_state_are_seen():
    p = leaf([1.0, 1.0])
    o = optim.SGD([p], lr=1.0, momentum=1.0)
    set_grads([p], [[0.0, 0.0]])
    o.step()
    o.state[p]["momentum_buffer"] = lamina.tensor([2.0, 3.0])
    o.step()
    assert p.detach().numpy().tolist() == [-1.0, -2.0]
    o.state[p] = {"momentum_buffer": lamina.tensor([1.0, 0.0])}
    o.step()
    assert p.detach().numpy().tolist() == [-2.0, -2.0]
    o.state.clear()
    o.step()
    assert p.detach().numpy().tolist() == [-2.0, -2.0]
    q = leaf([5.0])
    o.param_groups[0]["params"][0] = q
    set_grads([q], [[1.0]])
    o.step()
    assert q.item() == 4.0


def test_groups_have_their_own_options():
    a, b = leaf([1.0]), leaf([1.0])
    o = optim.SGD([{"params": a, "lr": 0.5}, {"params": [b]}], lr=0.25)
    set_grads([a, b], [[1.0], [1.0]])
    o.step()
    assert (a.item(), b.item()) == (0.5, 0.75)
    c = leaf([1.0])
    o.add_param_group({"params": [c], "momentum": 0.9})
    set_grads([a, b, c], [[1.0]] * 3)
    o.step()
    o.step()
    assert c.item() == pytest.approx(1 - 0.25 * (1 + 1.9))
    assert [len(g["params"]) for g in o.param_groups] == [1, 1, 1]


def test_closure():
    p = leaf([3.0])
    o = optim.SGD([p], lr=0.1)

    def closure():
        o.zero_grad()
        loss = p * p
        loss.backward()
        return loss

    with lamina.no_grad():
        loss = o.step(closure)
    assert loss.item() == 9.0 and p.item() == pytest.approx(2.4)
    assert o.step() is None


def test_zero_grad():
    p, q = leaf([1.0]), leaf([1.0])
    o = optim.SGD([p, q])
    set_grads([p], [[2.0]])
    grad = p.grad
    o.zero_grad(set_to_none=False)
    assert p.grad is grad and grad.item() == 0 and q.grad is None
    o.zero_grad()
    assert p.grad is None


# ---- saving --------------------------------------------------------------------------------------
@each
def test_resume_gives_the_same_bits(name, options):
    want, _ = train(name, options)
    half, optimizer = train(name, options, steps=slice(10))
    saved = copy.deepcopy(
        {
            "state": {
                i: {k: v.numpy().copy() for k, v in s.items()}
                for i, s in optimizer.state_dict()["state"].items()
            },
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )
    params = [leaf(p) for p in half]
    optimizer = getattr(optim, name)(params)
    optimizer.load_state_dict(saved)
    for row in values()[1][10:]:
        set_grads(params, row)
        optimizer.step()
    assert same_bits([p.detach().numpy() for p in params], want)


def test_loaded_state_is_a_copy_in_the_parameters_dtype():
    _, a = train("Adam", {"lr": 0.01})
    b = optim.Adam([leaf(p, lamina.float64) for p in values()[0]])
    b.load_state_dict(a.state_dict())
    mine, other = a.state_dict()["state"][0], b.state_dict()["state"][0]
    assert other["exp_avg"].dtype is lamina.float64 and other["step"].dtype is lamina.float32
    assert other["step"] is not mine["step"] and other["step"].item() == STEPS
    assert b.param_groups[0]["lr"] == 0.01
    old = a.state_dict()  # files of older versions: a Python number, fewer options
    old["state"][0]["step"] = 7
    del old["param_groups"][0]["capturable"]
    b.load_state_dict(old)
    assert b.state_dict()["state"][0]["step"].item() == 7
    assert b.param_groups[0]["capturable"] is False


def test_names_are_kept():
    w, b = leaf([1.0]), leaf([2.0])
    o = optim.SGD([("w", w), ("b", b)], lr=0.1)
    assert o.param_groups[0]["params"][1] is b
    saved = o.state_dict()
    assert saved["param_groups"][0]["param_names"] == ["w", "b"]
    assert saved["param_groups"][0]["params"] == [0, 1]
    assert "param_names" not in repr(o)


# ---- hooks, representation, errors ---------------------------------------------------------------
def test_step_hooks():
    p = leaf([1.0])
    o = optim.Adam([p])
    seen = []
    pre = o.register_step_pre_hook(lambda opt, args, kwargs: seen.append(("pre", opt is o)))
    post = o.register_step_post_hook(lambda opt, args, kwargs: seen.append(("post", args)))
    everywhere = optim.optimizer.register_optimizer_step_post_hook(
        lambda opt, args, kwargs: seen.append("all")
    )
    o.step()
    assert seen == [("pre", True), ("post", ()), "all"]
    for handle in (pre, post, everywhere):
        handle.remove()
    o.step()
    assert len(seen) == 3
    with o.register_step_pre_hook(lambda opt, args, kwargs: 3), pytest.raises(RuntimeError):
        o.step()

    class Twice(optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            return super().step(closure)

    o = Twice([p], lr=1.0)
    o.register_step_post_hook(lambda opt, args, kwargs: seen.append("twice"))
    set_grads([p], [[1.0]])
    o.step()
    assert p.item() == -1.0 and seen.count("twice") == 1


def test_state_dict_hooks():
    o = optim.SGD([leaf([1.0])], lr=0.5)
    o.register_state_dict_post_hook(lambda opt, state: {**state, "extra": 1})
    assert o.state_dict()["extra"] == 1
    loaded = []
    o.register_load_state_dict_pre_hook(
        lambda opt, s: {**s, "param_groups": [{**s["param_groups"][0], "lr": 2.0}]}
    )
    o.register_load_state_dict_post_hook(lambda opt: loaded.append(opt.param_groups[0]["lr"]))
    o.load_state_dict(o.state_dict())
    assert loaded == [2.0]


def test_own_optimizer():
    class Sign(optim.Optimizer):
        def __init__(self, params, lr=0.5):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            with lamina.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.sub_(p.grad.sign() * group["lr"])

    p = leaf([1.0, 1.0])
    o = Sign([p])
    set_grads([p], [[3.0, -2.0]])
    o.step()
    assert p.detach().numpy().tolist() == [0.5, 1.5]
    with pytest.raises(NotImplementedError, match="does not define step"):
        optim.Optimizer([p], {}).step()


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_repr_like_torch(name):
    pytest.importorskip("torch")
    ours = getattr(optim, name)([leaf([1.0])])
    theirs = getattr(torch.optim, name)([torch.ones(1, requires_grad=True)])
    assert repr(ours) == repr(theirs)


def test_errors():
    p, q = leaf([1.0]), leaf([2.0])
    with pytest.raises(TypeError, match="should be an iterable of Tensors or dicts"):
        optim.SGD(p)
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.SGD([])
    with pytest.raises(TypeError, match="one of the params is builtins.int"):
        optim.SGD([p, 3])
    with pytest.raises(TypeError, match="sets will change"):
        optim.SGD([{"params": {1, 2}}])
    with pytest.raises(ValueError, match="non-leaf"):
        optim.SGD([p * 2])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optim.SGD([{"params": [p]}, {"params": [q, p]}])
    with pytest.raises(ValueError, match="with/without names"):
        optim.SGD([("p", p), q])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p])
    with pytest.raises(TypeError, match="must be a dict"):
        optim.SGD([p]).add_param_group([q])
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        optim.SGD([p], lr=-1)
    with pytest.raises(ValueError, match="Invalid momentum value"):
        optim.SGD([p], momentum=-1)
    with pytest.raises(ValueError, match="Nesterov momentum requires"):
        optim.SGD([p], nesterov=True)
    with pytest.raises(ValueError, match="Invalid beta parameter at index 1: 1.0"):
        optim.Adam([p], betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="Invalid epsilon value"):
        optim.AdamW([p], eps=-1.0)
    with pytest.raises(ValueError, match="Invalid weight_decay value"):
        optim.Adagrad([p], weight_decay=-1.0)
    with pytest.raises(ValueError, match="Invalid lr_decay value"):
        optim.Adagrad([p], lr_decay=-1.0)
    with pytest.raises(ValueError, match="Invalid alpha value"):
        optim.RMSprop([p], alpha=-1.0)
    with pytest.raises(NotImplementedError, match="differentiable=True is not supported"):
        optim.SGD([p], differentiable=True)
    with pytest.raises(RuntimeError, match="cannot be `True` together"):
        optim.SGD([p], fused=True, foreach=True)
    saved = optim.SGD([p]).state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optim.SGD([{"params": [p]}, {"params": [q]}]).load_state_dict(saved)
    with pytest.raises(ValueError, match="doesn't match the size"):
        optim.SGD([p, q]).load_state_dict(saved)


def test_state_that_does_not_belong_is_named():
    p, q = leaf([1.0]), leaf([1.0, 2.0])
    o = optim.Adam([p, q])
    set_grads([p, q], [[1.0], [1.0, 1.0]])
    o.step()
    o.state[q]["exp_avg"] = lamina.zeros(3)
    with pytest.raises(lamina.ShapeError) as e:
        o.step()
    assert str(e.value) == (
        "adam_step: parameter 1 is (2,) float32 but its state 0 is (3,) float32; load a state "
        "that belongs to this parameter"
    )


def test_deepcopy():
    _, o = train("SGD", {"lr": 0.1, "momentum": 0.9}, steps=slice(2))
    params = [p for g in o.param_groups for p in g["params"]]
    twin = copy.deepcopy(o)
    theirs = [p for g in twin.param_groups for p in g["params"]]
    for a, b in itertools.pairwise([params, theirs]):
        assert all(x is not y for x, y in zip(a, b))
    for row in values()[1][2:4]:
        set_grads(params, row)
        set_grads(theirs, row)
        o.step()
        twin.step()
    assert same_bits([p.detach().numpy() for p in params], [p.detach().numpy() for p in theirs])
