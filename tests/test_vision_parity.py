"""lamina.vision beside torchvision, where that is installed: state_dict, printed form, scores from
the same weights; functions of images and grids."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.vision import models, transforms, utils
from vision_models import RUN

torchvision = pytest.importorskip("torchvision")
torch = pytest.importorskip("torch")
DRAWS = [name for name in nn.init.__all__ if name.endswith("_")]
THEIRS = [name for name in models.list_models() if hasattr(torchvision.models, name)]
OWN = [
    "lenet5",
    "mobilenet_v1",
    "resnet110",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "unet",
]
RNG = np.random.default_rng(0)
F, TF = transforms.functional, torchvision.transforms.functional


@pytest.fixture
def undrawn(monkeypatch):
    """Parameters stay as they were allocated, so that large models cost nothing."""
    for name in DRAWS:
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)


def quiet(name: str) -> dict:
    return {"init_weights": False} if name in ("googlenet", "inception_v3") else {}


def test_every_model_but_our_own_is_there():
    assert sorted(set(models.list_models()) - set(THEIRS)) == OWN


@pytest.mark.parametrize("name", THEIRS)
def test_state_and_printed_form(name, undrawn):
    ours = getattr(models, name)(**quiet(name))
    theirs = getattr(torchvision.models, name)(**quiet(name))
    assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    assert str(ours) == str(theirs)


@pytest.mark.parametrize("name", [name for name in RUN if name in THEIRS])
def test_scores(name):
    size, settings = RUN[name]
    settings = {"num_classes": 7, **settings}
    lamina.manual_seed(0)
    ours = models.get_model(name, **settings)
    theirs = getattr(torchvision.models, name)(**settings)
    state = {k: torch.from_numpy(v.numpy().copy()) for k, v in ours.state_dict().items()}
    theirs.load_state_dict(state)
    x = RNG.standard_normal((2, 3, size, size)).astype(np.float32)
    with lamina.no_grad(), torch.no_grad():
        got = ours.eval()(lamina.tensor(x)).numpy()
        want = theirs.eval()(torch.from_numpy(x)).numpy()
    assert np.abs(got - want).max() <= 1e-4 * max(1, np.abs(want).max())


CORNERS = [[0, 0], [21, 0], [21, 16], [0, 16]]
CALLS = {
    "resize": lambda m, x: m.resize(x, (9, 30)),
    "resize, shorter side": lambda m, x: m.resize(x, 8, max_size=9),
    "resize, bicubic": lambda m, x: m.resize(x, [31, 7], m.InterpolationMode.BICUBIC),
    "resize, nearest": lambda m, x: m.resize(x, 11, m.InterpolationMode.NEAREST),
    "rotate": lambda m, x: m.rotate(x, 33, m.InterpolationMode.BILINEAR, True, None, [7.0]),
    "rotate, nearest": lambda m, x: m.rotate(x, -70, center=[3, 5]),
    "affine": lambda m, x: m.affine(
        x, 15, [2, -1], 1.2, [5.0, 3.0], m.InterpolationMode.BILINEAR, [1.0, 2.0, 3.0]
    ),
    "perspective": lambda m, x: m.perspective(
        x, CORNERS, [[2, 1], [18, 3], [20, 15], [1, 12]], m.InterpolationMode.BILINEAR
    ),
    "brightness": lambda m, x: m.adjust_brightness(x, 1.6),
    "contrast": lambda m, x: m.adjust_contrast(x, 0.4),
    "saturation": lambda m, x: m.adjust_saturation(x, 1.6),
    "sharpness": lambda m, x: m.adjust_sharpness(x, 1.6),
    "gamma": lambda m, x: m.adjust_gamma(x, 0.4, 1.1),
    "hue": lambda m, x: m.adjust_hue(x, 0.37),
    "blur": lambda m, x: m.gaussian_blur(x, [5, 3], [1.0, 0.7]),
    "autocontrast": lambda m, x: m.autocontrast(x),
    "invert": lambda m, x: m.invert(x),
    "grey": lambda m, x: m.rgb_to_grayscale(x, 3),
    "center crop": lambda m, x: m.center_crop(x, [20, 9]),
    "pad": lambda m, x: m.pad(x, [1, 2, 3, 4], 0, "symmetric"),
}


@pytest.mark.parametrize("name", CALLS)
def test_functions_of_images(name):
    for x in (RNG.integers(0, 256, (3, 17, 22)).astype(np.uint8),
              RNG.random((2, 3, 17, 22)).astype(np.float32)):  # fmt: skip
        got = CALLS[name](F, lamina.tensor(x)).numpy().astype(float)
        want = CALLS[name](TF, torch.from_numpy(x)).numpy().astype(float)
        assert got.shape == want.shape
        assert np.abs(got - want).max() <= (1 if x.dtype == np.uint8 else 3e-5)
    if pytest.importorskip("PIL"):
        x = RNG.integers(0, 256, (3, 17, 22)).astype(np.uint8)
        got = CALLS[name](F, F.to_pil_image(lamina.tensor(x)))
        want = CALLS[name](TF, TF.to_pil_image(torch.from_numpy(x)))
        np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


@pytest.mark.parametrize("options", [{}, {"nrow": 3, "padding": 1, "pad_value": 0.3},
                                     {"normalize": True, "scale_each": True}])  # fmt: skip
def test_grids(options):
    x = RNG.standard_normal((7, 3, 5, 6)).astype(np.float32)
    got = utils.make_grid(lamina.tensor(x), **options).numpy()
    want = torchvision.utils.make_grid(torch.from_numpy(x), **options).numpy()
    np.testing.assert_allclose(got, want, atol=1e-6)
