"""More stories (see nn_stories.py): containers, state, copies, printing."""

from __future__ import annotations

import collections
import copy
import pickle

from nn_stories import STORIES, attempt, small, story

__all__ = ["STORIES"]  # with those of nn_stories.py


# ---- containers ----------------------------------------------------------------------------------
def tanhs(m, n=5):
    return m.nn.Sequential(*[m.nn.Linear(1, i + 1) for i in range(n)])


def names(net):
    return [(n, c.out_features) for n, c in net.named_children()]


@story
def sequential_as_a_list(m):
    net, log = tanhs(m), []
    log += [names(net[1:3]), names(net[::2]), names(net[-2:]), len(net), type(net[:2]).__name__]
    log.append(net[-1].out_features)
    log += [attempt(lambda: net[5]), attempt(lambda: net[-6]), attempt(lambda: net["0"])[:9]]
    del net[1]
    log.append(names(net))
    del net[1:3]
    log.append(names(net))
    net[0] = m.nn.Linear(1, 9)
    net.insert(1, m.nn.Linear(1, 8))
    log.append(names(net))
    net.insert(-1, m.nn.Linear(1, 7))
    log.append(names(net))
    log += [attempt(lambda: net.insert(9, m.nn.ReLU())), attempt(lambda: net.append(3)),
            attempt(lambda: net.extend(3))[:9]]  # fmt: skip
    net.append(m.nn.Linear(1, 6)).extend([m.nn.Linear(1, 5)])
    log.append(names(net))
    log.append([net.pop(0).out_features, names(net), net.pop(-1).out_features])
    log.append(names(net + tanhs(m, 2)))
    net += tanhs(m, 2)
    log.append(names(net))
    log.append([len(tanhs(m, 2) * 3), len(2 * tanhs(m, 2))])
    log += [attempt(lambda: net * 0), attempt(lambda: net * 1.5), attempt(lambda: net + [1])]
    log.append(repr(m.nn.Sequential()))
    named = m.nn.Sequential(collections.OrderedDict(a=m.nn.ReLU(), b=m.nn.Tanh()))
    named.add_module("c", m.nn.Sigmoid())
    log += [repr(named), repr(named[1:]), named.b is named[1], list(named[:2]._modules)]
    log.append([type(x).__name__ for x in named])
    log.append(attempt(lambda: m.nn.Sequential(3)))
    log.append(attempt(lambda: m.nn.Sequential({"a": m.nn.ReLU()})))
    del named[0]
    log.append(list(named._modules))
    return log


@story
def module_list(m):
    net = m.nn.ModuleList([m.nn.Linear(1, i + 1) for i in range(4)])
    log = [names(net), names(net[1:]), len(net), net[-1].out_features, repr(net)]
    net.append(m.nn.Linear(1, 9))
    net.insert(0, m.nn.Linear(1, 8))
    net.insert(2, m.nn.Linear(1, 7))
    log.append(names(net))
    net.extend([m.nn.Linear(1, 6)])
    net += [m.nn.Linear(1, 5)]
    del net[0], net[1:3]
    log.append(names(net))
    net[1] = m.nn.Linear(1, 4)
    log.append(names(net))
    log.append([net.pop(1).out_features, net.pop(-1).out_features, names(net)])
    log.append(names(net + m.nn.ModuleList([m.nn.Linear(1, 1)])))
    log += [attempt(lambda: net[9]), attempt(lambda: net(1)), attempt(lambda: net.append(3)),
            attempt(lambda: net.extend(1)), attempt(lambda: m.nn.ModuleList([1]))]  # fmt: skip
    log.append([isinstance(x, m.nn.Linear) for x in reversed(list(net))])
    log.append(repr(m.nn.ModuleList([m.nn.ReLU(), m.nn.ReLU(), m.nn.Tanh(), m.nn.ReLU()])))
    log.append(list(net.state_dict()))
    return log


@story
def module_dict(m):
    net = m.nn.ModuleDict({"b": m.nn.ReLU(), "a": m.nn.Tanh()})
    net["c"] = m.nn.Linear(1, 2)
    net.update([("a", m.nn.Sigmoid()), ("d", m.nn.ELU())])
    log = [list(net), list(net.keys()), [type(v).__name__ for v in net.values()], "a" in net]
    log.append([k for k, _ in net.items()])
    log.append(type(net.pop("b")).__name__)
    del net["a"]
    log += [repr(net), len(net), list(net.state_dict())]
    log.append(attempt(lambda: net["nothing"]))
    for pairs in (3, [1], [(1, 2, 3)]):
        log.append(attempt(lambda pairs=pairs: net.update(pairs))[:10])
    for key, value in (("x", 3), (3, m.nn.ReLU()), ("keys", m.nn.ReLU())):
        log.append(attempt(lambda key=key, value=value: net.__setitem__(key, value))[:30])
    log.append(attempt(lambda: net(1)))
    net.clear()
    log.append(repr(net))
    return log


@story
def parameter_containers(m):
    net = m.nn.Module()
    net.list = m.nn.ParameterList([m.ones(1), m.nn.Parameter(m.ones(2)), 3])
    net.list.append(m.ones(3))
    net.dict = m.nn.ParameterDict({"x": m.ones(2), "y": m.nn.Parameter(m.ones(1))})
    net.dict["z"] = None
    log = [repr(net.list), list(net.state_dict()), [n for n, _ in net.named_parameters()]]
    log += [len(net.list), len(net.dict), list(net.dict), net.list[2], net.list[-1].shape[0]]
    log.append([type(x).__name__ for x in net.list[:2]])
    log.append(net.dict.get("q", 7))
    log.append(net.dict.pop("x").shape[0])
    log.append(list(net.dict.keys()))
    log.append(attempt(lambda: net.list[9]))
    net.list[0] = m.zeros(4)
    log.append([type(net.list[0]).__name__, net.list[0].shape[0]])
    return log


# ---- state ---------------------------------------------------------------------------------------
@story
def state_dict_options(m):
    net = small(m)
    state = net.state_dict()
    log = [list(state), [v.requires_grad for v in state.values()], type(state).__name__]
    log.append(list(net.state_dict(prefix="model.")))
    log.append([v.requires_grad for v in net.state_dict(keep_vars=True).values()])
    place = collections.OrderedDict(x=1)
    log.append([net.state_dict(destination=place, prefix="a.") is place, list(place)])
    log.append([(k, v["version"]) for k, v in net.state_dict()._metadata.items()])
    log.append([(k, v["version"]) for k, v in m.nn.Sequential(
        m.nn.BatchNorm2d(1), m.nn.Linear(1, 1)).state_dict()._metadata.items()])  # fmt: skip
    return log


@story
def loading_other_shapes_and_types(m):
    log, net = [], small(m)
    state = small(m).state_dict()
    state["0.weight"] = m.full((2,), 3.0, dtype=m.float64)
    log.append(str(net.load_state_dict(state)))
    log.append([str(net[0].weight.dtype).split(".")[1], net[0].weight.tolist()])
    state["0.weight"] = m.ones(3)
    log.append(attempt_all(lambda: net.load_state_dict(state, strict=False)))
    del state["0.weight"]
    state["more"] = m.ones(1)
    log.append([list(x) for x in net.load_state_dict(state, strict=False)])
    log.append(attempt_all(lambda: net.load_state_dict(state)))
    log.append(attempt_all(lambda: net.load_state_dict([1])))
    log.append(attempt_all(lambda: net.load_state_dict({"0.weight": [1.0, 2.0]}, strict=False)))
    ones = m.ones(2)
    other = small(m)
    before = other[0].weight
    before.requires_grad_(False)
    other.load_state_dict({"0.weight": ones, "0.calls": m.ones(())}, strict=False, assign=True)
    log.append([other[0].weight is before, type(other[0].weight).__name__,
                other[0].weight.requires_grad, other[0].weight.data_ptr() == ones.data_ptr(),
                str(other[0].calls.dtype).split(".")[1]])  # fmt: skip
    scalar = m.nn.Module()
    scalar.p = m.nn.Parameter(m.zeros(()))
    scalar.load_state_dict({"p": m.ones(1)})
    log.append(scalar.p.tolist())
    return log


def attempt_all(action):
    """As `attempt`, with every line of the text."""
    try:
        return action()
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("torch", "lamina").replace("Float", "")


@story
def copies(m):
    log, net = [], small(m)
    net[0].weight.grad = m.ones(2)
    net[0].note = {"a": [1]}
    net[0].register_forward_hook(double_output)
    for how in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), copy.copy):
        other = how(net) if how is copy.copy else story_copy(how, net)
        log.append([other is net, other[0] is net[0], other[0].weight is net[0].weight,
                    other[0].note is net[0].note, other[0].weight.grad is None,
                    other(m.ones(2)).tolist() == net(m.ones(2)).tolist(),
                    other[0].calls.tolist() == net[0].calls.tolist(),
                    other[0].weight.requires_grad])  # fmt: skip
    other = copy.deepcopy(net)
    other.eval()[0].register_buffer("new", m.ones(1))
    other[0].weight.data.fill_(0)
    log.append([net.training, list(net[0]._buffers), net[0].weight.tolist()])
    log.append(attempt(lambda: copy.deepcopy(net[0].weight * 2))[:12])
    w = copy.deepcopy(net[0].weight)
    log.append([type(w).__name__, w.requires_grad, w.is_leaf])
    return log


def double_output(module, args, output):
    return output * 2


def story_copy(how, net):
    """Copies a net whose class is local: pickling needs it by name."""
    cls = type(net[0])
    for module in net.modules():
        if type(module).__name__ == "Scale":
            module.__class__ = cls
    cls.__module__, cls.__qualname__ = __name__, "Scale"
    globals()["Scale"] = cls
    return how(net)


@story
def printing(m):
    class Net(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = m.nn.Linear(1, 2)
            self.b = m.nn.Sequential(m.nn.Conv2d(1, 2, 3), m.nn.ModuleList([m.nn.ReLU()] * 2))

        def extra_repr(self):
            return "first\nsecond"

    empty = m.nn.Module()
    empty.x = None
    return [repr(Net()), str(empty), repr(m.nn.ModuleDict({"k": Net()})), repr(m.nn.ReLU(True))]


@story
def not_implemented_and_wrong_calls(m):
    class Bare(m.nn.Module):
        pass

    return [
        attempt(lambda: Bare()(1)),
        attempt(lambda: m.nn.Module(1))[:9],
        attempt(lambda: m.nn.Linear(2, 1)())[:9],
        attempt(lambda: m.nn.Linear(2, 1)(m.ones(2), 3))[:9],
        attempt(lambda: m.nn.Linear(2, 1).nothing),
        attempt(lambda: m.nn.Linear(2, 1, bais=False))[:9],
        attempt(lambda: m.nn.Conv2d(3, 4, 3, groups=2)),
        attempt(lambda: m.nn.Conv2d(4, 3, 3, groups=2)),
        attempt(lambda: m.nn.Conv2d(4, 4, 3, padding="full"))[:40],
        attempt(lambda: m.nn.Conv2d(4, 4, 3, padding="same", stride=2)),
        attempt(lambda: m.nn.Conv2d(4, 4, 3, groups=0)),
        attempt(lambda: m.nn.Dropout(1.5)),
        attempt(lambda: m.nn.GroupNorm(2, 3)),
        attempt(lambda: m.nn.Embedding(3, 2, padding_idx=3)),
        attempt(lambda: m.nn.Embedding.from_pretrained(m.ones(2))),
        attempt(lambda: m.nn.Bilinear(0, 1, 1))[:30],
    ]


@story
def subclasses_that_change_setattr_and_getattr(m):
    class Net(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = m.nn.Linear(2, 2)
            self.log = []

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self.inner, name)

    net = Net()
    log = [net.in_features, net.weight is net.inner.weight, attempt(lambda: net.nothing)]

    class WithProperty(m.nn.Module):
        def __init__(self):
            super().__init__()
            self._value = 1

        @property
        def value(self):
            return self._value

        @value.setter
        def value(self, v):
            self._value = v * 2

        @property
        def wrong(self):
            return self.missing

    thing = WithProperty()
    thing.value = 4
    return [*log, thing.value, attempt(lambda: thing.wrong)[:20]]


@story
def buffers_and_running_statistics(m):
    norm = m.nn.BatchNorm1d(2)
    x = m.tensor([[1.0, 2.0], [3.0, 6.0]])
    norm(x)
    log = [norm.running_mean.tolist(), [round(v, 5) for v in norm.running_var.tolist()],
           norm.num_batches_tracked.item()]  # fmt: skip
    norm.eval()(x)
    log.append(norm.num_batches_tracked.item())
    norm.reset_running_stats()
    log.append(norm.running_var.tolist())
    log.append(attempt(lambda: norm.train()(m.ones(1, 2)))[:10])
    one = m.nn.BatchNorm1d(2, track_running_stats=False)
    log += [one.running_mean, list(one.state_dict()), one.eval()(x).shape[0]]
    return log
