"""gather_batch: batches of images against NumPy, on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina import _core


@pytest.fixture(params=_core.available_isas())
def isa(request):
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


def reference(x, rows, divisor=1.0, stats=None, windows=None, size=None, fill=0.0, to_float=False):
    """The same from the definition, in float32 arithmetic: one pixel at a time."""
    x = x if x.ndim == 4 else x[:, None]
    n, channels, height, width = x.shape
    h, w = size or (height, width)
    floats = to_float or stats is not None or divisor != 1 or x.dtype == np.float32
    out = np.empty((len(rows), channels, h, w), np.float32 if floats else np.uint8)
    for b, row in enumerate(rows):
        top, left, mirror, upturn = windows[b] if windows is not None else (0, 0, 0, 0)
        for c in range(channels):
            for i in range(h):
                for j in range(w):
                    y = top + (h - 1 - i if upturn else i)
                    z = left + (w - 1 - j if mirror else j)
                    inside = 0 <= y < height and 0 <= z < width
                    v = x[row, c, y, z] if inside else x.dtype.type(fill)
                    if floats:
                        v = np.float32(v) / np.float32(divisor)
                        if stats is not None:
                            v = (v - stats[c, 0]) / stats[c, 1]
                    out[b, c, i, j] = v
    return out


def call(x, rows, divisor=1.0, stats=None, windows=None, size=None, fill=0.0, to_float=False):
    h, w = size or (0, 0)
    return _core.gather_batch(
        lamina.tensor(x), lamina.tensor(rows, dtype=lamina.int64), divisor,
        None if stats is None else lamina.tensor(stats),
        None if windows is None else lamina.tensor(windows), h, w, fill, to_float,
    ).numpy()  # fmt: skip


def images(rng, shape, dtype):
    if dtype == np.uint8:
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (5, 3, 17), (4, 2, 7, 5), (3, 3, 16, 33), (2, 4, 1, 65)]
)
def test_rows_quotients_and_statistics(isa, dtype, shape):
    rng = np.random.default_rng(0)
    x = images(rng, shape, dtype)
    n, channels = shape[0], shape[1] if len(shape) == 4 else 1
    rows = [0, n - 1, -1, -n, n // 2]
    stats = rng.uniform(0.2, 0.7, (channels, 2)).astype(np.float32)
    every = [
        {}, {"to_float": True}, {"divisor": 255.0}, {"stats": stats},
        {"divisor": 255.0, "stats": stats}, {"divisor": 16.0, "stats": stats},
    ]  # fmt: skip
    for options in every:
        got, want = call(x, rows, **options), reference(x, rows, **options)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want, err_msg=str(options))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_windows(isa, dtype):
    rng = np.random.default_rng(1)
    x = images(rng, (4, 3, 9, 11), dtype)
    stats = rng.uniform(0.2, 0.7, (3, 2)).astype(np.float32)
    for h, w in ((9, 11), (5, 4), (1, 1), (12, 20), (3, 17)):
        windows = np.stack(
            [rng.integers(-14, 14, 24), rng.integers(-22, 16, 24), *rng.integers(0, 2, (2, 24))], 1
        )
        rows = rng.integers(-4, 4, 24).tolist()
        for options in ({}, {"fill": 7.0}, {"divisor": 255.0, "stats": stats, "fill": 9.0}):
            got = call(x, rows, windows=windows, size=(h, w), **options)
            np.testing.assert_array_equal(
                got, reference(x, rows, windows=windows, size=(h, w), **options)
            )


def test_every_byte_is_divided_exactly(isa):
    """Quotients by Newton's correction have the bits of a true division."""
    x = np.arange(256, dtype=np.uint8).reshape(1, 1, 1, 256)
    rng = np.random.default_rng(2)
    for divisor in (255.0, 16.0, 3.0, 0.7):
        np.testing.assert_array_equal(
            call(x, [0], divisor=divisor)[0, 0, 0],
            np.arange(256, dtype=np.float32) / np.float32(divisor),
        )
    for _ in range(200):
        stats = np.stack([rng.uniform(-1, 1, 1), 10 ** rng.uniform(-3, 3, 1)], 1).astype(np.float32)
        np.testing.assert_array_equal(
            call(x, [0], divisor=255.0, stats=stats), reference(x, [0], 255.0, stats)
        )


def test_threads_give_equal_bits():
    rng = np.random.default_rng(3)
    x = images(rng, (50, 3, 32, 32), np.uint8)
    rows = rng.integers(0, 50, 64).tolist()
    windows = np.stack([*rng.integers(0, 9, (2, 64)) - 4, *rng.integers(0, 2, (2, 64))], 1)
    before, results = lamina.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            lamina.set_num_threads(threads)
            results.append(call(x, rows, divisor=255.0, windows=windows, size=(32, 32)))
    finally:
        lamina.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_strided_images_and_rows_and_no_rows():
    x = images(np.random.default_rng(4), (6, 8, 10, 3), np.uint8)
    view = lamina.tensor(x).permute(0, 3, 1, 2)
    rows = lamina.tensor([5, 9, 0, 9, 3])[::2]
    got = _core.gather_batch(view, rows, 1.0, None, None, 0, 0, 0.0, False).numpy()
    np.testing.assert_array_equal(got, x.transpose(0, 3, 1, 2)[[5, 0, 3]])
    none = _core.gather_batch(view, rows[:0], 255.0, None, None, 0, 0, 0.0, False)
    assert tuple(none.shape) == (0, 3, 8, 10) and none.dtype is lamina.float32


@pytest.mark.parametrize("row", [4, -5, 2**40])
def test_a_row_out_of_range(row):
    with pytest.raises(IndexError, match=f"gather_batch: index {row} is out of range for 4 images"):
        call(np.zeros((4, 2, 2), np.uint8), [0, row])


def test_errors():
    x, rows = lamina.zeros((4, 3, 5, 5), dtype=lamina.uint8), lamina.arange(2)
    stats = lamina.ones((3, 2))
    windows = lamina.zeros((2, 4), dtype=lamina.int64)

    def run(x=x, rows=rows, divisor=1.0, stats=stats, windows=windows):
        return _core.gather_batch(x, rows, divisor, stats, windows, 2, 2, 0.0, False)

    assert tuple(run().shape) == (2, 3, 2, 2)
    with pytest.raises(TypeError, match="images must be uint8 or float32"):
        run(x=x.double())
    with pytest.raises(ValueError, match=r"images must be \(N, C, H, W\) or \(N, H, W\)"):
        run(x=x[0, 0])
    with pytest.raises(ValueError, match="rows must be int64 of one dimension"):
        run(rows=rows.to(lamina.int32))
    with pytest.raises(ValueError, match="divisor must be positive, got 0"):
        run(divisor=0.0)
    with pytest.raises(ValueError, match=r"stats must be \(3, 2\) for 3 channels"):
        run(stats=lamina.ones((1, 2)))
    with pytest.raises(ValueError, match=r"windows must be int64 \(2, 4\)"):
        run(windows=windows[:1])
