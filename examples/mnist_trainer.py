"""The multi-layer perceptron on MNIST in eight statements, with the trainer.

    python examples/mnist_trainer.py        # set EPOCHS=1 for a quick look

The four IDX files (gzipped or not) are found in ./data or $LAMINA_DATA.
"""

import os

from lamina import nn
from lamina.trainer import Trainer
from lamina.vision import datasets, transforms

train = datasets.MNIST("data", train=True, transform=transforms.ToTensor())
test = datasets.MNIST("data", train=False, transform=transforms.ToTensor())
model = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.2),
                      nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.2),
                      nn.Linear(128, 10))  # fmt: skip
trainer = Trainer(model, "cross_entropy", "adam", lr=1e-3, seed=0)
history = trainer.fit(train, test, epochs=int(os.environ.get("EPOCHS", 5)), batch_size=64)
