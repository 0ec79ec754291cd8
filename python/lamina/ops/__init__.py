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


def _second_names() -> None:
    """Lets every operation with a dimension be called with NumPy's names too (``axis=1``,
    ``keepdims=True``), as PyTorch's are."""
    from types import FunctionType

    from .._core import Tensor, renaming

    sections = "indices_or_sections"
    names = {
        "axis": "dim", "keepdims": "keepdim", "a": "input", "x": "input", "x1": "input",
        "x2": "other", "split_size": "split_size_or_sections", "indices": sections,
        "sections": sections, "tensor_indices_or_sections": sections,
    }  # fmt: skip
    copied = ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__")
    done: dict = {}

    def renamed(f):
        if type(f) is not FunctionType:
            return None
        code = getattr(f, "__wrapped__", f).__code__
        own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if "dim" not in own and sections not in own:
            return None
        if f not in done:
            done[f] = renaming(f, {second: n for second, n in names.items() if second not in own})
            for attribute in copied:
                setattr(done[f], attribute, getattr(f, attribute))
        return done[f]

    for module in _modules:
        for name in module.__all__:
            if g := renamed(getattr(module, name)):
                globals()[name] = g
                setattr(module, name, g)
    for name, f in list(vars(Tensor).items()):
        if g := renamed(f):
            setattr(Tensor, name, g)


_second_names()
