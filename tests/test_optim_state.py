"""Optimizers: groups, state, saving and loading, hooks, errors."""

from __future__ import annotations

import copy
import itertools

import pytest

import lamina
from lamina import optim
from optim_cases import REFERENCE, STEPS, each, leaf, same_bits, set_grads, train, values

try:
    import torch
except ImportError:
    torch = None


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


@pytest.mark.parametrize("name", sorted(set(REFERENCE) - {"Lion"}))
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
