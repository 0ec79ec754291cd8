"""PyTorch's module path: ``lamina.utils.data._utils.collate`` is `lamina.utils.data.collate`."""

import sys as _sys

from .. import collate
from .._workers import get_worker_info

_sys.modules[f"{__name__}.collate"] = collate
__all__ = ["collate", "get_worker_info"]
