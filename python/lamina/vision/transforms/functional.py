"""Functions on images that draw nothing, with torchvision's names.

An image is a tensor (..., C, H, W), leading dimensions being a batch, or a Pillow image, which
gives a Pillow image again.
"""

from ._colours import *
from ._images import InterpolationMode, get_dimensions, get_image_num_channels, get_image_size
from ._moves import *
from ._moves import MODES, middle, pair, sides
from ._resampling import *
from ._values import *
