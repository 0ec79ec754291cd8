"""Matrix products and convolutions on a CUDA device: tensor cores (half precision, TF32), sizes and
strides that do not fit tiles, sums cut into parts. tests/test_cuda.py runs it on the emulated one.
"""

import numpy as np
import pytest

import lamina
from lamina.nn import functional as F

pytestmark = pytest.mark.skipif(not lamina.cuda.is_available(), reason="no CUDA device")
# One rounding of a result, of each operand for TF32; float32 and float64: sqrt(256) roundings, what
# a sum of 256 terms gathers.
EPS = {"bfloat16": 2**-8, "float16": 2**-11, "float32": 2**-20, "float64": 2**-49, "tf32": 2**-10}


@pytest.fixture
def tf32():
    lamina.backends.cuda.matmul.allow_tf32 = lamina.backends.cudnn.allow_tf32 = True
    yield
    lamina.backends.cuda.matmul.allow_tf32 = lamina.backends.cudnn.allow_tf32 = False


def draw(*shape, dtype="float32", seed=0):
    x = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return lamina.tensor(x).to(getattr(lamina, dtype))


def exact(t):
    return t.detach().cpu().double().numpy()


def close(got, want, dtype, terms=256):
    """Within one rounding of the largest; more for sums of more terms, as their square root."""
    assert got.shape == want.shape
    bound = EPS[dtype] * np.abs(want).max() * max(1, terms / 256) ** 0.5
    np.testing.assert_allclose(exact(got), want, rtol=0, atol=bound)


def laid_out(x, transposed, offset):
    """The same values by columns, or from an address that is no multiple of 16 bytes."""
    if transposed:
        x = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    if offset:
        flat = lamina.zeros(x.numel() + offset, dtype=x.dtype, device=x.device)
        wide = flat[offset:].view(x.shape if not transposed else x.transpose(-1, -2).shape)
        wide = wide.transpose(-1, -2) if transposed else wide
        wide.copy_(x)
        x = wide
    return x


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("m, n, k", [(1, 1, 1), (3, 5, 7), (16, 8, 32), (64, 72, 48),
                                     (130, 66, 40), (17, 129, 65), (2, 3, 0)])  # fmt: skip
def test_sizes(dtype, m, n, k):
    a, b, bias = draw(m, k, dtype=dtype), draw(k, n, dtype=dtype), draw(n, dtype=dtype)
    want = exact(a) @ exact(b)
    close(a.cuda() @ b.cuda(), want, dtype)
    close(F.linear(a.cuda(), b.t().cuda(), bias.cuda()), want + exact(bias), dtype)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "tf32"])
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("offset", [0, 3])
def test_layouts(dtype, ta, tb, offset, request):
    if dtype == "tf32":
        request.getfixturevalue("tf32")
    of = "float32" if dtype == "tf32" else dtype
    a, b = draw(2, 40, 24, dtype=of), draw(2, 24, 48, dtype=of)
    want = exact(a) @ exact(b)
    close(laid_out(a.cuda(), ta, offset) @ laid_out(b.cuda(), tb, offset), want, dtype)
    one = laid_out(b.cuda(), tb, offset)[:1].expand(2, 24, 48)  # a broadcast batch, stride 0
    close(laid_out(a.cuda(), ta, 0) @ one, exact(a) @ exact(b)[:1], dtype)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_few_tiles_and_many_k(dtype):
    a, b = draw(5, 4100, dtype=dtype), draw(4100, 9, dtype=dtype)
    want = exact(a) @ exact(b)
    close(a.cuda() @ b.cuda(), want, dtype, 4100)
    again = a.cuda() @ b.cuda()
    assert (again == a.cuda() @ b.cuda()).all().item()
    a, b = draw(70, 2100, dtype=dtype), draw(2100, 131, dtype=dtype)  # large tiles, in parts
    close(a.cuda() @ b.cuda(), exact(a) @ exact(b), dtype, 2100)


def test_rows_do_not_depend_on_each_other():
    a, b = draw(97, 80, dtype="bfloat16").cuda(), draw(80, 40, dtype="bfloat16").cuda()
    assert ((a @ b)[:3] == a[:3] @ b).all().item()


def test_tf32_is_asked_for():
    a, b = draw(32, 64).cuda(), draw(64, 32).cuda()
    want, matmul = exact(a) @ exact(b), lamina.backends.cuda.matmul
    assert not matmul.allow_tf32
    close(a @ b, want, "float32")
    for precision in ("high", "medium"):
        lamina.set_float32_matmul_precision(precision)
        assert matmul.allow_tf32
        close(a @ b, want, "tf32")
        assert np.abs(exact(a @ b) - want).max() > 1e-5
        lamina.set_float32_matmul_precision("highest")
    assert not matmul.allow_tf32
    close(a @ b, want, "float32")


CONVOLUTIONS = [  # N, C, H, W, M, KH, KW, stride, padding, dilation, groups, bias
    (2, 3, 9, 8, 5, 3, 3, 1, 1, 1, 1, True), (1, 4, 9, 7, 6, 3, 2, 2, 1, 1, 2, False),
    (2, 8, 8, 8, 16, 1, 1, 1, 0, 1, 1, False), (2, 4, 12, 12, 8, 3, 3, 1, 2, 2, 1, True),
    (1, 6, 8, 8, 6, 3, 3, 1, 1, 1, 6, False), (2, 4, 7, 6, 8, 3, 3, 2, 1, 1, 4, True),
    (2, 8, 32, 32, 70, 3, 3, 1, 1, 1, 1, False), (2, 8, 4, 8, 4, 1, 1, 1, 0, 1, 2, False),
    (1, 232, 8, 9, 72, 3, 3, 1, 1, 1, 1, True), (2, 40, 11, 9, 24, 5, 5, 2, 2, 1, 2, True),
    (3, 1, 9, 9, 6, 5, 5, 1, 2, 1, 1, True), (40, 3, 1, 2, 66, 1, 2, 1, 0, 1, 1, True),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "tf32", "float32"])
@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
def test_convolutions(dtype, shape, request):
    n, c, h, w, m, kh, kw, stride, padding, dilation, groups, with_bias = shape
    if dtype == "tf32":
        request.getfixturevalue("tf32")
    of = "float32" if dtype == "tf32" else dtype
    x, k = draw(n, c, h, w, dtype=of), draw(m, c // groups, kh, kw, dtype=of)
    bias = draw(m, dtype=of) if with_bias else None

    def run(place):
        leaves = [place(t).requires_grad_() for t in (x, k)]
        b = None if bias is None else place(bias)
        y = F.conv2d(*leaves, b, stride, padding, dilation, groups)
        y.backward(place(draw(*y.shape, dtype=of, seed=1)))
        return y, leaves[0].grad, leaves[1].grad

    for got, want in zip(run(lambda t: t.cuda()), run(lambda t: t.double())):
        assert got.dtype is x.dtype
        close(got, exact(want), dtype, terms=max(n * h * w, c * kh * kw))


def test_convolution_switch():
    x, w = draw(1, 8, 6, 6).cuda(), draw(8, 8, 3, 3).cuda()
    want, cudnn = exact(F.conv2d(x.cpu().double(), w.cpu().double())), lamina.backends.cudnn
    close(F.conv2d(x, w), want, "float32")
    with cudnn.flags(allow_tf32=True):
        assert cudnn.allow_tf32 and np.abs(exact(F.conv2d(x, w)) - want).max() > 1e-5
    assert not cudnn.allow_tf32
