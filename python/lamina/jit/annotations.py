"""PyTorch's module path of the types that scripted code is annotated with: those of `typing`."""

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035

__all__ = ["Any", "Dict", "List", "Optional", "Tuple", "Union"]
