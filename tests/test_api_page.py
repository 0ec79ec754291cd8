"""docs/api.md says what is there."""

import importlib.util
import os
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "make_api.py"


@pytest.fixture(scope="module")
def make_api():
    spec = importlib.util.spec_from_file_location("make_api", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(make_api):
    page = make_api.PAGE.read_text(encoding="utf-8")
    assert make_api.write(make_api.read_page()) == page, "run docs/make_api.py"


def test_the_page_has_every_name_of_the_table(make_api):
    table = os.environ.get("LAMINA_API_SURFACE")
    if not table:
        pytest.skip("LAMINA_API_SURFACE names no table")
    assert make_api.read_table(Path(table)) == make_api.read_page()


def test_statuses(make_api):
    owners = make_api._owners()
    for name, want in {
        "torch.nn.Linear": "present", "Tensor.view": "present", "torch.nn.Module.append": "present",
        "torch.cuda.is_available": "present", "torch.onnx.export": "refused",
        "torch.no_such_name": "absent", "Tensor.no_such_name": "absent",
        "torch.no.such.path": "absent",
    }.items():  # fmt: skip
        assert make_api.status(name, owners) == want, name


def test_refused_names_say_what_to_use(make_api):
    owners = make_api._owners()
    refused = [n for n, _, _ in make_api.read_page() if make_api.status(n, owners) == "refused"]
    assert refused
    for name in refused:
        with pytest.raises(NotImplementedError, match="not available in lamina; "):
            make_api._find(name)()


def test_every_no_op_has_a_reason(make_api):
    names = [n for n, _, _ in make_api.read_page()]
    for key in make_api.NO_OP:
        assert any(n == key or n.startswith(key + ".") for n in names), key
