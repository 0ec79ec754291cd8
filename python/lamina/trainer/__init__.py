"""The trainer: one loop around any module, with callbacks, checkpoints and a history.

trainer = Trainer(model, "cross_entropy", "adam", lr=1e-3, out="runs/first")
history = trainer.fit(train, valid, epochs=5)
trainer.evaluate(test)
trainer.predict(images)
"""

from .callbacks import (
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    GradClip,
    LRSchedule,
)
from .history import History
from .lr_range import LRRange, lr_range_test
from .progress import Progress
from .trainer import NonFiniteLoss, Trainer

__all__ = [
    "CSVLogger", "Callback", "Checkpoint", "EarlyStopping", "GradClip", "History", "LRRange",
    "LRSchedule", "NonFiniteLoss", "Progress", "Trainer", "lr_range_test",
]  # fmt: skip
