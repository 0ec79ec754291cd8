"""DataLoader: order, batches, workers, errors."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

import lamina
from lamina.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
)
from test_data import Count, Squares, seeded

TENSORS = TensorDataset(lamina.arange(20).reshape(10, 2), lamina.arange(10))


def seen(loader):
    """All samples of one epoch, in order."""
    return [v for batch in loader for v in batch.tolist()]


# ---- order and batches ---------------------------------------------------------------------------
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_in_order(workers):
    loader = DataLoader(Squares(7), batch_size=3, num_workers=workers)
    assert [b.tolist() for b in loader] == [[0, 1, 4], [9, 16, 25], [36]] and len(loader) == 3
    loader = DataLoader(Squares(7), batch_size=3, drop_last=True, num_workers=workers)
    assert [b.tolist() for b in loader] == [[0, 1, 4], [9, 16, 25]] and len(loader) == 2
    loader = DataLoader(Squares(3), batch_size=None, num_workers=workers)
    assert list(loader) == [0, 1, 4] and len(loader) == 3
    assert list(DataLoader(Squares(0), num_workers=workers)) == []


def test_tensor_data_is_gathered():
    batches = list(DataLoader(TENSORS, batch_size=4))
    assert [type(b) for b in batches] == [list] * 3
    assert [b[0].shape[0] for b in batches] == [4, 4, 2]
    np.testing.assert_array_equal(batches[1][0].numpy(), [[8, 9], [10, 11], [12, 13], [14, 15]])
    assert batches[2][1].tolist() == [8, 9]
    a, b = next(iter(DataLoader(Subset(TENSORS, [7, 2, 5]), batch_size=2)))
    assert a.tolist() == [[14, 15], [4, 5]] and b.tolist() == [7, 2]


def test_a_subset_changed_within_an_epoch_is_seen():
    subset = Subset(TENSORS, list(range(8)))
    seen = []
    for i, (_, y) in enumerate(DataLoader(subset, batch_size=3)):
        seen.append(y.tolist())
        if i == 0:
            subset.indices[4] = 9
    assert seen == [[0, 1, 2], [3, 9, 5], [6, 7]]


def test_a_subclass_with_its_own_samples_is_asked_for_them():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return 2 * x, y

    for data in (Doubled(*TENSORS.tensors), Subset(Doubled(*TENSORS.tensors), range(10))):
        x, _ = next(iter(DataLoader(data, batch_size=2)))
        assert x.tolist() == [[0, 2], [4, 6]]


@pytest.mark.parametrize("data", [TENSORS, Squares(10)], ids=["tensors", "python"])
def test_shuffling_depends_on_seed_and_epoch(data):
    def orders(seed, batch_size=3, workers=0, count=3):
        loader = DataLoader(data, batch_size=batch_size, shuffle=True, generator=seeded(seed),
                            num_workers=workers)  # fmt: skip
        return [
            [v for b in loader for v in (b[1] if isinstance(b, list) else b).tolist()]
            for _ in range(count)
        ]

    first = orders(0)
    assert sorted(first[0]) == sorted(first[1]) and first[0] != first[1]
    assert orders(0) == orders(0, 7) == first and orders(1) != first
    assert orders(0, workers=2) == first
    lamina.manual_seed(3)
    a = list(map(str, DataLoader(data, batch_size=4, shuffle=True)))
    lamina.manual_seed(3)
    assert a == list(map(str, DataLoader(data, batch_size=4, shuffle=True)))


def test_samplers():
    data = Squares(10)
    assert seen(DataLoader(data, batch_size=2, sampler=[4, 2, 9])) == [16, 4, 81]
    assert sorted(seen(DataLoader(data, 2, sampler=SubsetRandomSampler([1, 3])))) == [1, 9]
    sampler = WeightedRandomSampler([0, 1, 0], 5)
    assert DataLoader(TENSORS, 5, sampler=sampler).sampler is sampler
    assert next(iter(DataLoader(TENSORS, 5, sampler=sampler)))[1].tolist() == [1] * 5
    batches = BatchSampler([5, 6, 7], 2, False)
    loader = DataLoader(data, batch_sampler=batches)
    assert [b.tolist() for b in loader] == [[25, 36], [49]] and loader.batch_size is None
    loader = DataLoader(TENSORS, batch_sampler=[[1, 2], [3], [-1]])
    assert [b[1].tolist() for b in loader] == [[1, 2], [3], [9]]


def test_indices_of_other_kinds():
    class Named(Dataset):
        def __getitem__(self, key):
            return {"a": 1, "b": 2}[key]

        def __len__(self):
            return 2

    assert seen(DataLoader(Named(), 2, sampler=["b", "a"])) == [2, 1]
    samples = DataLoader(TENSORS, 2, sampler=np.array([3, 1]))
    assert next(iter(samples))[1].tolist() == [3, 1]


def test_concatenated_data():
    both = ConcatDataset([Squares(3), Subset(Squares(10), [9])])
    assert seen(DataLoader(both, batch_size=3)) == [0, 1, 4, 81]


def test_pin_memory_and_collate():
    loader = DataLoader(Squares(4), 2, pin_memory=True, collate_fn=lambda batch: sum(batch))
    assert list(loader) == [1, 13]
    x, y = next(iter(DataLoader(TENSORS, 3, collate_fn=lambda b: (len(b), b[0][1].item()))))
    assert (x, y) == (3, 0)


def test_an_index_out_of_range():
    for workers in (0, 1):
        with pytest.raises(IndexError):
            list(DataLoader(Squares(3), sampler=[5], num_workers=workers))
    with pytest.raises(IndexError):
        list(DataLoader(TENSORS, 2, sampler=[1, 10]))


# ---- streams -------------------------------------------------------------------------------------
class Shared(IterableDataset):
    """0, ..., n - 1 split among the workers."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, self.n, step))


def test_streams():
    loader = DataLoader(Count(0, 7), batch_size=3)
    assert [b.tolist() for b in loader] == [[0, 1, 2], [3, 4, 5], [6]] and len(loader) == 3
    assert seen(loader) == list(range(7))  # again
    assert seen(DataLoader(Count(0, 7), 3, drop_last=True)) == list(range(6))
    assert list(DataLoader(Count(0, 3), batch_size=None)) == [0, 1, 2]
    with pytest.raises(TypeError):
        len(DataLoader(Shared(4)))
    with pytest.raises(ValueError, match="decides its own order"):
        DataLoader(Count(0, 7), shuffle=True)
    assert seen(DataLoader(Count(0, 2) + Count(5, 7), 3)) == [0, 1, 5, 6]


def test_streams_in_workers():
    batches = [b.tolist() for b in DataLoader(Shared(9), 2, num_workers=2)]
    assert sorted(v for b in batches for v in b) == list(range(9))
    assert batches[:2] == [[0, 2], [1, 3]]  # one after another
    whole = seen(DataLoader(Count(0, 4), 2, num_workers=2))
    assert sorted(whole) == [0, 0, 1, 1, 2, 2, 3, 3]


# ---- workers -------------------------------------------------------------------------------------
class Where(Dataset):
    """Tells which worker made a sample, and one of its random numbers."""

    def __getitem__(self, index):
        info = get_worker_info()
        return index, -1 if info is None else info.id, os.getpid(), lamina.rand(1).item()

    def __len__(self):
        return 8


def test_workers_take_turns_and_have_their_own_numbers():
    assert get_worker_info() is None
    index, worker, pid, draw = zip(*list(DataLoader(Where(), None, num_workers=2)))
    assert index == tuple(range(8)) and worker == (0, 1) * 4
    assert len(set(pid)) == 2 and os.getpid() not in pid and len(set(draw)) == 8
    lamina.manual_seed(1)
    a = [d[3] for d in DataLoader(Where(), None, num_workers=2)]
    lamina.manual_seed(1)
    assert [d[3] for d in DataLoader(Where(), None, num_workers=2)] == a


class Told(Dataset):
    """What `worker_init_fn` wrote."""

    value = 0

    def __getitem__(self, index):
        info = get_worker_info()
        return self.value, info.num_workers, info.seed

    def __len__(self):
        return 4


def tell(worker_id):
    get_worker_info().dataset.value = 10 + worker_id


def test_worker_init_fn_and_info():
    values, workers, seeds = zip(
        *list(DataLoader(Told(), None, num_workers=2, worker_init_fn=tell))
    )
    assert values == (10, 11, 10, 11) and set(workers) == {2} and seeds[1] == seeds[0] + 1


def test_persistent_workers():
    loader = DataLoader(Where(), None, num_workers=2, persistent_workers=True)
    first, second = ([d[2] for d in loader] for _ in range(2))
    assert first == second
    draws = [[d[3] for d in loader] for _ in range(2)]
    assert draws[0] != draws[1]
    iterator = iter(loader)
    next(iterator)
    del iterator
    assert [d[0] for d in loader] == list(range(8))  # left-overs are thrown away
    renewed = DataLoader(Where(), None, num_workers=2)
    assert [d[2] for d in renewed] != [d[2] for d in renewed]


def test_prefetch_factor_limits_work_ahead():
    class Slow(Squares):
        pass

    for factor in (1, 4):
        loader = DataLoader(Slow(9), 2, num_workers=2, prefetch_factor=factor)
        assert seen(loader) == [i * i for i in range(9)]


def test_nested_batches_come_through_the_pipe():
    class Nested(Squares):
        def __getitem__(self, index):
            return {"x": lamina.full((2, 3), float(index)), "name": str(index), "n": (index, True)}

    batch = next(iter(DataLoader(Nested(4), 2, num_workers=1)))
    assert batch["x"].shape == (2, 2, 3) and batch["x"].dtype is lamina.float32
    assert batch["name"] == ["0", "1"] and batch["n"][1].dtype is lamina.bool


class Bad(Squares):
    def __init__(self, action):
        super().__init__(6)
        self.action = action

    def __getitem__(self, index):
        return self.action() if index == 3 else index


class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def failing():
    raise KeyError("no such key")


def odd():
    raise Odd(1, 2)


def test_errors_of_workers_carry_their_traceback():
    with pytest.raises(KeyError, match="Caught KeyError in DataLoader worker process 1") as caught:
        list(DataLoader(Bad(failing), 2, num_workers=2))
    assert "no such key" in str(caught.value) and "in failing" in str(caught.value)
    with pytest.raises(RuntimeError, match="Caught Odd in DataLoader worker process 0"):
        list(DataLoader(Bad(odd), 4, num_workers=2))
    with pytest.raises(RuntimeError, match="sending a batch"):
        list(DataLoader(Bad(lambda: lambda: 0), None, num_workers=1))
    with pytest.raises(ZeroDivisionError, match="worker process 0"):
        list(DataLoader(Squares(3), num_workers=1, worker_init_fn=lambda i: 1 // 0))


def test_a_worker_that_dies_or_hangs_is_named():
    with pytest.raises(RuntimeError, match="exited unexpectedly with code -9 .SIGKILL"):
        list(DataLoader(Bad(lambda: os.kill(os.getpid(), signal.SIGKILL)), 2, num_workers=2))
    with pytest.raises(RuntimeError, match="gave no batch for 0.2 seconds"):
        list(DataLoader(Bad(lambda: time.sleep(30)), 2, num_workers=2, timeout=0.2))


# ---- arguments -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_workers": -1}, "num_workers must be a non-negative integer, got -1"),
        ({"timeout": -1}, "timeout must be non-negative"),
        ({"prefetch_factor": 2}, "prefetch_factor needs num_workers > 0"),
        ({"prefetch_factor": 0, "num_workers": 1}, "prefetch_factor must be positive, got 0"),
        ({"persistent_workers": True}, "persistent_workers needs num_workers > 0"),
        ({"shuffle": True, "sampler": [1]}, "sampler and shuffle exclude each other"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "batch_sampler excludes batch_size"),
        ({"batch_size": None, "drop_last": True}, "drop_last needs a batch_size"),
        ({"batch_size": 0}, "batch_size must be a positive integer or None, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a positive integer or None, got 2.5"),
    ],
)
def test_arguments_that_make_no_sense(options, text):
    with pytest.raises(ValueError, match=text):
        DataLoader(Squares(4), **options)


def test_fixed_attributes():
    loader = DataLoader(Squares(4), 2)
    with pytest.raises(ValueError, match="batch_size cannot be set after the loader was made"):
        loader.batch_size = 3
    loader.num_workers = 0


def test_indices_of_a_subset_changed_in_place():
    subset = Subset(TensorDataset(lamina.arange(10)), list(range(10)))
    loader = DataLoader(subset, batch_size=5)
    assert [b[0].tolist() for b in loader] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    subset.indices.reverse()
    assert [b[0].tolist() for b in loader] == [[9, 8, 7, 6, 5], [4, 3, 2, 1, 0]]
