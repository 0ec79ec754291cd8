"""Metrics: numbers about a whole data set, collected batch by batch.

>>> import lamina
>>> from lamina.metrics import Accuracy
>>> accuracy = Accuracy()
>>> accuracy.update(lamina.tensor([[0.9, 0.1], [0.2, 0.8]]), lamina.tensor([0, 0]))
>>> accuracy.compute()
0.5
"""

from .base import Mean, MeanLoss, Metric
from .classification import F1, Accuracy, ConfusionMatrix, Precision, Recall
from .names import get

__all__ = [
    "F1", "Accuracy", "ConfusionMatrix", "Mean", "MeanLoss", "Metric", "Precision", "Recall", "get",
]  # fmt: skip
