"""``pytest tests/test_rows.py --device cuda``: the rows on another device.

A row whose ops have no kernel there is skipped, and says which op.
"""

import pytest

import lamina
import row


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where the rows' tensors are: cpu or cuda")


def pytest_configure(config):
    row.DEVICE = config.getoption("--device")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except NotImplementedError as error:
        if row.DEVICE == "cpu" or "no CUDA kernel" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    """A test runs with 1, 2 and 3 threads: results must not depend on it."""
    before = lamina.get_num_threads()
    lamina.set_num_threads(request.param)
    yield request.param
    lamina.set_num_threads(before)
