"""Damaged and foreign files: a ValueError that names the file, never anything else."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import pytest

import lamina


def joined(header, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


GOOD = {
    "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    "b": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]},
}
BODY = bytes(16)


def changed(**fields):
    return joined({**GOOD, "b": {**GOOD["b"], **fields}}, BODY)


@pytest.mark.parametrize("data, message", [
    (b"", "cut off"),
    (b"1234567", "cut off"),
    (joined(GOOD, BODY[:-1]), "cut off: 16 bytes of tensors announced, 15 present"),
    (joined(GOOD, BODY)[:40], "not a safetensors file"),
    (joined(GOOD, BODY + b"x"), "1 bytes after the last tensor"),
    (b"\xff" * 64, "not a safetensors file"),
    (struct.pack("<Q", 99_000_000) + b"{}", "not a safetensors file"),
    (b"PK\x03\x04" + bytes(60) + b"\x08\x08", "damaged zip archive"),
    (joined(b"", b""), "not valid JSON"),
    (joined(b"{", b""), "not valid JSON"),
    (joined(b"\xff\xfe{}", b""), "not valid JSON"),
    (joined(b"[]", b""), "not a JSON object"),
    (joined(b'{"a": NaN}', b""), "holds NaN"),
    (joined(b'{"a": 1, "a": 2}', b""), "the name 'a' twice"),
    (joined(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b""), "nested too deeply"),
    (joined({"__metadata__": {"a": 1}}, b""), "does not map strings to strings"),
    (joined({"__metadata__": []}, b""), "does not map strings to strings"),
    (joined({"a": 1}, b""), "lacks its dtype"),
    (joined({"a": {"dtype": "F32"}}, b""), "lacks its dtype"),
    (changed(dtype="F8_E4M3"), "'b' has the dtype 'F8_E4M3'; supported are F64, F32"),
    (changed(dtype=["F32"]), "dtype"),
    (changed(dtype="I32"), "needs 4 bytes, but its data_offsets \\[8, 16\\] span 8"),
    (changed(shape=[2]), "needs 16 bytes"),
    (changed(shape=[-1]), "invalid shape"),
    (changed(shape=[1.0]), "invalid shape"),
    (changed(shape=[True]), "invalid shape"),
    (changed(shape="1"), "invalid shape"),
    (changed(shape=[2**63]), "invalid shape"),
    (changed(shape=[2**40, 2**40]), "too large a shape"),
    (changed(shape=[0, 2**60]), "too large a shape"),
    (changed(shape=[1] * 13), "too large a shape"),
    (changed(data_offsets=[8]), "invalid data_offsets"),
    (changed(data_offsets=[16, 8]), "span -8"),
    (changed(data_offsets=[-8, 0]), "invalid data_offsets"),
    (changed(data_offsets=[4, 12]), "'b' at bytes 4 to 12 overlaps 'a'"),
    (changed(data_offsets=[0, 8]), "overlaps"),
    (changed(data_offsets=[9, 17]), "leaves a hole after 'a'"),
    (changed(data_offsets=[2**61, 2**61 + 8]), "leaves a hole"),
    (joined({"__metadata__": {"lamina.tree": "x"}}, b""), "tree is not valid JSON"),
    (joined({"__metadata__": {"lamina.tree": "{}"}}, b""), "tree has version None"),
    (joined({"__metadata__": {"lamina.tree": '{"version":2,"tree":1}'}}, b""), "version 2"),
    (joined({"__metadata__": {"lamina.tree": '{"version":1,"tree":{"tensor":"q"}}'}}, b""),
     "names a tensor 'q' that is not in the file"),
    (joined({"__metadata__": {"lamina.tree": '{"version":1,"tree":{"code":"q"}}'}}, b""),
     "does not know"),
    (joined({"__metadata__": {"lamina.tree": '{"version":1,"tree":{}}'}}, b""), "does not know"),
    (joined({"__metadata__": {"lamina.tree": '{"version":1,"tree":{"dict":[[1]]}}'}}, b""),
     "where a key and a value should be"),
    (joined({"__metadata__": {"lamina.tree": '{"version":1,"tree":{"dict":[[[],1]]}}'}}, b""),
     "where a key and a value should be"),
    (joined({"__metadata__": {"lamina.tree": '{"version":1,"tree":{"bytes":"!"}}'}}, b""),
     "base64"),
    (joined({"__metadata__": {"lamina.tree": '{"version":1,"tree":1}'}, **GOOD}, BODY),
     "'a' is not in its tree"),
    (joined({"__metadata__": {"lamina.tree": '{"version":1,"tree":' + "[" * 900 + "]" * 900 + "}"}},
            b""), "nested too deeply|^load"),
])  # fmt: skip
def test_damaged_files(data, message, tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        lamina.load(path)
    assert str(caught.value).startswith(f"load: {path}: ")


def test_every_cut_is_noticed(tmp_path):
    path = tmp_path / "f"
    lamina.save({"a": lamina.ones(3), "b": [1, lamina.zeros(2)]}, path)
    data = path.read_bytes()
    for n in range(len(data)):
        path.write_bytes(data[:n])
        with pytest.raises(ValueError):
            lamina.load(path)
        with pytest.raises(ValueError):
            lamina.load(io.BytesIO(data[:n]))


def test_no_changed_byte_crashes():
    """Every byte of a header replaced in turn: an object or a ValueError, nothing else."""
    file = io.BytesIO()
    lamina.save({"a": lamina.ones(3), "b": (1.5, lamina.zeros(2, dtype=lamina.bool))}, file)
    data = bytearray(file.getvalue())
    for i in range(len(data)):
        for value in (0, ord("9"), ord('"'), ord("{"), ord("-"), 255, data[i] ^ 1):
            broken = bytes(data[:i]) + bytes([value]) + bytes(data[i + 1 :])
            try:
                lamina.load(io.BytesIO(broken))
            except ValueError:
                pass


def test_other_formats_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("archive/data.txt", b"x" * 50)
    with pytest.raises(ValueError, match=r"model.pt: it is a zip archive, but holds no data.pkl"):
        lamina.load(tmp_path / "model.pt")
    (tmp_path / "old.pt").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M")
    with pytest.raises(ValueError, match="old.pt: its pickle is damaged"):
        lamina.load(tmp_path / "old.pt")
    with pytest.raises(
        ValueError, match="it is a zip archive or a pickle, as .pt and .npz files are; lamina.load"
    ):
        lamina.serialization.load_file(tmp_path / "model.pt")
    with pytest.raises(FileNotFoundError):
        lamina.load(tmp_path / "none")
    with pytest.raises(TypeError, match="open for text"):
        lamina.load(io.StringIO("x"))
    with pytest.raises(TypeError, match="must be a path or a binary file, got list"):
        lamina.load([])
