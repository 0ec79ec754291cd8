"""PyTorch's module path of the loader: ``from lamina.utils.data.dataloader import DataLoader``."""

from ._workers import get_worker_info
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset
from .loader import DataLoader
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

__all__ = [
    "BatchSampler", "DataLoader", "Dataset", "IterableDataset", "RandomSampler", "Sampler",
    "SequentialSampler", "default_collate", "default_convert", "get_worker_info",
]  # fmt: skip
