"""lamina.compile: replays have the eager step's bits, and what cannot be replayed says so."""

import warnings

import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim

pytestmark = pytest.mark.on_device


def batches(count, shape=(8, 12), classes=3, seed=1):
    g = lamina.Generator()
    g.manual_seed(seed)
    return [
        (lamina.randn(*shape, generator=g), lamina.randint(0, classes, (shape[0],), generator=g))
        for _ in range(count)
    ]


def mlp():
    return nn.Sequential(
        nn.Linear(12, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 3)
    )


def convnet():
    return nn.Sequential(
        nn.Unflatten(1, (3, 4, 4)), nn.Conv2d(3, 9, 3, padding=1), nn.BatchNorm2d(9), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3),
    )  # fmt: skip


class Sequence(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embed = nn.Embedding(12, 8)
        self.core = (
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            if kind == "attention"
            else getattr(nn, kind)(8, 8, 2, batch_first=True, dropout=0.2)
        )
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        h = self.embed((x.abs() * 3).long() % 12)
        h = self.core(h)
        return self.out((h[0] if isinstance(h, tuple) else h)[:, -1])


MODELS = {
    "mlp": (mlp, (8, 12)),
    "conv": (convnet, (4, 48)),
    "lstm": (lambda: Sequence("LSTM"), (5, 7)),
    "gru": (lambda: Sequence("GRU"), (5, 7)),
    "attention": (lambda: Sequence("attention"), (5, 7)),
}
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, 0.05, momentum=0.9, weight_decay=1e-3),
    "adam": lambda p: optim.Adam(p, 0.01),
    "adamw": lambda p: optim.AdamW(p, 0.01, amsgrad=True),
    "rmsprop": lambda p: optim.RMSprop(p, 0.01),
    "nadam": lambda p: optim.NAdam(p, 0.01),
    "asgd": lambda p: optim.ASGD(p, 0.01),
}


def make_step(model, optimizer, clip=None):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        return loss.detach()

    return step


def run(build, compiled, data, each=None, **options):
    lamina.manual_seed(0)
    step, model, optimizer = build()
    call = lamina.compile(step, fullgraph=True) if compiled else step
    losses = []
    for i, (x, y) in enumerate(data):
        if each:
            each(i, model, optimizer)
        losses.append(call(x, y).item())
    state = [t.detach().clone() for t in model.state_dict().values()]
    return losses, state, lamina.get_rng_state(), call


def assert_same(build, data, each=None):
    eager, replayed = (run(build, c, data, each) for c in (False, True))
    assert eager[0] == replayed[0]
    for x, y in zip(eager[1], replayed[1]):
        assert lamina.equal(x, y)
    assert lamina.equal(eager[2], replayed[2])
    return replayed[3]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("check", [False, True], ids=["", "check"])
def test_a_replayed_training_has_the_eager_bits(name, check, monkeypatch):
    monkeypatch.setenv("LAMINA_CHECK", "1" if check else "0")
    make, shape = MODELS[name]

    def build():
        model = make()
        optimizer = optim.AdamW(model.parameters(), 0.01)
        return make_step(model, optimizer), model, optimizer

    call = assert_same(build, batches(7, shape))
    assert check or call.plan is not None


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_fused_optimizer_counts_by_itself_and_sees_the_schedule(name):
    def build():
        model = mlp()
        optimizer = OPTIMIZERS[name](model.parameters())
        model.schedule = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        return make_step(model, optimizer, clip=0.5), model, optimizer

    def each(i, model, optimizer):
        if i:
            model.schedule.step()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(build, batches(9), each)


def test_arguments_of_another_shape_and_another_mode_get_plans_of_their_own():
    def build():
        model = mlp()
        optimizer = optim.SGD(model.parameters(), 0.1)
        return make_step(model, optimizer), model, optimizer

    data = batches(5) + batches(4, (3, 12)) + batches(2)

    def each(i, model, optimizer):
        model.train(i % 4 < 3)

    call = assert_same(build, data, each)
    assert len(call._entries) == 4


def test_two_optimizers_two_networks():
    def build():
        g, d = nn.Linear(4, 12), nn.Sequential(nn.Linear(12, 8), nn.LeakyReLU(), nn.Linear(8, 1))
        og, od = optim.Adam(g.parameters(), 0.01), optim.Adam(d.parameters(), 0.01)

        def step(x, y):
            ones, zeros = lamina.ones(len(x), 1), lamina.zeros(len(x), 1)
            fake = g(lamina.randn(len(x), 4))
            od.zero_grad()
            bce = F.binary_cross_entropy_with_logits
            loss = (bce(d(x), ones) + bce(d(fake.detach()), zeros)) / 2
            loss.backward()
            od.step()
            og.zero_grad()
            bce(d(fake), ones).backward()
            og.step()
            return loss.detach()

        return step, nn.ModuleList([g, d]), og

    assert_same(build, batches(8))


def test_gradients_accumulate_and_clear_outside_the_step():
    def build():
        model = nn.Linear(12, 3)
        optimizer = optim.SGD(model.parameters(), 0.1)

        def step(x, y):
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss.detach()

        return step, model, optimizer

    def each(i, model, optimizer):
        if i % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()

    def in_place(i, model, optimizer):
        if i % 3 == 2:
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)

    assert_same(build, batches(14), each)
    assert_same(build, batches(14), in_place)


def test_gradients_are_there_after_a_replay():
    model = nn.Linear(12, 3)
    step = lamina.compile(make_step(model, optim.SGD(model.parameters(), 0.0)), fullgraph=True)
    for x, y in batches(6):
        step(x, y)
    got = model.weight.grad.clone()
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    assert lamina.equal(got, model.weight.grad)


def test_state_updated_in_place_and_arguments_written_to():
    total = lamina.zeros(3)

    def step(x, out):
        total.add_(x.sum(0))
        out.mul_(2)
        return x, out + 1, {"twice": (x * 2, None, 3)}

    call = lamina.compile(step, fullgraph=True)
    want = lamina.zeros(3)
    for i in range(6):
        x, out = lamina.full((2, 3), float(i)), lamina.full((2,), float(i))
        want += x.sum(0)
        same, more, rest = call(x, out)
        assert same.data_ptr() == x.data_ptr()
        assert lamina.equal(out, lamina.full((2,), 2.0 * i)) and lamina.equal(more, out + 1)
        assert lamina.equal(rest["twice"][0], x * 2) and rest["twice"][1:] == (None, 3)
        assert lamina.equal(total, want)


def test_results_are_new_and_views_of_one_array_may_be_arguments():
    call = lamina.compile(lambda x, y: (x * y).sum(0), fullgraph=True)
    data = lamina.arange(80.0).reshape(8, 10)
    results = [call(data[:, i : i + 4], data[:, i + 1 : i + 5]) for i in range(6)]
    for i, r in enumerate(results):
        assert lamina.equal(r, (data[:, i : i + 4] * data[:, i + 1 : i + 5]).sum(0))
    assert call.plan.stats()["calls"] == 2


def test_constants_made_in_the_step_are_made_again():
    def step(x):
        total = lamina.tensor([0.0, 1.0])
        total += x
        return total * lamina.tensor(3.0)

    call = lamina.compile(step, fullgraph=True)
    for i in range(5):
        x = lamina.full((2,), float(i))
        assert lamina.equal(call(x), step(x))


SCALE = 1.0


def test_numbers_from_outside_choose_the_plan(monkeypatch):
    weight = 0.5

    def step(x):
        return x * SCALE + weight

    call = lamina.compile(step, fullgraph=True)
    x = lamina.ones(3)
    for scale in (1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0):
        monkeypatch.setitem(globals(), "SCALE", scale)
        assert call(x).tolist() == [scale + 0.5] * 3
    weight = 4.0
    assert call(x).tolist() == [5.0] * 3


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "weight", nn.Parameter(m.weight.detach() * 2)),
        lambda m: setattr(m.weight, "data", m.weight.data * 2),
        lambda m: m.weight.requires_grad_(False),
        lambda m: m.load_state_dict({k: v + 1 for k, v in m.state_dict().items()}),
        lambda m: m.weight.data.mul_(3),
    ],
    ids=["replaced", "data", "frozen", "loaded", "in-place"],
)
def test_parameters_changed_outside(change):
    def build():
        model = nn.Linear(12, 3)
        optimizer = optim.SGD(model.parameters(), 0.1)
        return make_step(model, optimizer), model, optimizer

    def each(i, model, optimizer):
        if i in (5, 6):
            change(model)
            optimizer.zero_grad()

    assert_same(build, batches(10), each)


def refused(step, *args, match):
    match += r".*\(.*test_compile.py:\d+, in "
    with pytest.raises(RuntimeError, match=match):
        call = lamina.compile(step, fullgraph=True)
        for _ in range(5):
            call(*args)
    call = lamina.compile(step)
    with pytest.warns(UserWarning, match=match):
        for _ in range(5):
            call(*args)
    assert call.plan is None


def test_what_cannot_be_replayed_names_the_line():
    x = lamina.ones(3)
    state = {"h": lamina.zeros(3), "n": 0}

    def carries(x):
        state["h"] = state["h"] + x
        return state["h"] * 1

    def counts(x):
        state["n"] += 1
        return x * state["n"]

    model = nn.Linear(3, 1)
    own = lamina.Generator()
    refused(lambda x: x * x.sum().item(), x, match=r"item\(\) reads a value")
    refused(lambda x: x[x > 0], x, match="nonzero")
    refused(lambda x: x if x.sum() > 0 else -x, x, match="reads a value")
    refused(lambda x: x + lamina.tensor(x.numpy(force=True)), x, match="reads a value")
    refused(carries, x, match=r"carries state\['h'\] from step to step")
    refused(counts, x, match=r"changes state\['n'\] from . to ., which a replay would not")
    refused(lambda x: model(x), x, match="still needs its backward")
    refused(lambda x: x + lamina.randn(3, generator=own), x, match="generator of its own")
    with pytest.raises(TypeError, match="expected a function"):
        lamina.compile(3)


def test_an_error_in_the_step_leaves_nothing_behind():
    def step(x, y):
        return F.cross_entropy(x, y)

    call = lamina.compile(step, fullgraph=True)
    x = lamina.randn(4, 3)
    good, bad = lamina.tensor([0, 1, 2, 0]), lamina.tensor([0, 1, 7, 0])
    for y in (bad, good, bad, good, good, good):
        if y is bad:
            with pytest.raises(IndexError, match="cross_entropy: target"):
                call(x, y).item()  # a device raises when it is synchronised
        else:
            assert call(x, y).item() == step(x, y).item()
    with pytest.raises(IndexError):  # in a replay
        call(x, bad).item()
    assert call(x, good).item() == step(x, good).item()


def test_a_compiled_module():
    model = mlp()
    fast = lamina.compile(model)
    assert list(fast.state_dict()) == [f"_orig_mod.{k}" for k in model.state_dict()]
    assert fast[0] is model[0] if hasattr(type(fast), "__getitem__") else fast._orig_mod is model
    fast.eval()
    assert not model.training
    with lamina.no_grad():
        for x, _ in batches(5):
            assert lamina.equal(fast(x), model(x))
    assert fast._replayed.plan is not None
    x, y = batches(1)[0]
    F.cross_entropy(fast(x), y).backward()  # recording gradients: eager
    assert model[0].weight.grad is not None


def test_decorator_options_and_helpers():
    @lamina.compile(fullgraph=True, mode="reduce-overhead")
    def double(x):
        assert lamina.compiler.is_compiling() in (True, False)
        return x * 2

    assert double.__name__ == "double"
    assert [double(lamina.tensor([float(i)])).item() for i in range(5)] == [0, 2, 4, 6, 8]
    assert not lamina.compiler.is_compiling()
    assert lamina.compile(abs, disable=True) is abs
    assert "mul" in double.plan.summary()


def test_dead_operations_are_left_out_and_memory_is_shared():
    def step(x):
        unused = x.exp().sum()
        del unused
        for _ in range(10):
            x = (x * 2).sum(0, keepdim=True) + x
        return x

    call = lamina.compile(step, fullgraph=True)
    x = lamina.randn(64, 64)
    for _ in range(4):
        assert lamina.equal(call(x), step(x))
    stats = call.plan.stats()
    assert stats["calls"] == stats["recorded"] - 2
    assert stats["arena_bytes"] <= 3 * x.numel() * 4 < stats["made_bytes"]
