"""Files of PyTorch and NumPy: what is in them comes back, and nothing of theirs is run."""

from __future__ import annotations

import collections
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

import lamina

BOTH = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def saved(torch, obj, zipped=True) -> bytes:
    file = io.BytesIO()
    torch.save(obj, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def through(torch, obj, zipped=True):
    return lamina.load(io.BytesIO(saved(torch, obj, zipped)))


DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
          "bool"]  # fmt: skip


@BOTH
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 4), (2, 3, 1, 2)])
def test_every_dtype_and_shape(torch, zipped, shape):
    values = {n: torch.randn(shape).mul(3).to(getattr(torch, n)) for n in DTYPES}
    found = through(torch, values, zipped)
    assert list(found) == DTYPES
    for name, want in values.items():
        got = found[name]
        assert got.dtype is getattr(lamina, name) and tuple(got.shape) == shape
        assert got.is_contiguous() and not got.requires_grad
        np.testing.assert_array_equal(got.double().numpy(), want.double().numpy())


@BOTH
def test_strides_and_shared_memory(torch, zipped):
    base = torch.arange(24.0).view(4, 6)
    views = [base, base.t(), base[1:, ::2], base[2], base[:1].expand(3, 6), base[1:1]]
    found = through(torch, views, zipped)
    for got, want in zip(found, views):
        assert got.tolist() == want.tolist()
        if want.numel():
            assert got.stride() == want.stride() and got.storage_offset() == want.storage_offset()
    found[0][2, 3] = -1
    assert found[1][3, 2] == -1 and found[3][3] == -1


@BOTH
def test_containers_numbers_and_parameters(torch, zipped):
    weight = torch.nn.Parameter(torch.randn(2, 3))
    obj = {
        "none": None, "int": [0, -1, 255, 70_000, 2**40, -(2**70)], 3: 2.5, 1.5: "text",
        (1, "a"): (),
        "flags": (True, False), "nested": [[{"a": ({"b": [1]},)}]], "bytes": b"\x00\xffab",
        "set": {1, 2}, "frozen": frozenset(["x"]), "z": 1 + 2j, "inf": float("inf"),
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]), "array": bytearray(b"xy"),
        "default": collections.defaultdict(list, {"k": [1]}), "é": "日本" * 200,
        "size": torch.Size([2, 3]), "dtype": torch.float16, "device": torch.device("cpu"),
    }  # fmt: skip
    found = through(torch, {**obj, "w": weight, "again": weight, "grad": weight.detach().clone()
                            .requires_grad_()}, zipped)  # fmt: skip
    for key, want in obj.items():
        if key not in ("size", "dtype", "device"):
            assert found[key] == want and type(found[key]) is type(want), key
    assert found["size"] == (2, 3) and isinstance(found["size"], lamina.Size)
    assert found["dtype"] is lamina.float16 and found["device"] == lamina.device("cpu")
    assert isinstance(found["w"], lamina.nn.Parameter) and found["w"] is found["again"]
    assert found["w"].requires_grad and found["grad"].requires_grad
    assert found["w"].tolist() == weight.tolist()


@BOTH
def test_a_checkpoint_goes_on_where_it_stopped(torch, zipped, tmp_path):
    def parts(m):
        model = m.nn.Sequential(m.nn.Conv2d(1, 4, 3), m.nn.BatchNorm2d(4), m.nn.Flatten(),
                                m.nn.LSTM(64, 5), )  # fmt: skip
        optimizer = m.optim.Adam(model.parameters(), 1e-2, amsgrad=True)
        return model, optimizer, m.optim.lr_scheduler.StepLR(optimizer, 2)

    def step(m, model, optimizer, schedule, x):
        optimizer.zero_grad()
        loss = model(m.tensor(x))[0].square().sum()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.item()

    torch.manual_seed(0)
    batches = np.random.default_rng(0).standard_normal((6, 3, 1, 6, 6)).astype(np.float32)
    theirs = parts(torch)
    for x in batches[:3]:
        step(torch, *theirs, x)
    names = ("model", "optimizer", "schedule")
    torch.save({n: p.state_dict() for n, p in zip(names, theirs)}, tmp_path / "c.pt",
               _use_new_zipfile_serialization=zipped)  # fmt: skip
    ours = parts(lamina)
    state = lamina.load(tmp_path / "c.pt")
    assert state["model"]._metadata == theirs[0].state_dict()._metadata
    for name, part in zip(names, ours):
        part.load_state_dict(state[name])
    for x in batches[3:]:
        want = step(torch, *theirs, x)
        assert step(lamina, *ours, x) == pytest.approx(want, rel=1e-5)


# ---- what is refused -----------------------------------------------------------------------------
class Runs:
    """Pickled, a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def in_zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", data)
    return file.getvalue()


def refused(data: bytes, message: str):
    with pytest.raises(ValueError, match=message) as caught:
        lamina.load(io.BytesIO(data))
    assert str(caught.value).startswith("load: <BytesIO>: ")


@pytest.mark.parametrize("obj, named", [
    (Runs(os.system, "touch ran"), r"(posix|nt)\.system"),
    (Runs(eval, "open('ran', 'w')"), r"_*builtins?_*\.eval"),
    (Runs(exec, "open('ran', 'w')"), r"_*builtins?_*\.exec"),
    (Runs(getattr, os, "system"), r"_*builtins?_*\.getattr"),
    (Runs(open, "ran", "w"), r"(_io|io)\.open"),
    (Runs(lamina.save, {}, "ran"), r"lamina\.serialization\.save"),
    (Runs(__import__, "antigravity"), r"_*builtins?_*\.__import__"),
    (np.float64(1), r"numpy"),
    (zipfile.ZipInfo("a"), r"zipfile"),
])  # fmt: skip
@pytest.mark.parametrize("protocol", [2, 4])
def test_code_is_refused_and_not_run(obj, named, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if isinstance(obj, Runs) and obj.call[1][:1] == (os,):
        obj = Runs(getattr, "os", "system")  # a module cannot be pickled
    refused(in_zip(pickle.dumps({"a": [obj]}, protocol)), f"it refers to {named}")
    older = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, obj, []]
    refused(b"".join(pickle.dumps(part, 2) for part in older), f"it refers to {named}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pickled, message", [
    (b"", "its pickle has no end|ran out|exhausted"),
    (b"\x80\x02.", "takes from an empty stack"),
    (b"\x80\x02(.", "takes from an empty stack"),
    (b"\x80\x02h\x07.", "refers to object 7"),
    (b"\x80\x02K\x01K\x02\x86R.", "empty stack|calls a"),
    (b"\x80\x02K\x01)R.", "calls a int"),
    (b"\x80\x02K\x01}b.", "sets attributes of a int"),
    (b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.", "sets attributes of a"),
    (b"\x80\x02ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aK\x01sb.", "sets attributes of a"),
    (b"\x80\x02K\x01K\x01a.", "treats a int as another type"),
    (b"\x80\x02}K\x01s.", "has a dict as a key"),
    (b"\x80\x02}(K\x01u.", "a key without a value"),
    (b"\x80\x02}]K\x01s.", "has a list as a key"),
    (b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"K\x01s.", "has a tuple as a key"),
    (b"\x80\x02t.", "lacks a mark"),
    (b"\x80\x02(K\x01icollections\nOrderedDict\n.", "uses INST"),
    (b"\x80\x02\x82\x01.", "uses EXT1"),
    (b"\x80\x02X\xff\xff\xff\x7fa.", "expected 2147483647 bytes"),
    (b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "expected|exceeds|larger"),
    (b"\x80\x02K\x01Q.", "refers to 1, which is no storage"),
    (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "its call of _rebuild_tensor_v2 fails"),
    (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls a _StorageType"),
    (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.", "encodes a str"),
    (b"\x80\x02ccollections\ndefaultdict\nccollections\nOrderedDict\n\x85R.", "something unknown"),
    (b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x7f\x85R.", "it encodes a int"),
])  # fmt: skip
def test_damaged_pickles(pickled, message):
    refused(in_zip(pickled), message)


def tensor_pickle(size, stride, offset=0, count=4, key="0", kind=b"FloatStorage") -> bytes:
    """The pickle of a tensor, as PyTorch writes it."""
    plain = [pickle.dumps(x, 2)[2:-1] for x in (count, offset, size, stride)]
    name = b"X" + len(key).to_bytes(4, "little") + key.encode()
    storage = b"(X\x07\x00\x00\x00storagectorch\n" + kind + b"\n" + name + b"X\x03\x00\x00\x00cpu"
    return (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + plain[0] + b"tQ"
            + b"".join(plain[1:]) + b"\x89}tR.")  # fmt: skip


@pytest.mark.parametrize("arguments, message", [
    ({"size": (4,), "stride": (1,), "offset": 1}, "reaches element 4 of a storage of 4"),
    ({"size": (2, 2), "stride": (3, 1)}, "reaches element 4"),
    ({"size": (2,), "stride": (-1,)}, "the strides"),
    ({"size": (2,), "stride": (1, 1)}, "the strides"),
    ({"size": (True,), "stride": (1,)}, "the size"),
    ({"size": (2**61,), "stride": (0,)}, "the size"),
    ({"size": (2**40, 2**40), "stride": (0, 0)}, "the size"),
    ({"size": (1,) * 13, "stride": (1,) * 13}, "the size"),
    ({"size": (1,), "stride": (1,), "offset": 2**61}, "reaches element"),
    ({"size": (1,), "stride": (1,), "count": 5}, "has 16 bytes, and 5 elements of 4 bytes"),
    ({"size": (1,), "stride": (1,), "count": 2**50}, "has 16 bytes"),
    ({"size": (1,), "stride": (1,), "key": "1"}, "'x/data/1' is missing"),
    ({"size": (1,), "stride": (1,), "key": "../0"}, "is missing"),
    ({"size": (1,), "stride": (1,), "kind": b"QInt8Storage"}, "refers to torch.QInt8Storage"),
])  # fmt: skip
def test_damaged_tensors(arguments, message):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", tensor_pickle(**arguments))
        archive.writestr("x/data/0", np.arange(4.0, dtype=np.float32).tobytes())
    refused(file.getvalue(), message)


def test_the_pickle_of_a_tensor_as_above_is_read():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", tensor_pickle((2, 2), (1, 2)))
        archive.writestr("x/data/0", np.arange(4.0, dtype=np.float32).tobytes())
    assert lamina.load(io.BytesIO(file.getvalue())).tolist() == [[0, 2], [1, 3]]


def test_modules_and_unknown_types_are_refused_with_advice(torch):
    with pytest.raises(ValueError, match="holds a whole module.*save its state_dict"):
        through(torch, torch.nn.Linear(2, 3))
    with pytest.raises(ValueError, match="dtype uint16, which lamina does not have"):
        through(torch, torch.ones(2, dtype=torch.uint16))
    with pytest.raises(ValueError, match="_rebuild_sparse_tensor"):
        through(torch, torch.eye(2).to_sparse())


class Settings:
    """A class of a program, in a checkpoint."""

    def __init__(self, rate):
        self.rate = rate


def test_classes_that_are_allowed(torch):
    data = saved(torch, {"settings": Settings(0.1), "w": torch.ones(2)})
    refused(data, "Settings.*allow it with lamina.serialization.safe_globals")
    with lamina.serialization.safe_globals([Settings]):
        found = lamina.load(io.BytesIO(data))
    assert type(found["settings"]) is Settings and found["settings"].rate == 0.1


@BOTH
def test_cuts_and_changed_bytes_give_a_value_error(torch, zipped):
    """Every cut is noticed; a changed byte gives an object or a ValueError, nothing else."""
    data = saved(torch, {"a": torch.ones(3), "b": [1, torch.zeros(2, dtype=torch.bool)]}, zipped)
    for n in range(0, len(data), 7 if zipped else 1):
        with pytest.raises(ValueError):
            lamina.load(io.BytesIO(data[:n]))
    rng = np.random.default_rng(0)
    for _ in range(1500):
        broken = bytearray(data)
        for i in rng.integers(0, len(data), rng.integers(1, 4)):
            broken[i] = rng.integers(0, 256)
        try:
            lamina.load(io.BytesIO(bytes(broken)))
        except ValueError:
            pass


def test_random_pickles_give_a_value_error():
    rng = np.random.default_rng(1)
    good = tensor_pickle((2, 2), (1, 2)) + pickle.dumps({"a": [1, (2.5, "x")], "b": {1}}, 2)
    for _ in range(3000):
        data = bytearray(good)
        for i in rng.integers(2, len(data), rng.integers(1, 6)):
            data[i] = rng.integers(0, 256)
        try:
            lamina.load(io.BytesIO(in_zip(bytes(data))))
        except ValueError:
            pass


# ---- NumPy's -------------------------------------------------------------------------------------
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_and_npy(save, tmp_path):
    a, b = np.arange(6.0).reshape(2, 3).T, np.array([True, False])
    save(tmp_path / "f.npz", a=a, b=b, c=np.float32(2), d=a.astype(">i4"))
    found = lamina.load(tmp_path / "f.npz")
    assert list(found) == ["a", "b", "c", "d"]
    assert found["a"].dtype is lamina.float64 and found["a"].tolist() == a.tolist()
    assert found["b"].tolist() == [True, False] and found["c"].item() == 2
    assert found["d"].dtype is lamina.int32 and found["d"].tolist() == a.tolist()
    np.save(tmp_path / "f.npy", a)
    assert lamina.load(tmp_path / "f.npy").tolist() == a.tolist()


def test_npz_with_objects_or_damage(tmp_path):
    np.savez(tmp_path / "o.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        lamina.load(tmp_path / "o.npz")
    np.save(tmp_path / "s.npy", np.array(["text"]))
    with pytest.raises(ValueError, match="its array cannot be read"):
        lamina.load(tmp_path / "s.npy")
    np.savez(tmp_path / "f.npz", a=np.ones(3))
    data = (tmp_path / "f.npz").read_bytes()
    for n in range(len(data)):
        refused(data[:n], "load: ")
    rng = np.random.default_rng(2)
    for _ in range(500):
        broken = bytearray(data)
        broken[rng.integers(0, len(data))] ^= 1 << rng.integers(0, 8)
        try:
            lamina.load(io.BytesIO(bytes(broken)))
        except ValueError:
            pass
