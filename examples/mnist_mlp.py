"""A multi-layer perceptron on MNIST, in PyTorch's style.

    python examples/mnist_mlp.py            # 5 epochs, about 98 % on the 10,000 test images
    python examples/mnist_mlp.py --epochs 1

The four IDX files (gzipped or not) are found in ./data or $LAMINA_DATA.
"""

import argparse

import lamina
from lamina import nn, optim
from lamina.utils.data import DataLoader
from lamina.vision import datasets, transforms


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1, self.hidden2 = nn.Linear(784, 256), nn.Linear(256, 128)
        self.out = nn.Linear(128, 10)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x):
        x = self.dropout(self.hidden1(x.flatten(1)).relu())
        return self.out(self.dropout(self.hidden2(x).relu()))


def main(epochs=5):
    pixels = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    train, test = (datasets.MNIST("data", train=t, transform=pixels) for t in (True, False))
    model = MLP()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(1, epochs + 1):
        model.train()
        for x, y in DataLoader(train, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        with lamina.no_grad():
            right = sum((model(x).argmax(1) == y).sum().item() for x, y in DataLoader(test, 1000))
        print(f"epoch {epoch}: {100 * right / len(test):.2f} % of {len(test):,} test images right")
    return right / len(test)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    lamina.manual_seed(0)
    main(parser.parse_args().epochs)
