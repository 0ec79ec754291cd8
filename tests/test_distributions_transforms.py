"""Transforms of vectors and matrices: inverses, Jacobians by autograd, shapes, registries."""

import numpy as np
import pytest

import lamina
from lamina import distributions as D
from lamina.distributions import constraints

RNG = np.random.default_rng(2)


def t(x):
    return lamina.tensor(np.asarray(x, float))


def near(got, want, tol=1e-10):
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tol, atol=tol)


NORMAL = D.Normal(t(0.3), t(1.5))
# name: the transform, the shape of x
CASES = {
    "softplus": (D.SoftplusTransform(), (4,)),
    "cumulative": (D.CumulativeDistributionTransform(NORMAL), (4,)),
    "stick": (D.StickBreakingTransform(), (4,)),
    "lower": (D.LowerCholeskyTransform(), (3, 3)),
    "positive": (D.PositiveDefiniteTransform(), (3, 3)),
    "corr": (D.CorrCholeskyTransform(), (6,)),
    "corr of two": (D.CorrCholeskyTransform(), (1,)),
    "reshape": (D.ReshapeTransform((2, 3), (6,)), (2, 3)),
    "independent": (D.IndependentTransform(D.ExpTransform(), 1), (4,)),
    "cat": (D.CatTransform([D.ExpTransform(), D.TanhTransform()], -1, [1, 3]), (4,)),
    "stack": (D.StackTransform([D.ExpTransform(), D.AffineTransform(1.0, 3.0)], -1), (2,)),
    "composed": (D.ComposeTransform([D.AffineTransform(0.5, 2.0), D.StickBreakingTransform()]),
                 (3,)),
    "composed twice": (D.ComposeTransform([D.ReshapeTransform((2, 2), (4,)),
                                           D.ExpTransform()]), (2, 2)),
}  # fmt: skip
WITHOUT_JACOBIAN = ("lower", "positive")  # as in PyTorch


@pytest.mark.parametrize("name", CASES)
def test_inverse_and_jacobian(name):
    transform, shape = CASES[name]
    x = t(RNG.normal(size=(3, *shape)))
    y = transform(x)
    assert tuple(transform.forward_shape(x.shape)) == tuple(y.shape)
    assert tuple(transform.inverse_shape(y.shape)) == tuple(x.shape)
    assert transform.codomain.check(y).all()
    back = transform.inv(y)
    if name == "positive":  # only the lower triangle counts
        back, x_seen = back.tril(), x.tril()
    else:
        x_seen = x.tril() if name == "lower" else x
    near(back, x_seen.numpy(), 1e-9)
    if name in WITHOUT_JACOBIAN:
        return
    got = transform.log_abs_det_jacobian(x, y)
    if name != "stack":  # one number per part, as in PyTorch
        assert got.shape == x.shape[: x.dim() - transform.domain.event_dim]
    near(transform.inv.log_abs_det_jacobian(y, x), -got.numpy())
    for b in range(3):  # the coordinates that y has as many of as x
        n = x[b].numel()
        jacobian = lamina.autograd.functional.jacobian(lambda v: transform(v), x[b])
        jacobian = jacobian.reshape(-1, n).numpy()
        if name.startswith("corr"):
            size = y.shape[-1]
            jacobian = jacobian[[i * size + j for i in range(size) for j in range(i)]]
        _, log_det = np.linalg.slogdet(jacobian[:n])
        assert got[b].sum().item() == pytest.approx(log_det, abs=1e-9)


def test_softmax():
    s, x = D.SoftmaxTransform(), t(RNG.normal(size=(2, 4)))
    near(s(x).sum(-1), np.ones(2))
    near(s(s.inv(s(x))), s(x).numpy())
    assert not s.bijective and s == D.SoftmaxTransform()


@pytest.mark.parametrize("name", CASES)
def test_values_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    T = torch.distributions
    theirs = {
        "softplus": T.SoftplusTransform(),
        "cumulative": T.CumulativeDistributionTransform(T.Normal(0.3, 1.5)),
        "stick": T.StickBreakingTransform(), "lower": T.LowerCholeskyTransform(),
        "positive": T.PositiveDefiniteTransform(), "corr": T.CorrCholeskyTransform(),
        "corr of two": T.CorrCholeskyTransform(),
        "reshape": T.ReshapeTransform(torch.Size((2, 3)), torch.Size((6,))),
        "independent": T.IndependentTransform(T.ExpTransform(), 1),
        "cat": T.CatTransform([T.ExpTransform(), T.TanhTransform()], -1, [1, 3]),
        "stack": T.StackTransform([T.ExpTransform(), T.AffineTransform(1.0, 3.0)], -1),
        "composed": T.ComposeTransform([T.AffineTransform(0.5, 2.0), T.StickBreakingTransform()]),
        "composed twice": T.ComposeTransform([T.ReshapeTransform(torch.Size((2, 2)),
                                                                 torch.Size((4,))),
                                              T.ExpTransform()]),
    }[name]  # fmt: skip
    ours, shape = CASES[name]
    x = RNG.normal(size=(3, *shape))
    y, want = ours(t(x)), theirs(torch.tensor(x))
    near(y, want.numpy(), 1e-7 if name == "cumulative" else 1e-12)
    if name not in (*WITHOUT_JACOBIAN, "cumulative"):
        want = theirs.log_abs_det_jacobian(torch.tensor(x), want)
        near(ours.log_abs_det_jacobian(t(x), y), want.numpy(), 1e-9)
    assert ours.domain.event_dim == theirs.domain.event_dim
    assert ours.codomain.event_dim == theirs.codomain.event_dim


def test_transformed_distributions_of_other_shapes():
    base = D.Normal(t(np.zeros((2, 3))), t(1.0))
    sticks = D.TransformedDistribution(base, D.StickBreakingTransform())
    assert sticks.batch_shape == (2,) and sticks.event_shape == (4,)
    x = sticks.sample((5,))
    assert x.shape == (5, 2, 4) and sticks.log_prob(x).shape == (5, 2)
    assert sticks.expand((7, 2)).sample().shape == (7, 2, 4)
    shaped = D.TransformedDistribution(base, D.ReshapeTransform((3,), (3, 1)))
    assert shaped.event_shape == (3, 1)
    near(shaped.log_prob(x[..., :3].unsqueeze(-1)), base.log_prob(x[..., :3]).sum(-1).numpy())
    with pytest.raises(ValueError, match="need a base of 1 dimensions or more"):
        D.TransformedDistribution(D.Normal(t(0.0), t(1.0)), D.StickBreakingTransform())


CONSTRAINTS = [
    (constraints.real, (3,)), (constraints.positive, (3,)), (constraints.nonnegative, (3,)),
    (constraints.greater_than(1.5), (3,)), (constraints.less_than(-1.0), (3,)),
    (constraints.unit_interval, (3,)), (constraints.interval(-2.0, 5.0), (3,)),
    (constraints.half_open_interval(0.0, 2.0), (3,)), (constraints.simplex, (3,)),
    (constraints.real_vector, (3,)), (constraints.lower_cholesky, (3, 3)),
    (constraints.positive_definite, (3, 3)), (constraints.positive_semidefinite, (3, 3)),
    (constraints.corr_cholesky, (3,)), (constraints.independent(constraints.positive, 1), (3,)),
    (constraints.cat([constraints.positive, constraints.unit_interval], -1, [2, 1]), (3,)),
    (constraints.stack([constraints.positive, constraints.unit_interval], -1), (2,)),
]  # fmt: skip


@pytest.mark.parametrize("constraint, shape", CONSTRAINTS, ids=[repr(c) for c, _ in CONSTRAINTS])
def test_transforms_onto_constraints(constraint, shape):
    for registry in (D.biject_to, D.transform_to):
        transform = registry(constraint)
        x = t(RNG.normal(size=(4, *shape))).requires_grad_()
        y = transform(x)
        assert constraint.check(y).all()
        if constraint.event_dim < 2:
            near(transform(transform.inv(y)), y.detach().numpy(), 1e-8)
        if registry is D.biject_to and constraint is constraints.simplex:
            assert transform.bijective and y.shape == (4, 4)


def test_registering():
    from lamina.distributions.constraint_registry import ConstraintRegistry

    class Even(constraints.Constraint):
        pass

    registry = ConstraintRegistry()
    with pytest.raises(NotImplementedError, match="no transform onto even"):
        registry(Even())
    registry.register(Even, lambda c: D.ExpTransform())
    assert isinstance(registry(Even()), D.ExpTransform)
    with pytest.raises(TypeError, match="expected a Constraint"):
        registry.register(3, lambda c: None)


def test_caches_and_errors():
    exp = D.ExpTransform().with_cache()
    x = t([1.0, 2.0])
    assert exp(x) is exp(x) and exp.inv(exp(x)) is x
    for make, text in (
        (lambda: D.ReshapeTransform((2, 3), (5,)), "different numbers of elements"),
        (lambda: D.CorrCholeskyTransform()(t(np.zeros(5))), "5 numbers are not the lower"),
        (lambda: D.CatTransform([D.ExpTransform()], 0, [3])(x), "expected 3 elements"),
        (lambda: D.StackTransform([D.ExpTransform()])(x), "expected 1 elements"),
        (lambda: D.StickBreakingTransform().forward_shape(()), "needs 1 dimensions"),
    ):
        with pytest.raises(ValueError, match=text):
            make()
    assert not constraints.corr_cholesky.check(t(np.eye(3) * 0.9))
    assert constraints.positive_semidefinite.check(t([[1.0, 1.0], [1.0, 1.0]]))
    assert not constraints.positive_semidefinite.check(t([[1.0, 2.0], [2.0, 1.0]]))


def test_all_transforms_are_in_their_module():
    from lamina.distributions import transforms

    for name in D.__all__:
        if name.endswith("Transform"):
            assert getattr(transforms, name) is getattr(D, name)
    with pytest.raises(AttributeError, match="has no attribute 'Foo'"):
        transforms.Foo  # noqa: B018
