"""What moves between devices: training, checkpoints, batches in page-locked memory, DLPack, and
errors in values that a replayed step finds. ``--device cuda`` or the emulated device."""

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.trainer import Trainer
from lamina.utils.data import DataLoader, TensorDataset

cuda = pytest.mark.skipif(not lamina.cuda.is_available(), reason="there is no CUDA device")


def points(n=96, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 8)).astype(np.float32)
    return x, (2 * x[:, 0] + x[:, 1] > 0).astype(np.int64)


def make(device, out=None, **options):
    lamina.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
    return Trainer(model, lr=1e-2, seed=1, progress=False, device=device, out=out, **options)


@cuda
@pytest.mark.parametrize("compile", [False, True])
def test_training_on_a_device_is_that_on_the_cpu(compile):
    """The same draws, so the same losses but for rounding."""
    rows = [make(d, compile=compile).fit(points(), points(seed=1), epochs=3, batch_size=16)
            for d in ("cpu", "cuda")]  # fmt: skip
    for ours, theirs in zip(*rows):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
        assert ours["val_accuracy"] == pytest.approx(theirs["val_accuracy"], abs=0.03)


@cuda
@pytest.mark.parametrize("first, second", [("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")])
def test_a_run_goes_on_on_another_device(first, second, tmp_path):
    make(first, tmp_path).fit(points(), epochs=1, batch_size=16)
    trainer = make(second, tmp_path)
    history = trainer.fit(points(), epochs=3, batch_size=16, resume=True)
    whole = make("cpu").fit(points(), epochs=3, batch_size=16)
    for ours, theirs in zip(history, whole):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
    assert all(p.device.type == second for p in trainer.model.parameters())
    for state in trainer.optimizer.state.values():
        assert state["exp_avg"].device.type == second and state["step"].device.type == "cpu"


@cuda
def test_saved_tensors_and_states_move(tmp_path):
    layer = nn.Linear(3, 2).cuda()
    optimizer = optim.Adam(layer.parameters(), lr=0.1)
    layer(lamina.ones(1, 3, device="cuda")).sum().backward()
    optimizer.step()
    lamina.save({"model": layer.state_dict(), "optimizer": optimizer.state_dict()},
                tmp_path / "on-cuda.safetensors")  # fmt: skip
    held = lamina.load(tmp_path / "on-cuda.safetensors")
    assert held["model"]["weight"].device.type == "cpu"
    here = nn.Linear(3, 2)
    here.load_state_dict(held["model"])
    assert lamina.equal(here.weight, layer.weight.cpu())
    other = optim.Adam(here.parameters(), lr=0.1)
    other.load_state_dict(optimizer.state_dict())  # straight from the other device
    mine, theirs = other.state[here.weight], optimizer.state[layer.weight]
    assert lamina.equal(mine["exp_avg"], theirs["exp_avg"].cpu())
    assert mine["exp_avg"].device.type == "cpu" and mine["step"].item() == 1
    lamina.save(here.state_dict(), tmp_path / "on-cpu.safetensors")
    back = lamina.load(tmp_path / "on-cpu.safetensors", map_location="cuda")
    assert back["weight"].device.type == "cuda"
    layer.load_state_dict(lamina.load(tmp_path / "on-cpu.safetensors"))
    assert layer.weight.device.type == "cuda"


@cuda
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_in_page_locked_memory(workers):
    x, y = (lamina.from_numpy(a) for a in points(20))

    class Pairs(lamina.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, i):
            return {"x": x[i], "y": (y[i], "name")}

    loader = DataLoader(Pairs(), 8, num_workers=workers, pin_memory=True)
    for i, batch in enumerate(loader):
        assert batch["x"].is_pinned() and batch["y"][0].is_pinned() and batch["y"][1][0] == "name"
        moved = batch["x"].to("cuda", non_blocking=True)
        assert lamina.equal(moved.cpu(), x[8 * i : 8 * i + 8])
    for batch in DataLoader(TensorDataset(x, y), 8, pin_memory=True):
        assert all(t.is_pinned() for t in batch)


def test_pinning_without_a_device_does_nothing():
    if lamina.cuda.is_available():
        pytest.skip("there is a CUDA device")
    x = lamina.ones(4, 2)
    assert [t[0].tolist() for t in DataLoader(TensorDataset(x), 4, pin_memory=True)] == [x.tolist()]


@cuda
def test_dlpack_of_a_device():
    x = lamina.arange(6, dtype=lamina.float32, device="cuda").reshape(2, 3)
    assert x.__dlpack_device__() == (2, 0) and lamina.ones(1).__dlpack_device__() == (1, 0)
    y = lamina.from_dlpack(x.t())
    assert y.device == x.device and y.cpu().tolist() == x.t().cpu().tolist()
    y.mul_(2)  # the same memory
    assert x.cpu().tolist() == [[0, 2, 4], [6, 8, 10]]
    other = lamina.cuda.Stream()
    for stream in (None, 1, -1, other.cuda_stream):
        assert lamina.from_dlpack(x.__dlpack__(stream=stream)).shape == (2, 3)
    if lamina.cuda.device_count() > 1:
        z = lamina.ones(2, device="cuda:1")
        assert z.__dlpack_device__() == (2, 1)
        assert lamina.from_dlpack(z).device == z.device


@cuda
def test_a_bad_label_in_a_replay_names_the_operation():
    layer = nn.Linear(4, 3).cuda()
    optimizer = optim.SGD(layer.parameters(), lr=0.1)

    @lamina.compile(fullgraph=True)
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    x = lamina.ones(2, 4, device="cuda")
    good, bad = (lamina.tensor(t, device="cuda") for t in ([0, 1], [0, 9]))
    for _ in range(6):
        step(x, good)
    assert "graph of the device" in step.plan.summary()
    held = {k: v.clone() for k, v in layer.state_dict().items()}
    step(x, bad)  # nothing waits for it
    with pytest.raises(IndexError, match="cross_entropy: target 9 is out of range for 3 classes"):
        lamina.cuda.synchronize()
    layer.load_state_dict(held)  # what came of the bad label is not to be used
    assert np.isfinite(step(x, good).item())

    pick = lamina.compile(lamina.no_grad()(lambda x, y: F.nll_loss(x, y)), fullgraph=True)
    scores = lamina.zeros(2, 3, device="cuda")
    for _ in range(4):
        pick(scores, good)
    pick(scores, bad)
    with pytest.raises(IndexError, match="nll_loss: a target is out of range for 3 classes"):
        lamina.cuda.synchronize()

    table = nn.Embedding(5, 2).cuda()
    look = lamina.compile(lamina.no_grad()(lambda i: table(i)), fullgraph=True)
    for _ in range(4):
        look(good)
    look(bad)
    with pytest.raises(IndexError, match="embedding: index 9"):
        lamina.cuda.synchronize()
    assert lamina.equal(look(good), table(good))


@cuda
def test_the_command(tmp_path, capsys):
    from lamina import cli

    assert cli.main(["train", "--model", "mlp", "--epochs", "1", "--batch-size", "512",
                     "--device", "cuda", "--out", str(tmp_path / "run")]) == 0  # fmt: skip
    assert cli.main(["eval", str(tmp_path / "run"), "--device", "cuda"]) == 0
    assert cli.main(["eval", str(tmp_path / "run")]) == 0
    assert cli.main(["predict", str(tmp_path / "run"), "0", "--device", "cuda"]) == 0
    text = capsys.readouterr().out
    assert lamina.cuda.get_device_name() in text and "seed 0" in text


def test_the_command_names_a_device_that_is_not_there(capsys):
    from lamina import cli

    assert cli.main(["train", "--device", "cuda:77"]) == 2
    assert "cuda" in capsys.readouterr().err


@cuda
def test_what_lies_elsewhere_is_named():
    model = nn.Linear(3, 1)
    optimizer = lamina.optim.AdamW(model.parameters())
    model(lamina.ones(2, 3)).sum().backward()
    optimizer.step()
    model.cuda()
    optimizer.zero_grad()
    model(lamina.ones(2, 3).cuda()).sum().backward()
    with pytest.raises(lamina.DeviceError, match="the state of parameter 0 is on cpu"):
        optimizer.step()
    x = lamina.ones(3, device="cuda", requires_grad=True)
    with pytest.raises(lamina.DeviceError, match="backward: the gradient is on cpu"):
        (x * 2).backward(lamina.ones(3))
    with pytest.raises(IndexError, match="index -1 is out of bounds"):
        x.detach().gather(0, lamina.tensor([-1], device="cuda")).cpu()
