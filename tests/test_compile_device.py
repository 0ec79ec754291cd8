"""Plans on a device: one graph, whose numbers change from replay to replay."""

import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim

pytestmark = pytest.mark.skipif(not lamina.cuda.is_available(), reason="there is no CUDA device")


def net(dropout=0.4):
    lamina.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 4)).cuda()


def batches(n, device="cuda"):
    lamina.manual_seed(4)
    return [(lamina.randn(8, 6).to(device), (lamina.arange(8) * i % 4).to(device))
            for i in range(n)]  # fmt: skip


def train(compiled, data, make=lambda p: optim.Adam(p, 0.01), move=lambda t: t, **options):
    model = net()
    optimizer = make(model.parameters())
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.8)

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(move(x)), move(y))
        loss.backward()
        optimizer.step()
        return loss.detach()

    call = lamina.compile(step, fullgraph=True, **options) if compiled else step
    lamina.manual_seed(5)
    losses = []
    for x, y in data:
        losses.append(call(x, y).item())
        schedule.step()
    weights = [p.detach().cpu().tolist() for p in model.parameters()]
    steps = [s["step"].item() for s in optimizer.state.values() if "step" in s]
    return losses, weights, steps, call


OPTIMIZERS = {
    "adam": lambda p: optim.Adam(p, 0.01),
    "adamw": lambda p: optim.AdamW(p, 0.01, amsgrad=True),
    "sgd": lambda p: optim.SGD(p, 0.05, momentum=0.9),
    "rmsprop": lambda p: optim.RMSprop(p, 0.01),
}


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replays_have_the_eager_bits(name, check, monkeypatch):
    """Dropout draws, the learning rate falls, the step counts, other batches: all in a graph."""
    monkeypatch.setenv("LAMINA_CHECK", "1" if check else "0")
    data = batches(9)
    eager = train(False, data, OPTIMIZERS[name])
    replayed = train(True, data, OPTIMIZERS[name])
    assert replayed[:3] == eager[:3]
    assert "# replayed as a graph of the device" in replayed[3].plan.summary()


def test_batches_may_come_from_the_host():
    """A batch that the step itself moves is copied before each launch of the graph."""
    data = batches(8, "cpu")
    move = lambda t: t.to("cuda", non_blocking=True)  # noqa: E731
    eager, replayed = train(False, data, move=move), train(True, data, move=move)
    assert replayed[:3] == eager[:3]
    assert "graph of the device" in replayed[3].plan.summary()


def test_arguments_elsewhere_in_memory_and_written():
    total = lamina.zeros(3, 4, device="cuda")

    @lamina.compile(fullgraph=True)
    def step(x, out):
        out.mul_(2).add_(x)
        total.add_(x.sum())
        return x.sum(0), out.t()

    expected = 0.0
    wide = lamina.zeros(16, 8, device="cuda")
    for i in range(8):
        x = lamina.full((3, 4), float(i), device="cuda")
        out = wide[i : i + 6 : 2, 2:6]
        before = out.clone()
        wide_before = wide.clone()
        columns, turned = step(x, out)
        assert lamina.equal(out, before * 2 + x) and lamina.equal(turned, out.t())
        wide_before[i : i + 6 : 2, 2:6] = before * 2 + x
        assert lamina.equal(wide, wide_before)
        assert columns.tolist() == [3.0 * i] * 4
        expected += 12 * i
        out.fill_(float(i))
    assert total.tolist() == [[expected] * 4] * 3


def test_results_are_new_each_time():
    @lamina.compile(fullgraph=True)
    def double(x):
        return x * 2

    kept = [double(lamina.full((3,), float(i), device="cuda")) for i in range(6)]
    assert [t.tolist() for t in kept] == [[2.0 * i] * 3 for i in range(6)]


def test_gradients_that_are_kept_get_memory_of_their_own():
    layer = nn.Linear(3, 1, bias=False).cuda()

    @lamina.compile(fullgraph=True)
    def step(x):
        layer.zero_grad()
        layer(x).sum().backward()

    kept = []
    for i in range(9):
        step(lamina.full((1, 3), float(i), device="cuda"))
        kept.append(layer.weight.grad)
    assert [g.tolist() for g in kept] == [[[float(i)] * 3] for i in range(9)]


def test_numbers_of_the_host():
    """A number in host memory that is written between replays is read anew."""
    factor = lamina.tensor(1.0)

    @lamina.compile(fullgraph=True)
    def scale(x):
        return x * factor + 1

    for i in range(6):
        factor.fill_(float(i))
        assert scale(lamina.ones(2, device="cuda")).tolist() == [i + 1.0] * 2


def test_another_stream():
    model, data = net(0.0), batches(1)[0][0]
    infer = lamina.compile(lamina.no_grad()(lambda x: model(x)), fullgraph=True)
    with lamina.no_grad():
        expected = model(data).cpu()
    for i in range(6):
        with lamina.cuda.stream(lamina.cuda.Stream() if i % 2 else lamina.cuda.default_stream()):
            assert lamina.equal(infer(data).cpu(), expected)


def test_reading_a_value_is_refused():
    @lamina.compile
    def step(x):
        return x * x.sum().item()

    x = lamina.ones(3, device="cuda")
    with pytest.warns(UserWarning, match=r"item\(\) reads a value"):
        for _ in range(4):
            assert step(x).tolist() == [3.0] * 3

    @lamina.compile
    def to_host(x):
        return x.cpu() + 1

    with pytest.warns(UserWarning, match=r"to\(\) reads a value"):
        for _ in range(4):
            assert to_host(x).tolist() == [2.0] * 3


@pytest.mark.skipif(lamina.cuda.device_count() < 2, reason="there is one CUDA device")
def test_several_devices_replay_launch_by_launch():
    a, b = lamina.ones(3, device="cuda:0"), lamina.ones(3, device="cuda:1")

    @lamina.compile(fullgraph=True)
    def step(x, y):
        a.add_(x)
        b.add_(y)
        return x * 2

    for _ in range(5):
        step(lamina.ones(3, device="cuda:0"), lamina.full((3,), 2.0, device="cuda:1"))
    assert a.tolist() == [6.0] * 3 and b.tolist() == [11.0] * 3
    assert "launch by launch: the step runs on several devices" in step.plan.summary()
