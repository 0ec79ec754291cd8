"""Tensors, memory, streams, errors and training on a CUDA device, real or emulated.

Skipped without one. tests/test_cuda.py runs this file on the emulated device.
"""

import copy
import gc
import io
import pickle
import threading

import numpy as np
import pytest

import lamina
from lamina import nn

cuda = lamina.cuda
pytestmark = pytest.mark.skipif(not cuda.is_available(), reason="no CUDA device")
emulated = cuda.is_available() and cuda.get_device_properties().emulated


def same(a, b, tol=0.0):
    np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().cpu().numpy(), atol=tol, rtol=0)


def test_to_and_back():
    x = lamina.arange(12, dtype=lamina.float32).reshape(3, 4)
    y = x.to("cuda")
    assert y.is_cuda and not x.is_cuda and y.device == lamina.device("cuda", 0)
    assert y.get_device() == 0 and x.get_device() == -1
    assert y.to("cuda") is y and y.cpu().cpu().device.type == "cpu"
    same(y.t().cpu(), x.t())
    same(y[1:, ::2].to("cpu"), x[1:, ::2])
    assert "device='cuda:0'" in repr(y) and y.tolist() == x.tolist() and y[1, 2].item() == 6
    assert y.to("cuda", lamina.float64).dtype is lamina.float64
    with pytest.raises(TypeError, match="the tensor is on cuda:0; use .cpu()"):
        y.numpy()
    assert (y.numpy(force=True) == x.numpy()).all()


def test_creation():
    for t in (lamina.zeros(2, device="cuda"), lamina.ones(2, device="cuda:0"),
              lamina.tensor([1, 2], device="cuda"), lamina.arange(3, device="cuda"),
              lamina.rand(3, device="cuda"), lamina.full((2,), 7, device="cuda"),
              lamina.linspace(0, 1, 5, device="cuda"), lamina.eye(3, device="cuda")):  # fmt: skip
        assert t.is_cuda
        assert lamina.zeros_like(t).is_cuda and t.new_ones(2).is_cuda
    with lamina.device("cuda"):
        assert lamina.zeros(2).is_cuda
    assert not lamina.zeros(2).is_cuda
    lamina.manual_seed(3)
    a = lamina.randn(100)
    lamina.manual_seed(3)
    same(lamina.randn(100, device="cuda"), a)
    assert nn.Linear(3, 2, device="cuda").weight.is_cuda


def test_gradients_come_back():
    x = lamina.randn(5, requires_grad=True)
    (x.cuda().exp() * 2).sum().cpu().backward()
    same(x.grad, 2 * x.exp(), 1e-5)


def test_numbers_mix_and_tensors_do_not():
    x = lamina.ones(3, device="cuda")
    assert (2 - x).is_cuda and (x * lamina.tensor(3.0)).is_cuda
    with pytest.raises(lamina.DeviceError, match=r"add: one input is on cuda:0 .* on cpu"):
        x + lamina.ones(3)
    with pytest.raises(lamina.DeviceError, match="there is no device cuda:9|there is no cuda:9"):
        x.cuda(9)
    with pytest.raises(lamina.DeviceError, match="there is no cuda:9"):
        x.to("cuda:9")


def test_absent_kernels_say_so():
    images, rows = lamina.ones(2, 3, 3, device="cuda"), lamina.tensor([0], device="cuda")
    with pytest.raises(NotImplementedError, match="gather_batch: no CUDA kernel yet; move the"):
        lamina._core.gather_batch(images, rows, 1.0, None, None, 0, 0, 0.0, False)


def test_reports_at_synchronisation():
    table = nn.Embedding(4, 2, device="cuda")
    table(lamina.tensor([0, 9], device="cuda"))
    with pytest.raises(IndexError, match="embedding: index 9 is out of bounds .* size 4"):
        cuda.synchronize()
    scores, labels = lamina.randn(3, 4, device="cuda"), lamina.tensor([0, 7, 1], device="cuda")
    loss = nn.functional.cross_entropy(scores, labels)
    with pytest.raises(IndexError, match="cross_entropy: target 7 is out of range for 4 classes"):
        loss.item()
    same(table(lamina.tensor([1], device="cuda")), table.weight[1:2])  # the process goes on


def test_memory():
    gc.collect()
    cuda.empty_cache()
    before = cuda.memory_allocated()
    x = lamina.empty(1 << 20, device="cuda")
    assert cuda.memory_allocated() - before == 4 << 20
    assert cuda.max_memory_allocated() >= cuda.memory_allocated()
    del x
    assert cuda.memory_allocated() == before and cuda.memory_reserved() >= 4 << 20
    cuda.empty_cache()
    free, total = cuda.mem_get_info()
    assert 0 < free <= total
    with pytest.raises(lamina.OutOfMemoryError, match=r"cuda:0: .* asked, .* free, .* in use"):
        lamina.empty(total, device="cuda")
    lamina.ones(3).pin_memory().to("cuda", non_blocking=True)


def test_streams_and_events():
    stream, start, end = cuda.Stream(), cuda.Event(True), cuda.Event(enable_timing=True)
    with cuda.stream(stream):
        assert cuda.current_stream() == stream
        start.record()
        x = lamina.ones(1000, device="cuda") + 1
        end.record()
    assert cuda.current_stream() == cuda.default_stream() != stream
    cuda.current_stream().wait_stream(stream)
    end.synchronize()
    assert end.query() and start.elapsed_time(end) >= 0 and x.sum().item() == 2000
    stream.synchronize()


@pytest.mark.parametrize("make", [
    lambda p: lamina.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda p: lamina.optim.Adam(p, 1e-2, amsgrad=True), lambda p: lamina.optim.AdamW(p, 1e-2),
    lambda p: lamina.optim.RMSprop(p, 1e-2, centered=True, momentum=0.5),
    lambda p: lamina.optim.Adagrad(p, 1e-2),
], ids=["sgd", "adam", "adamw", "rmsprop", "adagrad"])  # fmt: skip
def test_training_as_on_the_cpu(make):
    x, t = lamina.randn(32, 1, 12, 12), lamina.randint(0, 5, (32,))

    def losses(device):
        lamina.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
                            nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 16),
                            nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 5)).to(device)  # fmt: skip
        step, out = make(net.parameters()), []
        for _ in range(4):
            step.zero_grad()
            loss = nn.functional.cross_entropy(net(x.to(device)), t.to(device))
            loss.backward()
            step.step()
            out.append(loss.item())
        return out

    np.testing.assert_allclose(losses("cuda"), losses("cpu"), rtol=2e-4)


def test_transformer_block():
    lamina.manual_seed(1)
    block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    x = lamina.randn(2, 5, 16)
    y = block(x)
    same(block.to("cuda")(x.cuda()), y, 2e-5)


def test_state_moves_between_devices(tmp_path):
    net = nn.Linear(3, 2).cuda()
    lamina.save(net.state_dict(), tmp_path / "net.st")
    here = nn.Linear(3, 2)
    here.load_state_dict(lamina.load(tmp_path / "net.st", map_location="cpu"))
    same(here.weight, net.weight)
    assert lamina.load(tmp_path / "net.st", map_location="cuda")["weight"].is_cuda
    net.load_state_dict(here.state_dict())
    assert net.weight.is_cuda


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32"])
def test_products_of_every_dtype(dtype):
    draw = lambda *shape: lamina.randint(-3, 4, shape).to(getattr(lamina, dtype))  # noqa: E731
    a, b, bias = draw(2, 3, 5), draw(4, 5), draw(4)
    for f in (lambda a, b, _: a @ b.t(), lambda a, b, _: a[0] @ b[1], nn.functional.linear,
              lambda a, b, _: lamina.bmm(a, b.t().expand(2, 5, 4)),
              lambda a, b, bias: lamina.addmm(bias, a[0], b.t())):  # fmt: skip
        y = f(a.cuda(), b.cuda(), bias.cuda())
        assert y.is_cuda and y.dtype is a.dtype
        same(y.double(), f(a.double(), b.double(), bias.double()))
    if a.is_floating_point():
        x, w = a.cuda().requires_grad_(), b.cuda().requires_grad_()
        nn.functional.linear(x, w).sum().backward()
        same(x.grad.double(), b.double().sum(0).expand(2, 3, 5))
        same(w.grad.double(), a.double().sum((0, 1)).expand(4, 5))


def test_pickle_and_deepcopy():
    x = lamina.arange(6.0).reshape(2, 3).cuda().requires_grad_()
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert y.device == x.device and y.requires_grad
        same(y, x)
    same(pickle.loads(pickle.dumps(x.detach().t())), x.t())
    assert pickle.loads(pickle.dumps(nn.Linear(2, 2, device="cuda"))).weight.is_cuda


def test_writes_into_views():
    def gradients(device):
        w, v = (lamina.arange(n, dtype=lamina.float32, device=device) for n in (6, 2))
        w.requires_grad_(), v.requires_grad_()
        x = (w * 2).reshape(2, 3)
        x[0, 1:].mul_(v)
        x[1] = 7.0
        x[:, 0].add_(1)
        (x * x).sum().backward()
        return w.grad, v.grad

    for a, b in zip(gradients("cuda"), gradients("cpu")):
        assert a.is_cuda
        same(a, b)
    w = lamina.ones(3, device="cuda", requires_grad=True)
    x = w * w
    x[1:].mul_(w[1:])
    (g,) = lamina.autograd.grad(x.sum(), w, create_graph=True)
    g.sum().backward()
    same(w.grad, lamina.tensor([2.0, 6.0, 6.0]))


def test_new_tensors_go_to_their_inputs_device():
    F = nn.functional
    x, m = lamina.rand(3, device="cuda"), lamina.rand(3, 3, device="cuda")
    at, one = lamina.tensor([0, 2, 1], device="cuda"), lamina.tensor([[0, 2, 1]], device="cuda")
    for t in (lamina.rand_like(x), lamina.randn_like(x), lamina.randint_like(x, 5), x.bernoulli(),
              lamina.bernoulli(x, 0.5), lamina.normal(x, x), F.rrelu(x, training=True),
              lamina.tril_indices(2, 2, device="cuda"), F.pdist(m), lamina.vander(x),
              lamina.combinations(x), F.gumbel_softmax(m, hard=True), x.clone().bernoulli_(x),
              F.affine_grid(m[:2][None], (1, 1, 2, 2)), nn.utils.rnn.pad_sequence([x, x[:2]]),
              nn.Transformer.generate_square_subsequent_mask(3, device="cuda"),
              x.clone().set_(), x.clone().resize_as_(m)):  # fmt: skip
        assert t.is_cuda
    y = x.clone().resize_(2, 2)
    assert y.is_cuda and y.shape == (2, 2)
    same(y.view(-1)[:3], x)
    same(F.one_hot(at), F.one_hot(at.cpu()))
    for times, dim in ((2, None), (2, 1), (at, 0), (at.cpu(), 0)):
        there = times.cpu() if isinstance(times, lamina.Tensor) else times
        y = m.repeat_interleave(times, dim)
        assert y.is_cuda
        same(y, m.cpu().repeat_interleave(there, dim))
    same(lamina.repeat_interleave(at), lamina.repeat_interleave(at.cpu()))
    same(m.scatter(0, one, 2.0), m.cpu().scatter(0, one.cpu(), 2.0))
    same(m.clone().scatter_(0, one, 2), m.cpu().scatter_(0, one.cpu(), 2))
    same(x.index_fill(0, at[:1], 1.0), x.cpu().index_fill(0, at[:1].cpu(), 1.0))


def test_assignment():
    def write(x):
        x[[0, 2]] = 1.0
        x[lamina.tensor([1], device=x.device), 1] = 2
        x[[3, 4]] = [3.0, 4.0]
        x[x > 3.5] = 5.0
        x[5] = lamina.arange(2.0)
        x[:, 0][lamina.tensor([1])] = lamina.tensor(6.0)
        return x

    same(write(lamina.zeros(6, 2, device="cuda")), write(lamina.zeros(6, 2)))


def test_layers_made_on_the_device():
    x = lamina.randn(4, 3)
    for make in (lambda **k: nn.BatchNorm1d(3, **k), lambda **k: nn.LazyBatchNorm1d(**k)):
        norm, here = make(device="cuda"), make()
        same(norm(x.cuda()), here(x), 1e-6)
        assert all(t.is_cuda for t in norm.state_dict().values())
        same(norm.running_mean, here.running_mean, 1e-6)
    assert nn.LazyLinear(2, device="cuda")(x.cuda()).is_cuda
    q = lamina.randn(1, 5, 4)
    for turn in (nn.RotaryPositions(4), nn.SinusoidalPositions(4, max_len=2).cuda()):
        y = turn(q.cuda())
        same(y, turn.cpu()(q), 1e-6)
    numbers, starts = lamina.tensor([0, 1, 2, 3]), lamina.tensor([0, 3])
    for mode in ("sum", "mean", "max"):
        bag = nn.EmbeddingBag(5, 3, mode=mode, padding_idx=1)
        for arguments in ((numbers.view(2, 2),), (numbers, starts)):
            y = bag(*arguments)
            same(bag.cuda()(*(a.cuda() for a in arguments)), y, 1e-6)
            bag.cpu()


def test_generation():
    table = lamina.tensor([[0.0, 1.0, 0.5], [0.5, 0.0, 1.0], [1.0, 0.0, 0.5]])
    rows, start = table.cuda(), lamina.tensor([[0], [1]])
    for f in (lambda m, t: nn.generate(m, t, 4, eos_token=2),
              lambda m, t: nn.beam_search(m, t, 4, num_beams=2, eos_token=2)):  # fmt: skip
        found, wanted = f(lambda t: rows[t], start.cuda()), f(lambda t: table[t], start)
        one = isinstance(found, lamina.Tensor)
        for a, b in ((found, wanted),) if one else zip(found, wanted):
            assert a.is_cuda
            same(a, b, 1e-6)


@pytest.mark.parametrize("place", ["cuda", 0, lamina.device("cuda:0"), {"cpu": "cuda"},
                                   lambda t, _: t.cuda()], ids=str)  # fmt: skip
def test_map_location(place):
    file = io.BytesIO()
    lamina.save({"w": [nn.Parameter(lamina.ones(2))], "m": nn.BatchNorm1d(2)}, file)
    file.seek(0)
    got = lamina.load(file, map_location=place)
    assert got["w"][0].is_cuda and got["w"][0].requires_grad and got["w"][0].is_leaf
    assert all(t.is_cuda for t in got["m"].state_dict().values())


def test_pinned_memory():
    x = lamina.ones(3)
    y = x.pin_memory()
    assert y.is_pinned() and y[1:].is_pinned() and not x.is_pinned() and y.pin_memory() is y
    assert not y.cuda().is_pinned()
    with pytest.raises(RuntimeError, match="pin_memory: only .* host memory .* on cuda:0"):
        y.cuda().pin_memory()
    z = y.cuda()  # waits until y was read, which may then be written
    y.fill_(5)
    assert z.tolist() == [1.0] * 3


@pytest.mark.skipif(cuda.device_count() < 2, reason="there is one CUDA device")
def test_other_devices():
    """Launches, fills, copies and streams are those of their tensors' device."""
    x, w = lamina.randn(5, 4), lamina.randn(4, 3)
    y = (x.to("cuda:1") @ w.to("cuda:1")).relu()
    same(y, (x @ w).relu(), 1e-5)
    same(y.to("cuda:0") + 1, (x @ w).relu() + 1, 1e-5)
    at, ones = lamina.tensor([2, 2]).to("cuda:1"), lamina.ones(2, 3).to("cuda:1")
    grown = lamina.zeros(3, 3, device="cuda:1").index_add(0, at, ones)
    assert grown.sum().item() == 6 and cuda.current_device() == 0
    with cuda.stream(cuda.Stream(1)):
        same(x.to("cuda:1").exp(), x.exp(), 1e-5)
    step = lamina.compile(lambda t: (t * 2).sum(1))
    for _ in range(4):
        same(step(x.to("cuda:1")), (x * 2).sum(1), 1e-5)


def test_default_device_of_each_thread():
    found = []
    with lamina.device("cuda"):
        thread = threading.Thread(target=lambda: found.append(lamina.ones(1).is_cuda))
        thread.start()
        thread.join()
        assert lamina.ones(1).is_cuda and found == [False]
