"""DataLoader: batches of a data set, in the order of a sampler."""

from __future__ import annotations

import itertools
import operator
from collections import deque

import lamina

from ._draws import Draws
from ._workers import End, Pool
from .collate import default_collate, default_convert
from .dataset import IterableDataset, batch_method, fetch_samples
from .sampler import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    WeightedRandomSampler,
    draw_seed,
)

_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class Fetcher:
    """Makes batches of a data set; the same object works in this process and in workers."""

    def __init__(self, loader: DataLoader):
        self.dataset = loader.dataset
        self.collate = loader.collate_fn
        self.stream = isinstance(loader.dataset, IterableDataset)
        self.batch_size = loader.batch_size
        self.drop_last = loader.drop_last
        self.single = loader.batch_sampler is None
        method = None if self.stream or self.single else batch_method(loader.dataset)
        self.batched = method if self.collate is default_collate else None

    def start(self, base_seed: int) -> None:
        """Begins an epoch."""
        self.draws = Draws(base_seed)
        self.samples = iter(self.dataset) if self.stream else None

    def fetch(self, index, position: int):
        """The batch of samples `index` (list or int64 tensor), the first of which is the
        epoch's sample number `position`; `End()` when a stream has ended."""
        if self.stream:
            return self._next()
        if self.single:
            return self.collate(self.dataset[index])
        if self.batched is not None:
            rows = index if isinstance(index, lamina.Tensor) else _as_rows(index)
            if rows is not None:
                return self.batched(rows, self.draws.at(position, len(rows)))
        if isinstance(index, lamina.Tensor):
            index = index.tolist()
        return self.collate(fetch_samples(self.dataset, index))

    def _next(self):
        if self.batch_size is None:
            for sample in self.samples:
                return self.collate(sample)
            return End()
        samples = list(itertools.islice(self.samples, self.batch_size))
        if not samples or (self.drop_last and len(samples) < self.batch_size):
            return End()
        return self.collate(samples)


def pin(batch):
    """`batch` with its tensors in page-locked memory: in containers too, and by the method
    ``pin_memory`` of what has one."""
    if isinstance(batch, lamina.Tensor):
        return batch.pin_memory() if batch.device.type == "cpu" else batch
    if isinstance(batch, (str, bytes)):
        return batch
    if isinstance(batch, dict):
        return type(batch)({k: pin(v) for k, v in batch.items()})
    if isinstance(batch, (list, tuple)):
        parts = [pin(v) for v in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch.pin_memory() if hasattr(batch, "pin_memory") else batch


def _as_rows(index):
    """A list of integers as an int64 tensor; None for indices of another kind."""
    try:
        rows = [operator.index(i) for i in index]
    except TypeError:
        return None
    return lamina.tensor(rows, dtype=lamina.int64) if rows else None


class DataLoader:
    """Iterates over batches of `dataset`.

    Args:
        dataset: map-style (``__getitem__``, ``__len__``) or `IterableDataset`.
        batch_size: samples per batch; None: samples are passed on one by one.
        shuffle: a new random order each epoch.
        sampler: indices to visit, instead of `shuffle`.
        batch_sampler: lists of indices, instead of batch_size, shuffle, sampler and drop_last.
        num_workers: worker processes; 0: batches are made in this process. Data held in tensors
            is gathered by C++ in this process either way, unless `worker_init_fn` is given.
        collate_fn: how a list of samples becomes a batch (`default_collate`).
        pin_memory: tensors of a batch come in page-locked memory, from which
            ``.to("cuda", non_blocking=True)`` does not wait; without a CUDA device nothing is done.
        drop_last: leave out an incomplete last batch.
        timeout: seconds to wait for a worker; 0: for ever.
        worker_init_fn: called with the worker's id in each worker after seeding.
        generator: source of the order and of the base seed. With one, the order of epoch e
            depends only on its seed and e; without, seeds come from the global generator.
        prefetch_factor: batches each worker makes ahead (2).
        persistent_workers: keep workers from one epoch to the next.

    Raises ValueError for arguments that exclude each other.
    """

    def __init__(
        self, dataset, batch_size: int | None = 1, shuffle: bool | None = None, sampler=None,
        batch_sampler=None, num_workers: int = 0, collate_fn=None, pin_memory: bool = False,
        drop_last: bool = False, timeout: float = 0, worker_init_fn=None,
        multiprocessing_context=None, generator=None, *, prefetch_factor: int | None = None,
        persistent_workers: bool = False, pin_memory_device: str = "", in_order: bool = True,
    ):  # fmt: skip
        def need(condition, what):
            if not condition:
                raise ValueError(f"DataLoader: {what}")

        need(
            isinstance(num_workers, int) and num_workers >= 0,
            f"num_workers must be a non-negative integer, got {num_workers!r}; "
            "use num_workers=0 to disable worker processes",
        )
        need(timeout >= 0, f"timeout must be non-negative, got {timeout}")
        need(
            num_workers > 0 or prefetch_factor is None,
            "prefetch_factor needs num_workers > 0; leave it out or use worker processes",
        )
        need(
            prefetch_factor is None or prefetch_factor > 0,
            f"prefetch_factor must be positive, got {prefetch_factor}",
        )
        need(num_workers > 0 or not persistent_workers, "persistent_workers needs num_workers > 0")
        need(
            not (sampler is not None and shuffle),
            "sampler and shuffle exclude each other; a sampler decides the order itself",
        )
        if isinstance(dataset, IterableDataset):
            need(
                not shuffle and sampler is None and batch_sampler is None,
                "an IterableDataset decides its own order; leave out shuffle, sampler and "
                "batch_sampler",
            )
        if batch_sampler is not None:
            need(
                batch_size == 1 and not shuffle and sampler is None and not drop_last,
                "batch_sampler excludes batch_size, shuffle, sampler and drop_last",
            )
            batch_size, drop_last = None, False
        elif batch_size is None:
            need(not drop_last, "drop_last needs a batch_size")
        else:
            need(
                isinstance(batch_size, int) and not isinstance(batch_size, bool) and batch_size > 0,
                f"batch_size must be a positive integer or None, got {batch_size!r}",
            )
        self.dataset = dataset
        self.batch_size, self.drop_last = batch_size, drop_last
        self.num_workers, self.timeout = num_workers, timeout
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.worker_init_fn, self.generator = worker_init_fn, generator
        self.persistent_workers, self.in_order = persistent_workers, in_order
        self.multiprocessing_context = multiprocessing_context
        if isinstance(dataset, IterableDataset):
            sampler = None
        elif sampler is None and batch_sampler is None:
            sampler = (
                RandomSampler(dataset, generator=generator) if shuffle
                else SequentialSampler(dataset)
            )  # fmt: skip
        if batch_size is not None and batch_sampler is None and sampler is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        if collate_fn is None:
            collate_fn = default_convert if batch_size is None and batch_sampler is None else (
                default_collate
            )  # fmt: skip
        self.collate_fn = collate_fn
        self._pool: Pool | None = None
        self._ready = True

    def __setattr__(self, name, value):
        if name in _FIXED and getattr(self, "_ready", False):
            raise ValueError(
                f"DataLoader: {name} cannot be set after the loader was made; make a new one"
            )
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if isinstance(self.dataset, IterableDataset):
            n = len(self.dataset)  # type: ignore[arg-type]
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.batch_sampler if self.batch_sampler is not None else self.sampler)

    def __iter__(self):
        fetcher = Fetcher(self)
        base_seed = draw_seed(self.generator)
        in_process = self.num_workers == 0 or (
            fetcher.batched is not None and self.worker_init_fn is None
        )
        batches = self._here(fetcher, base_seed) if in_process else self._there(fetcher, base_seed)
        if self.pin_memory and lamina.cuda.is_available():
            return map(pin, batches)
        return batches

    def _index(self, tensors: bool):
        """(indices of a batch, position of its first sample in the epoch), one batch at a time."""
        if isinstance(self.dataset, IterableDataset):
            yield from zip(itertools.repeat(None), itertools.repeat(0))
            return
        if self.batch_sampler is None:
            yield from zip(self.sampler, itertools.count())
            return
        batches, position = self.batch_sampler, 0
        known = (RandomSampler, SequentialSampler, WeightedRandomSampler)
        if tensors and type(batches) is BatchSampler and type(batches.sampler) in known:
            for index in self._rows(batches.sampler, batches.batch_size, batches.drop_last):
                yield index, position
                position += index.numel()
            return
        for index in batches:
            yield index, position
            position += len(index)

    @staticmethod
    def _rows(sampler, size: int, drop_last: bool):
        """The sampler's order as tensors of `size` indices, the last one shorter."""
        pieces = sampler._pieces() if hasattr(sampler, "_pieces") else (sampler._order(),)
        held = None
        for piece in pieces:
            held = piece if held is None else lamina.cat([held, piece])
            full = held.numel() - held.numel() % size
            for start in range(0, full, size):
                yield held[start : start + size]
            held = held[full:] if full < held.numel() else None
        if held is not None and not drop_last:
            yield held

    def _here(self, fetcher: Fetcher, base_seed: int):
        fetcher.start(base_seed)
        for index, position in self._index(fetcher.batched is not None):
            batch = fetcher.fetch(index, position)
            if isinstance(batch, End):
                return
            yield batch

    def _context(self):
        import multiprocessing

        context = self.multiprocessing_context
        if context is None or isinstance(context, str):
            methods = multiprocessing.get_all_start_methods()
            context = multiprocessing.get_context(
                context or ("fork" if "fork" in methods else None)
            )
        return context

    def _there(self, fetcher: Fetcher, base_seed: int):
        pool = self._pool or Pool(self, fetcher, base_seed)
        self._pool = pool if self.persistent_workers else None
        try:
            pool.start(base_seed)
            epoch = pool.epoch
            work = self._index(False)
            turn: deque[int] = deque(range(self.num_workers))
            waiting: deque[int] = deque()

            def give() -> None:
                if turn and (task := next(work, None)) is not None:
                    waiting.append(turn[0])
                    pool.give(turn[0], task)
                    turn.rotate(-1)

            for _ in range(self.num_workers * self.prefetch_factor):  # type: ignore[operator]
                give()
            while waiting:
                worker = waiting.popleft()
                if pool.epoch != epoch:
                    raise RuntimeError(
                        "DataLoader: a new iteration was started on the same persistent workers; "
                        "finish one before the next, or use persistent_workers=False"
                    )
                batch = pool.take(worker)
                if isinstance(batch, End):
                    if worker in turn:
                        turn.remove(worker)
                    continue
                give()
                yield batch
        except BaseException as error:
            if not isinstance(error, GeneratorExit):
                self._pool = None
            raise
        finally:
            if self._pool is not pool:
                pool.stop()

    def __del__(self):
        pool, self._pool = getattr(self, "_pool", None), None
        if pool is not None:
            pool.stop()
