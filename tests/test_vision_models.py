"""The models of lamina.vision: parameters, keys, shapes, and the same source run by PyTorch."""

from __future__ import annotations

import importlib
import pathlib
import sys

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.vision import models
from vision_models import COUNTS, KEYS, RUN, TRAIN_SIZE

DRAWS = [name for name in nn.init.__all__ if name.endswith("_")]


@pytest.fixture
def undrawn(monkeypatch):
    """Parameters stay as they were allocated, so that large models cost nothing."""
    for name in DRAWS:
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


# PyTorch has no such layer; in eval mode it is the identity.
STOCHASTIC_DEPTH = """
class StochasticDepth(nn.Identity):
    def __init__(self, p, mode):
        super().__init__()
        self.p, self.mode = p, mode

    def __repr__(self):
        return f"StochasticDepth(p={self.p}, mode={self.mode})"
"""


@pytest.fixture(scope="module")
def in_torch(tmp_path_factory):
    """The package `models`, the same source with PyTorch in lamina's place."""
    pytest.importorskip("torch")
    name, source = "vision_in_torch", pathlib.Path(models.__file__).parent
    folder = tmp_path_factory.mktemp("sources") / name
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").touch()
    for path in [*source.glob("*.py"), source.parent / "ops.py"]:
        text = path.read_text().replace("import lamina\n", "import torch as lamina\n")
        text = text.replace("from lamina.nn import StochasticDepth", STOCHASTIC_DEPTH)
        text = text.replace(
            "from lamina.nn.functional import sigmoid_focal_loss, stochastic_depth\n", ""
        )
        text = text.replace("from lamina", "from torch")
        (folder / path.relative_to(source.parent)).write_text(text)
    sys.path.insert(0, str(folder.parent))
    try:
        yield importlib.import_module(f"{name}.models")
    finally:
        sys.path.remove(str(folder.parent))
        for module in [m for m in sys.modules if m.split(".")[0] == name]:
            del sys.modules[module]


def count(model) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", models.list_models())
def test_parameters_are_as_published(name, undrawn):
    model = models.get_model(name)
    assert count(model) == COUNTS[name]
    state = model.state_dict()
    for key, shape in KEYS.get(name, {}).items():
        assert tuple(state[key].shape) == shape, key


@pytest.mark.parametrize("name", RUN)
def test_scores_in_training_and_evaluation(name, undrawn):
    size, settings = RUN[name]
    model = models.get_model(name, num_classes=7, **settings)
    for training in (True, False):
        side = TRAIN_SIZE.get(name, size) if training else size
        with lamina.no_grad():
            y = model.train(training)(lamina.zeros(2, 3, side, side))
        assert isinstance(y, tuple) == (training and hasattr(model, "aux_logits"))
        assert all(tuple(scores.shape) == (2, 7) for scores in (y if isinstance(y, tuple) else [y]))


@pytest.mark.parametrize("name", RUN)
def test_forward_is_pytorchs(name, in_torch, monkeypatch):
    torch = sys.modules["torch"]
    for draw in DRAWS:  # its parameters are ours
        monkeypatch.setattr(torch.nn.init, draw, lambda tensor, *args, **kwargs: tensor)
    size, settings = RUN[name]
    settings = {"num_classes": 7, **settings}
    lamina.manual_seed(0)
    ours, theirs = models.get_model(name, **settings), in_torch.get_model(name, **settings)
    state = ours.state_dict()
    assert [*state] == [*theirs.state_dict()]
    theirs.load_state_dict({k: torch.from_numpy(v.numpy().copy()) for k, v in state.items()})
    assert str(ours) == str(theirs)
    x = np.random.default_rng(0).standard_normal((2, 3, size, size)).astype(np.float32)
    with lamina.no_grad(), torch.no_grad():
        got = ours.eval()(lamina.tensor(x)).numpy()
        want = theirs.eval()(torch.from_numpy(x)).numpy()
    assert np.abs(got - want).max() <= 1e-4 * max(1, np.abs(want).max())


# ---- builders ------------------------------------------------------------------------------------
def test_trained_weights_are_refused():
    for given in ({"weights": "DEFAULT"}, {"pretrained": True}):
        with pytest.raises(NotImplementedError, match="resnet18: lamina has no trained weights"):
            models.resnet18(**given)
    with pytest.raises(NotImplementedError, match="vgg11: .*asked for True"):
        models.vgg11(True)
    from lamina.vision.models import ResNet18_Weights

    with pytest.raises(NotImplementedError, match="asked for ResNet18_Weights.IMAGENET1K_V1"):
        models.resnet18(weights=ResNet18_Weights.IMAGENET1K_V1)
    with pytest.raises(AttributeError, match="lamina brings no trained weights"):
        ResNet18_Weights.DEFAULT.transforms()
    with pytest.raises(AttributeError, match="has no attribute 'resnet19'"):
        models.resnet19  # noqa: B018


def test_builders_by_name():
    assert models.get_model_builder("resnet18") is models.resnet18
    assert isinstance(models.get_model("ResNet18", weights=None, num_classes=3), models.ResNet)
    assert models.list_models(include="vgg*", exclude=["*_bn", "vgg19"]) == [
        "vgg11", "vgg13", "vgg16",
    ]  # fmt: skip
    assert models.list_models(models.vgg) == sorted(n for n in COUNTS if n.startswith("vgg"))
    with pytest.raises(ValueError, match="unknown model 'resnet19'; list_models"):
        models.get_model("resnet19")
    assert models.resnet18(False, num_classes=2).fc.out_features == 2


# ---- outputs and arguments -----------------------------------------------------------------------
def test_auxiliary_classifiers(undrawn):
    plain = models.googlenet(aux_logits=False)
    assert count(plain) == 6_624_904 and plain.aux1 is None
    out = models.googlenet(num_classes=3).train()(lamina.zeros(2, 3, 33, 33))
    assert isinstance(out, models.GoogLeNetOutputs)
    assert out._fields == ("logits", "aux_logits2", "aux_logits1")
    assert models.InceptionOutputs._fields == ("logits", "aux_logits")
    assert count(models.inception_v3(aux_logits=False)) == 23_834_568


@pytest.mark.parametrize("blocks, million", [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85), (18, 1.7)])
def test_parameters_of_small_resnets_are_the_papers(blocks, million):
    """He et al. 2016, table 6, counted with option A."""
    assert abs(count(models.CifarResNet(blocks, projection=False)) / 1e6 - million) < 0.03


def test_lenet_has_the_papers_sizes():
    """LeCun et al. 1998, figure 2: C1 6@28x28, S2 6@14x14, C3 16@10x10, S4 16@5x5, C5 120."""
    net = models.LeNet5(image_size=32, padding=0, activation=nn.Tanh, pool=nn.AvgPool2d)
    x, shapes = lamina.randn(1, 1, 32, 32), []
    for layer in net.features:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[::3] == [(6, 28, 28), (16, 10, 10)]
    assert shapes[2::3] == [(6, 14, 14), (16, 5, 5)]
    assert tuple(net(lamina.randn(2, 1, 32, 32)).shape) == (2, 10)
    assert count(net) == 61_706 and count(models.LeNet5(padding=0)) == 44_426
    assert tuple(models.LeNet5(3, 2, (28, 20))(lamina.randn(2, 2, 28, 20)).shape) == (2, 3)


def test_vision_transformer_with_a_convolutional_stem(in_torch):
    def make(library):
        stem = library.vision_transformer.ConvStemConfig
        return library.VisionTransformer(
            16, 4, 1, 2, 8, 16, num_classes=3,
            conv_stem_configs=[stem(4, 3, 2), stem(6, 3, 2)],
        )  # fmt: skip

    assert [*make(models).state_dict()] == [*make(in_torch).state_dict()]
    assert "conv_proj.conv_bn_relu_1.1.running_mean" in make(models).state_dict()
    assert tuple(make(models)(lamina.randn(2, 3, 16, 16)).shape) == (2, 3)


@pytest.mark.parametrize("bilinear", [False, True])
def test_unet_is_pytorchs(bilinear, in_torch):
    torch = sys.modules["torch"]
    ours, theirs = (m.UNet(2, 3, bilinear, width=4) for m in (models, in_torch))
    state = ours.state_dict()
    theirs.load_state_dict({k: torch.from_numpy(v.numpy().copy()) for k, v in state.items()})
    x = np.random.default_rng(0).standard_normal((2, 2, 37, 32)).astype(np.float32)
    got = ours(lamina.tensor(x)).detach().numpy()
    want = theirs(torch.from_numpy(x)).detach().numpy()
    assert got.shape == (2, 3, 37, 32)
    assert np.abs(got - want).max() <= 1e-4 * max(1, np.abs(want).max())


def test_every_parameter_of_a_model_learns():
    for name in ("shufflenet_v2_x0_5", "squeezenet1_1"):
        model = models.get_model(name, num_classes=3)
        x = lamina.randn(2, 3, 64, 64)
        nn.functional.cross_entropy(model(x), lamina.tensor([0, 2])).backward()
        assert all(p.grad is not None for p in model.parameters()), name


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match="BasicBlock: has groups=1"):
        models.resnet18(groups=2)
    with pytest.raises(ValueError, match="replace_stride_with_dilation must be None or three"):
        models.resnet50(replace_stride_with_dilation=[True])
    with pytest.raises(ValueError, match="version must be '1_0' or '1_1', got '1_2'"):
        models.SqueezeNet("1_2")
    with pytest.raises(ValueError, match="expected 3 stages_repeats and 5"):
        models.ShuffleNetV2([1, 2], [1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="expected 7 inception_blocks, got 1"):
        models.Inception3(inception_blocks=[nn.Conv2d])

    with pytest.raises(ValueError, match="at least 12 x 12, got 11 x 28"):
        models.LeNet5(image_size=(11, 28))
    with pytest.raises(ValueError, match="patches of 16 pixels do not tile images of 40"):
        models.vit_b_16(image_size=40)
    vit = models.VisionTransformer(8, 4, 1, 2, 4, 4)
    with pytest.raises(ValueError, match="made for images of 8 x 8, got 8 x 4"):
        vit(lamina.zeros(1, 3, 8, 4))


def test_blocks_begin_as_identities():
    model = models.resnet50(zero_init_residual=True, num_classes=2)
    assert not model.layer1[0].bn3.weight.any() and model.layer1[0].bn2.weight.all()
