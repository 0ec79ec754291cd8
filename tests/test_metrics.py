"""Metrics against counts made by hand and in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lamina
from lamina import metrics


def batches(rng, sizes, classes):
    for n in sizes:
        yield rng.standard_normal((n, classes)).astype(np.float32), rng.integers(0, classes, n)


def feed(metric, data):
    for scores, labels in data:
        metric.update(lamina.from_numpy(scores), lamina.from_numpy(labels))
    return metric.compute()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_accuracy_is_the_share_of_labels_among_the_top_k(k):
    data = list(batches(np.random.default_rng(0), [7, 1, 64], 6))
    value = feed(metrics.Accuracy(k=k), data)
    hits = [
        label in np.argsort(-row)[:k]
        for scores, labels in data
        for row, label in zip(scores, labels)
    ]
    assert value == np.mean(hits)


def test_accuracy_of_dense_labels_and_ignored_ones():
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((4, 3, 5, 2)).astype(np.float32)
    labels = rng.integers(0, 3, (4, 5, 2))
    labels[0] = -100
    metric = metrics.Accuracy(ignore_index=-100)
    value = feed(metric, [(scores, labels)])
    keep = labels != -100
    assert value == (scores.argmax(1) == labels)[keep].mean()


def test_accuracy_of_two_classes_with_one_score():
    metric = metrics.Accuracy()
    metric.update(lamina.tensor([[2.0], [-1.0], [0.5]]), lamina.tensor([1, 0, 0]))
    assert metric.compute() == 2 / 3
    metric.reset()
    metric.update(lamina.tensor([2.0, -1.0]), lamina.tensor([1.0, 1.0]))
    assert metric.compute() == 0.5


def test_accuracy_of_class_probabilities():
    metric = metrics.Accuracy()
    target = lamina.tensor([[0.1, 0.9], [0.8, 0.2]])
    metric.update(lamina.tensor([[0.0, 1.0], [0.0, 1.0]]), target)
    assert metric.compute() == 0.5


def test_accuracy_without_samples_is_nan():
    assert math.isnan(metrics.Accuracy().compute())


def test_accuracy_names_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"Accuracy: output of shape \(4, 3\) does not fit a "
                                         r"target of shape \(5,\)"):  # fmt: skip
        metrics.Accuracy().update(lamina.zeros(4, 3), lamina.zeros(5, dtype=lamina.int64))
    with pytest.raises(ValueError, match="top 5 needs scores of at least 5 classes"):
        metrics.Accuracy(k=5).update(lamina.zeros(4, 3), lamina.zeros(4, dtype=lamina.int64))
    with pytest.raises(ValueError, match="k must be a positive integer"):
        metrics.Accuracy(k=0)


def test_mean_weighs_and_finds_the_first_bad_value():
    mean = metrics.Mean()
    for i in range(200):
        mean.update(lamina.tensor(float(i)), i % 3)
    weights = [i % 3 for i in range(200)]
    assert mean.compute() == sum(i * w for i, w in enumerate(weights)) / sum(weights)
    assert mean.first_bad is None
    mean.reset()
    for value in (1.0, math.inf, 2.0, math.nan):
        mean.update(lamina.tensor(value))
    mean.read()
    assert mean.first_bad == 1


def test_mean_holds_no_graph():
    w = lamina.ones(3, requires_grad=True)
    mean = metrics.Mean()
    mean.update((w * 2).sum())
    assert not mean._waiting[0][0].requires_grad


def test_mean_loss_equals_the_loss_of_everything():
    rng = np.random.default_rng(2)
    parts = [(rng.standard_normal(n), rng.standard_normal(n)) for n in (3, 5, 1)]
    metric = metrics.MeanLoss(lambda a, b: ((a - b) * (a - b)).mean())
    value = feed(metric, parts)
    a, b = (np.concatenate(p) for p in zip(*parts))
    assert value == pytest.approx(((a - b) ** 2).mean(), rel=1e-14)


def confusion(data, classes):
    M = np.zeros((classes, classes), int)
    for scores, labels in data:
        np.add.at(M, (labels, scores.argmax(1)), 1)
    return M


def test_confusion_precision_recall_f1():
    C = 4
    data = list(batches(np.random.default_rng(3), [50, 33], C))
    M = confusion(data, C)
    assert feed(metrics.ConfusionMatrix(C), data).tolist() == M.tolist()
    tp, predicted, true = np.diag(M), M.sum(0), M.sum(1)
    close = dict(rel=1e-14)
    assert feed(metrics.Precision(C), data) == pytest.approx((tp / predicted).mean(), **close)
    assert feed(metrics.Recall(C), data) == pytest.approx((tp / true).mean(), **close)
    f1 = 2 * tp / (predicted + true)
    assert feed(metrics.F1(C), data) == pytest.approx(f1.mean(), **close)
    assert feed(metrics.F1(C, average=None), data).tolist() == pytest.approx(f1.tolist(), **close)
    assert feed(metrics.F1(C, "micro"), data) == pytest.approx(tp.sum() / M.sum(), **close)


def test_a_class_that_never_occurs_counts_as_zero():
    metric = metrics.Precision(3, average=None)
    metric.update(lamina.tensor([[1.0, 0, 0]]), lamina.tensor([0]))
    assert metric.compute().tolist() == [1, 0, 0]


def test_labels_out_of_range_are_an_error():
    metric = metrics.ConfusionMatrix(2)
    metric.update(lamina.tensor([0, 1, 1]), lamina.tensor([0, 2, 1]))
    with pytest.raises(ValueError, match=r"1 samples have a label or prediction outside \[0, 2\)"):
        metric.compute()


def test_state_goes_on_in_the_middle():
    data = list(batches(np.random.default_rng(4), [8, 8], 3))
    whole = metrics.Accuracy()
    feed(whole, data)
    half, rest = metrics.Accuracy(), metrics.Accuracy()
    feed(half, data[:1])
    rest.load_state_dict(half.state_dict())
    assert feed(rest, data[1:]) == whole.compute()


def test_metrics_by_name():
    assert metrics.get("accuracy").name == "accuracy"
    assert metrics.get("top5").k == 5
    with pytest.raises(ValueError, match="unknown metric 'acuracy'; choose 'accuracy'"):
        metrics.get("acuracy")
    with pytest.raises(TypeError, match="expected a name or a Metric, got int"):
        metrics.get(3)
