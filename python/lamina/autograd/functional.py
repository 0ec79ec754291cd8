"""Derivatives of functions: Jacobians, Hessians and their products with vectors.

Each takes a function of one tensor or of a tuple of tensors that returns one or a tuple, and the
point. Results are detached unless create_graph. Everything is built from backward passes: a
Jacobian costs one per element of the output, jvp two (the second through the first).
"""

from __future__ import annotations

from .._core import Tensor
from . import grad
from .grad_mode import enable_grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _tuple(x, what: str) -> tuple:
    if isinstance(x, Tensor):
        return (x,)
    if isinstance(x, (tuple, list)) and all(isinstance(t, Tensor) for t in x):
        return tuple(x)
    raise TypeError(f"{what}: expected a Tensor or a tuple of Tensors, got {type(x).__name__}")


def _inputs(inputs, create_graph: bool, name: str) -> tuple:
    points = _tuple(inputs, f"{name}: inputs")
    if create_graph:
        return tuple(
            x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in points
        )
    return tuple(x.detach().requires_grad_() for x in points)


def _outputs(func, points: tuple, name: str) -> tuple:
    result = func(*points)
    return _tuple(result, f"{name}: outputs of the function"), isinstance(result, Tensor)


def _gradients(outputs, inputs, vectors, create_graph, strict, name, keep=True) -> list:
    """Gradients of outputs * vectors with zeros where an input was not used."""
    live = [(o, v) for o, v in zip(outputs, vectors) if o.requires_grad]
    if strict and len(live) < len(outputs):
        raise RuntimeError(f"{name}: an output of the function is independent of the input")
    if not live:
        return [x.new_zeros(x.shape) for x in inputs]
    found = grad(
        [o for o, _ in live], inputs, [v for _, v in live], retain_graph=keep,
        create_graph=create_graph, allow_unused=True,
    )  # fmt: skip
    if strict and any(g is None for g in found):
        raise RuntimeError(f"{name}: the output of the function is independent of an input")
    return [x.new_zeros(x.shape) if g is None else g for g, x in zip(found, inputs)]


def _finish(tensors, create_graph: bool, single: bool):
    out = tuple(t if create_graph else t.detach() for t in tensors)
    return out[0] if single else out


def _vectors(v, like: tuple, name: str) -> tuple:
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"{name}: the vector v can only be None for one tensor of one element; pass v"
            )
        return (like[0].new_ones(like[0].shape),)
    vectors = _tuple(v, f"{name}: v")
    if len(vectors) != len(like) or any(a.shape != b.shape for a, b in zip(vectors, like)):
        raise RuntimeError(
            f"{name}: v has shapes {[tuple(t.shape) for t in vectors]}, expected "
            f"{[tuple(t.shape) for t in like]}"
        )
    return vectors


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), v^T J): the product of the vector `v`, shaped as the output, and the Jacobian.

    Raises RuntimeError for a `v` of other shapes, and with strict for what does not depend on an
    input.
    """
    with enable_grad():
        points = _inputs(inputs, create_graph, "vjp")
        outputs, single = _outputs(func, points, "vjp")
        vectors = _vectors(v, outputs, "vjp")
        products = _gradients(outputs, points, vectors, create_graph, strict, "vjp")
    return (
        _finish(outputs, create_graph, single),
        _finish(products, create_graph, isinstance(inputs, Tensor)),
    )


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), J v): the product of the Jacobian and the vector `v`, shaped as the inputs.

    v^T J is linear in v; its own vector product is J v.
    """
    with enable_grad():
        points = _inputs(inputs, create_graph, "jvp")
        vectors = _vectors(v, points, "jvp")
        outputs, single = _outputs(func, points, "jvp")
        dummies = tuple(o.new_zeros(o.shape).requires_grad_() for o in outputs)
        rows = _gradients(outputs, points, dummies, True, strict, "jvp")
        products = _gradients(rows, dummies, vectors, create_graph, False, "jvp")
    return _finish(outputs, create_graph, single), _finish(products, create_graph, single)


def _jacobian(outputs, points, create_graph, strict, name) -> list:
    """[output][input] of shape output + input."""
    from ..ops.join import stack

    table = []
    for o in outputs:
        rows: list = [[] for _ in points]
        for i in range(o.numel()):
            row = _gradients((o.reshape(-1)[i],), points, (None,), create_graph, strict, name)
            for column, g in zip(rows, row):
                column.append(g)
        table.append([
            stack(column).view((*o.shape, *x.shape)) if column
            else x.new_zeros((*o.shape, *x.shape))
            for column, x in zip(rows, points)
        ])  # fmt: skip
    return table


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False,
             strategy="reverse-mode"):  # fmt: skip
    """J[i, j] = d output_i / d input_j, of shape (output's, input's); tuples where the outputs or
    the inputs are tuples (outputs outside). vectorize, strategy: accepted, without effect."""
    with enable_grad():
        points = _inputs(inputs, create_graph, "jacobian")
        outputs, single = _outputs(func, points, "jacobian")
        table = _jacobian(outputs, points, create_graph, strict, "jacobian")
    one = isinstance(inputs, Tensor)
    rows = tuple(_finish(row, create_graph, one) for row in table)
    return rows[0] if single else rows


def _scalar(func, points: tuple, name: str):
    outputs, single = _outputs(func, points, name)
    if not single or outputs[0].numel() != 1:
        raise RuntimeError(f"{name}: the function must return a tensor of one element")
    return outputs[0]


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False,
            outer_jacobian_strategy="reverse-mode"):  # fmt: skip
    """H[i, j] = d^2 output / d input_i d input_j of a function with one element; a tuple of tuples
    for a tuple of inputs.

    Raises RuntimeError for an output of more elements.
    """
    with enable_grad():
        points = _inputs(inputs, create_graph, "hessian")
        value = _scalar(func, points, "hessian")
        first = _gradients((value,), points, (None,), True, strict, "hessian")
        table = _jacobian(first, points, create_graph, strict, "hessian")
    one = isinstance(inputs, Tensor)
    rows = tuple(_finish(row, create_graph, one) for row in table)
    return rows[0] if one else rows


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), v^T H) of a function with one element, `v` shaped as the inputs."""
    with enable_grad():
        points = _inputs(inputs, create_graph, "vhp")
        vectors = _vectors(v, points, "vhp")
        value = _scalar(func, points, "vhp")
        first = _gradients((value,), points, (None,), True, strict, "vhp")
        products = _gradients(first, points, vectors, create_graph, strict, "vhp")
    one = isinstance(inputs, Tensor)
    return _finish((value,), create_graph, True), _finish(products, create_graph, one)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), H v): as `vhp`, since the Hessian of a smooth function is symmetric."""
    return vhp(func, inputs, v, create_graph, strict)
