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
from .progress import Progress
from .trainer import NonFiniteLoss, Trainer

__all__ = [
    "CSVLogger", "Callback", "Checkpoint", "EarlyStopping", "GradClip", "History", "LRSchedule",
    "NonFiniteLoss", "Progress", "Trainer",
]  # fmt: skip
