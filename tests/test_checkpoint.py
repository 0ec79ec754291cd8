"""A run that is stopped anywhere and resumed ends with the bits of one that was not."""

from __future__ import annotations

import os
import random
import signal

import pytest

import lamina
import row
from lamina import nn, serialization
from lamina.trainer import Callback, EarlyStopping, LRSchedule, NonFiniteLoss, Trainer
from lamina.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    """60 points of two classes; every reading draws from lamina's and Python's generators."""

    def __init__(self):
        generator = lamina.Generator()
        generator.manual_seed(0)
        self.x = lamina.randn(60, 6, generator=generator)
        self.y = (self.x.sum(1) > 0).long()

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return self.x[i] + 0.1 * lamina.randn(6) + 0.1 * random.random(), self.y[i]


class StopAfter(Callback):
    """Presses Ctrl-C after so many batches in all."""

    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, trainer):
        """Counts."""
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def make(out, *more, optimizer="adam", scheduler="cosine", seed=1):
    lamina.manual_seed(0)
    random.seed(0)
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
    )
    return Trainer(
        model, "cross_entropy", optimizer, ["accuracy", lamina.metrics.F1(2)], lr=0.01, seed=seed,
        scheduler=scheduler, clip_grad_norm=1.0, out=out, progress=False, callbacks=more,
        device=None if row.DEVICE == "cpu" else row.DEVICE,
    )  # fmt: skip


def data(kind):
    if kind == "dataset":
        return Noisy()
    if kind == "tensors":
        return (Noisy().x, Noisy().y)
    generator = lamina.Generator()
    generator.manual_seed(9)
    workers = {"num_workers": 2} if kind == "workers" else {}
    return DataLoader(Noisy(), 16, shuffle=True, generator=generator, **workers)


def assert_same_bits(a, b):
    """All of two folders but the times."""
    ours, theirs = (serialization.load_file(d / "last.safetensors") for d in (a, b))
    assert list(ours) == list(theirs)
    for name, t in theirs.items():
        assert t.shape == ours[name].shape and (t == ours[name]).all(), name
    assert (a / "best.safetensors").read_bytes() == (b / "best.safetensors").read_bytes()
    rows = [lamina.load(d / "last.safetensors")["history"] for d in (a, b)]
    for each in (*rows[0], *rows[1]):
        each.pop("seconds")
    assert rows[0] == rows[1]


@pytest.mark.parametrize("kind", ["dataset", "tensors", "loader", "workers"])
@pytest.mark.parametrize("stop", [1, 3, 4, 6])
def test_stopped_after_a_batch_and_resumed(kind, stop, tmp_path):
    """4 batches an epoch: in the first one, at its end, in the second one."""
    valid = (Noisy().x, Noisy().y)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    make(whole).fit(data(kind), valid, epochs=3, batch_size=16)

    history = make(parts, StopAfter(stop)).fit(data(kind), valid, epochs=3, batch_size=16)
    assert history.interrupted and len(history.rows) < 3
    lamina.manual_seed(1234)  # what happens in between does not matter
    random.seed(1234)
    history = make(parts).fit(data(kind), valid, epochs=3, batch_size=16, resume=True)
    assert not history.interrupted and history["epoch"] == [1, 2, 3]
    assert_same_bits(parts, whole)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad"])
@pytest.mark.parametrize("scheduler", ["onecycle", "plateau", None])
def test_every_optimizer_and_schedule_goes_on(optimizer, scheduler, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = {"optimizer": optimizer, "scheduler": scheduler}
    make(whole, **options).fit(Noisy(), Noisy(), epochs=3, batch_size=16)
    make(parts, StopAfter(5), **options).fit(Noisy(), Noisy(), epochs=3, batch_size=16)
    make(parts, **options).fit(Noisy(), Noisy(), epochs=3, batch_size=16, resume=True)
    assert_same_bits(parts, whole)


def test_stopped_again_and_again(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    make(whole).fit(Noisy(), epochs=3, batch_size=16)
    for i in range(20):
        trainer = make(parts, StopAfter(1))
        history = trainer.fit(Noisy(), epochs=3, batch_size=16, resume=i > 0)
        if not history.interrupted:
            break
    assert i >= 11
    assert_same_bits(parts, whole)


def test_early_stopping_goes_on(tmp_path):
    """Patience and the best weights are part of the state."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def stopping():
        return EarlyStopping("loss", patience=2, mode="max", restore_best=True)

    ours = make(whole, stopping())
    ours.fit(Noisy(), epochs=9, batch_size=16)
    make(parts, stopping(), StopAfter(6)).fit(Noisy(), epochs=9, batch_size=16)
    theirs = make(parts, stopping())
    theirs.fit(Noisy(), epochs=9, batch_size=16, resume=True)
    assert ours.epoch == theirs.epoch == 3 and ours.history.stopped == theirs.history.stopped
    for a, b in zip(ours.model.parameters(), theirs.model.parameters()):
        assert a.tolist() == b.tolist()


def test_a_schedule_of_ones_own_goes_on(tmp_path):
    def own():
        return LRSchedule(lambda o: lamina.optim.lr_scheduler.StepLR(o, 1, 0.5))

    first = make(tmp_path / "a", scheduler=own())
    first.fit(Noisy(), epochs=2)
    second = make(tmp_path / "b", scheduler=own())
    history = second.fit(Noisy(), epochs=4, resume=tmp_path / "a" / "last.safetensors")
    assert history["lr"] == pytest.approx([0.01, 0.005, 0.0025, 0.00125])


def test_a_checkpoint_loaded_before_fit(tmp_path):
    """What `fit` makes takes over the state when it begins."""
    make(tmp_path / "a", scheduler="plateau").fit(Noisy(), epochs=3)
    trainer = make(None, scheduler="plateau")
    trainer.load_checkpoint(tmp_path / "a" / "last.safetensors")
    held = trainer.state_dict()["callbacks"]["LRSchedule.0"]["scheduler"]
    assert held["last_epoch"] == 3
    assert trainer.fit(Noisy(), epochs=2)["epoch"] == [1, 2, 3, 4, 5]
    assert trainer.state_dict()["callbacks"]["LRSchedule.0"]["scheduler"]["last_epoch"] == 5

    make(tmp_path / "b").fit(Noisy(), epochs=2)
    trainer = make(None)  # a cosine begins anew with each fit
    trainer.load_checkpoint(tmp_path / "b" / "last.safetensors")
    assert trainer.fit(Noisy(), epochs=2)["lr"][-1] == 0.0
    first = trainer.fit(Noisy(), epochs=4)["lr"][4]
    assert 0.005 < first < 0.01


# ---- errors --------------------------------------------------------------------------------------
def test_nothing_to_resume(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at .*last.safetensors; train first"):
        make(tmp_path / "a").fit(Noisy(), resume=True)
    with pytest.raises(ValueError, match="resume=True needs a trainer with out="):
        make(None).fit(Noisy(), resume=True)


def test_another_model(tmp_path):
    make(tmp_path / "a").fit(Noisy())
    other = Trainer(nn.Linear(6, 2), progress=False)
    with pytest.raises(RuntimeError, match="state_dict"):
        other.fit(Noisy(), epochs=2, resume=tmp_path / "a" / "last.safetensors")


def test_weights_alone_are_no_checkpoint(tmp_path):
    make(tmp_path / "a").fit(Noisy())
    with pytest.raises(ValueError, match="best.safetensors: not a trainer's checkpoint"):
        make(None).load_checkpoint(tmp_path / "a" / "best.safetensors")


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    trainer = make(tmp_path / "a")
    trainer.fit(Noisy())

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError,
        match="cannot save .*: No space left on device; the file saved before is untouched; free "
        "space or use another folder",
    ):
        trainer.save_checkpoint(tmp_path / "a" / "last.safetensors")
    monkeypatch.undo()
    make(None).load_checkpoint(tmp_path / "a" / "last.safetensors")
    assert not [p for p in (tmp_path / "a").iterdir() if p.name.startswith(".")]


def test_a_loss_that_explodes_keeps_the_last_good_checkpoint(tmp_path):
    class Explode(Callback):
        def on_epoch_end(self, trainer, row):
            """After the second epoch the weights are NaN."""
            if trainer.epoch == 2:
                with lamina.no_grad():
                    for p in trainer.model.parameters():
                        p.fill_(float("nan"))

    trainer = make(tmp_path / "a")
    trainer.callbacks.append(Explode())
    with pytest.raises(NonFiniteLoss, match=r"the last good checkpoint is kept: .*\(epoch 2\)"):
        trainer.fit(Noisy(), epochs=5)
    state = lamina.load(tmp_path / "a" / "last.safetensors")
    assert state["epoch"] == 2
    assert all(lamina.isfinite(t).all() for t in state["model"].values())
