"""Data sets, samplers and collation. Loaders are in test_loader.py."""

from __future__ import annotations

import collections

import numpy as np
import pytest

import lamina
from lamina.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    random_split,
)


class Squares(Dataset):
    """i -> i * i, in Python."""

    def __init__(self, n=10):
        self.n = n

    def __getitem__(self, index):
        if not 0 <= index < self.n:
            raise IndexError(index)
        return index * index

    def __len__(self):
        return self.n


class Count(IterableDataset):
    def __init__(self, start, stop):
        self.start, self.stop = start, stop

    def __iter__(self):
        return iter(range(self.start, self.stop))

    def __len__(self):
        return self.stop - self.start


def seeded(seed=0):
    return lamina.Generator().manual_seed(seed)


# ---- data sets -----------------------------------------------------------------------------------
def test_tensor_dataset():
    x, y = lamina.arange(12).reshape(4, 3), lamina.arange(4)
    data = TensorDataset(x, y)
    a, b = data[2]
    assert len(data) == 4 and a.tolist() == [6, 7, 8] and b.item() == 2 and data[-1][1].item() == 3
    assert data.tensors == (x, y)
    assert [t.shape[0] for t in data[1:3]] == [2, 2]
    with pytest.raises(ValueError, match=r"same first dimension, got \(4, 3\), \(3,\)"):
        TensorDataset(x, y[:3])
    with pytest.raises(ValueError, match="at least one tensor"):
        TensorDataset()
    with pytest.raises(TypeError, match="argument 1 is list, not a Tensor"):
        TensorDataset(x, [1, 2, 3, 4])


def test_a_dataset_must_define_its_samples():
    class Empty(Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Empty: a Dataset must define __getitem__"):
        Empty()[0]
    with pytest.raises(NotImplementedError, match="must define __iter__"):
        iter(IterableDataset())


def test_subset():
    part = Subset(Squares(), [3, 1, 9])
    assert len(part) == 3 and [part[i] for i in range(3)] == [9, 1, 81] and part[-1] == 81
    assert part.__getitems__([2, 0]) == [81, 9]
    assert Subset(part, range(1, 3))[0] == 1
    with pytest.raises(IndexError):
        part[3]


def test_concat_dataset():
    both = ConcatDataset([Squares(3), Squares(2)])
    assert len(both) == 5 and [both[i] for i in range(5)] == [0, 1, 4, 0, 1] and both[-5] == 0
    assert both.cumulative_sizes == [3, 5]
    assert len(Squares(3) + Squares(4)) == 7 and len(both + both) == 10
    with pytest.raises(IndexError, match="index 5 is out of range for 5 samples"):
        both[5]
    with pytest.raises(ValueError, match="index -6 is out of range"):
        both[-6]
    with pytest.raises(ValueError, match="at least one data set"):
        ConcatDataset([])
    with pytest.raises(ValueError, match="use ChainDataset"):
        ConcatDataset([Count(0, 2)])


def test_chain_and_stack_datasets():
    chain = Count(0, 2) + Count(5, 7)
    assert isinstance(chain, ChainDataset) and list(chain) == [0, 1, 5, 6] and len(chain) == 4
    stack = StackDataset(Squares(3), Squares(3))
    assert stack[2] == (4, 4) and len(stack) == 3 and stack.__getitems__([1, 2]) == [(1, 1), (4, 4)]
    named = StackDataset(a=Squares(3), b=Squares(3))
    assert named[1] == {"a": 1, "b": 1} and named.__getitems__([2]) == [{"a": 4, "b": 4}]
    with pytest.raises(ValueError, match=r"different lengths \[3, 4\]"):
        StackDataset(Squares(3), Squares(4))
    with pytest.raises(ValueError, match="either in order or by name"):
        StackDataset()


def test_getitems_must_give_what_was_asked():
    class Short(Squares):
        def __getitems__(self, indices):
            return [self[i] for i in indices[1:]]

    with pytest.raises(ValueError, match="asked for 2 samples and gave 1"):
        Subset(Short(), [0, 1]).__getitems__([0, 1])


def test_random_split():
    data = Squares(10)
    a, b, c = random_split(data, [5, 3, 2], seeded())
    assert [len(p) for p in (a, b, c)] == [5, 3, 2]
    assert sorted(a.indices + b.indices + c.indices) == list(range(10))
    again = random_split(data, [5, 3, 2], seeded())
    assert again[0].indices == a.indices
    assert random_split(data, [5, 3, 2], seeded(1))[0].indices != a.indices
    assert [len(p) for p in random_split(data, [0.5, 0.25, 0.25])] == [6, 2, 2]
    assert [len(p) for p in random_split(Squares(11), [0.3, 0.3, 0.4])] == [4, 3, 4]
    with pytest.raises(ValueError, match=r"lengths \[5, 4\] sum to 9, but the data set has 10"):
        random_split(data, [5, 4])
    with pytest.raises(ValueError, match="fraction 1.5 at position 0 is not between 0 and 1"):
        random_split(data, [1.5, -0.5])


def test_an_empty_split_is_told():
    with pytest.warns(UserWarning, match="random_split: split 1 of 2 has no samples"):
        assert [len(p) for p in random_split(Squares(1), [0.5, 0.5])] == [1, 0]


@pytest.mark.filterwarnings("ignore:.*split")
def test_random_split_lengths_as_pytorch():
    torch_data = pytest.importorskip("torch.utils.data")
    for n in (1, 2, 7, 10, 101):
        for fractions in ([0.5, 0.5], [0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], [0.99, 0.01]):
            ours = [len(p) for p in random_split(Squares(n), fractions)]
            assert ours == [len(p) for p in torch_data.random_split(list(range(n)), fractions)]


# ---- samplers ------------------------------------------------------------------------------------
def test_sequential_and_batch_samplers():
    assert list(SequentialSampler(Squares(4))) == [0, 1, 2, 3]
    batches = BatchSampler(SequentialSampler(Squares(7)), 3, False)
    assert list(batches) == [[0, 1, 2], [3, 4, 5], [6]] and len(batches) == 3
    batches = BatchSampler(range(7), 3, True)
    assert list(batches) == [[0, 1, 2], [3, 4, 5]] and len(batches) == 2
    assert list(BatchSampler(range(6), 3, True)) == [[0, 1, 2], [3, 4, 5]]
    for wrong in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="batch_size must be a positive integer"):
            BatchSampler(range(7), wrong, False)
    with pytest.raises(ValueError, match="drop_last must be a bool"):
        BatchSampler(range(7), 2, 1)


def test_random_sampler():
    data = Squares(50)
    sampler = RandomSampler(data, generator=seeded(3))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == list(range(50)) and first != second and len(sampler) == 50
    assert list(RandomSampler(data, generator=seeded(3))) == first
    lamina.manual_seed(5)
    one = list(RandomSampler(data))
    lamina.manual_seed(5)
    assert list(RandomSampler(data)) == one
    many = list(RandomSampler(data, num_samples=120))
    assert len(many) == 120 and sorted(many[:50]) == list(range(50)) and max(many) < 50
    drawn = list(RandomSampler(Squares(4), replacement=True, num_samples=4000))
    counts = np.bincount(drawn)
    assert len(counts) == 4 and (abs(counts - 1000) < 4 * np.sqrt(750)).all()
    endless = DataLoader(Squares(4), 8, sampler=RandomSampler(data, True, 10**12))
    assert len(endless) == 125 * 10**9
    rows = TensorDataset(lamina.arange(50))  # gathered by tensors of indices
    for replacement in (False, True):
        sampler = RandomSampler(rows, replacement, 10**12, generator=seeded(3))
        seen = lamina.cat([b[0] for b, _ in zip(DataLoader(rows, 7, sampler=sampler), range(15))])
        again = RandomSampler(rows, replacement, 10**12, generator=seeded(3))
        assert seen.tolist() == [i for i, _ in zip(again, range(105))]
        last = RandomSampler(rows, replacement, 70_000, generator=seeded(3))
        sizes = [len(b[0]) for b in DataLoader(rows, 9999, sampler=last)]
        assert sizes == [9999] * 7 + [7]
        assert len(list(DataLoader(rows, 9999, sampler=last, drop_last=True))) == 7
    with pytest.raises(ValueError, match="got 0; the data set is empty"):
        RandomSampler(Squares(0))
    with pytest.raises(ValueError, match="num_samples must be a positive integer, got -1"):
        RandomSampler(data, num_samples=-1)
    with pytest.raises(TypeError, match="replacement must be a bool"):
        RandomSampler(data, replacement=1)


def test_permutations_are_alike():
    """Every element is as likely at every place: chi-square of 4000 permutations of 5."""
    generator, table = seeded(0), np.zeros((5, 5))
    sampler = RandomSampler(Squares(5), generator=generator)
    for _ in range(4000):
        table[np.arange(5), list(sampler)] += 1
    assert ((table - 800) ** 2 / 800).sum() < 45  # 16 degrees of freedom: p = 1e-4


def test_subset_and_weighted_samplers():
    sampler = SubsetRandomSampler([3, 7, 9], generator=seeded())
    assert sorted(sampler) == [3, 7, 9] and len(sampler) == 3
    drawn = list(WeightedRandomSampler([1, 0, 3], 4000, generator=seeded()))
    share = np.bincount(drawn, minlength=3) / 4000
    assert share[1] == 0 and abs(share[2] - 0.75) < 0.03
    assert sorted(WeightedRandomSampler([1.0, 5.0, 2.0], 3, replacement=False)) == [0, 1, 2]
    with pytest.raises(ValueError, match="cannot draw 3 samples without replacement from 2"):
        WeightedRandomSampler([1, 0, 3], 3, replacement=False)
    for weights in ([-1, 2], [0, 0], [float("inf"), 1]):
        with pytest.raises(ValueError, match="non-negative with a positive, finite sum"):
            WeightedRandomSampler(weights, 2)
    with pytest.raises(ValueError, match="non-empty 1-D"):
        WeightedRandomSampler([], 2)
    with pytest.raises(NotImplementedError, match="must define __iter__"):
        iter(Sampler())


# ---- collation -----------------------------------------------------------------------------------
Point = collections.namedtuple("Point", "x y")


def test_collate_nested_structures():
    batch = [
        {"a": lamina.ones(2) * i, "b": (i, float(i)), "c": "s" * i, "d": Point(i, [i, -i])}
        for i in range(3)
    ]
    out = default_collate(batch)
    assert out["a"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert [v.dtype for v in out["b"]] == [lamina.int64, lamina.float64]
    assert out["c"] == ["", "s", "ss"]
    assert isinstance(out["d"], Point) and out["d"].x.tolist() == [0, 1, 2]
    assert [v.tolist() for v in out["d"].y] == [[0, 1, 2], [0, -1, -2]]
    assert isinstance(default_collate([(1, 2), (3, 4)]), list)
    ordered = default_collate([collections.OrderedDict(k=1), collections.OrderedDict(k=2)])
    assert type(ordered) is collections.OrderedDict and ordered["k"].tolist() == [1, 2]


def test_collate_leaves():
    for sample, dtype in ((True, lamina.bool), (1, lamina.int64), (1.5, lamina.float64),
                          (np.float32(1), lamina.float32), (np.int32([1, 2]), lamina.int32),
                          (np.float64(2), lamina.float64)):  # fmt: skip
        out = default_collate([sample, sample])
        assert out.dtype is dtype and out.shape[0] == 2
    assert default_collate([b"x", b"y"]) == [b"x", b"y"]
    with pytest.raises(RuntimeError, match=r"different shapes \(2,\) and \(3,\) cannot be stacked"):
        default_collate([lamina.ones(2), lamina.ones(3)])
    with pytest.raises(RuntimeError, match=r"as many members as the others, got \[1, 2\]"):
        default_collate([[1], [1, 2]])
    with pytest.raises(TypeError, match="must contain tensors"):
        default_collate([object(), object()])
    with pytest.raises(TypeError, match="arrays of dtype <U1 cannot become tensors"):
        default_collate([np.array(["a"])])
    with pytest.raises(ValueError, match="the batch is empty"):
        default_collate([])


def test_collate_as_pytorch():
    torch = pytest.importorskip("torch")
    from torch.utils.data import default_collate as theirs

    samples = [
        [3, 4], [3.5, 4.5], [True, False], [(1, 2.0), (3, 4.0)], [{"a": [1, 2]}, {"a": [3, 4]}],
        [np.arange(3), np.arange(3)], [Point(1, 2), Point(3, 4)], ["a", "b"],
    ]  # fmt: skip

    def alike(a, b):
        if isinstance(b, torch.Tensor):
            return str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1] and (
                a.tolist() == b.tolist()
            )
        if isinstance(b, dict):
            return a.keys() == b.keys() and all(alike(a[k], b[k]) for k in b)
        if isinstance(b, str):
            return a == b
        return type(a) is type(b) and all(alike(u, v) for u, v in zip(a, b, strict=True))

    for batch in samples:
        assert alike(default_collate(batch), theirs(batch)), batch


def test_convert():
    out = default_convert(
        {"a": np.ones(2, np.float32), "b": [1, "x"], "c": Point(np.int64(3), None)}
    )
    assert out["a"].dtype is lamina.float32 and out["b"] == [1, "x"]
    assert isinstance(out["c"], Point) and out["c"].x.item() == 3 and out["c"].y is None
