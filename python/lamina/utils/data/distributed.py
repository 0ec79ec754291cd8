"""One process's share of a data set."""

from __future__ import annotations

import lamina

from .sampler import Sampler


class DistributedSampler(Sampler[int]):
    """Every num_replicas-th index, starting at `rank`, of an order that all ranks share.

    Args:
        dataset: of which only the length is used.
        num_replicas, rank: how many shares, and which one. There is no process group to ask, so
            both must be given; RuntimeError otherwise.
        shuffle: a new order every epoch, drawn from seed + epoch (see `set_epoch`).
        drop_last: leave out the tail that is no multiple of num_replicas; otherwise the order is
            filled up from its start, so that all shares have the same length.

    Raises ValueError for a rank outside [0, num_replicas).
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0,
                 drop_last=False):  # fmt: skip
        if num_replicas is None or rank is None:
            raise RuntimeError(
                "DistributedSampler: no process group has been initialised; give num_replicas and "
                "rank, or use RandomSampler"
            )
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last, self.epoch = shuffle, seed, drop_last, 0
        n = len(dataset)
        self.num_samples = n // num_replicas if drop_last else -(-n // num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self):
        n = len(self.dataset)
        if self.shuffle:
            generator = lamina.Generator().manual_seed(self.seed + self.epoch)
            order = lamina.randperm(n, generator=generator).tolist()
        else:
            order = list(range(n))
        while n and len(order) < self.total_size:
            order += order[: self.total_size - len(order)]
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass."""
        self.epoch = epoch
