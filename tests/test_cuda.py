"""The CUDA backend where there is no GPU: its kernels run on the CPU (cuda/emulate/).

The emulated library lies beside the module in development builds, or LAMINA_CUDA_EMULATED names it.
It shows that the kernels' logic is right, not that they are fast; races: test_races.py.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import lamina
from other_library import run_pytest

HERE = pathlib.Path(__file__).parent
LIBRARY = pathlib.Path(
    os.environ.get("LAMINA_CUDA_EMULATED")
    or pathlib.Path(lamina.__file__).parent / "liblamina_cuda_emulated.so"
)
emulated = pytest.mark.skipif(not LIBRARY.exists(), reason="the emulated CUDA device is not built")


def run(*args, **environment):
    """The last line of a run in which nothing failed."""
    code, said = run_pytest(LIBRARY, *args, **environment)
    assert code == 0, said[-4000:]
    return said.splitlines()[-1]


@emulated
@pytest.mark.parametrize("order", ["forward", "reverse", "shuffled"])
def test_device(order):
    files = sorted(p.name for p in HERE.glob("test_cuda_*.py"))
    assert "failed" not in run(*files, LAMINA_EMULATE_ORDER=order)


@emulated
def test_rows():
    summary = run("test_rows.py", "--device", "cuda", "-k", "test_value",
                         LAMINA_EMULATE_ORDER="reverse")  # fmt: skip
    assert int(summary.split(" passed")[0].split()[-1]) > 200, summary


CUBLAS = """
import numpy as np, lamina
draw = lambda *shape: lamina.tensor(np.random.default_rng(0).standard_normal(shape))
def check(f, *operands, of=lamina.float32):
    operands = [t.to(of) for t in operands]
    want = f(*(t.double() for t in operands)).numpy()
    got = f(*(t.cuda() for t in operands)).cpu().double().numpy()
    assert got.shape == want.shape
    tol = 1e-2 if of is lamina.bfloat16 else 1e-5
    assert np.abs(got - want).max() <= tol * np.abs(want).max()
check(lambda a, b: a @ b, draw(5, 7), draw(7, 3))
check(lambda a, b: a @ b.t(), draw(5, 7), draw(3, 7), of=lamina.float64)
check(lambda a, b: a.t() @ b, draw(7, 5), draw(7, 3), of=lamina.bfloat16)
check(lambda a, b: a.t() @ b.t(), draw(7, 5), draw(3, 7))
check(lambda a, b: a @ b, draw(4, 5, 7), draw(4, 7, 3))
check(lambda a, b: a @ b[:1], draw(4, 5, 7), draw(4, 7, 3))
check(lambda a, b: a[:, :, ::2] @ b[:4], draw(2, 5, 7), draw(7, 3))  # no stride 1: not for cuBLAS
check(lambda a, b: lamina.nn.functional.linear(a, b, b[:, 0]), draw(5, 7), draw(3, 7))  # fused
lamina.backends.cuda.matmul.allow_tf32 = True
check(lambda a, b: a @ b[:, 1:], draw(5, 7), draw(7, 4))
"""
CALLS = [
    "00 m=3 n=5 k=7 lda=3 ldb=7 ldc=3 steps=0,0,0 count=1 type=0 compute=68",
    "10 m=3 n=5 k=7 lda=7 ldb=7 ldc=3 steps=0,0,0 count=1 type=1 compute=70",
    "01 m=3 n=5 k=7 lda=3 ldb=5 ldc=3 steps=0,0,0 count=1 type=14 compute=68",
    "11 m=3 n=5 k=7 lda=7 ldb=5 ldc=3 steps=0,0,0 count=1 type=0 compute=68",
    "00 m=3 n=5 k=7 lda=3 ldb=7 ldc=3 steps=21,35,15 count=4 type=0 compute=68",
    "00 m=3 n=5 k=7 lda=3 ldb=7 ldc=3 steps=0,35,15 count=4 type=0 compute=68",
    "00 m=3 n=5 k=7 lda=4 ldb=7 ldc=3 steps=0,0,0 count=1 type=0 compute=77",
]


@emulated
def test_cublas(tmp_path):
    """What cuBLAS is told, by a stand-in for it."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not compiler:
        pytest.skip("no C++ compiler")
    library, log = tmp_path / "libfake.so", tmp_path / "log"
    subprocess.run([compiler, "-std=c++17", "-shared", "-fPIC", "-O1", "-o", library,
                    HERE / "fake_cublas.cpp"], check=True)  # fmt: skip
    env = {**os.environ, "LAMINA_CUDA_LIBRARY": str(LIBRARY), "LAMINA_CUBLAS": str(library),
           "FAKE_CUBLAS_LOG": str(log)}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", CUBLAS], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rest = f"algorithm=-1 workspace={32 << 20} mode=16 handles=1"
    assert log.read_text().splitlines() == [f"{call} {rest}" for call in CALLS]
    for wish, works in (("own", True), (str(tmp_path / "absent.so"), False)):
        program = "import lamina as m; x = m.ones(2, 2).cuda(); print((x @ x).sum().item())"
        done = subprocess.run([sys.executable, "-c", program], env={**env, "LAMINA_CUBLAS": wish},
                              capture_output=True, text=True)  # fmt: skip
        said = "8.0" if works else "LAMINA_CUBLAS: cannot open"
        assert said in (done.stdout if works else done.stderr)


@emulated
def test_bench():
    """bench/gpu.py at sizes that mean nothing."""
    done = subprocess.run(
        [sys.executable, HERE.parent / "bench/gpu.py", "--mib", "1", "--size", "16",
         "--rounds", "1", "--only", "add", "sum", "softmax", "layer_norm", "adamw", "matmul 16"],
        env={**os.environ, "LAMINA_CUDA_LIBRARY": str(LIBRARY)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "a copy moves" in lines[0] and sum("% of copy" in line for line in lines) > 15
    assert any("tf32" in line and "TFLOP/s" in line for line in lines)


@emulated
@pytest.mark.parametrize("file, least", [
    ("test_compile_device.py", 14), ("test_compile.py", 20), ("test_devices.py", 12),
    ("test_autocast.py", 300), ("test_grad_scaler.py", 30), ("test_trainer.py", 20),
])  # fmt: skip
def test_programs(file, least):
    """Compiled steps, training and mixed precision on the device."""
    summary = run(file, "--device", "cuda")
    assert int(summary.split(" passed")[0].split()[-1]) >= least, summary


@pytest.mark.parametrize("library, why", [
    ("no-such-library.so", "LAMINA_CUDA_LIBRARY cannot be opened"),
    (lamina._core.__file__, f"{lamina._core.__file__} is no device library of lamina"),
])  # fmt: skip
def test_a_library_that_does_not_serve(library, why):
    program = (
        "import lamina\n"
        "assert not lamina.cuda.is_available()\n"
        "try: lamina.ones(2).cuda()\n"
        "except lamina.DeviceError as e: print(e)\n"
    )
    env = {**os.environ, "LAMINA_CUDA_LIBRARY": library}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert f"cuda is not available ({why}" in done.stdout, done.stderr
