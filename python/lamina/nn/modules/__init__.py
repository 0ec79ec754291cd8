"""PyTorch's module paths: ``lamina.nn.modules.conv`` is `lamina.nn.conv`, and so on."""

import sys as _sys

from .. import (  # noqa: F401
    activation,
    container,
    conv,
    distance,
    dropout,
    flatten,
    fold,
    linear,
    loss,
    module,
    normalization,
    padding,
    pooling,
    recurrent,
    sparse,
    transformer,
    unpooling,
    upsampling,
)
from .. import normalization as batchnorm
from .. import normalization as instancenorm
from .. import recurrent as rnn
from .. import upsampling as pixelshuffle
from ..activation import *
from ..attention import MultiheadAttention
from ..container import *
from ..conv import *
from ..distance import *
from ..dropout import *
from ..flatten import *
from ..fold import *
from ..linear import *
from ..loss import *
from ..module import Module
from ..normalization import *
from ..padding import *
from ..parameter_list import *
from ..pooling import *
from ..recurrent import *
from ..sparse import *
from ..transformer import *
from ..unpooling import *
from ..upsampling import *
from . import utils  # noqa: F401

for _name in ("activation", "batchnorm", "container", "conv", "distance", "dropout", "flatten",
              "fold", "instancenorm", "linear", "loss", "module", "normalization", "padding",
              "pixelshuffle", "pooling", "rnn", "sparse", "transformer", "upsampling"):  # fmt: skip
    _sys.modules[f"{__name__}.{_name}"] = globals()[_name]
conv._ConvNd = conv._Conv  # type: ignore[attr-defined]
conv._ConvTransposeNd = conv._ConvTranspose  # type: ignore[attr-defined]
transformer._get_activation_fn = transformer._activation  # type: ignore[attr-defined]
activation.MultiheadAttention = MultiheadAttention  # type: ignore[attr-defined]
for _name in unpooling.__all__:
    setattr(pooling, _name, getattr(unpooling, _name))
