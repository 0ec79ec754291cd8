"""The operations, one module per stem; every public function is also ``lamina.<name>``."""

import importlib as _importlib

_STEMS = (
    "creation", "convert", "elementwise", "special", "activation", "view", "reduce", "softmax",
    "loss", "norm", "matmul", "linalg", "einsum", "conv", "pool", "join", "index", "scan", "sort",
    "dropout", "recurrent", "attention", "arithmetic", "attributes", "numeric", "resize",
    "loss_extra", "regularize", "native", "complex",
)  # fmt: skip

__all__: list[str] = []
_modules = [_importlib.import_module(f".{_stem}", __name__) for _stem in _STEMS]
for _module in _modules:  # after all imports: a function may have the name of a module (norm)
    for _name in _module.__all__:
        globals()[_name] = getattr(_module, _name)
    __all__ += _module.__all__
