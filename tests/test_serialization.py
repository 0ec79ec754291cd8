"""save, load, save_file, load_file: round trips, damage, and a kill in the middle of a save."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import stat
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections import OrderedDict

import pytest

import lamina
from lamina import nn, serialization

DTYPES = [
    lamina.float64, lamina.float32, lamina.float16, lamina.bfloat16, lamina.int64, lamina.int32,
    lamina.int16, lamina.int8, lamina.uint8, lamina.bool,
]  # fmt: skip


def trip(obj):
    file = io.BytesIO()
    lamina.save(obj, file)
    file.seek(0)
    return lamina.load(file)


def same(a, b) -> bool:
    """Equal in type, order and bits."""
    if isinstance(a, lamina.Tensor):
        if a.shape != b.shape or a.dtype != b.dtype or a.requires_grad != b.requires_grad:
            return False
        bits = [memoryview(lamina._core.bytes_of(t.detach().contiguous())) for t in (a, b)]
        return bytes(bits[0]) == bytes(bits[1])
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return (
            list(a) == list(b)
            and all(type(i) is type(j) for i, j in zip(a, b))
            and all(same(a[k], b[k]) for k in a)
        )
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


# ---- round trips ---------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (5,), (2, 3, 4)], ids=str)
def test_every_dtype_and_shape(dtype, shape):
    lamina.manual_seed(0)
    t = (lamina.randn(shape) * 50).abs().to(dtype)
    assert same(trip({"t": t}), {"t": t})
    assert same(trip(t), t)


@pytest.mark.parametrize("obj", [
    None, True, False, 0, -1, 10**40, 0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf,
    -math.inf, math.nan, "", "é\n\"\\\0", "\ud800", b"", b"\x00\xff", [], {}, (), OrderedDict(),
    lamina.Size([2, 3]), lamina.bfloat16, [1, [2.0, (None, "x", ())]],
    {"b": 1, "a": 2, 3: 4, -1: 5, None: 6, 0.5: 7, "3": 8, True: 9},
    OrderedDict([("z", 1), ("a", {"tensor": 1, "dict": [], "float": "nan"})]),
], ids=repr)  # fmt: skip
def test_plain_values(obj):
    back = trip({"x": obj})["x"]
    assert same(back, obj)
    if obj == 0 and isinstance(obj, float):
        assert math.copysign(1, back) == math.copysign(1, obj)


def test_state_of_model_and_optimizer():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = lamina.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        model(lamina.randn(5, 3)).pow(2).sum().backward()
        optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    back = trip(state)
    assert same(back, state)
    assert list(back["optimizer"]["state"]) == [0, 1, 2, 3, 4, 5]
    model.load_state_dict(back["model"])
    optimizer.load_state_dict(back["optimizer"])


def test_views_and_parameters():
    base = lamina.arange(12.0).reshape(3, 4)
    assert same(trip([base.t(), base[1:, ::2], base[2, 3]]), [base.t(), base[1:, ::2], base[2, 3]])
    assert same(trip(base[:1].expand(5, 4)), base[:1].expand(5, 4))
    kept = trip({"p": nn.Parameter(lamina.ones(2))})["p"]
    assert kept.requires_grad and kept.is_leaf
    grown = nn.Parameter(lamina.ones(2)) * 2
    assert trip(grown).is_leaf
    lamina.save(trip(base), io.BytesIO())


def test_names_that_meet():
    obj = {"a.b": lamina.ones(1), "a": {"b": lamina.zeros(1)}, "__metadata__": lamina.ones(2),
           "": lamina.ones(3)}  # fmt: skip
    assert same(trip(obj), obj)


def test_result_is_writable_and_owns_its_memory():
    file = io.BytesIO()
    lamina.save({"t": lamina.zeros(3)}, file)
    first, second = (lamina.load(io.BytesIO(file.getvalue()))["t"] for _ in range(2))
    first += 1
    assert second.tolist() == [0, 0, 0]


def test_several_objects_in_one_file_object(tmp_path):
    with open(tmp_path / "two", "wb") as file:
        lamina.save([lamina.ones(3)], file)
        lamina.save({"second": 2}, file)
    with open(tmp_path / "two", "rb") as file:
        assert same(lamina.load(file), [lamina.ones(3)])
        assert lamina.load(file) == {"second": 2}
    with open(tmp_path / "raw", "wb", buffering=0) as file:
        lamina.save([lamina.ones(3)], file)
    with open(tmp_path / "raw", "rb", buffering=0) as file:
        assert same(lamina.load(file), [lamina.ones(3)])


def test_zip_member_and_pipe(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        with archive.open("state", "w") as file:
            lamina.save([lamina.ones(3)], file)
        with archive.open("other", "w") as file:
            file.write(b"x")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("state") as file:
        assert same(lamina.load(file), [lamina.ones(3)])
    read, write = os.pipe()
    with os.fdopen(write, "wb") as file:
        lamina.save([lamina.ones(3)], file)
    with os.fdopen(read, "rb") as file:
        assert same(lamina.load(file), [lamina.ones(3)])


def test_map_location():
    file = io.BytesIO()
    lamina.save([1], file)
    for place in (None, "cpu", lamina.device("cpu")):
        file.seek(0)
        assert lamina.load(file, map_location=place, weights_only=False) == [1]
    with pytest.raises(RuntimeError, match="not available"):
        lamina.load(file, map_location="cuda")
    for place in (lambda storage, place: storage, {"cuda:0": "cpu"}):
        file.seek(0)
        assert lamina.load(file, map_location=place) == [1]
    with pytest.raises(TypeError, match="map_location must be None, 'cpu'"):
        lamina.load(file, map_location=3.5)
    with pytest.raises(RuntimeError, match="cuda:7"):
        lamina.load(file, map_location=7)
    file = io.BytesIO()
    w = nn.Parameter(lamina.ones(2))
    lamina.save({"w": w, "n": [lamina.arange(3)], "m": nn.Linear(2, 1)}, file)
    file.seek(0)
    seen = []
    got = lamina.load(
        file, lambda t, place: seen.append(place) or (t + 1 if t.dim() == 1 else None)
    )
    assert set(seen) == {"cpu"} and got["w"].tolist() == [2, 2] and got["w"].requires_grad
    assert got["w"].is_leaf and got["n"][0].tolist() == [1, 2, 3]
    file.seek(0)
    with pytest.raises(TypeError, match="must return a tensor or None, got int"):
        lamina.load(file, map_location=lambda t, place: 1)


def test_random_trees():
    given = pytest.importorskip("hypothesis").given
    from hypothesis import settings
    from hypothesis import strategies as st

    keys = st.one_of(st.text(max_size=5), st.integers(-5, 5))
    numbers = st.lists(st.floats(width=32), max_size=5).map(lamina.tensor)
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), numbers
    )
    trees = st.recursive(
        leaves,
        lambda t: st.one_of(
            st.lists(t, max_size=4),
            st.lists(t, max_size=4).map(tuple),
            st.dictionaries(keys, t, max_size=4),
            st.dictionaries(keys, t, max_size=4).map(OrderedDict),
        ),
    )

    @settings(max_examples=100, deadline=None, database=None)
    @given(trees)
    def check(tree):
        assert same(trip(tree), tree)

    check()


# ---- what cannot be saved ------------------------------------------------------------------------
@pytest.mark.parametrize("obj, message", [
    ({"a": [1, {"b": {1, 2}}]},
     "save: obj['a'][1]['b'] is a set, which cannot be saved; save tensors, numbers, strings and "
     "dicts, lists or tuples of them (here: list(...) of it)"),
    ({"optimizer": lamina.optim.SGD([lamina.ones(1)])},
     "save: obj['optimizer'] is a SGD, which cannot be saved; save tensors, numbers, strings and "
     "dicts, lists or tuples of them (here: its state_dict())"),
    (object(), "save: obj is a object, which cannot be saved; save tensors, numbers, strings and "
               "dicts, lists or tuples of them"),
    ({"a": {(1, 2): 3}}, "save: obj['a'] has the key (1, 2) of type tuple; keys must be str, int, "
                         "float, bool or None"),
    (1j, "save: obj is a complex, which cannot be saved; save tensors, numbers, strings and dicts, "
         "lists or tuples of them"),
])  # fmt: skip
def test_unsupported_objects(obj, message, tmp_path):
    with pytest.raises(TypeError) as caught:
        lamina.save(obj, tmp_path / "f")
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_object_that_contains_itself(tmp_path):
    loop: list = []
    loop.append(loop)
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        lamina.save(loop, tmp_path / "f")


def test_where_one_cannot_write(tmp_path):
    with pytest.raises(TypeError, match="must be a path or a binary file, got int"):
        lamina.save({}, 3)
    with pytest.raises(TypeError, match="open for text"):
        lamina.save({}, io.StringIO())
    with pytest.raises(FileNotFoundError, match="no such folder; create it first"):
        lamina.save({}, tmp_path / "missing" / "f")
    with pytest.raises(OSError):
        lamina.save({}, tmp_path)
    lamina.save({}, "/dev/null")


def test_save_file_checks_its_arguments(tmp_path):
    path = tmp_path / "f"
    for arguments in [([1],), ({"a": 1},), ({1: lamina.ones(1)},), ({}, {"a": 1})]:
        metadata = arguments[1] if len(arguments) > 1 else None
        with pytest.raises(TypeError, match="save_file: "):
            serialization.save_file(arguments[0], path, metadata=metadata)
    with pytest.raises(ValueError, match="reserved"):
        serialization.save_file({"__metadata__": lamina.ones(1)}, path)
    assert not path.exists()


# ---- the file ------------------------------------------------------------------------------------
def parts(data: bytes) -> tuple[dict, bytes]:
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + n]), data[8 + n :]


def joined(header, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def test_layout_of_the_file(tmp_path):
    path = tmp_path / "f.safetensors"
    tensors = {"b": lamina.ones(3, dtype=lamina.bool), "a": lamina.tensor([1.0, 2.0]),
               "c": lamina.tensor(7)}  # fmt: skip
    serialization.save_file(tensors, path, metadata={"k": "v"})
    data = path.read_bytes()
    header, body = parts(data)
    assert list(header) == ["__metadata__", "b", "a", "c"]
    assert header["__metadata__"] == {"k": "v"}
    assert header["a"] == {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}
    assert header["c"] == {"dtype": "I64", "shape": [], "data_offsets": [0, 8]}
    assert header["b"] == {"dtype": "BOOL", "shape": [3], "data_offsets": [16, 19]}
    assert body == struct.pack("<qff???", 7, 1, 2, True, True, True)
    assert (len(data) - len(body)) % 64 == 0
    assert same(serialization.load_file(path), tensors)
    assert same(lamina.load(path), tensors)


def test_file_from_elsewhere():
    header = {
        "w": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
        "empty": {"dtype": "F16", "shape": [0, 3], "data_offsets": [8, 8]},
        "flag": {"dtype": "BOOL", "shape": [3], "data_offsets": [8, 11]},
        "__metadata__": {"format": "pt"},
    }
    back = lamina.load(io.BytesIO(joined(header, struct.pack("<ff", 1, 2) + b"\0\1\7")))
    assert list(back) == ["w", "empty", "flag"]
    assert back["w"].tolist() == [[1, 2]] and back["empty"].shape == (0, 3)
    assert back["flag"].tolist() == [False, True, True]


def test_against_the_safetensors_package(tmp_path):
    theirs = pytest.importorskip("safetensors")
    numpy = pytest.importorskip("numpy")
    from safetensors.numpy import load_file, save_file

    tensors = {f"t.{d}": (lamina.arange(6) % 2).reshape(2, 3).to(d) for d in DTYPES}
    tensors.pop("t.lamina.bfloat16")
    path = tmp_path / "f"
    serialization.save_file(tensors, path, metadata={"k": "v"})
    back = load_file(path)
    assert set(back) == set(tensors)
    for name, array in back.items():
        assert array.tolist() == tensors[name].tolist()
    with theirs.safe_open(path, "numpy") as file:
        assert file.metadata() == {"k": "v"}
    save_file({"a": numpy.arange(6.0).reshape(2, 3)}, path)
    assert same(lamina.load(path), {"a": lamina.arange(6, dtype=lamina.float64).reshape(2, 3)})


# ---- in one step ---------------------------------------------------------------------------------
def test_failure_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    lamina.save({"old": 1}, path)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        lamina.save({"new": lamina.ones(100)}, path)
    monkeypatch.undo()
    assert lamina.load(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_rights_and_links(tmp_path):
    path, link = tmp_path / "f", tmp_path / "link"
    old = os.umask(0o027)
    try:
        lamina.save({}, path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    link.symlink_to(path)
    lamina.save({"new": 1}, link)
    assert link.is_symlink() and lamina.load(path) == {"new": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lamina.save({}, str(path).encode())


def test_kill_during_a_save_leaves_a_whole_file(tmp_path):
    path = tmp_path / "f.safetensors"
    code = textwrap.dedent("""
        import sys, lamina
        n = 0
        while True:
            lamina.save({"n": n, "t": lamina.full((300_000,), n)}, sys.argv[1])
            if n == 0:
                print("ready", flush=True)
            n += 1
    """)
    for delay in (0.0, 0.003, 0.011):
        worker = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0.05 + delay)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
        back = lamina.load(path)
        assert (back["t"] == back["n"]).all()


def test_bytes_keep_their_tensor_alive():
    data = lamina._core.bytes_of(lamina.arange(1000))[8:]
    others = [lamina.zeros(1000, dtype=lamina.int64) for _ in range(3)]
    assert bytes(data[:8]) == (1).to_bytes(8, "little") and len(data) == 7992 and len(others) == 3
    assert len(lamina._core.bytes_of(lamina.zeros(0))) == 0
