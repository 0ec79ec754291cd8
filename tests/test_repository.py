"""The repository's own rules: floors, file length, names that must not appear."""

from __future__ import annotations

import ast
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def tracked() -> list[pathlib.Path]:
    try:
        out = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / line for line in out.splitlines() if (ROOT / line).exists()]


# ---- floors --------------------------------------------------------------------------------------
CPP_FLOOR = {"kernels": 0, "core": 1, "ops": 2, "tape": 3, "plan": 4, "python": 5}


def cpp_floor(path: str) -> int:
    """Floor of a file under cpp/; an op's loops belong to floor 0."""
    folder = path.split("/")[0]
    return 0 if path.endswith("_cpu.h") else CPP_FLOOR[folder]


def test_cpp_files_include_only_their_floor_and_lower():
    wrong = []
    for path in tracked():
        relative = path.relative_to(ROOT).as_posix()
        if not relative.startswith("cpp/") or path.suffix not in (".h", ".cpp"):
            continue
        name = relative.removeprefix("cpp/")
        for include in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
            if include == "kernels/stems.h":
                continue
            assert (ROOT / "cpp" / include).exists(), f"{relative} includes a missing {include}"
            if cpp_floor(include) > cpp_floor(name):
                wrong.append(f"{relative} -> {include}")
    assert not wrong, wrong


def test_loops_use_no_standard_templates():
    for path in tracked():
        if path.name.endswith("_cpu.h") or path.parent.name == "kernels" and path.suffix == ".h":
            text = re.sub(r"//.*", "", path.read_text())
            assert "std::" not in text, f"{path.name}: floor 0 uses no std::"
            alien = r"#include <(?!stdint|stddef|math|string|cstd|float|immintrin|arm)"
            assert not re.search(alien, text), path.name


PY_FLOOR = [
    ({"_core", "_types"}, 5),
    ({"ops", "_printing", "random"}, 6),
    ({"nn", "optim", "utils", "autograd"}, 7),
    ({"vision", "metrics", "trainer", "serialization"}, 8),
    ({"cli", "__main__"}, 9),
]
# What one part may not know, though it is on the same floor.
STRANGERS = {
    "nn": {"optim", "utils.data"},
    "optim": {"nn", "utils.data"},
    "utils.data": {"nn", "optim"},
}
# Imports upwards that are made only when the function is called, and why.
ALLOWED = {
    ("random", "autograd"): "drawing in place happens under no_grad",
    ("ops", "autograd"): "embedding's max_norm works under no_grad",
    ("ops", "random"): "same floor",
    ("autograd", "ops"): "lower",
}


def py_part(module: str) -> str:
    """'nn' for lamina.nn.linear, 'utils.data' for lamina.utils.data.loader. (optim.swa_utils has a
    module, AveragedModel, as PyTorch's; lamina.optim imports it when it is first used.)"""
    parts = module.split(".")
    two = ".".join(parts[:2])
    return two if two in ("utils.data", "optim.swa_utils") else parts[0]


def py_floor(part: str) -> int | None:
    for names, floor in PY_FLOOR:
        if part.split(".")[0] in names:
            return floor
    return None


def imports(path: pathlib.Path):
    """Modules under lamina that a file imports, as 'nn.linear'."""
    package = path.relative_to(ROOT / "python").with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level]) if node.level else []
            full = base + (node.module.split(".") if node.module else [])
            if full[:1] == ["lamina"]:
                yield from ([".".join(full[1:])] if len(full) > 1 else
                            [a.name for a in node.names])  # fmt: skip
        elif isinstance(node, ast.Import):
            for a in node.names:
                if a.name.startswith("lamina."):
                    yield a.name.removeprefix("lamina.")


def test_python_files_import_only_their_floor_and_lower():
    wrong = []
    for path in tracked():
        relative = path.relative_to(ROOT).as_posix()
        if not relative.startswith("python/lamina/") or path.suffix != ".py":
            continue
        here = py_part(".".join(path.relative_to(ROOT / "python/lamina").with_suffix("").parts))
        floor = py_floor(here)
        if floor is None:
            continue
        for module in imports(path):
            there = py_part(module)
            other = py_floor(there)
            if there == here or other is None or (here, there) in ALLOWED:
                continue
            if other > floor or there in STRANGERS.get(here, ()):
                wrong.append(f"{relative} -> lamina.{module}")
    assert not wrong, wrong


# ---- files ---------------------------------------------------------------------------------------
LONG = {  # files over 400 lines, and why
    "cpp/kernels/formulas.h": "one list of every elementwise function, read by looking one up",
    "cpp/python/tensor_type.cpp": "the slots of one Python type",
    "python/lamina/ops/elementwise.py": "a list of signatures",
    "python/lamina/ops/view.py": "a list of signatures",
}


def test_files_stay_short_and_narrow():
    for path in tracked():
        if path.suffix not in (".py", ".h", ".cpp"):
            continue
        relative = path.relative_to(ROOT).as_posix()
        lines = path.read_text().splitlines()
        if relative not in LONG:
            assert len(lines) <= 420, f"{relative}: {len(lines)} lines"
        wide = [i + 1 for i, line in enumerate(lines) if len(line) > 100]
        assert not wide, f"{relative}: over 100 columns in lines {wide[:5]}"


def test_every_cpp_file_opens_with_what_it_is():
    for path in tracked():
        relative = path.relative_to(ROOT).as_posix()
        if path.suffix not in (".h", ".cpp") or relative.startswith("cpp/python/bind_"):
            continue
        if relative.startswith("cpp/"):
            assert path.read_text().startswith("// "), relative


FORBIDDEN = [r"/root\b", r"/work/", r"/tmp/venv", r"-march=native\b(?!`)", r"\bopenmp\b.*pragma",
             r"#pragma omp", r"\bTODO\b", r"\bFIXME\b"]  # fmt: skip


def test_nothing_personal_or_unfinished():
    for path in tracked():
        if path.suffix not in (".py", ".h", ".cpp", ".md", ".toml", ".txt") or path == pathlib.Path(
            __file__
        ):
            continue
        text = path.read_text()
        for pattern in FORBIDDEN:
            assert not re.search(pattern, text, re.I), f"{path.relative_to(ROOT)}: {pattern}"


def test_public_functions_have_docstrings():
    missing = []
    for path in tracked():
        relative = path.relative_to(ROOT).as_posix()
        if not relative.startswith("python/lamina/") or path.suffix != ".py":
            continue
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree) or not tree.body, f"{relative}: no docstring"
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                overload = any(getattr(d, "id", "") == "overload" for d in node.decorator_list)
                if not ast.get_docstring(node) and not overload:
                    missing.append(f"{relative}: {node.name}")
    assert not missing, missing


def test_no_file_is_large_or_binary_but_the_digits():
    for path in tracked():
        size = path.stat().st_size
        assert size <= 60_000, f"{path.relative_to(ROOT)}: {size} bytes"
        if path.suffix in (".so", ".o", ".a", ".whl", ".npz", ".npy", ".pt", ".gz", ".bin"):
            assert path.name == "digits.bin.gz", path
