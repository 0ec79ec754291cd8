"""A small convolutional network on the packaged digits: early stopping, a run's folder, prediction.

    python examples/digits_cnn.py                 # about 97 % on the held-out digits, offline
    python examples/digits_cnn.py --epochs 3 --out runs/mine

Shows a training loop with everything the trainer keeps: `last.safetensors` and `best.safetensors`,
`history.csv`, `config.json`.
"""

import argparse

import lamina
from lamina import nn
from lamina.trainer import EarlyStopping, Trainer
from lamina.vision import datasets, transforms


def main(epochs=20, out=None):
    lamina.manual_seed(0)
    train = datasets.Digits(train=True, transform=transforms.ToTensor())
    test = datasets.Digits(train=False, transform=transforms.ToTensor())
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Dropout(0.2), nn.Linear(32 * 4 * 4, 10),
    )  # fmt: skip
    stopping = EarlyStopping("val_accuracy", patience=5, restore_best=True)
    trainer = Trainer(
        model, "cross_entropy", "adam", lr=3e-3, seed=0, callbacks=[stopping], out=out
    )
    history = trainer.fit(train, test, epochs=epochs, batch_size=32)
    best = history.best("val_accuracy")
    print(f"best epoch {best['epoch']}: {100 * best['val_accuracy']:.2f} % of {len(test)} digits")

    images = lamina.stack([test[i][0] for i in range(8)])
    print("predicted", trainer.predict(images).argmax(1).tolist())
    print("really   ", [int(test[i][1]) for i in range(8)])
    return best["val_accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", help="folder for checkpoints and history")
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.out)
