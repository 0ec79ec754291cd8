"""``lamina predict``."""

from __future__ import annotations

import os

import lamina
from lamina.trainer import Trainer

from . import data, folder


def run(options) -> int:
    """Prints what a run's best model takes the input for."""
    held = folder.config(options.run)
    model = folder.best_model(options.run, held)
    images, labels = read(options.input, held)
    trainer = Trainer(model, "cross_entropy", progress=False, device=options.device)
    scores = trainer.predict(images).cpu()
    shares = lamina.softmax(scores, 1)
    classes = held["classes"]
    for i, row in enumerate(shares.tolist()):
        ranked = sorted(range(len(row)), key=lambda c: -row[c])
        what = options.input if len(shares) == 1 else f"{options.input}[{i}]"
        line = f"{what}: {classes[ranked[0]]} ({100 * row[ranked[0]]:.1f} %)"
        if len(shares) == 1:
            rest = [f"{classes[c]} ({100 * row[c]:.1f} %)" for c in ranked[1:3]]
            line += f"; then {', '.join(rest)}" if rest else ""
        if labels is not None:
            line += f"; it is {classes[labels[i]]}"
        print(line)
    return 0


def read(text: str, held: dict):
    """(images (N, C, H, W) as the model wants them, their labels or None) of an INPUT.

    Raises FileNotFoundError or ValueError, naming what was expected.
    """
    if text.lstrip("-").isdigit() and not os.path.exists(text):
        held_out = data.load(held["data"], augment=False).held_out
        if not 0 <= int(text) < len(held_out):
            raise ValueError(
                f"image {text}: the held-out images are numbered 0 to {len(held_out) - 1}"
            )
        image, label = held_out[int(text)]
        return image.unsqueeze(0), [int(label)]
    if not os.path.exists(text):
        raise FileNotFoundError(f"{text}: neither the number of a held-out image nor a file")
    array = text.lower().endswith((".npy", ".npz"))
    x = data.read_array(text) if array else picture(text, held["shape"])
    C, H, W = held["shape"]
    if x.ndim == 2:
        x = x.reshape(1, 1, *x.shape)
    elif x.ndim == 3:
        x = x.unsqueeze(0) if x.shape[0] == C and tuple(x.shape[1:]) == (H, W) else x.unsqueeze(1)
    if tuple(x.shape[1:]) != (C, H, W):
        raise ValueError(
            f"{text}: images of shape {tuple(x.shape[1:])}, but the model was trained on "
            f"{(C, H, W)}; expected (H, W), (C, H, W) or (N, C, H, W)"
        )
    mean = lamina.tensor(held["mean"]).reshape(-1, 1, 1)
    std = lamina.tensor(held["std"]).reshape(-1, 1, 1)
    return (x - mean) / std, None


def picture(path: str, shape):
    """An image file as a float32 tensor (C, H, W) in [0, 1], scaled to the shape. A grey picture
    with a bright border is inverted where the model knows one channel: its data are light strokes
    on black. ImportError without Pillow."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ImportError(
            f"{path}: reading image files needs Pillow: pip install pillow; .npy files do not"
        ) from None
    import numpy

    C, H, W = shape
    try:
        with Image.open(path) as file:
            image = file.convert("L" if C == 1 else "RGB").resize((W, H))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path}: not a readable image file: {error}") from error
    values = numpy.asarray(image, dtype=numpy.float32) / numpy.float32(255)
    if C == 1:
        border = numpy.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
        values = (1 - values if border.mean() > 0.5 else values)[None]
    else:
        values = values.transpose(2, 0, 1)
    return lamina.from_numpy(numpy.ascontiguousarray(values))
