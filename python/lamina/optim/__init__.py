"""Optimizers and learning-rate schedules, with PyTorch's names.

>>> w = lamina.tensor([1.0, 2.0], requires_grad=True)
>>> optimizer = lamina.optim.SGD([w], lr=0.1)
>>> (w * w).sum().backward()
>>> optimizer.step()
>>> w.detach()
tensor([0.8000, 1.6000])
"""

from . import lr_scheduler
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .adamw import AdamW
from .asgd import ASGD
from .groups import decay_groups
from .kfac import KFAC
from .lbfgs import LBFGS
from .lion import Lion
from .nadam import NAdam
from .natural_gradient import NaturalGradient
from .newton import Newton
from .optimizer import Optimizer
from .projected_gradient import (
    ProjectedGradient,
    project_ball,
    project_box,
    project_simplex,
    project_sphere,
)
from .radam import RAdam
from .rmsprop import RMSprop
from .rprop import Rprop
from .sgd import SGD
from .sparse_adam import SparseAdam

__all__ = [
    "ASGD", "KFAC", "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion",
    "NAdam", "NaturalGradient", "Newton", "Optimizer", "ProjectedGradient", "RAdam", "RMSprop",
    "Rprop", "SparseAdam", "decay_groups", "lr_scheduler", "project_ball", "project_box",
    "project_simplex", "project_sphere", "swa_utils",
]  # fmt: skip


def __getattr__(name: str):
    """``optim.swa_utils``, which knows modules, is imported when first used."""
    if name == "swa_utils":
        import importlib

        return importlib.import_module(".swa_utils", __name__)
    raise AttributeError(f"module 'lamina.optim' has no attribute {name!r}")
