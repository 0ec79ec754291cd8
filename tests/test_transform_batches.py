"""Batches made in one call have the bits of their images made one by one."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina.utils.data import DataLoader, Subset
from lamina.utils.data._draws import Draws
from lamina.vision import transforms as T
from lamina.vision.datasets import VisionDataset

BYTES = np.random.default_rng(0).integers(0, 256, (6, 3, 9, 12)).astype(np.uint8)
MEAN, STD = (0.49, 0.48, 0.44), (0.25, 0.24, 0.26)
CHAINS = {
    "plain": [T.ToTensor(), T.Normalize(MEAN, STD)],
    "cifar": [T.RandomCrop((9, 12), padding=2), T.RandomHorizontalFlip(), T.ToTensor(),
              T.Normalize(MEAN, STD)],
    "crop after": [T.ToTensor(), T.RandomVerticalFlip(), T.RandomHorizontalFlip(), T.RandomCrop(6)],
    "two crops": [T.RandomHorizontalFlip(), T.Pad((1, 2), fill=3), T.RandomVerticalFlip(),
                  T.RandomCrop(8), T.RandomHorizontalFlip(), T.CenterCrop((5, 4)), T.ToTensor()],
    "border after a cut": [T.CenterCrop(6), T.RandomHorizontalFlip(), T.Pad(2, fill=1),
                           T.RandomCrop(7)],
    "border after normalising": [T.ToTensor(), T.Normalize(MEAN, STD), T.RandomCrop(11, padding=4)],
    "border after ToTensor": [T.ToTensor(), T.Pad(2), T.Pad(1, fill=0.5), T.Normalize(0.1, 0.2)],
    "two borders": [T.Pad(1), T.Pad(1, fill=2), T.Pad((1, 0), fill=2), T.RandomCrop(10)],
    "mirrored border": [T.RandomCrop(10, padding=3, padding_mode="reflect"), T.ToTensor()],
    "coloured border": [T.RandomCrop(10, padding=3, fill=(1, 2, 3)), T.RandomHorizontalFlip()],
    "larger window": [T.RandomHorizontalFlip(), T.CenterCrop(20), T.RandomCrop(18), T.ToTensor()],
    "erasing": [T.RandomHorizontalFlip(), T.ToTensor(), T.RandomErasing(0.7),
                T.Normalize(MEAN, STD), T.RandomErasing(0.7, value="random")],
    "grey": [T.RandomGrayscale(0.5), T.RandomCrop(8), T.Grayscale(1), T.ToTensor()],
    "nested": [T.Compose([T.RandomApply([T.RandomCrop((9, 12), padding=3),
                                         T.RandomVerticalFlip()], 0.6)]),
               T.RandomChoice([T.RandomHorizontalFlip(0.9), T.RandomVerticalFlip(0.9)]),
               T.ToTensor()],
    "types": [T.ConvertImageDtype(lamina.float32), T.ConvertImageDtype(lamina.float64),
              T.RandomCrop(5), T.RandomHorizontalFlip(), T.ConvertImageDtype(lamina.uint8)],
    "resized": [T.Resize(11), T.RandomResizedCrop((7, 8), interpolation="bicubic"),
                T.RandomHorizontalFlip(), T.ToTensor(), T.Resize((10, 6), antialias=False)],
    "wavy": [T.ElasticTransform(20.0, 0.7), T.ToTensor(), T.ElasticTransform((5, 9), 0.5)],
    "turned": [T.RandomRotation(30, "bilinear", fill=3), T.RandomPerspective(0.4, 0.7),
               T.RandomAffine(10, (0.1, 0.2), (0.8, 1.2), 5), T.ToTensor(), T.RandomRotation(20)],
    "colours": [T.ColorJitter(0.4, 0.4, 0.4, 0.1), T.RandomInvert(), T.RandomPosterize(3),
                T.RandomSolarize(128), T.RandomAutocontrast(), T.RandomEqualize(), T.ToTensor(),
                T.ColorJitter(saturation=(0.5, 2))],
    "augmented": [T.RandAugment(3), T.TrivialAugmentWide(), T.ToTensor()],
    "policies": [T.AutoAugment(T.AutoAugmentPolicy.SVHN), T.AugMix(5, alpha=0.6), T.ToTensor()],
    "blurred": [T.GaussianBlur(3), T.RandomAdjustSharpness(2), T.ToTensor(),
                T.GaussianBlur((5, 3), (0.5, 1))],
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_a_batch_has_the_bits_of_its_images(name):
    chain = T.Compose(CHAINS[name])
    assert T.can_batch(chain)
    images = lamina.tensor(BYTES)
    index = lamina.tensor([3, 0, -1, 3, 5, 2, 1])
    whole = T.make_batch(chain, images, index, Draws(7).at(40, 7))
    parts = [
        T.make_batch(chain, images, index[b : b + 1], Draws(7).at(40 + b, 1)) for b in range(7)
    ]
    assert whole.dtype is parts[0].dtype
    np.testing.assert_array_equal(whole.numpy(), np.concatenate([p.numpy() for p in parts]))
    # Step by step, each transform alone on one image at a time: no step is joined to another.
    for b in range(7):
        draws = Draws(7).at(40 + b, 1)
        x = images[index[b : b + 1]]
        for step in CHAINS[name]:
            for part in step.transforms if type(step) is T.Compose else [step]:
                x = part.apply(x, draws)
        np.testing.assert_array_equal(whole[b].numpy(), x[0].numpy())


@pytest.mark.parametrize("name", CHAINS)
def test_one_image_gives_what_compose_gives(name):
    """The global generator is used alike by Compose and by its transforms one after another."""
    lamina.manual_seed(11)
    whole = T.Compose(CHAINS[name])(lamina.tensor(BYTES[2]))
    lamina.manual_seed(11)
    x = lamina.tensor(BYTES[2])
    for step in CHAINS[name]:
        x = step(x)
    assert whole.ndim == 3
    np.testing.assert_array_equal(whole.numpy(), x.numpy())


class Pictures(VisionDataset):
    """Colour images in memory."""

    def __init__(self, transform=None, target_transform=None, n=100):
        super().__init__(None, transform, target_transform)
        rng = np.random.default_rng(8)
        self.data = lamina.tensor(rng.integers(0, 256, (n, 8, 8, 3)).astype(np.uint8))
        self.targets = rng.integers(0, 10, n).tolist()


AUGMENT = T.Compose([T.RandomCrop(8, padding=2), T.RandomHorizontalFlip(), T.ToTensor()])


def epochs(dataset, count=2, seed=0, **options):
    generator = lamina.Generator().manual_seed(seed)
    options = {"batch_size": 16, "shuffle": True, "generator": generator, **options}
    loader = DataLoader(dataset, **options)
    out = []
    for _ in range(count):
        batches = list(loader)
        out.append((lamina.cat([x for x, _ in batches]), lamina.cat([y for _, y in batches])))
    return out


def test_an_epoch_depends_on_seed_and_number_only():
    first, second = epochs(Pictures(AUGMENT))
    assert not (first[0] == second[0]).all()
    lamina.manual_seed(99)
    for options in ({"batch_size": 7}, {"batch_size": 100}, {"num_workers": 2}):
        again = epochs(Pictures(AUGMENT), **options)
        for (x, y), (u, v) in zip((first, second), again):
            np.testing.assert_array_equal(x.numpy(), u.numpy())
            np.testing.assert_array_equal(y.numpy(), v.numpy())
    other = epochs(Pictures(AUGMENT), seed=1)
    assert not (first[0] == other[0][0]).all()


def test_batches_are_the_samples():
    data = Pictures(T.Compose(CHAINS["plain"]))
    for batch in DataLoader(data, batch_size=32):
        assert isinstance(batch, list) and batch[1].dtype is lamina.int64
    x, y = epochs(data, 1, shuffle=False)[0]
    for i in (0, 50, 99):
        np.testing.assert_array_equal(x[i].numpy(), data[i][0].numpy())
        assert int(y[i]) == data[i][1]
    part = Subset(data, [5, -1, 5])
    x, y = next(iter(DataLoader(part, batch_size=3)))
    np.testing.assert_array_equal(x.numpy(), np.stack([part[i][0].numpy() for i in range(3)]))
    assert y.tolist() == [data[5][1], data[-1][1], data[5][1]]


class Brighter(T.RandomCrop):
    """A subclass that redefines what it does to one image."""

    def forward(self, img):
        return img + 1


class Shifted(T.RandomCrop):
    """A subclass that redefines what it does to a batch."""

    def apply(self, x, draws):
        return x + 2


def test_the_users_own_transforms_are_honoured():
    plain = Pictures()
    for transform, batched, add in ((Brighter(8), False, 1), (Shifted(8), True, 2),
                                    (T.Lambda(lambda t: t + 3), False, 3),
                                    (lambda t: t + 4, False, 4), (None, True, 0)):  # fmt: skip
        assert T.can_batch(transform) is batched
        data = Pictures(transform)
        x, _ = next(iter(DataLoader(data, batch_size=5)))
        want = np.stack([plain[i][0].numpy() for i in range(5)]) + np.uint8(add)
        np.testing.assert_array_equal(x.numpy(), want)
    data = Pictures(target_transform=lambda y: -y)
    _, y = next(iter(DataLoader(data, batch_size=5)))
    assert y.tolist() == [-v for v in data.targets[:5]]
    with pytest.raises(TypeError, match="does not work on batches"):
        T.make_batch(Brighter(8), lamina.tensor(BYTES), lamina.arange(2), None)


def test_data_and_targets_may_be_replaced():
    data = Pictures(T.ToTensor())
    next(iter(DataLoader(data, batch_size=5)))
    data.data = np.zeros((3, 8, 8, 3), np.uint8)
    data.targets = np.array([4, 5, 6])
    x, y = next(iter(DataLoader(data, batch_size=5)))
    assert len(data) == 3 and not x.any() and y.tolist() == [4, 5, 6]
    data.data = lamina.zeros((3, 8, 8, 3), dtype=lamina.uint8)
    next(iter(DataLoader(data, batch_size=5)))
    data.data[0] = 255
    data.targets[0] = 9
    x, y = next(iter(DataLoader(data, batch_size=5)))
    assert bool((x[0] == 1).all()) and not x[1:].any() and y.tolist() == [9, 5, 6]
    assert data[0][1] == 9 and bool((data[0][0] == 1).all())
