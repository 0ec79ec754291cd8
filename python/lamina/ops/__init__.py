"""The operations, one module per stem; every public function is also ``lamina.<name>``."""

import importlib as _importlib
import sys as _sys

_STEMS = (
    "creation", "convert", "elementwise", "special", "activation", "view", "reduce", "softmax",
    "matmul", "linalg", "join", "index", "scan", "sort", "distinct", "arithmetic", "attributes",
    "numeric", "complex",
)  # fmt: skip
_LATER = {  # stems without methods of Tensor: imported when one of their names is first used
    "loss": "cosine_similarity pairwise_distance",
    "norm": "layer_norm rms_norm group_norm",
    "einsum": "einsum",
    "conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "pool": "max_pool1d max_pool2d max_pool1d_with_indices avg_pool1d adaptive_avg_pool1d",
    "dropout": """
        dropout dropout_ alpha_dropout alpha_dropout_ feature_dropout feature_dropout_
        feature_alpha_dropout feature_alpha_dropout_""",
    "recurrent": "rnn_tanh rnn_relu lstm gru rnn_tanh_cell rnn_relu_cell lstm_cell gru_cell",
    "attention": "",
    "resize": "channel_shuffle pixel_shuffle pixel_unshuffle",
    "loss_extra": "ctc_loss",
    "regularize": "",
    "native": "embedding dropout alpha_dropout feature_alpha_dropout layer_norm group_norm",
}
_STEM_OF = {name: stem for stem, names in _LATER.items() for name in names.split()}

__all__: list[str] = []


def _renamer():
    """Lets every operation with a dimension be called with NumPy's names too (``axis=1``,
    ``keepdims=True``), as PyTorch's are: a function of a function that returns that form of it, or
    None where it needs none."""
    from types import FunctionType

    from .._core import renaming

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
        inner = f
        while hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        code = inner.__code__
        own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if "dim" not in own and sections not in own:
            return None
        if f not in done:
            done[f] = renaming(f, {second: n for second, n in names.items() if second not in own})
            for attribute in copied:
                setattr(done[f], attribute, getattr(f, attribute))
        return done[f]

    return renamed


_renamed = _renamer()


def _publish(module, stem: str) -> None:
    """The names a stem lists become this package's; `native` has its own form of some."""
    for name in module.__all__:
        if _STEM_OF.get(name, stem) != stem:
            continue
        if g := _renamed(getattr(module, name)):
            setattr(module, name, g)
        globals()[name] = getattr(module, name)


def _stem(stem: str):
    """The module of a stem, imported and published where it was not."""
    path = f"{__name__}.{stem}"
    if path not in _sys.modules:
        held = globals().get(stem)  # a function may have the name of a module (norm)
        module = _importlib.import_module(path)
        if held is not None:
            globals()[stem] = held
        _publish(module, stem)
    return _sys.modules[path]


def __getattr__(name: str):
    if name in _STEM_OF:
        return getattr(_stem(_STEM_OF[name]), name)
    raise AttributeError(f"module 'lamina.ops' has no attribute {name!r}")


def _import_all() -> None:
    from .._core import Tensor

    modules = [_importlib.import_module(f".{stem}", __name__) for stem in _STEMS]
    for stem, module in zip(_STEMS, modules):  # after all imports: norm is also a function
        _publish(module, stem)
        __all__.extend(name for name in module.__all__ if name not in _STEM_OF)
    for name, f in list(vars(Tensor).items()):
        if g := _renamed(f):
            setattr(Tensor, name, g)


_import_all()
