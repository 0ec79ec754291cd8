"""ResNet-20 (He et al., CVPR 2016) on CIFAR-10, with random crops and flips and a one-cycle rate.

    python examples/cifar_resnet.py --epochs 5
    python examples/cifar_resnet.py --limit 512 --epochs 1      # a quick look

The binary files (data_batch_*.bin, test_batch.bin, gzipped or not; those that are there) are found
in ./data or $LAMINA_DATA.
"""

import argparse

import lamina
from lamina import nn, optim
from lamina.trainer import Trainer
from lamina.utils.data import Subset
from lamina.vision import datasets, transforms


class BasicBlock(nn.Module):
    """relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(cin, cout, 3, stride, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(),
            nn.Conv2d(cout, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout),
        )  # fmt: skip
        self.shortcut = nn.Identity()
        if stride != 1 or cin != cout:  # a projection, where the shape changes
            self.shortcut = nn.Sequential(
                nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)
            )

    def forward(self, x):
        return nn.functional.relu(self.body(x) + self.shortcut(x))


def resnet20(classes=10):
    layers, cin = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for cout, stride in ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1),
                         (64, 1)):  # fmt: skip
        layers.append(BasicBlock(cin, cout, stride))
        cin = cout
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


def data(limit=None):
    pixels = [
        transforms.ToTensor(),
        transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    ]
    moves = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    train = datasets.CIFAR10("data", train=True, transform=transforms.Compose(moves + pixels))
    test = datasets.CIFAR10("data", train=False, transform=transforms.Compose(pixels))
    if limit:
        train, test = (Subset(d, range(min(limit, len(d)))) for d in (train, test))
    return train, test


def main(epochs=5, limit=None, batch_size=64):
    lamina.manual_seed(0)
    train, test = data(limit)
    model = resnet20()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    trainer = Trainer(model, "cross_entropy", optimizer, scheduler="onecycle", seed=0)
    return trainer.fit(train, test, epochs=epochs, batch_size=batch_size)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--limit", type=int, help="use only so many images")
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.limit)
