"""float16 and bfloat16 on a CUDA device: results of the rounded inputs' exact ones, rounded once.

tests/test_cuda.py runs this file on the emulated device.
"""

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn import functional as F

pytestmark = pytest.mark.skipif(not lamina.cuda.is_available(), reason="no CUDA device")
EPS = {"bfloat16": 2**-8, "float16": 2**-11}  # half a unit in the last place
each_dtype = pytest.mark.parametrize("dtype", sorted(EPS))


def draw(shape, dtype, seed=0, low=-2.0, high=2.0):
    x = np.random.default_rng([seed, *shape]).uniform(low, high, shape)
    return lamina.tensor(x).to(getattr(lamina, dtype))


def close(got, want, dtype, units=1.01, least=2**-6):
    """Each element within `units` half units of its last place, or of `least` of the largest."""
    got, want = got.detach().cpu().double().numpy(), want.detach().double().numpy()
    assert got.shape == want.shape
    least *= np.abs(want).max(initial=1e-3)
    bound = units * EPS[dtype] * np.maximum(np.abs(want), least)
    worst = np.abs(got - want) - bound
    assert (worst <= 0).all(), (np.abs(got - want).max(), worst.max())


ELEMENTWISE = [
    lambda x, y: x + y, lambda x, y: x * y[:, :1], lambda x, y: x - y[0], lambda x, y: x * 0.3,
    lambda x, y: lamina.exp(x), lambda x, y: F.gelu(x), lambda x, y: lamina.where(x > y, x, y),
    lambda x, y: lamina.sigmoid(x.t()), lambda x, y: x.t() / y.t(),
    lambda x, y: lamina.addcmul(x, x, y), lambda x, y: x[:, 1:] + y[:, :-1],
]  # fmt: skip


@each_dtype
@pytest.mark.parametrize("shape", [(4, 16), (3, 7), (1, 1), (5, 24), (0, 8)])
def test_elementwise(dtype, shape):
    x, y = draw(shape, dtype), draw(shape, dtype, 1)
    for f in ELEMENTWISE if shape[0] else ELEMENTWISE[:1]:
        got = f(x.cuda(), y.cuda())
        assert got.dtype is x.dtype
        close(got, f(x.double(), y.double()), dtype)


@each_dtype
@pytest.mark.parametrize("n", [1, 8, 33, 64, 700, 1500])
def test_reductions(dtype, n):
    x = draw((3, n, 2), dtype)
    for f in (lambda t: t.sum(), lambda t: t.sum(1), lambda t: t.mean((0, 2)), lambda t: t.amax(1),
              lambda t: t.transpose(1, 2).sum(-1), lambda t: t[:, :, 0].contiguous().mean(1),
              lambda t: t.std(1) if n > 1 else t.sum(2), lambda t: t.norm(dim=0)):  # fmt: skip
        got = f(x.cuda())
        assert got.dtype is x.dtype
        close(got, f(x.double()), dtype)
    assert (x.cuda().argmax(1).cpu() == x.double().argmax(1)).all()


def with_gradients(f, *tensors):
    leaves = [t.detach().requires_grad_() for t in tensors]
    y = f(*leaves)
    g = draw(tuple(y.shape), "bfloat16", 9).to(y.dtype).to(y.device)
    y.backward(g)
    return y, *(t.grad for t in leaves)


LAYERS = {
    "softmax": lambda x, w, b: F.softmax(x, -1) * w + b,
    "log_softmax": lambda x, w, b: F.log_softmax(x, -1),
    "columns": lambda x, w, b: F.softmax(x, 0),
    "layer_norm": lambda x, w, b: F.layer_norm(x, w.shape, w, b),
    "rms_norm": lambda x, w, b: F.rms_norm(x, w.shape, w, 1e-5),
    "batch_norm": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    "group_norm": lambda x, w, b: F.group_norm(x.unsqueeze(-1), 1, w, b),
    "max_pool": lambda x, w, b: F.max_pool1d(x.unsqueeze(0), 2, 2, 0, 1, True),
    "avg_pool": lambda x, w, b: F.avg_pool1d(x.unsqueeze(0), 2, ceil_mode=True),
}


@each_dtype
@pytest.mark.parametrize("n", [5, 16, 40, 600, 1304])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(dtype, name, n):
    if "columns" in name and n > 40 or name == "softmax" and n == 1304:
        n = 24
    x, w, b = draw((6, n), dtype), draw((n,), dtype, 1, 0.5, 1.5), draw((n,), dtype, 2)
    f = LAYERS[name]
    got = with_gradients(f, *(t.cuda() for t in (x, w, b)))
    want = with_gradients(f, *(t.double() for t in (x, w, b)))
    for g, v in zip(got, want):
        if v is None:
            assert g is None
            continue
        assert g.dtype is x.dtype and g.is_cuda
        # Softmax's gradients are formed from its rounded results, as PyTorch's are.
        rounded = "softmax" in name or name == "columns"
        close(g, v, dtype, 3 if rounded else 1.1, 1.0 if rounded else 2**-6)


def test_float32_weights_beside_half_rows():
    x = draw((4, 6, 8), "bfloat16").cuda()
    norm = nn.BatchNorm1d(6).cuda()
    y = norm(x)
    assert y.dtype is lamina.bfloat16 and norm.running_mean.dtype is lamina.float32
    here = nn.BatchNorm1d(6)
    close(y, here(x.cpu().float()), "bfloat16")
    np.testing.assert_allclose(norm.running_var.cpu().numpy(), here.running_var.numpy(), rtol=1e-6)
    here.eval(), norm.eval()
    close(norm(x), here(x.cpu().float()), "bfloat16")


@each_dtype
@pytest.mark.parametrize("n", [7, 16, 1032, 1200])
@pytest.mark.parametrize("how", ["mean", "sum", "none"])
def test_cross_entropy(dtype, n, how):
    x, t, w = draw((5, n), dtype), lamina.tensor([1, 0, -100, 6, 3]), draw((n,), dtype, 1, 0.5, 1.5)

    def f(place):
        scores = place(x).requires_grad_()
        loss = F.cross_entropy(scores, t.to(scores.device), place(w), reduction=how,
                               label_smoothing=0.1 if n < 16 else 0.0)  # fmt: skip
        loss.sum().backward()
        return loss, scores.grad

    for got, want in zip(f(lambda v: v.cuda()), f(lambda v: v.double())):
        assert got.is_cuda
        close(got, want, dtype)


@each_dtype
def test_dropout_drops_the_same_elements(dtype):
    x = lamina.ones(1000, dtype=getattr(lamina, dtype))
    lamina.manual_seed(5)
    here = F.dropout(x, 0.3)
    lamina.manual_seed(5)
    there = F.dropout(x.cuda(), 0.3)
    assert there.dtype is x.dtype and (there.cpu() == here).all()


@each_dtype
@pytest.mark.parametrize("n", [1, 8, 9, 4096, 5000])
def test_conversions(dtype, n):
    x = draw((n,), "float32", high=70000.0 if n == 9 else 2.0)
    to = getattr(lamina, dtype)
    here, there = x.to(to), x.cuda().to(to)
    assert (there.cpu().float().numpy() == here.float().numpy()).all()
    assert (there.float().cpu().numpy() == here.float().numpy()).all()
    assert (there[1:].double().cpu().numpy() == here[1:].double().numpy()).all()


def test_second_derivatives():
    x, w = draw((3, 8), "bfloat16"), draw((8,), "bfloat16", 1)
    for f in (lambda x, w: F.layer_norm(x, (8,), w), lambda x, w: F.softmax(x, -1) * w,
              lambda x, w: F.group_norm(x.unsqueeze(-1), 2, w),
              lambda x, w: F.batch_norm(x, None, None, w, training=True)):  # fmt: skip

        def slopes(place, f=f):
            a, b = place(x).requires_grad_(), place(w).requires_grad_()
            y = f(a, b)
            (g,) = lamina.autograd.grad((y * y).sum(), a, create_graph=True)
            g.sum().backward()
            return g, b.grad

        for got, want in zip(slopes(lambda t: t.cuda()), slopes(lambda t: t.double())):
            a, b = got.detach().cpu().double().numpy(), want.detach().numpy()
            np.testing.assert_allclose(a, b, rtol=0, atol=0.1 * max(1, np.abs(b).max()))
