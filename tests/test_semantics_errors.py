"""Errors of PyTorch's kinds for wrong arguments, prompt answers to absurd sizes, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import lamina
from lamina.nn import functional as F

B, H = 2**62, 2**40

# The classes PyTorch's users catch, all of them.
KINDS = [
    (lambda: lamina.ones(2, 3).sum((0, 0)), (RuntimeError, ValueError)),
    (lambda: lamina.ones(2).split(0), (RuntimeError, ValueError)),
    (lambda: lamina.arange(0, 5, -1), (RuntimeError, ValueError)),
    (lambda: lamina.stack([]), (RuntimeError, ValueError)),
    (lambda: lamina.einsum("i->j", lamina.ones(2)), (RuntimeError, ValueError)),
    (lambda: lamina.ones(2).item(), (RuntimeError, ValueError)),
    (lambda: float(lamina.ones(2)), (RuntimeError, ValueError)),
    (lambda: lamina.ones(2).gather(0, lamina.tensor([5])), (RuntimeError, IndexError)),
    (lambda: lamina.ones(2).topk(5), (RuntimeError, IndexError)),
    (lambda: lamina.ones(2)[5], (IndexError,)),
    (lambda: lamina.ones(2).sum(5), (IndexError,)),
    (lambda: lamina.tensor([None]), (RuntimeError, TypeError)),
    (lambda: lamina.arange(3).softmax(0), (NotImplementedError, RuntimeError, TypeError)),
    (lambda: lamina.ones(2) & 1, (NotImplementedError, RuntimeError, TypeError)),
    (lambda: "a" in lamina.ones(2), (RuntimeError,)),
]


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_every_kind_catches(number):
    mistake, kinds = KINDS[number]
    for kind in kinds:
        with pytest.raises(kind):
            mistake()


@pytest.mark.parametrize(
    "mistake, text",
    [
        (lambda: F.bilinear(None, None, None), "bilinear: argument 1 must be a Tensor, not None"),
        (lambda: lamina.bilinear(lamina.ones(2, 3), 0, None), "bilinear: argument 2 must be a T"),
        (lambda: lamina.chain_matmul(lamina.ones(2, 2), "a"), "chain_matmul: argument 2 must be"),
        (lambda: lamina.atleast_1d([lamina.ones(1), 1]), "atleast_1d: argument 1 must be a Tensor"),
        (lambda: lamina.atleast_3d("a"), "atleast_3d: argument 1 must be a Tensor, not str"),
        (lambda: lamina.block_diag(lamina.ones(2), None), "block_diag: argument 2 must be a Tens"),
        (lambda: lamina.softmax(None, 0), "softmax: argument 1 must be a Tensor, not NoneType"),
        (lambda: lamina.flatten(1.5), "flatten: argument 1 must be a Tensor, not float"),
        (lambda: lamina.equal(lamina.ones(2), other=3), "equal: argument other must be a Tensor"),
        (lambda: lamina.max("a"), "max: argument 1 must be a Tensor, not str"),
    ],
)
def test_arguments_that_are_no_tensors_are_named(mistake, text):
    with pytest.raises(TypeError) as caught:
        mistake()
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: lamina.chain_matmul(lamina.ones(2)),
        lambda: lamina.chain_matmul(lamina.ones(2, 3), lamina.ones(2, 3)),
        lambda: lamina.block_diag(lamina.ones(2, 2, 2)),
        lambda: lamina.cartesian_prod(lamina.ones(2, 2)),
        lambda: lamina.cdist(lamina.ones(2, 3), lamina.ones(2, 3), p=-1),
        lambda: lamina.ones(3).diff(n=-1),
        lambda: lamina.rot90(lamina.ones(2, 2), 1, (0, 0)),
        lambda: lamina.ones(2, 2).renorm(2, 0, -1),
        lambda: lamina.tril_indices(-1, 2),
        lambda: F.rrelu(lamina.ones(2), 1, 0),
        lambda: lamina.arange(3).nanmean(),
        lambda: lamina.isclose(lamina.ones(2), lamina.ones(2, dtype=lamina.float64)),
    ],
)
def test_refused_as_in_pytorch(mistake):
    with pytest.raises(RuntimeError):
        mistake()


def test_accepted_as_in_pytorch():
    assert lamina.block_diag().shape == (1, 0)
    x = lamina.ones(2, 3)
    x.t().put_(lamina.tensor([1, -1]), lamina.tensor([5.0, 7.0]))
    assert x.tolist() == [[1, 1, 1], [5, 1, 7]] and 5 in x and 6 not in x
    assert lamina.tril_indices(3, 3, -1).tolist() == [[1, 2, 2], [0, 0, 1]]
    assert lamina.triu_indices(2, 3).tolist() == [[0, 0, 0, 1, 1], [0, 1, 2, 1, 2]]


@pytest.mark.parametrize(
    "absurd",
    [
        lambda: F.avg_pool1d(lamina.ones(1, 1, 4), B, padding=B // 2),
        lambda: F.max_pool2d(lamina.ones(1, 1, 4, 4), H, padding=H // 2),
        lambda: F.max_pool1d(lamina.ones(1, 1, 4), 2, dilation=B),
        lambda: lamina.arange(0, 1e300),
        lambda: lamina.arange(B),
        lambda: lamina.arange(float("inf")),
        lambda: lamina.tril_indices(2**31, 2**31),
        lambda: lamina.combinations(lamina.ones(40), 20),
        lambda: lamina.polygamma(H, lamina.ones(1)),
        lambda: lamina.set_num_threads(1000),
    ],
)
def test_absurd_sizes_are_refused_at_once(absurd):
    start = time.perf_counter()
    with pytest.raises(RuntimeError):
        absurd()
    assert time.perf_counter() - start < 2


def test_large_windows_take_no_longer_than_their_input():
    wide = 2**30
    start = time.perf_counter()
    y = F.avg_pool2d(lamina.ones(1, 1, 4, 4), wide, padding=wide // 2)
    assert y.shape == (1, 1, 1, 1) or y.numel()
    z = F.max_pool1d(lamina.arange(4.0).reshape(1, 1, 4), wide, padding=wide // 2)
    assert z.reshape(-1)[0].item() == 3
    assert F.local_response_norm(lamina.ones(1, 2, 4), H).shape == (1, 2, 4)
    assert time.perf_counter() - start < 2


def test_hooks_on_every_module():
    from lamina.nn.modules import module as M

    seen = []
    net = lamina.nn.Sequential(lamina.nn.Linear(2, 2), lamina.nn.ReLU())
    handles = [
        M.register_module_forward_pre_hook(lambda m, a: seen.append(("before", type(m).__name__))),
        M.register_module_forward_hook(lambda m, a, y: seen.append(("after", type(m).__name__))),
        M.register_module_full_backward_hook(lambda m, i, o: seen.append(("back", type(m)))),
    ]
    net[1].register_forward_hook(lambda m, a, y: seen.append("own"))
    net(lamina.ones(1, 2, requires_grad=True)).sum().backward()
    names = ("Sequential", "Linear", "ReLU")
    before, after = ([("before", n), ("after", n)][k] for k in (0, 1) for n in ("ReLU",))
    assert seen[:2] == [("before", n) for n in names[:2]] and seen[3] == before
    assert seen[4:6] == [after, "own"] and seen[6] == ("after", "Sequential")
    assert [s[1].__name__ for s in seen[7:]] == ["ReLU", "Linear", "Sequential"]
    for handle in handles:
        handle.remove()
    assert not lamina.nn.Module._hooked  # calls are fast again
    seen.clear()
    net(lamina.ones(1, 2))
    assert seen == ["own"]
    assert lamina.nn.utils.skip_init(lamina.nn.Linear, 2, 3).weight.shape == (3, 2)


# ---- Ctrl-C ------------------------------------------------------------------------------------
LOOP = """
import lamina
x = lamina.ones(600, 600)
try:
    print("ready", flush=True)
    while True:
        x = (x @ x).clamp(0, 1)
except KeyboardInterrupt:
    print("stopped", x.shape == (600, 600), flush=True)
"""
WORKERS = """
import lamina, time
from lamina.utils.data import DataLoader, Dataset
class Slow(Dataset):
    def __len__(self): return 10**6
    def __getitem__(self, i):
        time.sleep(0.01)
        return i
if __name__ == "__main__":
    try:
        for i, batch in enumerate(DataLoader(Slow(), batch_size=2, num_workers=2)):
            if i == 1:
                print("ready", flush=True)
    except KeyboardInterrupt:
        print("stopped", True, flush=True)
"""


@pytest.mark.parametrize("program", [LOOP, WORKERS], ids=["operations", "workers"])
def test_ctrl_c_arrives_between_operations(program, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it too
        rest, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert rest.splitlines()[-1] == "stopped True" and process.returncode == 0
    with pytest.raises(ProcessLookupError):  # no worker stays
        for _ in range(100):
            os.killpg(process.pid, 0)
            time.sleep(0.05)
