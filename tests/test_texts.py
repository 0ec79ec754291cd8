"""Numbers printed in five teaching texts: linear algebra, probability, numerics, optimisation.
(Networks: test_texts_networks.py; training: test_texts_training.py.)

Each test names the text and the place. Where a text is wrong, or prints no answer, the right value
stands here and a comment says so. The texts:

CheatSheet   "Machine Learning & Deep Learning cheat sheet"
Notes        "Machine-learning notes" (after the Coursera and CS231n courses)
DL101        "Deep Learning 101", a book
Course       "Machine Learning", course notes
Slides       "From Numbers to Neural Networks", lecture slides
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import lamina
from lamina import linalg, optim
from lamina.nn import functional as F


def T(data, grad=False):
    return lamina.tensor(data, dtype=lamina.float64).requires_grad_(grad)


def values(t):
    return t.detach().numpy().tolist()


# ---- linear algebra ------------------------------------------------------------------------------
def test_matrix_products():
    # DL101 example 2.5, eq. 2.14
    assert values(T([[1, 2], [3, 4]]) @ T([[5, 6], [7, 8]])) == [[19, 22], [43, 50]]
    # DL101 example 2.6, eq. 2.18-2.21
    assert values(T([[11, 3], [2, 16]]) @ T([4, 5])) == [59, 88]
    # DL101 exercise 2.1 (no answer printed)
    assert values(T([[2, 1], [0, 3]]) @ T([[1, 2], [3, 1]])) == [[5, 5], [9, 3]]
    # DL101 exercise 2.6 (no answer printed)
    assert values(2 * T([[1, 2], [3, 4]]) + 3 * T([[2, 1], [0, 3]])) == [[8, 7], [6, 17]]
    # DL101 example 2.18, eq. 2.51: [1, 0] is an eigenvector for 3
    assert values(T([[3, 1], [0, 2]]) @ T([1, 0])) == [3, 0]
    # DL101 example 2.7, eq. 2.29: the printed inverse
    assert values(T([[2, 1], [1, 1]]) @ T([[1, -1], [-1, 2]])) == [[1, 0], [0, 1]]


def test_transpose_of_a_product():
    # DL101 section 2.2.2, eq. 2.9-2.12
    a, b = T(np.arange(6).reshape(2, 3)), T(np.arange(12).reshape(3, 4))
    assert values((a @ b).t()) == values(b.t() @ a.t())


def test_norms_and_angles():
    x = T([3, -4, 2])
    assert x.norm(1).item() == 9  # DL101 example 2.15
    assert x.norm().item() == pytest.approx(math.sqrt(29)) == pytest.approx(5.39, abs=5e-3)  # 2.16
    assert x.norm(math.inf).item() == 4  # DL101 example 2.17
    y = T([3, -4, 0])  # DL101 exercise 2.2 (no answers printed)
    assert [y.norm(p).item() for p in (1, 2, math.inf)] == [7, 5, 4]
    # DL101 exercise 2.5 (no answer printed)
    a, b = T([1, 2, 3]), T([4, -1, 2])
    assert lamina.dot(a, b).item() == 8
    cosine = F.cosine_similarity(a, b, dim=0).item()
    assert cosine == pytest.approx(0.466569, abs=5e-7)
    assert math.degrees(math.acos(cosine)) == pytest.approx(62.19, abs=5e-3)
    # DL101 section 2.5.4, eq. 2.47 and exercise 2.17: sqrt(trace(A^T A)) = 2.5
    m = T([[1, 2], [0.5, 1]])
    assert m.norm().item() == pytest.approx(2.5)
    assert lamina.einsum("ii", m.t() @ m).sqrt().item() == pytest.approx(2.5)
    # DL101 section 2.5.5, eq. 2.48: a unit vector
    assert (x / x.norm()).norm().item() == pytest.approx(1, rel=1e-15)


def test_determinants_ranks_and_inverses():
    assert linalg.det(T([[1, 2], [2, 4]])).item() == pytest.approx(0, abs=1e-15)  # DL101 ex. 2.8
    det = linalg.det(T([[2, 1, 0], [1, 3, 2], [0, 1, 1]])).item()
    assert det == pytest.approx(1)  # DL101 exercise 2.11 (no answer printed)
    rank = linalg.matrix_rank
    assert int(rank(T([[1, 2], [3, 4]]))) == 2  # DL101 example 2.14
    assert int(rank(T([[1, 2], [2, 4]]))) == 1  # DL101 example 2.11: dependent
    assert int(rank(T([[1, 0], [0, 1]]))) == 2  # DL101 example 2.12: independent
    assert int(rank(T([[1, 2, 3], [2, 4, 6], [1, 1, 2]]))) == 2  # DL101 exercise 2.10
    assert int(rank(T([[1, 0, 1], [0, 1, 0], [1, 1, 1]]))) == 2  # DL101 exercise 2.3
    np.testing.assert_allclose(linalg.inv(T([[2, 1], [1, 1]])).numpy(), [[1, -1], [-1, 2]])


def test_eigenvalues_and_condition_numbers():
    # DL101 example 2.19, eq. 2.53
    np.testing.assert_allclose(linalg.eigvalsh(T([[2, 1], [1, 2]])).numpy(), [1, 3])
    # DL101 exercises 2.16 and 4.13 (no answers printed)
    found, vectors = linalg.eigh(T([[3, 1], [1, 3]]))
    np.testing.assert_allclose(found.numpy(), [2, 4])
    np.testing.assert_allclose(np.abs(vectors.numpy()), np.full((2, 2), 0.5**0.5))
    # DL101 example 4.4: "well" and "ill" conditioned (no numbers printed)
    assert linalg.cond(T([[2, 0], [0, 2]])).item() == pytest.approx(1)
    assert linalg.cond(T([[1, 0.99], [0.99, 1]])).item() == pytest.approx(199)
    assert linalg.cond(T([[1, 0.5], [0.5, 1]])).item() == pytest.approx(3)  # DL101 exercise 4.4
    # DL101 exercise 4.8 (no answer printed)
    a = T([[1, 1], [1, 1.0001]])
    assert linalg.cond(a).item() == pytest.approx(40002, rel=1e-5)
    np.testing.assert_allclose(linalg.solve(a, T([2, 2.0001])).numpy(), [1, 1], rtol=1e-9)
    # DL101 exercise 4.14: about 4 / eps
    for eps in (1e-2, 1e-4):
        assert linalg.cond(T([[1, 1], [1, 1 + eps]])).item() == pytest.approx(4 / eps, rel=2e-2)
    # DL101 exercise 2.14 (no answer printed)
    np.testing.assert_allclose(linalg.solve(T([[2, 1], [1, -3]]), T([5, -1])).numpy(), [2, 1])
    # Wrong in DL101 exercise 2.17: it asks for the condition number of a singular matrix.
    assert linalg.cond(T([[1, 2], [0.5, 1]])).item() > 1e15


def test_eigenvalues_of_a_matrix_that_is_not_symmetric():
    # DL101 exercise 2.12 (no answer printed): 5 with (2, 1), 2 with (1, -1)
    a = T([[4, 2], [1, 3]])
    for value, vector in ((5, [2, 1]), (2, [1, -1])):
        assert values(a @ T(vector)) == [value * v for v in vector]


def test_adjacency_of_a_cycle():
    # Slides section 7: the cycle of four nodes
    a = T([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
    assert values(a) == values(a.t()) and values(a.sum(1)) == [2, 2, 2, 2]


# ---- probability ---------------------------------------------------------------------------------
def test_expectations():
    die = lamina.arange(1, 7, dtype=lamina.float64)
    assert die.mean().item() == 3.5  # DL101 example 3.5
    variance = die.var(correction=0).item()  # DL101 "Variance of Dice", eq. 3.23-3.25
    assert variance == pytest.approx(91 / 6 - 12.25) == pytest.approx(2.92, abs=5e-3)
    assert math.sqrt(variance) == pytest.approx(1.71, abs=5e-3)
    # DL101 exercise 3.2 (no answers printed)
    x, p = T([1, 2, 3, 4]), T([0.1, 0.2, 0.4, 0.3])
    mean = (p * x).sum().item()
    assert mean == pytest.approx(2.9)
    assert (p * (x - mean) ** 2).sum().item() == pytest.approx(0.89)


def test_covariance_of_heights_and_weights():
    # DL101 example 3.6, eq. 3.27-3.29: divided by n, where PyTorch's default is n - 1
    h, w = T([152, 165, 178, 191]), T([54, 64, 73, 82])
    assert h.mean().item() == 171.5 and w.mean().item() == 68.25
    product = ((h - h.mean()) * (w - w.mean())).sum().item()
    assert product == 604.5 and product / 4 == 151.125
    if hasattr(lamina, "cov"):
        assert lamina.cov(lamina.stack([h, w]), correction=0)[0, 1].item() == 151.125


def test_information_and_entropy():
    # Slides section 19: -log2 p
    bits = -T([1, 0.5, 0.01]).log2()
    np.testing.assert_allclose(bits.numpy(), [0, 1, 6.64], atol=5e-3)
    # DL101 exercises 3.3 and 3.10 (no answers printed)
    p = T([[0.5, 0.5], [0.9, 0.1]])
    np.testing.assert_allclose((-p * p.log2()).sum(1).numpy(), [1, 0.468996], atol=5e-7)
    assert -T(0.1).log2().item() == pytest.approx(3.321928, abs=5e-7)
    # DL101 exercise 5.3: 6 of A, 4 of B (no answers printed)
    q = T([0.6, 0.4])
    assert 1 - (q * q).sum().item() == pytest.approx(0.48)
    assert (-q * q.log2()).sum().item() == pytest.approx(0.970951, abs=5e-7)
    assert (-q * q.log()).sum().item() == pytest.approx(0.673012, abs=5e-7)
    # Slides section 16: Gini of 70/30 and of a pure node
    gini = 1 - (T([[0.7, 0.3], [1, 0]]) ** 2).sum(1)
    np.testing.assert_allclose(gini.numpy(), [0.42, 0], atol=1e-15)


# ---- numerics ------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64])
def test_stable_softmax(dtype):
    # DL101 example 4.1, eq. 4.4-4.12
    x = lamina.tensor([1000.0, 1001.0, 1002.0], dtype=dtype)
    naive = x.exp() / x.exp().sum()
    if dtype is lamina.float32:
        assert bool(naive.isnan().all())
    np.testing.assert_allclose(F.softmax(x, 0).numpy(), [0.090, 0.245, 0.665], atol=5e-4)
    np.testing.assert_allclose((x - x.max()).exp().numpy(), [0.135, 0.368, 1.0], atol=5e-4)
    # DL101 eq. 4.3: c + log sum exp(x - c)
    want = 1002 + math.log(sum(math.exp(i) for i in (-2, -1, 0)))
    assert x.logsumexp(0).item() == pytest.approx(want, rel=1e-6)
    # Wrong in DL101 section 5.2.5: softmax is not "scale invariant"; it does not change when a
    # constant is added, but does when multiplied.
    a = T([1.0, 2.0, 4.0])
    np.testing.assert_allclose(F.softmax(a + 3, 0).numpy(), F.softmax(a, 0).numpy(), rtol=1e-14)
    assert not np.allclose(F.softmax(2 * a, 0).numpy(), F.softmax(a, 0).numpy(), rtol=1e-2)


def test_floating_point_limits():
    # DL101 section 4.1.2: about 1e-38, 1e38 and 1e-7; exercise 4.6: 2^-52 and 2^-23
    for dtype, eps in ((lamina.float32, 2.0**-23), (lamina.float64, 2.0**-52)):
        one = lamina.ones((), dtype=dtype)
        assert (one + eps).item() == 1 + eps and (one + eps / 2).item() == 1
    small, large = lamina.tensor(1.1755e-38), lamina.tensor(3.4028e38)
    assert small.item() > 0 and large.isfinite().item() and (large * 1.0001).isinf().item()
    assert lamina.tensor(1e-46).item() == 0


def test_constants():
    # Slides section 2
    assert T(2.0).sqrt().item() == pytest.approx(1.41421356, abs=5e-9)
    assert (T(-1.0).acos().item(), T(1.0).exp().item()) == pytest.approx((3.14159, 2.71828), 1e-5)
    assert ((1 + T(5.0).sqrt()) / 2).item() == pytest.approx(1.61803, abs=5e-6)
    # Wrong in Slides section 1: 22 / 7 is not 3.14159...
    assert 22 / 7 == pytest.approx(3.142857, abs=5e-7) != pytest.approx(math.pi, abs=1e-4)


def test_finite_differences():
    # DL101 exercise 4.5: the derivative of sin at pi / 4 (no answer printed)
    x, h = T(math.pi / 4, grad=True), 1e-3
    x.sin().backward()
    assert x.grad.item() == pytest.approx(0.707107, abs=5e-7)
    s = lambda a: T(math.pi / 4 + a).sin().item()  # noqa: E731
    forward, backward, central = (s(h) - s(0)) / h, (s(0) - s(-h)) / h, (s(h) - s(-h)) / (2 * h)
    assert abs(forward - 0.70710678) < 4e-4 > abs(backward - 0.70710678)
    assert abs(central - 0.70710678) < 2e-7  # second order


def test_integrals():
    # DL101 exercise 4.7 (no answers printed): of exp(-x^2) on [0, 1]
    def rule(n, simpson):
        y = (-(lamina.linspace(0, 1, n + 1, dtype=lamina.float64) ** 2)).exp()
        if simpson:
            w = T([1] + [4, 2] * (n // 2 - 1) + [4, 1]) / 3
        else:
            w = T([0.5] + [1] * (n - 1) + [0.5])
        return (w * y).sum().item() / n

    trapezoid = [rule(n, False) for n in (4, 8, 16)]
    assert trapezoid == pytest.approx([0.742984, 0.745866, 0.746585], abs=5e-7)
    assert [rule(n, True) for n in (4, 8, 16)] == pytest.approx(
        [0.746855, 0.746826, 0.746824], abs=5e-7
    )
    # Slides section 6: the integral of x^2 on [0, 2] is 8 / 3
    x = (lamina.arange(20000, dtype=lamina.float64) + 0.5) / 10000
    assert (x * x).mean().item() * 2 == pytest.approx(8 / 3, rel=1e-8)


# ---- derivatives ---------------------------------------------------------------------------------
POINT = 1.7
DERIVATIVES = [  # the text, f, its printed derivative
    ("DL101 example 6.2; Slides 5", lambda x: (x * x + 1) ** 3, lambda x: 6 * x * (x * x + 1) ** 2),
    ("Slides 13", lambda x: (2 * x + 1) ** 2, lambda x: 4 * (2 * x + 1)),
    ("Slides 5", lambda x: x**2, lambda x: 2 * x),
    ("Slides 5", lambda x: x**3, lambda x: 3 * x**2),
    ("Slides 5", lambda x: x**5, lambda x: 5 * x**4),
    ("Slides 5", lambda x: x**100, lambda x: 100 * x**99),
    ("Slides 5", lambda x: x**-1, lambda x: -(x**-2)),
    ("Slides 5", lambda x: x.sqrt(), lambda x: 0.5 * x**-0.5),
    ("Slides 5", lambda x: 0 * x + 1, lambda x: 0),
    ("Slides 6", lambda x: (x * x).exp(), lambda x: 2 * x * math.exp(x * x)),
    ("Slides 6", lambda x: x.exp() * (x - 1), lambda x: x * math.exp(x)),
    ("DL101 6.2.2", lambda x: x.sigmoid(), lambda x: 1 / (2 + math.exp(x) + math.exp(-x))),
]


@pytest.mark.parametrize("place, f, derivative", DERIVATIVES, ids=range(len(DERIVATIVES)))
def test_derivatives(place, f, derivative):
    x = T(POINT, grad=True)
    f(x).backward()
    assert x.grad.item() == pytest.approx(derivative(POINT), rel=1e-12), place


def test_partial_derivatives():
    x, y = T(2.0, grad=True), T(-1.5, grad=True)

    def both(f):
        x.grad = y.grad = None
        f.backward()
        return x.grad.item(), y.grad.item()

    a, b = 2.0, -1.5
    # DL101 example 6.3, eq. 6.28-6.35
    r = a * a + b * b
    assert both((x * x + y * y) ** 2) == pytest.approx((4 * a * r, 4 * b * r))
    # Slides section 5
    assert both(x * x * y + 3 * x * y * y) == pytest.approx(
        (2 * a * b + 3 * b * b, a * a + 6 * a * b)
    )
    # DL101 exercise 4.3 at (2, 1) (no answer printed)
    p = T([2, 1], grad=True)
    (p[0] ** 2 + 3 * p[0] * p[1] + p[1] ** 2).backward()
    assert values(p.grad) == [7, 8]


def test_jacobian_of_an_elementwise_function():
    # DL101 example 6.4, eq. 6.37-6.43: diag(6 x (x^2 + 1)^2)
    x = T([0.5, -1.0, 2.0], grad=True)
    y = (x * x + 1) ** 3
    rows = [lamina.autograd.grad(y[i], [x], retain_graph=True)[0] for i in range(3)]
    want = np.diag([6 * v * (v * v + 1) ** 2 for v in (0.5, -1.0, 2.0)])
    np.testing.assert_allclose(lamina.stack(rows).numpy(), want, rtol=1e-13)


def test_taylor_polynomial():
    # DL101 example 4.3: 1 + x + x^2 / 2 at 0.1 is 1.105, exp(0.1) about 1.1052
    x = T(0.0, grad=True)
    (first,) = lamina.autograd.grad(x.exp(), [x], create_graph=True)
    (second,) = lamina.autograd.grad(first, [x])
    quadratic = 1 + first.item() * 0.1 + second.item() * 0.1**2 / 2
    assert quadratic == pytest.approx(1.105, abs=1e-12)
    assert T(0.1).exp().item() == pytest.approx(1.1052, abs=5e-5)


# ---- optimisation --------------------------------------------------------------------------------
def descend(f, start, lr, steps, make=optim.SGD, **options):
    p = T(start, grad=True)
    optimizer = make([p], lr=lr, **options)
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        f(p).backward()
        seen.append((values(p.grad), None))
        optimizer.step()
        seen[-1] = (seen[-1][0], values(p))
    return p, seen


def test_two_steps_of_gradient_descent():
    # DL101 example 4.2, eq. 4.14-4.17: x^2 + 2 y^2 from (3, 3), step 0.1
    _, seen = descend(lambda p: p[0] ** 2 + 2 * p[1] ** 2, [3, 3], 0.1, 2)
    for (gradient, point), want in zip(seen, (([6, 12], [2.4, 1.8]), ([4.8, 7.2], [1.92, 1.08]))):
        assert gradient == pytest.approx(want[0]) and point == pytest.approx(want[1])


def test_convergence_of_gradient_descent_on_a_quadratic():
    # DL101 section 8.1.2; CheatSheet 3.15.2: theta <- (1 - lr a) theta, iff 0 < lr < 2 / a
    a = 4.0
    for lr in (0.1, 0.25, 0.49):
        p, seen = descend(lambda p: 0.5 * a * p * p, 1.0, lr, 200)
        assert seen[0][1] == pytest.approx(1 - lr * a) and abs(p.item()) < 1e-3
    assert abs(descend(lambda p: 0.5 * a * p * p, 1.0, 0.51, 200)[0].item()) > 100
    # DL101 exercise 4.11: x^2 + 100 y^2 is stable iff lr < 0.01 (no answer printed)
    f = lambda p: p[0] ** 2 + 100 * p[1] ** 2  # noqa: E731
    assert abs(descend(f, [1, 1], 0.0099, 500)[0][1].item()) < 0.1
    assert abs(descend(f, [1, 1], 0.0101, 500)[0][1].item()) > 10


def test_saddle_and_minima():
    # Wrong in DL101 section 8.5.3 and figure 8.3: of x^4 - 2 x^2 + y^2 they call (0, 0) a minimum,
    # (+-1, 0) saddles. The values they give are right: f(0, 0) = 0, f(+-1, 0) = -1; the Hessian
    # diag(12 x^2 - 4, 2) has signs -, + at (0, 0) and +, + at (+-1, 0).
    f = lambda p: p[0] ** 4 - 2 * p[0] ** 2 + p[1] ** 2  # noqa: E731
    for at, value, curvature in (([0, 0], 0, -4), ([1, 0], -1, 8), ([-1, 0], -1, 8)):
        p = T(at, grad=True)
        (g,) = lamina.autograd.grad(f(p), [p], create_graph=True)
        assert f(p).item() == value and values(g) == [0, 0]
        rows = [values(lamina.autograd.grad(g[i], [p], retain_graph=True)[0]) for i in (0, 1)]
        assert rows == [[curvature, 0], [0, 2]]
    p, _ = descend(f, [0.01, 1.0], 0.05, 400)
    np.testing.assert_allclose(p.detach().numpy(), [1, 0], atol=1e-6)


def test_newton():
    # DL101 section 8.4.2, eq. 8.21: one step on a quadratic; exercise 4.12: the root of
    # x^3 - 2 x - 5 from 2 (no answer printed), where the cubic's antiderivative is minimised
    p = T(2.0, grad=True)
    optimizer = optim.Newton([p])
    for _ in range(6):
        optimizer.step(lambda: p**4 / 4 - p**2 - 5 * p)
    assert p.item() == pytest.approx(2.0945514815, abs=5e-11)


def test_constrained_optimisation():
    # DL101 exercise 4.10: max x y on the unit circle is 1 / 2 at (1, 1) / sqrt(2)
    p = T([0.9, 0.1], grad=True)
    optimizer = optim.ProjectedGradient([p], optim.project_sphere, lr=0.2, maximize=True)
    for _ in range(200):
        optimizer.zero_grad()
        (p[0] * p[1]).backward()
        optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), [0.5**0.5] * 2, rtol=1e-9)
    # DL101 exercise 4.15: min x^2 + y^2, x + y >= 1, x, y >= 0 is 1 / 2 at (1/2, 1/2)
    q = T([1.0, 0.0], grad=True)
    optimizer = optim.ProjectedGradient([q], optim.project_simplex, lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        (q * q).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(q.detach().numpy(), [0.5, 0.5], rtol=1e-9)
    assert (q * q).sum().item() == pytest.approx(0.5)


def test_least_squares_line():
    # DL101 exercise 5.1: (1, 2), (2, 4), (3, 6), (4, 8) gives w = 2, b = 0 (no answer printed)
    x, y = T([1, 2, 3, 4]), T([2, 4, 6, 8])
    w, b = T(0.0, grad=True), T(0.0, grad=True)
    optim.Newton([w, b]).step(lambda: F.mse_loss(w * x + b, y))  # a quadratic: one step
    assert (w.item(), b.item()) == pytest.approx((2, 0), abs=1e-12)
