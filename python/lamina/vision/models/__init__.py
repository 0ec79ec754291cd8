"""Networks for images, with torchvision's names, arguments and state_dict keys.

>>> from lamina.vision import models
>>> model = models.resnet18(num_classes=10)
>>> sum(p.numel() for p in model.parameters())
11181642
"""

from ._registry import Weights as _Weights
from ._registry import get_model, get_model_builder, list_models
from .alexnet import *
from .cifar_resnet import *
from .densenet import *
from .efficientnet import *
from .googlenet import *
from .inception import *
from .lenet import *
from .mobilenetv1 import *
from .mobilenetv2 import *
from .mobilenetv3 import *
from .resnet import *
from .shufflenetv2 import *
from .squeezenet import *
from .unet import *
from .vgg import *
from .vision_transformer import *


def __getattr__(name: str):
    """torchvision's enumerations of trained weights, ``ResNet18_Weights`` and kin: they can be
    imported and named, and every builder refuses their members."""
    if name.endswith("_Weights"):
        return _Weights(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
