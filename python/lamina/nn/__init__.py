"""Layers, containers, losses and initial values, with PyTorch's names.

>>> from lamina import nn
>>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
>>> sum(p.numel() for p in model.parameters())
58
"""

from . import functional, init
from .activation import *
from .attention import *
from .batch_statistics import *
from .container import *
from .conv import *
from .distance import *
from .dropout import *
from .flatten import *
from .fold import *
from .generation import *
from .kv_cache import *
from .lazy import *
from .linear import *
from .loss import *
from .loss_extra import *
from .module import Module
from .normalization import *
from .padding import *
from .parameter import Buffer, Parameter
from .parameter_list import *
from .pooling import *
from .positions import *
from .recurrent import *
from .regularize import *
from .sparse import *
from .transformer import *
from .unpooling import *
from .upsampling import *


def __getattr__(name: str):
    """``nn.utils`` and others are imported when first used."""
    if name in ("modules", "parallel", "utils"):
        import importlib

        return importlib.import_module(f".{name}", __name__)
    if name == "DataParallel":
        from .parallel import DataParallel

        return DataParallel
    if name == "AdaptiveLogSoftmaxWithLoss":
        from .adaptive import AdaptiveLogSoftmaxWithLoss

        return AdaptiveLogSoftmaxWithLoss
    if name == "NLLLoss2d":  # the name it had for images
        from .loss import NLLLoss

        return NLLLoss
    raise AttributeError(f"module 'lamina.nn' has no attribute {name!r}")
