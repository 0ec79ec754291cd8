"""docs/texts.md: every name exists, every test is there."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import lamina

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "texts.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no docs")


def rows():
    lines = PAGE.read_text().splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def find(path: str):
    """lamina's attribute of that path; submodules are imported."""
    value = lamina
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            value = importlib.import_module(f"{value.__name__}.{name}")
    return value


def test_every_row_is_whole():
    found = rows()
    assert len(found) == 185 and all(len(row) == 4 and all(row) for row in found)


def test_every_name_exists():
    for _, _, names, _ in rows():
        for name in re.findall(r"`([\w.]+)`", names):
            assert find(name) is not None, name


def test_every_test_exists():
    functions: dict = {}
    for *_, test in rows():
        file, name = re.fullmatch(r"`(\w+)\.(\w+)`", test).groups()
        if file not in functions:
            tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text())
            functions[file] = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        assert name in functions[file], test
