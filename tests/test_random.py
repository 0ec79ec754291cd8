"""Random numbers: the generator itself, distributions against closed forms, seeds and states."""

import copy
import math
import pickle

import numpy as np
import pytest

import lamina
from lamina import _core

N = 200_003


def seeded(seed=1):
    return lamina.Generator().manual_seed(seed)


def philox(seed, block):
    """Philox 4x32-10 as in the paper, in Python integers."""
    c = [block & 0xFFFFFFFF, block >> 32, 0, 0]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def word(seed, i):
    """Word i of a stream, by the layout of vec_philox.h."""
    group, r = divmod(i, 32)
    return philox(seed, 8 * group + r % 16 // 2)[2 * (r // 16) + r % 2]


def test_paper_vectors():
    # Known answers of the Random123 distribution: counter and key 0; the digits of pi.
    assert philox(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.mark.parametrize("isa", _core.available_isas())
def test_stream_is_philox(isa):
    before = _core.isa()
    seed = 0x123456789ABCDEF0
    try:
        _core.select_isa(isa)
        got = lamina.rand(100, generator=seeded(seed)).numpy()
        want = [(word(seed, i) >> 8) / 2**24 for i in range(100)]
        np.testing.assert_array_equal(got, np.float32(want))
        got = lamina.rand(50, dtype=lamina.float64, generator=seeded(seed)).numpy()
        want = [
            (word(seed, 2 * i) + (word(seed, 2 * i + 1) << 32) >> 11) / 2**53 for i in range(50)
        ]
        np.testing.assert_array_equal(got, want)
    finally:
        _core.select_isa(before)


def in_place(name, dtype, *args, n=1000, **kw):
    return getattr(lamina.empty(n, dtype=dtype), name)(*args, generator=seeded(3), **kw).numpy()


CALLS = [("uniform_", (-1.0, 3.0)), ("normal_", (1.0, 2.0)), ("exponential_", (0.5,)),
         ("bernoulli_", (0.3,)), ("cauchy_", (0.0, 2.0)), ("random_", (0, 100))]  # fmt: skip


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64], ids=["32", "64"])
@pytest.mark.parametrize("name,args", CALLS, ids=[c[0] for c in CALLS])
def test_bits_are_the_same_everywhere(name, args, dtype):
    isa, threads = _core.isa(), lamina.get_num_threads()
    want = in_place(name, dtype, *args, n=N)
    try:
        for n in (0, 1, 15, 16, 17, 31, 32, 33, 63):
            np.testing.assert_array_equal(in_place(name, dtype, *args, n=n), want[:n])
        for t in (1, 2, 3):
            lamina.set_num_threads(t)
            for other in _core.available_isas():
                _core.select_isa(other)
                got = in_place(name, dtype, *args, n=N)
                np.testing.assert_array_equal(got, want, err_msg=f"{other}, {t} threads")
    finally:
        lamina.set_num_threads(threads)
        _core.select_isa(isa)


def kolmogorov_smirnov(x, cdf):
    """sqrt(n) times the largest distance; above 1.95 with probability 0.001."""
    x = np.sort(np.asarray(x, np.float64))
    f, n = cdf(x), len(x)
    i = np.arange(n)
    return math.sqrt(n) * max(np.abs(f - i / n).max(), np.abs(f - (i + 1) / n).max())


def normal_cdf(x):
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64], ids=["32", "64"])
@pytest.mark.parametrize(
    "name,args,cdf",
    [
        ("uniform_", (-1.0, 3.0), lambda x: np.clip((x + 1) / 4, 0, 1)),
        ("normal_", (1.0, 2.0), lambda x: normal_cdf((x - 1) / 2)),
        ("exponential_", (0.5,), lambda x: 1 - np.exp(-0.5 * x)),
        ("cauchy_", (1.0, 2.0), lambda x: 0.5 + np.arctan((x - 1) / 2) / np.pi),
        ("log_normal_", (0.5, 0.25), lambda x: normal_cdf((np.log(x) - 0.5) / 0.25)),
    ],
)
def test_distribution(name, args, cdf, dtype):
    x = in_place(name, dtype, *args, n=50_000)
    assert kolmogorov_smirnov(x, cdf) < 1.95


@pytest.mark.parametrize("dtype", [lamina.float32, lamina.float64], ids=["32", "64"])
def test_normal_moments_and_independence(dtype):
    z = lamina.randn(1 << 20, dtype=dtype, generator=seeded(7)).numpy().astype(np.float64)
    n = len(z)
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs((z**2).mean() - 1) < 4 * math.sqrt(2 / n)
    assert abs((z**3).mean()) < 4 * math.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / n)
    assert 4.3 < np.abs(z).max() < 6.8
    half = 16 if dtype is lamina.float32 else 8  # cosine and sine of one angle lie this far apart
    for lag in (1, 2, half, 2 * half):
        assert abs((z[lag:] * z[:-lag]).mean()) < 4.5 / math.sqrt(n), lag
        assert abs((z[lag:] ** 2 * z[:-lag] ** 2).mean() - 1) < 4.5 * math.sqrt(8 / n), lag


def test_uniform_range_and_mean():
    u = lamina.rand(1 << 20, generator=seeded()).numpy()
    assert u.min() >= 0 and u.max() < 1
    assert abs(u.mean(dtype=np.float64) - 0.5) < 4 / math.sqrt(12 * len(u))
    edge = lamina.empty(1 << 20).uniform_(1.0, 1.0000002, generator=seeded())
    assert float(edge.max()) < np.float32(1.0000002) and float(edge.min()) == 1.0
    assert (lamina.empty(5).uniform_(2.0, 2.0) == 2.0).all()


def chi_square(counts, expected):
    """(statistic - degrees) / sqrt(2 degrees): above 4.5 about never."""
    counts, expected = np.asarray(counts, float), np.asarray(expected, float)
    d = len(counts) - 1
    return (((counts - expected) ** 2 / expected).sum() - d) / math.sqrt(2 * d)


def test_randint():
    x = lamina.randint(-3, 7, (N,), generator=seeded()).numpy()
    assert x.dtype == np.int64 and x.min() == -3 and x.max() == 6
    assert chi_square(np.bincount(x + 3), np.full(10, N / 10)) < 4.5
    assert lamina.randint(5, (2, 3), dtype=lamina.int32).dtype is lamina.int32
    assert lamina.randint(5, (2, 3)).shape == (2, 3)
    full = lamina.randint(-(1 << 63), (1 << 63) - 1, (1000,), generator=seeded()).numpy()
    assert abs(np.sign(full).sum()) < 150
    with pytest.raises(ValueError, match=r"randint: needs low < high, got \[3, 3\)"):
        lamina.randint(3, 3, (1,))


def test_random_without_bounds():
    for dtype, top in ((lamina.int8, 127), (lamina.uint8, 255), (lamina.bool, 1)):
        x = lamina.empty(20_000, dtype=dtype).random_(generator=seeded()).numpy()
        assert x.min() == 0 and x.max() == top
    x = lamina.empty(1000, dtype=lamina.float32).random_(generator=seeded()).numpy()
    assert (x == np.round(x)).all() and x.max() <= 2**24
    assert set(lamina.empty(1000).random_(3, 5, generator=seeded()).tolist()) == {3.0, 4.0}
    assert set(lamina.empty(1000).random_(2, generator=seeded()).tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_randperm(n):
    p = lamina.randperm(n, generator=seeded())
    assert p.dtype is lamina.int64
    assert sorted(p.tolist()) == list(range(n))


def test_randperm_is_uniform():
    g = seeded()
    counts = {}
    for _ in range(6000):
        key = tuple(lamina.randperm(3, generator=g).tolist())
        counts[key] = counts.get(key, 0) + 1
    assert chi_square(list(counts.values()), np.full(6, 1000)) < 4.5


def test_bernoulli():
    p = lamina.tensor([0.0, 0.25, 1.0]).expand(100_000, 3)
    x = lamina.bernoulli(p, generator=seeded()).numpy()
    assert set(np.unique(x)) == {0.0, 1.0} and x[:, 0].sum() == 0 and x[:, 2].all()
    assert abs(x[:, 1].mean() - 0.25) < 0.007
    assert lamina.empty(10, dtype=lamina.bool).bernoulli_(1.0).all()
    with pytest.raises(RuntimeError, match="in \\[0, 1\\]"):
        lamina.bernoulli(lamina.tensor([1.5]))
    with pytest.raises(RuntimeError, match="in \\[0, 1\\]"):
        lamina.empty(3).bernoulli_(-0.1)


def test_geometric_and_poisson():
    k = lamina.empty(100_000).geometric_(0.3, generator=seeded()).numpy()
    assert k.min() == 1
    counts = np.array([(k == i).sum() for i in range(1, 11)])
    assert chi_square(counts, 100_000 * 0.3 * 0.7 ** np.arange(10)) < 4.5
    for rate in (0.5, 3.0, 12.0, 200.0):
        x = lamina.poisson(lamina.full((100_000,), rate), seeded()).numpy().astype(np.float64)
        assert abs(x.mean() - rate) < 4.5 * math.sqrt(rate / 1e5)
        assert abs(x.var() / rate - 1) < 4.5 * math.sqrt((2 + 1 / rate) / 1e5)
    lo = np.arange(4, 22)
    x = lamina.poisson(lamina.full((100_000,), 12.0), seeded(2)).numpy()
    pmf = np.array([math.exp(-12 + i * math.log(12) - math.lgamma(i + 1)) for i in lo])
    assert chi_square([(x == i).sum() for i in lo], 1e5 * pmf) < 4.5
    assert lamina.poisson(lamina.zeros(3)).tolist() == [0, 0, 0]


def test_multinomial():
    w = lamina.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 2.0]])
    x = lamina.multinomial(w, 50_000, True, generator=seeded()).numpy()
    assert x.shape == (2, 50_000)
    assert chi_square(np.bincount(x[0])[[0, 2]], [12_500, 37_500]) < 4.5
    assert chi_square(np.bincount(x[1])[1:], [25_000, 25_000]) < 4.5
    g, first = seeded(), np.zeros(3)
    for _ in range(4000):
        draw = lamina.multinomial(lamina.tensor([1.0, 2.0, 5.0]), 2, generator=g).tolist()
        assert len(set(draw)) == 2
        first[draw[0]] += 1
    assert chi_square(first, 4000 * np.array([1, 2, 5]) / 8) < 4.5
    with pytest.raises(ValueError, match="cannot draw 3 of 2 without replacement"):
        lamina.multinomial(lamina.tensor([1.0, 2.0]), 3)
    with pytest.raises(RuntimeError, match="sum to 0"):
        lamina.multinomial(lamina.zeros(3), 1, True)
    with pytest.raises(RuntimeError, match="not negative, got -1"):
        lamina.multinomial(lamina.tensor([1.0, -1.0]), 1)


def test_normal_of_tensors():
    mean, std = lamina.tensor([0.0, 100.0]), lamina.tensor([[1.0], [0.0]])
    x = lamina.normal(mean, std, generator=seeded())
    assert x.shape == (2, 2) and x[1].tolist() == [0.0, 100.0]
    assert lamina.normal(0.0, 1.0, (3, 4)).shape == (3, 4)
    assert lamina.normal(lamina.zeros(3), 2.0).shape == (3,)
    with pytest.raises(RuntimeError, match="std must not be negative"):
        lamina.normal(0.0, -1.0, (2,))


def test_seeds_and_states():
    lamina.manual_seed(5)
    a = lamina.randn(7)
    lamina.manual_seed(5)
    assert (lamina.randn(7) == a).all()
    assert not (lamina.randn(7) == a).any()
    assert lamina.initial_seed() == 5
    state = lamina.get_rng_state()
    b = lamina.rand(3)
    lamina.set_rng_state(state)
    assert (lamina.rand(3) == b).all()
    with lamina.fork_rng():
        c = lamina.rand(3)
    assert (lamina.rand(3) == c).all()
    assert lamina.manual_seed(-1).initial_seed() == 2**64 - 1
    with pytest.raises(ValueError, match="manual_seed: seed must be in"):
        lamina.manual_seed(1 << 64)
    assert lamina.seed() == lamina.initial_seed()


def test_generator_object():
    g = lamina.Generator()
    assert g.initial_seed() == 67280421310721 and g.device.type == "cpu"
    for other in (copy.deepcopy(g), pickle.loads(pickle.dumps(g)), g.clone_state()):
        assert (lamina.rand(4, generator=other) == lamina.rand(4, generator=g.clone_state())).all()
    assert lamina.Generator().set_state(g.get_state()).initial_seed() == g.initial_seed()
    assert g.get_state().dtype is lamina.uint8
    with pytest.raises(TypeError, match=r"generator: expected a lamina.Generator or None, got int"):
        lamina.rand(3, generator=3)
    with pytest.raises(TypeError, match="set_state"):
        g.set_state(lamina.zeros(16))


def test_shapes_dtypes_and_gradients():
    assert lamina.rand(2, 3).shape == lamina.rand((2, 3)).shape == (2, 3)
    assert lamina.rand(()).shape == () and lamina.randn(0, 3).shape == (0, 3)
    assert lamina.rand(size=(4,)).shape == (4,)
    for d in (lamina.float16, lamina.bfloat16, lamina.float64):
        assert lamina.randn(3, dtype=d).dtype is d
    x = lamina.zeros(2, 3, dtype=lamina.float64)
    assert lamina.rand_like(x).dtype is lamina.float64
    assert lamina.randn_like(x, dtype=lamina.float32).dtype is lamina.float32
    assert lamina.randint_like(x, 5).max() < 5
    assert lamina.rand(3, requires_grad=True).requires_grad
    out = lamina.zeros(3)
    assert lamina.rand(3, out=out) is out and out.any()
    with pytest.raises(RuntimeError, match="dtype must be floating"):
        lamina.rand(3, dtype=lamina.int64)
    with pytest.raises(TypeError, match="unexpected keyword"):
        lamina.rand(3, bogus=1)


def test_in_place_on_views_and_graphs():
    x = lamina.zeros(4, 6)
    x.t()[1:3].normal_(generator=seeded())
    assert (x.numpy()[:, 1:3] != 0).all() and (x.numpy()[:, [0, 3, 4, 5]] == 0).all()
    y = lamina.ones(3, requires_grad=True)
    z = y * 2
    z.uniform_()
    (z * 3).sum().backward()
    assert y.grad is None or (y.grad == 0).all()
    with pytest.raises(RuntimeError, match="leaf tensor that requires grad"):
        y.normal_()
