"""``pytest tests/test_rows.py --device cuda``: the rows on another device.

Files marked ``on_device`` make their tensors there too. A test whose ops have no kernel there is
skipped, and says which op.
"""

import pytest

import lamina
import row


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where the tests' tensors are: cpu or cuda")


def pytest_configure(config):
    row.DEVICE = config.getoption("--device")
    lamina.backends.cudnn.allow_tf32 = False  # rows are compared with exact references
    config.addinivalue_line("markers", "on_device: new tensors are on the device of --device")
    config.addinivalue_line("markers", "cpu_only: has nothing to do with devices")


@pytest.fixture(autouse=True)
def default_device(request):
    """Tensors are made on --device in the files that ask for it."""
    if row.DEVICE == "cpu":
        yield
        return
    if request.node.get_closest_marker("cpu_only"):
        pytest.skip("of the CPU alone")
    if not request.node.get_closest_marker("on_device"):
        yield
        return
    import lamina

    if not lamina.cuda.is_available():
        pytest.skip("there is no CUDA device")
    lamina.set_default_device(row.DEVICE)
    try:
        yield
    finally:
        lamina.set_default_device(None)


@pytest.fixture
def device():
    """Where the tensors of a test that names its device are."""
    if row.DEVICE != "cpu":
        import lamina

        if not lamina.cuda.is_available():
            pytest.skip("there is no CUDA device")
    return row.DEVICE


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    """A test runs with 1, 2 and 3 threads: results must not depend on it."""
    before = lamina.get_num_threads()
    lamina.set_num_threads(request.param)
    yield request.param
    lamina.set_num_threads(before)
