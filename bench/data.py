"""An epoch of MNIST through a DataLoader, lamina beside PyTorch: loading alone and with training.

    python bench/data.py [--rounds 3] [--threads 1 2] [--part NAME]

The network is the MLP 784-256-128-10 with dropout 0.2 and Adam, batches of 64, shuffled. Datasets:
"transforms" is MNIST with ToTensor and Normalize; for PyTorch the dataset and both transforms do
what torchvision's do, through Pillow images. "tensors" is a TensorDataset of normalised floats.
Every measurement runs in a process of its own, the libraries in turn. Gather speed counts the bytes
of the float32 batches. Needs MNIST under $LAMINA_DATA.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
from workloads import mlp

MEAN, STD = 0.1307, 0.3081
PARTS = ("transforms", "tensors")


def read(name: str) -> np.ndarray:
    """An IDX file of bytes as an array."""
    folder = pathlib.Path(os.environ.get("LAMINA_DATA", "data")) / "mnist"
    raw = gzip.decompress((folder / f"{name}.gz").read_bytes())
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape).copy()


def torchvision_mnist(t):
    """What torchvision.datasets.MNIST with ToTensor and Normalize is, in torchvision's words."""
    from PIL import Image

    class ToTensor:
        def __call__(self, pic):
            img = t.from_numpy(np.array(pic, np.uint8, copy=True))
            img = img.view(pic.size[1], pic.size[0], len(pic.getbands()))
            return img.permute((2, 0, 1)).contiguous().to(t.float32).div(255)

    class Normalize:
        def __call__(self, tensor):
            tensor = tensor.clone()
            mean = t.as_tensor((MEAN,), dtype=tensor.dtype, device=tensor.device)
            std = t.as_tensor((STD,), dtype=tensor.dtype, device=tensor.device)
            if (std == 0).any():
                raise ValueError("std evaluated to zero")
            return tensor.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))

    class MNIST(t.utils.data.Dataset):
        def __init__(self, transforms):
            self.data = t.from_numpy(read("train-images-idx3-ubyte"))
            self.targets = t.from_numpy(read("train-labels-idx1-ubyte")).long()
            self.transforms = transforms

        def __len__(self):
            return len(self.data)

        def __getitem__(self, index):
            img, target = self.data[index], int(self.targets[index])
            img = Image.fromarray(img.numpy())
            for transform in self.transforms:
                img = transform(img)
            return img, target

    return MNIST([ToTensor(), Normalize()])


def dataset(t, part: str):
    if part == "tensors":
        images = (read("train-images-idx3-ubyte").astype(np.float32) / 255 - MEAN) / STD
        labels = read("train-labels-idx1-ubyte").astype(np.int64)
        return t.utils.data.TensorDataset(t.from_numpy(images), t.from_numpy(labels))
    if t.__name__ == "torch":
        return torchvision_mnist(t)
    from lamina.vision import datasets, transforms

    change = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    return datasets.MNIST("data", train=True, transform=change)


def work(library: str, part: str, threads: int) -> dict:
    """Seconds of an epoch of loading alone, and of loading and training."""
    t = __import__(library)
    t.set_num_threads(threads)
    t.manual_seed(0)
    loader = t.utils.data.DataLoader(dataset(t, part), batch_size=64, shuffle=True)
    train, _ = mlp(t)

    def step(x, y):
        return train(x.flatten(1), y)

    if library == "lamina":
        step = t.compile(step, fullgraph=True)
    loading, epoch, size = [], [], 0
    for _ in range(3 if library == "lamina" else 1):
        start = time.perf_counter()
        size = sum(x.numel() * 4 for x, _ in loader)
        loading.append(time.perf_counter() - start)
        start = time.perf_counter()
        for x, y in loader:
            step(x, y)
        epoch.append(time.perf_counter() - start)
    return {"loading": min(loading), "epoch": min(epoch), "bytes": size}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        library, part, threads = args.work
        print(json.dumps(work(library, part, int(threads))))
        return
    libraries = ["lamina"] + (["torch"] if importlib.util.find_spec("torch") else [])
    for part in args.part or PARTS:
        for threads in args.threads:
            runs: dict = {name: [] for name in libraries}
            for _ in range(args.rounds):
                for name in libraries:
                    command = [sys.executable, __file__, "--work", name, part, str(threads)]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    runs[name].append(json.loads(done.stdout.splitlines()[-1]))
            for name, of in runs.items():
                loading, epoch = (statistics.median(r[k] for r in of) for k in ("loading", "epoch"))
                line = (
                    f"{part:10} {threads} thread(s)  {name:7} epoch {epoch:7.3f} s, loading alone "
                )
                line += f"{loading:7.4f} s ({100 * loading / epoch:5.1f} %, "
                line += f"{of[0]['bytes'] / loading / 1e9:6.2f} GB/s)"
                if name != "lamina":
                    ratios = [b["epoch"] / a["epoch"] for a, b in zip(runs["lamina"], of)]
                    line += f"  {statistics.median(ratios):.1f}x "
                    line += f"({min(ratios):.1f} - {max(ratios):.1f})"
                print(line, flush=True)


if __name__ == "__main__":
    main()
