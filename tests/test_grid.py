"""Sampling at points and affine grids: what the rows (rows_grid.py) cannot say."""

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F

RNG = np.random.default_rng(0)


def identity(nd):
    return lamina.eye(nd, nd + 1, dtype=lamina.float64).unsqueeze(0)


@pytest.mark.parametrize("sizes", [(3, 4), (2, 3, 4)])
@pytest.mark.parametrize("align", [False, True])
def test_the_identity_gives_the_pixels(sizes, align):
    x = lamina.tensor(RNG.normal(size=(1, 2, *sizes)))
    grid = F.affine_grid(identity(len(sizes)), [1, 2, *sizes], align_corners=align)
    for mode in ("bilinear", "nearest", "bicubic")[: 5 - len(sizes)]:
        y = F.grid_sample(x, grid, mode=mode, align_corners=align)
        np.testing.assert_allclose(y.numpy(), x.numpy(), atol=1e-12)


def test_affine_grids():
    theta = lamina.tensor(RNG.normal(size=(2, 3, 4))).requires_grad_()
    grid = F.affine_grid(theta, (2, 1, 2, 3, 4), align_corners=True)
    z, y, x = np.meshgrid(np.linspace(-1, 1, 2), np.linspace(-1, 1, 3), np.linspace(-1, 1, 4),
                          indexing="ij")  # fmt: skip
    base = np.stack([x, y, z, np.ones_like(x)], -1)
    want = np.einsum("dhwj,nij->ndhwi", base, theta.detach().numpy())
    np.testing.assert_allclose(grid.detach().numpy(), want, atol=1e-14)
    assert lamina.autograd.gradcheck(lambda t: F.affine_grid(t, (2, 1, 2, 3, 4)), (theta,))
    with pytest.raises(ValueError, match=r"expected theta of shape \(2, 2, 3\)"):
        F.affine_grid(theta, (2, 1, 3, 4))


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [False, True])
def test_like_torch(align, padding):
    """Through affine grids; aligned, also with points exactly on elements and ends."""
    torch = pytest.importorskip("torch")
    theta = RNG.normal(size=(2, 2, 3))
    if align:
        theta[0] = identity(2)[0].numpy()
    x = RNG.normal(size=(2, 3, 6, 7))
    results = []
    for m in (lamina, torch):
        f = m.nn.functional
        a, b = m.tensor(x, requires_grad=True), m.tensor(theta, requires_grad=True)
        grid = f.affine_grid(b, [2, 3, 6, 7], align_corners=align)
        y = f.grid_sample(a, grid, padding_mode=padding, align_corners=align)
        (y * y).sum().backward()
        results.append([t.detach().numpy() for t in (grid, y, a.grad, b.grad)])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_points_that_are_no_numbers():
    x = lamina.ones(1, 1, 4, 4)
    grid = lamina.tensor([[[[float("nan"), 0.0], [float("inf"), 0.0], [1e30, -1e30], [0.1, 0.2]]]])
    assert F.grid_sample(x, grid).flatten().tolist() == pytest.approx([0, 0, 0, 1])
    for padding in ("border", "reflection"):
        y = F.grid_sample(x, grid, padding_mode=padding, align_corners=True)
        assert y[0, 0, 0, 3].item() == pytest.approx(1) and y.isfinite().all()


def test_many_points_and_threads():
    """More points than a block, more channels than a task; equal bits on any number of threads."""
    x = lamina.tensor(RNG.normal(size=(2, 19, 9, 8)).astype("float32")).requires_grad_()
    g = lamina.tensor(RNG.uniform(-1, 1, (2, 30, 31, 2)).astype("float32")).requires_grad_()
    threads, results = lamina.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            lamina.set_num_threads(n)
            y = F.grid_sample(x, g, align_corners=False)
            results.append([y, *lamina.autograd.grad(y.square().sum(), (x, g))])
    finally:
        lamina.set_num_threads(threads)
    for other in results[1:]:
        assert all(lamina.equal(a, b) for a, b in zip(results[0], other))


def test_half_precision_and_second_derivatives():
    x, g = lamina.rand(1, 2, 4, 4), lamina.rand(1, 3, 3, 2)
    half = F.grid_sample(x.half(), g.half(), align_corners=True)
    assert half.dtype is lamina.float16
    want = F.grid_sample(x.half().float(), g.half().float(), align_corners=True)
    np.testing.assert_allclose(half.float().numpy(), want.numpy(), atol=1e-3)
    a, b = x.double().requires_grad_(), (g * 0.8 - 0.37).double().requires_grad_()
    assert lamina.autograd.gradgradcheck(lambda u, v: F.grid_sample(u, v, "bicubic"), (a, b))
    y = F.grid_sample(a, b).sum()
    with pytest.raises(RuntimeError, match="grid_sample_input_grad"):
        lamina.autograd.grad(y, (a,), create_graph=True)


def test_errors():
    x, g = lamina.zeros(2, 1, 4, 4), lamina.zeros(2, 3, 3, 2)
    with pytest.raises(ValueError, match="expected mode 'bilinear', 'nearest' or 'bicubic'"):
        F.grid_sample(x, g, "linear")
    with pytest.raises(ValueError, match="expected padding_mode 'zeros', 'border' or 'reflection'"):
        F.grid_sample(x, g, padding_mode="edge")
    with pytest.raises(ValueError, match="expected input"):
        F.grid_sample(x, g[:1])
    with pytest.raises(ValueError, match="takes images"):
        F.grid_sample(x.unsqueeze(2), lamina.zeros(2, 1, 3, 3, 3), "bicubic")
    with pytest.raises(lamina.DTypeError, match="one floating dtype"):
        F.grid_sample(x, g.double())
