"""The trainer: histories, callbacks, stopping, bad input. Checkpoints are in test_checkpoint.py."""

from __future__ import annotations

import io
import math
import os
import signal

import numpy as np
import pytest

import lamina
import row
from lamina import metrics, nn
from lamina.trainer import (
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LRSchedule,
    NonFiniteLoss,
    Progress,
    Trainer,
)
from lamina.utils.data import DataLoader, Dataset, TensorDataset


def points(n=320, seed=0):
    """Points in the plane and on which side of a line they lie."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 8)).astype(np.float32)
    return x, (2 * x[:, 0] + x[:, 1] > 0).astype(np.int64)


def make(seed=0, **options):
    lamina.manual_seed(seed)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
    options = {"lr": 1e-2, "seed": 1, "progress": False, **options}
    if row.DEVICE != "cpu":
        options.setdefault("device", row.DEVICE)
    return Trainer(model, **options)


def test_it_learns_and_tells():
    train, test = points(), points(seed=1)
    trainer = make()
    history = trainer.fit(train, test, epochs=8, batch_size=32)
    assert len(history) == 8 and not history.interrupted and history.stopped is None
    assert history.columns == [
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"
    ]  # fmt: skip
    assert history["epoch"] == list(range(1, 9))
    assert history["val_accuracy"][-1] > 0.9 > history["accuracy"][0]
    measured = trainer.evaluate(test)
    assert measured["accuracy"] == history[-1]["val_accuracy"]
    assert measured["loss"] == pytest.approx(history[-1]["val_loss"], rel=1e-6)


def test_predict_gives_one_row_per_sample_whatever_the_form():
    x, y = points(70)
    trainer = make()
    whole = trainer.predict(x)
    assert whole.shape == (70, 2) and not whole.requires_grad
    for data in (lamina.from_numpy(x), (x, y), DataLoader(TensorDataset(lamina.from_numpy(x)), 70)):
        assert lamina.allclose(trainer.predict(data), whole, atol=1e-6)
    assert trainer.model.training


def test_evaluate_leaves_modes_and_random_numbers_alone():
    trainer = make()
    trainer.model[2].eval()
    before = lamina.get_rng_state().tolist()
    trainer.evaluate(points())
    assert trainer.model.training and not trainer.model[2].training
    assert lamina.get_rng_state().tolist() == before


def test_the_same_seed_gives_the_same_bits():
    a, b, c = make(), make(), make(seed=5)
    losses = [t.fit(points(), epochs=3)["loss"] for t in (a, b, c)]
    assert losses[0] == losses[1] != losses[2]


def test_two_fits_are_one_long_fit():
    a, b = make(), make()
    a.fit(points(), epochs=5)
    b.fit(points(), epochs=2)
    b.fit(points(), epochs=3)
    assert a.history["loss"] == b.history["loss"] and b.history["epoch"] == [1, 2, 3, 4, 5]


def test_it_equals_a_hand_written_loop():
    x, y = (lamina.from_numpy(v) for v in points())
    trainer = make()
    trainer.fit((x, y), epochs=2, batch_size=64, shuffle=False)

    lamina.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
    model, x, y = (v.to(row.DEVICE) for v in (model, x, y))
    lamina.manual_seed(1)
    optimizer = lamina.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(2):
        for at in range(0, len(x), 64):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[at : at + 64]), y[at : at + 64])
            loss.backward()
            optimizer.step()
    for ours, theirs in zip(trainer.model.parameters(), model.parameters()):
        assert ours.detach().tolist() == theirs.detach().tolist()


def test_regression_without_metrics():
    x, _ = points()
    y = x[:, :1] * 2
    lamina.manual_seed(0)
    trainer = Trainer(nn.Linear(8, 1), "mse", "sgd", lr=0.1, progress=False)
    history = trainer.fit((x, y), (x, y), epochs=10)
    assert history.columns == ["epoch", "loss", "val_loss", "lr", "seconds"]
    assert history[-1]["val_loss"] < 0.05


def test_several_inputs():
    class Add(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 2), nn.Linear(8, 2)

        def forward(self, x, z):
            return self.a(x) + self.b(z)

    x, y = points()
    trainer = Trainer(Add(), progress=False)
    trainer.fit((x, x, y), epochs=1)
    assert trainer.evaluate((x, x, y))["loss"] > 0


def test_a_data_set_and_a_generator_of_batches():
    x, y = (lamina.from_numpy(v) for v in points(64))

    class Pairs(Dataset):
        def __getitem__(self, i):
            return x[i], y[i]

        def __len__(self):
            return 64

    batches = [(x[:32], y[:32]), (x[32:], y[32:])]
    assert make().evaluate(Pairs()) == pytest.approx(make().evaluate(batches), rel=1e-6)


# ---- choices ---------------------------------------------------------------------------------
def test_optimizers_in_every_form():
    model = nn.Linear(2, 2)
    sgd = lamina.optim.SGD(model.parameters(), lr=0.5)
    assert Trainer(model, optimizer=sgd, progress=False).optimizer is sgd
    assert Trainer(model, optimizer="AdamW", lr=0.1).optimizer.param_groups[0]["lr"] == 0.1
    made = Trainer(model, optimizer=lambda p: lamina.optim.RMSprop(p, lr=0.3)).optimizer
    assert made.param_groups[0]["lr"] == 0.3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"loss": "crossentropy"}, "unknown loss 'crossentropy'; did you mean 'cross_entropy'?"),
        ({"optimizer": "adma"}, "unknown optimizer 'adma'; did you mean 'adam'?"),
        ({"metrics": ["auc"]}, "unknown metric 'auc'"),
        ({"loss": 3}, "loss must be a name or a function, got int"),
        ({"optimizer": 3}, "optimizer must be a name, an Optimizer or a function"),
    ],
)
def test_unknown_choices(options, message):
    with pytest.raises((ValueError, TypeError)) as error:
        Trainer(nn.Linear(2, 2), **options)
    assert message in str(error.value)


def test_what_is_not_a_model():
    with pytest.raises(TypeError, match="model must be an nn.Module, got function"):
        Trainer(lambda x: x)
    with pytest.raises(ValueError, match="the model has no trainable parameters"):
        Trainer(nn.ReLU())


# ---- bad data --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "data, message",
    [
        ((np.zeros((0, 8), np.float32), np.zeros(0, int)), "the data set is empty (0 samples)"),
        ((np.zeros((3, 8), np.float32), np.zeros(2, int)),
         "inputs and targets differ in length: shapes (3, 8), (2,)"),
        (3, "expected a DataLoader, a Dataset or a tuple (x, y) of tensors or arrays, got int"),
        ([], "the data set is empty (0 samples)"),
        (np.zeros((3, 8), np.float32), "expected batches (inputs, target), got list of 1 parts"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_trained_on(data, message):
    for call in (make().fit, make().evaluate):
        with pytest.raises((ValueError, TypeError)) as error:
            call(data)
        assert message in str(error.value)


def test_a_label_out_of_range_is_named():
    x, y = points()
    y[17] = 2
    with pytest.raises(Exception, match="2"):
        make().fit((x, y))


def test_nan_loss_stops_and_says_where():
    x, y = points(32 * 100)
    x[32 * 70] = math.nan
    with pytest.raises(NonFiniteLoss) as error:
        make().fit((x, y), epochs=2, batch_size=32, shuffle=False)
    assert str(error.value) == (
        "fit: the loss is nan in epoch 1, batch 71 (lr 0.01); no checkpoint was kept. "
        "Try a smaller lr or clip_grad_norm, and look for NaN in the data"
    )


def test_weights_that_overflow_in_the_last_step_are_noticed():
    x, y = points(32)
    with pytest.raises(NonFiniteLoss, match="weight '.*' is not finite in epoch 1, after batch 1"):
        make(optimizer="sgd", lr=math.inf).fit((x, y), epochs=1, batch_size=32)


def test_bad_number_of_epochs():
    with pytest.raises(ValueError, match="epochs must be a positive integer, got 0"):
        make().fit(points(), epochs=0)


# ---- callbacks -------------------------------------------------------------------------------
class Script(Callback):
    """Replaces val_loss by a script, and notes the calls."""

    def __init__(self, values):
        self.values, self.calls = values, []

    def on_fit_start(self, trainer):
        self.calls.append("fit_start")

    def on_backward(self, trainer):
        self.calls.append("backward")

    def on_batch_end(self, trainer):
        self.calls.append("batch_end")

    def on_epoch_end(self, trainer, row):
        self.calls.append("epoch_end")
        row["val_loss"] = self.values[row["epoch"] - 1]

    def on_fit_end(self, trainer):
        self.calls.append("fit_end")


def test_order_of_hooks():
    script = Script([1.0])
    make(callbacks=[script]).fit(points(64), epochs=1, batch_size=32)
    assert script.calls == ["fit_start", "backward", "batch_end", "backward", "batch_end",
                            "epoch_end", "fit_end"]  # fmt: skip


class Snapshots(Callback):
    """Keeps the weights after each epoch."""

    def __init__(self):
        self.weights = []

    def on_epoch_end(self, trainer, row):
        self.weights.append(trainer.model[0].weight.detach().tolist())


def test_early_stopping_restores_the_best_weights():
    snapshots = Snapshots()
    stop = EarlyStopping("val_loss", patience=2)
    trainer = make(callbacks=[Script([3.0, 1.0, 2.0, 1.0, 0.5]), snapshots, stop])
    history = trainer.fit(points(), epochs=5)
    assert len(history) == 4 and stop.best_epoch == 2
    assert history.stopped == "val_loss has not improved since epoch 2"
    assert trainer.model[0].weight.detach().tolist() == snapshots.weights[1]


def test_early_stopping_min_delta_and_mode():
    stop = EarlyStopping("val_loss", patience=2, min_delta=0.5, mode="max", restore_best=False)
    history = make(callbacks=[Script([1.0, 1.4, 1.5, 9.0]), stop]).fit(points(), epochs=4)
    assert len(history) == 3


def test_nan_is_never_an_improvement():
    stop = EarlyStopping("val_loss", patience=2)
    history = make(callbacks=[Script([math.nan, math.nan, 1.0])] + [stop]).fit(points(), epochs=3)
    assert len(history) == 2


@pytest.mark.parametrize("options", [{"patience": 0}, {"mode": "best"}])
def test_early_stopping_checks_its_arguments(options):
    with pytest.raises(ValueError, match="EarlyStopping: "):
        EarlyStopping(**options)


def test_an_unknown_monitor_names_what_there_is():
    with pytest.raises(ValueError, match="monitor 'val_acc' is not measured; there are loss, acc"):
        make(callbacks=[EarlyStopping("val_acc")]).fit(points())


def test_cosine_falls_to_zero_and_onecycle_peaks():
    class Rates(Callback):
        def __init__(self):
            self.seen = []

        def on_backward(self, trainer):
            self.seen.append(trainer.optimizer.param_groups[0]["lr"])

    rates = Rates()
    make(scheduler="cosine", callbacks=[rates]).fit(points(), epochs=2, batch_size=32)
    n = len(rates.seen)
    expected = [0.01 * (1 + math.cos(math.pi * t / n)) / 2 for t in range(n)]
    assert rates.seen == pytest.approx(expected, abs=1e-12)
    rates = Rates()
    make(scheduler="onecycle", callbacks=[rates]).fit(points(), epochs=2, batch_size=32)
    assert max(rates.seen) == pytest.approx(0.01, rel=0.05)
    assert rates.seen[0] < 0.001 and rates.seen[-1] < 0.001


def test_schedules_by_epoch():
    step = LRSchedule(lambda o: lamina.optim.lr_scheduler.StepLR(o, 2, gamma=0.1))
    history = make(scheduler=step).fit(points(), epochs=4)
    assert history["lr"] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3])
    history = make(callbacks=[Script([1.0] * 9)], scheduler="plateau").fit(points(), epochs=9)
    assert history["lr"][-1] == pytest.approx(1e-3)
    with pytest.raises(ValueError, match="unknown scheduler 'cosin'; did you mean 'cosine'?"):
        make(scheduler="cosin").fit(points())


def test_clipping_bounds_the_norm():
    class Norm(Callback):
        def on_batch_end(self, trainer):
            total = sum(float((p.grad * p.grad).sum()) for p in trainer.model.parameters())
            assert math.sqrt(total) <= 0.011

    make(clip_grad_norm=0.01, callbacks=[Norm()]).fit(points())


def test_custom_metrics():
    trainer = make(metrics=["accuracy", metrics.F1(2)])
    row = trainer.fit(points(), points(seed=1), epochs=1)[0]
    assert {"f1", "val_f1"} <= set(row)


# ---- Ctrl-C ------------------------------------------------------------------------------------
class Press(Callback):
    """Ctrl-C after a batch."""

    def __init__(self, epoch, batch, times=1):
        self.at, self.times = (epoch, batch), times

    def on_batch_end(self, trainer):
        if (trainer.epoch + 1, trainer.batch) == self.at:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_keeps_the_model_and_restores_the_best():
    snapshots = Snapshots()
    before = signal.getsignal(signal.SIGINT)
    trainer = make(callbacks=[Script([1.0, 2.0, 3.0]), snapshots, Press(3, 2)], restore_best=True,
                   monitor="val_loss")  # fmt: skip
    history = trainer.fit(points(), epochs=3, batch_size=32)
    assert history.interrupted and len(history) == 2 and trainer.batch == 2
    assert trainer.model[0].weight.detach().tolist() == snapshots.weights[0]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_twice_stops_at_once():
    with pytest.raises(KeyboardInterrupt):
        make(callbacks=[Press(1, 2, times=2)]).fit(points(), epochs=3, batch_size=32)


# ---- what is printed ---------------------------------------------------------------------------
class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_rows_without_a_terminal():
    out = io.StringIO()
    make(callbacks=[Progress(out)]).fit(points(), points(seed=1), epochs=2)
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr",
                                "seconds"]  # fmt: skip
    assert len(lines) == 3 and len({len(line) for line in lines}) == 1
    assert "\r" not in out.getvalue()


def test_a_live_line_on_a_terminal():
    out = Terminal()
    make(callbacks=[Progress(out, every=0)]).fit(points(), epochs=2, batch_size=32)
    live = [part for part in out.getvalue().split("\r") if part.startswith("epoch 2/2")]
    assert "10/10" in live[-1] and "samples/s" in live[-1] and "loss 0." in live[-1]


# ---- history -----------------------------------------------------------------------------------
def test_history_and_csv(tmp_path):
    path = tmp_path / "deep" / "h.csv"
    history = make(callbacks=[CSVLogger(path)]).fit(points(), epochs=3)
    assert path.read_text() == history.to_csv()
    header, *rows = path.read_text().splitlines()
    assert header == "epoch,loss,accuracy,lr,seconds" and len(rows) == 3
    assert float(rows[1].split(",")[1]) == history["loss"][1]
    assert history.best("accuracy")["accuracy"] == max(history["accuracy"])
    assert history.best("loss")["loss"] == min(history["loss"])
    with pytest.raises(KeyError, match="history has no column 'val_loss'; it has epoch, loss"):
        history["val_loss"]
    assert History().best() is None and repr(History()) == "History(0 epochs)"
