"""What a user does with modules, as functions of the library (lamina or PyTorch) that return what
was seen. test_nn_user.py runs each in both."""

from __future__ import annotations

import copy
import pickle

STORIES: dict = {}


def story(function):
    STORIES[function.__name__] = function
    return function


def attempt(action):
    """The result, or the error's type and text."""
    try:
        return action()
    except Exception as error:
        text = f"{type(error).__name__}: {error}".replace("torch", "lamina").split("\n")[0]
        return text.replace("nn.modules.container", "nn.container").replace("Float", "")


def scale(m, size=2):
    """A module that multiplies by its weight, with a buffer that counts calls."""

    class Scale(m.nn.Module):
        def __init__(self, n=size):
            super().__init__()
            self.weight = m.nn.Parameter(m.full((n,), 2.0))
            self.register_buffer("calls", m.zeros((), dtype=m.int64))

        def forward(self, x, *, bias=0.0):
            self.calls += 1
            return x * self.weight + bias

    return Scale()


def small(m):
    net = m.nn.Sequential(scale(m), m.nn.ReLU(), m.nn.Sequential(scale(m), m.nn.Tanh()))
    return net


# ---- hooks ---------------------------------------------------------------------------------------
@story
def pre_hooks_change_arguments(m):
    log, layer = [], scale(m)
    x = m.ones(2)
    h1 = layer.register_forward_pre_hook(lambda mod, a: a[0] + 1)
    h2 = layer.register_forward_pre_hook(lambda mod, a: (a[0] * 2,))
    log.append(layer(x).tolist())
    h1.remove()
    log.append(layer(x).tolist())
    with layer.register_forward_pre_hook(lambda mod, a, k: (a, {"bias": 5.0}), with_kwargs=True):
        log.append(layer(x, bias=1.0).tolist())
    log.append(layer(x, bias=1.0).tolist())
    h2.remove()
    log.append(layer(x).tolist())
    bad = layer.register_forward_pre_hook(lambda mod, a, k: (1, 2, 3), with_kwargs=True)
    log.append(attempt(lambda: layer(x)))
    bad.remove()
    return log


@story
def hooks_added_or_removed_while_running(m):
    log, layer = [], scale(m)

    def once(mod, args, out):
        log.append("once")
        handle.remove()

    handle = layer.register_forward_hook(once)
    layer.register_forward_hook(lambda mod, a, out: log.append("always"))
    layer(m.ones(2))
    layer(m.ones(2))
    return log


@story
def forward_hooks_on_every_submodule(m):
    net, seen = small(m), {}
    for name, module in net.named_modules():
        module.register_forward_hook(
            lambda mod, a, out, name=name: seen.__setitem__(name, (len(a), out.shape[0]))
        )
    net(m.ones(2))
    return list(seen.items())


@story
def backward_hooks_see_gradients(m):
    log, net = [], small(m)
    x = m.tensor([0.1, -0.2], requires_grad=True)
    for name, module in net.named_children():
        module.register_full_backward_hook(
            lambda mod, gi, go, name=name: log.append(
                (name, type(gi).__name__, [None if g is None else g.shape for g in gi],
                 round(go[0].sum().item(), 4))
            )
        )  # fmt: skip
    net(x).sum().backward()
    log.append([round(v, 4) for v in x.grad.tolist()])
    return [tuple(map(str, entry)) for entry in log]


@story
def backward_hooks_change_gradients(m):
    log, layer = [], scale(m)
    layer.register_full_backward_pre_hook(lambda mod, go: (go[0] * 3,))
    handle = layer.register_full_backward_hook(lambda mod, gi, go: (gi[0] * 10,))
    x = m.ones(2, requires_grad=True)
    layer(x).sum().backward()
    log.append((x.grad.tolist(), layer.weight.grad.tolist()))
    handle.remove()
    x.grad = None
    layer(x).sum().backward()
    log.append((x.grad.tolist(), layer.weight.grad.tolist()))
    return log


@story
def backward_hooks_with_several_inputs_and_outputs(m):
    log = []

    class Two(m.nn.Module):
        def forward(self, a, b, c):
            return a * b, b + 1, c

    layer = Two()
    layer.register_full_backward_hook(
        lambda mod, gi, go: log.append(
            [len(gi), *([g if g is None else g.tolist() for g in grads[:2]] for grads in (gi, go))]
        )
    )
    a, b = m.ones(2, requires_grad=True), m.full((2,), 3.0, requires_grad=True)
    p, q, r = layer(a, b, m.ones(1))
    (p.sum() + 2 * q.sum()).backward()
    log.append([a.grad.tolist(), b.grad.tolist(), r.requires_grad])
    p, q, r = layer(a, b, "text")
    p.sum().backward()
    log.append(r)
    return log


@story
def hooks_of_tensors(m):
    log = []
    w = m.nn.Parameter(m.ones(2))
    handle = w.register_hook(lambda g: g * 2)
    (w * 3).sum().backward()
    log.append(w.grad.tolist())
    handle.remove()
    w.grad = None
    (w * 3).sum().backward()
    log.append(w.grad.tolist())
    y = w * 3
    y.retain_grad()
    y.register_hook(lambda g: log.append(g.tolist()))
    y.register_hook(lambda g: g + 1)
    (y * y).sum().backward()
    log += [y.grad.tolist(), w.grad.tolist()]
    log.append(attempt(lambda: m.ones(2).register_hook(print))[:12])
    return log


# ---- attributes ----------------------------------------------------------------------------------
@story
def assigning_attributes(m):
    log, layer = [], scale(m)

    def tell():
        log.append(
            (list(layer._parameters), list(layer._buffers), list(layer._modules),
             [k for k in layer.__dict__ if k in ("weight", "calls", "extra")])
        )  # fmt: skip

    log.append(attempt(lambda: setattr(layer, "weight", m.ones(2))))
    log.append(attempt(lambda: setattr(layer, "weight", 3)))
    layer.weight = None
    tell()
    log.append(layer.weight)
    layer.weight = m.nn.Parameter(m.ones(3))
    tell()
    layer.calls = None
    layer.calls = m.ones(1)
    log.append(attempt(lambda: setattr(layer, "calls", 3)))
    layer.extra = m.nn.Linear(1, 1)
    log.append(attempt(lambda: setattr(layer, "extra", 3)))
    layer.extra = None
    tell()
    del layer.extra
    layer.extra = m.ones(1)
    tell()
    layer.extra = m.nn.Parameter(m.ones(1))
    tell()
    layer.calls = m.nn.Parameter(m.ones(1))
    tell()
    layer.weight2 = layer.weight
    log.append([n for n, _ in layer.named_parameters()])
    del layer.weight
    tell()
    log.append(attempt(lambda: layer.weight))
    log.append(attempt(lambda: delattr(layer, "nothing")))
    log.append(hasattr(layer, "extra"))
    return log


@story
def registering(m):
    log, layer = [], scale(m)
    p = m.nn.Parameter(m.ones(2))
    log.append(attempt(lambda: layer.register_parameter("weight", p)))
    log.append(attempt(lambda: layer.register_parameter("forward", p)))
    log.append(attempt(lambda: layer.register_parameter("a.b", p)))
    log.append(attempt(lambda: layer.register_parameter("", p)))
    log.append(attempt(lambda: layer.register_parameter(3, p)))
    log.append(attempt(lambda: layer.register_buffer("training", m.ones(1))))
    log.append(attempt(lambda: layer.register_buffer("weight", m.ones(1))))
    log.append(attempt(lambda: layer.register_buffer("a.b", m.ones(1))))
    log.append(attempt(lambda: layer.register_buffer("", m.ones(1))))
    log.append(attempt(lambda: layer.add_module("weight", m.nn.ReLU())))
    log.append(attempt(lambda: layer.add_module("a.b", m.nn.ReLU())))
    log.append(attempt(lambda: layer.add_module("", m.nn.ReLU())))
    log.append(attempt(lambda: layer.register_parameter("q", p * 2)).split(".")[0])
    layer.register_parameter("later", None)
    layer.register_buffer("later_too", None)
    log.append(list(layer.state_dict()))
    layer.later, layer.later_too = p, m.ones(1)
    log.append(list(layer.state_dict()))
    layer.register_buffer("later_too", m.ones(1), persistent=False)
    log.append(list(layer.state_dict()))
    log.append([n for n, _ in layer.named_buffers()])
    return log


@story
def buffers_as_objects(m):
    class Net(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.kept = m.nn.Buffer(m.ones(1))
            self.temporary = m.nn.Buffer(m.ones(1), persistent=False)
            self.plain = m.ones(1)

    net = Net()
    log = [list(net.state_dict()), [n for n, _ in net.named_buffers()]]
    net.kept = m.zeros(2)
    net.temporary = m.nn.Buffer(m.zeros(2))
    log.append(list(net.state_dict()))
    log.append([isinstance(net.kept, m.nn.Buffer), isinstance(net.temporary, m.nn.Buffer)])
    return log


@story
def parameters_are_tensors(m):
    p = m.nn.Parameter(m.ones(2))
    q = m.nn.Parameter(m.ones(2), requires_grad=False)
    log = [p.requires_grad, q.requires_grad, p.is_leaf, isinstance(p, m.Tensor),
           type(p + 1) is m.Tensor, type(p.detach()) is m.Tensor, type(p.data) is m.Tensor,
           type(p.clone()) is m.Tensor, isinstance(p[0], m.nn.Parameter), p.grad]  # fmt: skip
    source = m.zeros(2)
    shared = m.nn.Parameter(source)
    source.fill_(5.0)
    log.append(shared.tolist())
    p.data = m.zeros(3)
    log.append(p.tolist())
    log.append(attempt(lambda: p.add_(1)).split(":")[0])
    with m.no_grad():
        p.add_(1)
    log.append(p.tolist())
    log.append(attempt(lambda: m.nn.Parameter(m.ones(2, dtype=m.int64)))[:12])
    log.append(m.nn.Parameter(m.ones(2, dtype=m.int64), requires_grad=False).dtype is m.int64)
    log.append(m.nn.Parameter().shape)
    log.append(repr(m.nn.Parameter(m.ones(2))))
    log.append(p is p.requires_grad_(False) and not p.requires_grad)
    log.append([hash(p) == hash(p), len({p, q, p})])
    return [str(x) for x in log]


# ---- walking -------------------------------------------------------------------------------------
def tied(m):
    net = m.nn.Module()
    net.embed, net.out = m.nn.Embedding(3, 2), m.nn.Linear(2, 3, bias=False)
    net.out.weight = net.embed.weight
    net.again = net.embed
    net.none = None
    net.register_module("missing", None)
    return net


@story
def shared_parameters(m):
    net = tied(m)
    log = [
        [n for n, _ in net.named_parameters()],
        [n for n, _ in net.named_parameters(remove_duplicate=False)],
        [n for n, _ in net.named_parameters("p", recurse=False)],
        [n for n, _ in net.named_modules()],
        [n for n, _ in net.named_modules(prefix="net", remove_duplicate=False)],
        [n for n, _ in net.named_children()],
        list(net.state_dict()), len(list(net.parameters())), len(list(net.modules())),
    ]  # fmt: skip
    net.embed.weight.data.fill_(1.0)
    (net.out(m.ones(1, 2)).sum() + net.embed(m.tensor([0])).sum()).backward()
    log.append(net.embed.weight.grad.tolist())
    for how in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        other = how(net)
        log.append([other.out.weight is other.embed.weight, other.again is other.embed,
                    other.embed.weight is net.embed.weight])  # fmt: skip
    net.double()
    log.append([net.out.weight is net.embed.weight, net.out.weight.dtype is m.float64])
    return log


@story
def paths(m):
    net = small(m)
    log = [net.get_submodule("2.0") is net[2][0], net.get_submodule("") is net]
    log.append(net.get_parameter("2.0.weight") is net[2][0].weight)
    log.append(net.get_buffer("0.calls") is net[0].calls)
    for where in ("2.7", "0.weight", "nothing", "0.calls"):
        for get in (net.get_submodule, net.get_parameter, net.get_buffer):
            log.append(str(attempt(lambda get=get, where=where: get(where)))[:60])
    net.set_submodule("2.1", m.nn.ReLU())
    log.append(repr(net))
    log += [attempt(lambda: net.set_submodule("", m.nn.ReLU())),
            attempt(lambda: net.set_submodule("2.1", 3)).split(",")[0],
            attempt(lambda: net.set_submodule("9.1", m.nn.ReLU())),
            attempt(lambda: net.set_submodule("2.nine", m.nn.ReLU(), strict=True))]  # fmt: skip
    return log


@story
def switches(m):
    net, order = small(m), []
    net.apply(lambda x: order.append(type(x).__name__))
    log = [order, net.training, net.eval() is net, [x.training for x in net.modules()]]
    net[2].train()
    log.append([x.training for x in net.modules()])
    log.append(attempt(lambda: net.train(1)))
    net[0].requires_grad_(False)
    log.append([p.requires_grad for p in net.parameters()])
    net(m.ones(2)).sum().backward()
    log.append([p.grad is None for p in net.parameters()])
    net.zero_grad(set_to_none=False)
    log.append([p.grad is None or p.grad.tolist() for p in net.parameters()])
    net.zero_grad()
    log.append([p.grad is None for p in net.parameters()])
    return log


# ---- conversions ---------------------------------------------------------------------------------
@story
def dtypes(m):
    log = []
    for change in ("half", "bfloat16", "double", "float"):
        net = small(m)
        weight = net[0].weight
        log.append([getattr(net, change)() is net, net[0].weight is weight, str(weight.dtype),
                    str(net[0].calls.dtype), weight.requires_grad, weight.is_leaf])  # fmt: skip
        y = net(m.ones(2).to(weight.dtype))
        y.sum().backward()
        log.append([str(y.dtype), str(weight.grad.dtype)])
        net.to(m.float64)
        log.append([str(weight.grad.dtype), str(weight.dtype)])
    net = small(m)
    log.append(str(net.to("cpu", m.float64)[0].weight.dtype))
    log.append(str(net.to(m.ones(1, dtype=m.float16))[0].weight.dtype))
    log.append(str(net.to(device="cpu", dtype=m.float32)[0].weight.dtype))
    log.append(str(net.to(m.device("cpu"), non_blocking=True)[0].weight.dtype))
    log.append(str(net.type(m.float64)[0].calls.dtype))
    log.append(attempt(lambda: small(m).to(m.int64)).split(":")[0])
    log.append(str(m.nn.BatchNorm1d(2).half().num_batches_tracked.dtype))
    for dtype in (m.float64, m.float16):
        log.append([str(v.dtype) for v in m.nn.BatchNorm1d(2, dtype=dtype).state_dict().values()])
        log.append(str(m.nn.Conv2d(1, 1, 1, dtype=dtype).bias.dtype))
    return [str(x).replace("torch", "lamina") for x in log]
