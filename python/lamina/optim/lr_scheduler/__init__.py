"""Learning-rate schedules, with PyTorch's names: ``scheduler.step()`` after each epoch (or batch).

>>> w = lamina.tensor([1.0], requires_grad=True)
>>> optimizer = lamina.optim.SGD([w], lr=0.5)
>>> scheduler = lamina.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
>>> optimizer.step()
>>> scheduler.step()
>>> scheduler.get_last_lr()
[0.25]
"""

from .base import LRScheduler
from .combined import ChainedScheduler, SequentialLR
from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from .cyclic import CyclicLR, OneCycleLR
from .decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from .plateau import ReduceLROnPlateau
from .textbook import InverseTimeLR, WarmupLR

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts",
    "CyclicLR", "ExponentialLR", "InverseTimeLR", "LRScheduler", "LambdaLR", "LinearLR",
    "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau",
    "SequentialLR", "StepLR", "WarmupLR",
]  # fmt: skip

_LRScheduler = LRScheduler  # the name it had before PyTorch 2
