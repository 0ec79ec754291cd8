"""nn.utils: clipping gradients, parameters as a vector; the names of nn that programs use."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.nn import utils

SHAPES = [(3, 4), (5,), (), (0, 2), (2, 1, 3)]


def parameters(m=lamina, scale=1.0, dtypes=("float64",) * 5) -> list:
    """Parameters with gradients, and one without."""
    rng, made = np.random.default_rng(2), []
    for shape, dtype in zip(SHAPES, dtypes):
        p = m.nn.Parameter(m.zeros(shape, dtype=getattr(m, dtype)))
        values = (rng.normal(size=shape) * scale).tolist()
        p.grad = m.tensor(values, dtype=getattr(m, dtype)).reshape(shape)
        made.append(p)
    return [*made, m.nn.Parameter(m.ones(2))]


def gradients(ps) -> np.ndarray:
    return np.concatenate([np.ravel(p.grad.tolist()) for p in ps if p.grad is not None])


@pytest.mark.parametrize("foreach", [None, True, False])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3, 0.5, math.inf, "inf"])
@pytest.mark.parametrize("max_norm", [0.7, 1e3])
def test_clip_grad_norm(norm_type, max_norm, foreach):
    ps = parameters()
    before = gradients(ps)
    memory = [p.grad.data_ptr() for p in ps[:-1]]
    p = float(norm_type)
    norm = np.abs(before).max() if p == math.inf else (np.abs(before) ** p).sum() ** (1 / p)
    found = utils.get_total_norm([q.grad for q in ps[:-1]], norm_type, foreach=foreach)
    assert found.item() == pytest.approx(norm, rel=1e-13)
    total = utils.clip_grad_norm_((q for q in ps), max_norm, norm_type, foreach=foreach)
    assert total.shape == () and not total.requires_grad
    assert total.item() == pytest.approx(norm, rel=1e-13)
    expected = before * min(1.0, max_norm / (norm + 1e-6))
    np.testing.assert_allclose(gradients(ps), expected, rtol=1e-13, atol=0)
    assert memory == [q.grad.data_ptr() for q in ps[:-1]] and ps[-1].grad is None


def test_clipping_one_tensor_none_and_mixed_dtypes():
    p = parameters()[0]
    norm = float(np.linalg.norm(gradients([p])))
    assert utils.clip_grad_norm_(p, 0.5).item() == pytest.approx(norm)
    assert np.linalg.norm(gradients([p])) == pytest.approx(0.5, abs=1e-6)
    assert utils.clip_grad_norm_([], 1.0).item() == 0.0
    assert utils.clip_grad_norm_([nn.Parameter(lamina.ones(2))], 1.0).item() == 0.0
    ps = parameters(dtypes=("float64", "float32", "float64", "float32", "float32"))
    norm = float(np.linalg.norm(gradients(ps)))
    assert utils.clip_grad_norm_(ps, 0.25).item() == pytest.approx(norm, rel=1e-6)
    assert np.linalg.norm(gradients(ps)) == pytest.approx(0.25, abs=1e-6)
    assert [p.grad.dtype for p in ps[:2]] == [lamina.float64, lamina.float32]
    with pytest.warns(FutureWarning, match="deprecated in favor of"):
        utils.clip_grad_norm(ps, 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_norms_that_are_not_finite(bad):
    ps = parameters()
    ps[1].grad[2] = bad
    before = [p.grad.tolist() for p in ps[:-1]]
    with pytest.raises(RuntimeError, match=r"order 2\.0 for gradients .* is non-finite, so it"):
        utils.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
    np.testing.assert_equal([p.grad.tolist() for p in ps[:-1]], before)
    assert not math.isfinite(utils.clip_grad_norm_(ps, 1.0).item())
    if bad == math.inf:  # 1 / inf: finite gradients become 0
        assert ps[0].grad.abs().sum().item() == 0


def test_clip_with_a_known_norm_and_by_value():
    ps = parameters(scale=10)
    before = gradients(ps)
    utils.clip_grads_with_norm_(ps, 2.0, lamina.tensor(8.0, dtype=lamina.float64))
    np.testing.assert_allclose(gradients(ps), before * (2 / (8 + 1e-6)), rtol=1e-13)
    before = gradients(ps)
    for foreach in (None, True, False):
        assert utils.clip_grad_value_(ps, 1.5, foreach=foreach) is None
        np.testing.assert_array_equal(gradients(ps), before.clip(-1.5, 1.5))
    utils.clip_grad_value_(ps[0], 0)
    assert ps[0].grad.abs().sum().item() == 0


def test_clipping_is_pytorchs():
    torch = pytest.importorskip("torch")
    for norm_type in (1, 2.0, 2.5, math.inf):
        ours, theirs = parameters(), parameters(torch)
        if norm_type == math.inf:  # PyTorch has no such norm of no elements
            del ours[3], theirs[3]
        a = utils.clip_grad_norm_(ours, 0.3, norm_type)
        b = torch.nn.utils.clip_grad_norm_(theirs, 0.3, norm_type)
        assert a.item() == pytest.approx(b.item(), rel=1e-13)
        np.testing.assert_allclose(gradients(ours), gradients(theirs), rtol=1e-12)


def test_parameters_as_a_vector():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (3 * 4 + 4 + 4 * 2 + 2,)
    vector.sum().backward()  # it is part of the graph
    assert all((p.grad == 1).all() for p in net.parameters())
    new = lamina.arange(26, dtype=lamina.float32)
    before = list(net.parameters())
    utils.vector_to_parameters(new, net.parameters())
    assert all(a is b for a, b in zip(before, net.parameters()))
    assert net[1].bias.tolist() == [24, 25] and net[1].bias.requires_grad
    assert lamina.equal(utils.parameters_to_vector(net.parameters()), new)
    with pytest.raises(lamina.ShapeError, match=r"has 25 elements, and .* \(2,\) needs 2"):
        utils.vector_to_parameters(new[:25], net.parameters())
    with pytest.raises(TypeError, match="got: list"):
        utils.vector_to_parameters([1.0], net.parameters())


# ---- names ---------------------------------------------------------------------------------------
# What programs written for PyTorch use of nn (counted over public repositories), less recurrent,
# attention, transposed and 3-D layers, resampling and distribution.
LAYERS = """Module Parameter Sequential ModuleList ModuleDict ParameterList ParameterDict Linear
Identity Bilinear Flatten Unflatten Conv1d Conv2d MaxPool1d MaxPool2d AvgPool1d AvgPool2d
AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool1d AdaptiveMaxPool2d BatchNorm1d BatchNorm2d
LayerNorm GroupNorm InstanceNorm1d InstanceNorm2d RMSNorm LocalResponseNorm Dropout Dropout1d
Dropout2d AlphaDropout Embedding ReLU ReLU6 LeakyReLU PReLU RReLU ELU SELU CELU GELU SiLU Mish GLU
Sigmoid Tanh Softmax Softmax2d LogSoftmax Softmin Softplus Softsign Softshrink Hardshrink Hardtanh
Hardswish Hardsigmoid LogSigmoid Tanhshrink Threshold CrossEntropyLoss NLLLoss MSELoss L1Loss
SmoothL1Loss HuberLoss BCELoss BCEWithLogitsLoss KLDivLoss CosineEmbeddingLoss MarginRankingLoss
TripletMarginLoss HingeEmbeddingLoss PoissonNLLLoss GaussianNLLLoss CosineSimilarity
PairwiseDistance Fold Unfold ZeroPad2d ConstantPad2d ReflectionPad1d ReflectionPad2d
ReplicationPad1d ReplicationPad2d"""
FUNCTIONS = """relu relu_ relu6 leaky_relu elu selu celu gelu silu mish glu sigmoid tanh softmax
log_softmax softmin softplus softsign softshrink hardshrink hardtanh hardswish hardsigmoid
logsigmoid tanhshrink threshold prelu rrelu linear bilinear conv1d conv2d max_pool1d max_pool2d
avg_pool1d avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d
adaptive_max_pool2d lp_pool1d lp_pool2d batch_norm layer_norm group_norm instance_norm rms_norm
local_response_norm normalize dropout dropout1d dropout2d alpha_dropout feature_alpha_dropout
embedding one_hot pad unfold fold cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss
binary_cross_entropy binary_cross_entropy_with_logits kl_div cosine_embedding_loss
margin_ranking_loss triplet_margin_loss hinge_embedding_loss poisson_nll_loss gaussian_nll_loss
multi_margin_loss soft_margin_loss cosine_similarity pairwise_distance"""


def test_the_names_that_programs_use_exist():
    assert [n for n in LAYERS.split() if not hasattr(nn, n)] == []
    assert [n for n in FUNCTIONS.split() if not hasattr(nn.functional, n)] == []
    from lamina.nn.modules.conv import Conv2d

    from lamina.nn.parameter import Parameter

    assert Conv2d is nn.Conv2d and Parameter is nn.Parameter


def test_arguments_of_functions_are_pytorchs():
    torch = pytest.importorskip("torch")
    import inspect

    for name in nn.functional.__all__:
        wanted = getattr(torch.nn.functional, name, None)
        if wanted is None:  # lamina's own
            continue
        try:
            theirs = inspect.signature(wanted)
        except ValueError:  # compiled: see the parity tests of each function
            continue
        if any(p.kind is p.VAR_POSITIONAL for p in theirs.parameters.values()):
            continue
        mine, theirs = (
            {p.name: p.default for p in s.parameters.values()}
            for s in (inspect.signature(getattr(nn.functional, name)), theirs)
        )
        if name.endswith("_with_indices"):
            mine["return_indices"] = theirs["return_indices"]  # always returned, so True
        assert mine == theirs, name
        # softmax's private _stacklevel aside, the order counts too
        order = [n for n in theirs if n != "_stacklevel"]
        assert [n for n in mine if n != "_stacklevel"] == order, name


# ---- layers with their batch normalization -------------------------------------------------------
@pytest.mark.parametrize("layer, bn, shape", [
    (nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), (2, 3, 5, 5)),
    (nn.Conv1d(4, 4, 3, groups=2), nn.BatchNorm1d(4, affine=False), (2, 4, 5)),
    (nn.ConvTranspose2d(3, 4, 2, stride=2), nn.BatchNorm2d(4), (2, 3, 5, 5)),
    (nn.Linear(3, 4), nn.BatchNorm1d(4), (5, 3)),
])  # fmt: skip
def test_fused_with_batch_norm(layer, bn, shape):
    both = nn.Sequential(layer, bn).double()
    both(lamina.randn(shape).double() * 2 + 1)
    for p in bn.parameters():
        p.data.uniform_(0.5, 1.5)
    x = lamina.randn(shape).double()
    with pytest.raises(AssertionError, match="only for eval"):
        utils.fuse_conv_bn_eval(layer, bn)
    both.eval()
    fused = (
        utils.fuse_linear_bn_eval(layer, bn) if isinstance(layer, nn.Linear)
        else utils.fuse_conv_bn_eval(layer, bn, transpose=isinstance(layer, nn.ConvTranspose2d))
    )  # fmt: skip
    assert type(fused) is type(layer) and fused.bias.requires_grad == (layer.bias is not None)
    np.testing.assert_allclose(fused(x).detach().numpy(), both(x).detach().numpy(), atol=1e-12)
