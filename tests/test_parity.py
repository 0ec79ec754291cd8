"""The page of errors beside PyTorch's: groups that are quick to measure, and how it counts."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "make_parity.py"


@pytest.fixture(scope="module")
def parity():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("make_parity", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["pool", "scan", "optimizers"])
def test_group_is_within_the_bar(parity, name, monkeypatch):
    monkeypatch.setattr(parity, "SEEDS", range(8))
    result = parity.group(name)
    assert result.values and list(parity.beyond(result)) == [] and result.refused == {}


def test_the_page_names_groups_that_are_there_and_nothing_beyond_the_bar(parity):
    page = parity.PAGE.read_text(encoding="utf-8")
    assert " 0 are beyond the bar" in page
    named = set(re.findall(r"^\| (\w+) \| float32 \|", page, re.M))
    assert {"elementwise", "layers"} <= named <= {*parity.GROUPS, "layers", "optimizers"}


def test_error_of_a_draw(parity):
    want = [np.array([1.0, -4.0, np.nan]), np.array([3])]
    assert parity.error(want, want) == 0
    assert parity.error([np.array([1.0, -4.5, np.nan]), np.array([3])], want) == 0.125
    assert parity.error([np.array([1.0, -4.0, 0.0]), np.array([3])], want) == np.inf
    assert parity.error([np.array([1.0, -4.0, np.nan]), np.array([2])], want) == np.inf
    assert parity.error([np.array([1e-6])], [np.array([0.0])]) == pytest.approx(1e-3)


def test_ratio_is_of_ninth_deciles_with_epsilon_as_least(parity):
    ours, theirs = [1e-6] * 9 + [1.0], [1e-7] * 9 + [1.0]
    assert parity.Errors([*ours, 1e-6], [*theirs, 1e-7]).ratio("float32") == pytest.approx(
        1e-6 / 2**-23
    )
    assert parity.Errors([4e-6] * 3, [2e-6] * 3).ratio("float32") == 2
