"""Functions of functions: gradients, Jacobians, batches by loops, modules as functions."""

from __future__ import annotations

import functools

from ._core import Tensor
from .autograd import functional as _functional
from .autograd import grad as _grad
from .autograd.grad_mode import enable_grad
from .ops.join import stack
from .utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *,
                    tie_weights=True, strict=False):  # fmt: skip
    """``module(*args, **kwargs)`` with other tensors in place of the named parameters and buffers.

    parameter_and_buffer_dicts: tensors by name, or a tuple of such dicts. Gradients flow to the
    tensors given; the module's own are back afterwards. Raises KeyError for unknown names, and
    with strict RuntimeError when some are missing.
    """
    given = parameter_and_buffer_dicts
    values = {}
    for d in given if isinstance(given, (tuple, list)) else (given,):
        values.update(d)
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    if strict and set(own) - set(values):
        raise RuntimeError(f"functional_call: missing {sorted(set(own) - set(values))}")
    replaced = []
    try:
        for name, value in values.items():
            path, _, leaf = name.rpartition(".")
            holder = module.get_submodule(path)
            for table in (holder._parameters, holder._buffers):
                if leaf in table:
                    replaced.append((table, leaf, table[leaf]))
                    table[leaf] = value
                    break
            else:
                raise KeyError(f"functional_call: {name} is no parameter or buffer of the module")
        args = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*args, **(kwargs or {}))
    finally:
        for table, leaf, old in reversed(replaced):
            table[leaf] = old


def stack_module_state(models) -> tuple[dict, dict]:
    """(parameters, buffers) by name, those of all models stacked: for `functional_call`
    in `vmap`."""
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    states = [(dict(m.named_parameters()), dict(m.named_buffers())) for m in models]
    return tuple(  # type: ignore[return-value]
        {k: stack([s[i][k].detach() for s in states]).requires_grad_(i == 0) for k in states[0][i]}
        for i in (0, 1)
    )


def grad_and_value(func, argnums=0, has_aux=False):
    """A function that returns (gradient of func, value) with respect to argument(s) `argnums`;
    with has_aux func returns (value, more), and the result is (gradient, (value, more))."""

    @functools.wraps(func)
    def derived(*args, **kwargs):
        single = isinstance(argnums, int)
        places = (argnums,) if single else argnums
        args = list(args)
        with enable_grad():
            leaves, specs = [], []
            for place in places:
                found, spec = tree_flatten(args[place])
                found = [
                    x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in found
                ]
                args[place] = tree_unflatten(found, spec)
                leaves.append(found)
                specs.append(spec)
            result = func(*args, **kwargs)
            value, aux = result if has_aux else (result, None)
            if not isinstance(value, Tensor) or value.dim():
                raise RuntimeError("grad: the function must return a tensor without dimensions")
            flat = [x for found in leaves for x in found]
            create = any(x.grad_fn is not None for x in flat)
            found = iter(_grad(value, flat, create_graph=create, materialize_grads=True))
        grads = tuple(tree_unflatten([next(found) for _ in x], s) for x, s in zip(leaves, specs))
        value = value if create else value.detach()
        return grads[0] if single else grads, (value, aux) if has_aux else value

    return derived


def grad(func, argnums=0, has_aux=False):
    """A function that returns the gradient of `func`; with has_aux, (gradient, more)."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def derived(*args, **kwargs):
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return derived


def _of_argument(transform, func, argnums, has_aux=False):
    if has_aux:
        return _with_aux(transform, func, argnums)

    @functools.wraps(func)
    def derived(*args):
        if isinstance(argnums, int):
            inputs = args[argnums]
            create = inputs.requires_grad

            def of_one(x):
                return func(*args[:argnums], x, *args[argnums + 1 :])

            return transform(of_one, inputs, create_graph=create)
        inputs = tuple(args[i] for i in argnums)

        def of_many(*xs):
            full = list(args)
            for i, x in zip(argnums, xs):
                full[i] = x
            return func(*full)

        return transform(of_many, inputs, create_graph=any(x.requires_grad for x in inputs))

    return derived


def _with_aux(transform, func, argnums):
    """As `_of_argument`, of a function that returns (value, more): (derivative, more)."""

    def derived(*args):
        held = []

        def value(*xs):
            result, more = func(*xs)
            held[:] = [tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, more)]
            return result

        return _of_argument(transform, value, argnums)(*args), held[0]

    return functools.wraps(func)(derived)


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None):
    """A function that returns the Jacobian of `func`: `autograd.functional.jacobian`.

    With has_aux func returns (value, more), and the result is (Jacobian, more). chunk_size: rows
    at a time in PyTorch; they are made one by one here.
    """
    return _of_argument(_functional.jacobian, func, argnums, has_aux)


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """The same as `jacrev`."""
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func, argnums=0):
    """A function that returns the Hessian of `func`: `autograd.functional.hessian`."""
    return _of_argument(_functional.hessian, func, argnums)


def vjp(func, *primals, has_aux=False):
    """(func(*primals), product): product(v) gives v^T J for each argument. With has_aux func
    returns (value, more), and the result is (value, product, more)."""
    with enable_grad():
        points = tuple(x.detach().requires_grad_() for x in primals)
        outputs = func(*points)
    outputs, more = outputs if has_aux else (outputs, None)

    def product(*vectors):
        flat, _ = tree_flatten(outputs)
        given, _ = tree_flatten(vectors)
        return tuple(_grad(flat, points, given, retain_graph=True, materialize_grads=True))

    value = tree_map(lambda x: x.detach(), outputs)
    return (value, product, more) if has_aux else (value, product)


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """(func(*primals), J v): `autograd.functional.jvp`. With has_aux func returns (value, more),
    and the result is (value, J v, more)."""
    held = []

    def value(*xs):
        result, more = func(*xs) if has_aux else (func(*xs), None)
        held[:] = [more]
        return result

    found = _functional.jvp(value, tuple(primals), tuple(tangents), strict=strict)
    return (*found, held[0]) if has_aux else found


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """A function that calls `func` for every slice of its arguments and stacks the results.

    in_dims: the dimension to slice, per argument (a container of them), or None for arguments
    that every call gets whole. out_dims: where the results are stacked. One call per slice; what
    is random differs between slices. Raises ValueError for different or missing sizes.
    """

    @functools.wraps(func)
    def batched(*args, **kwargs):
        leaves, spec = tree_flatten(args)
        if isinstance(in_dims, int):
            dims = [in_dims if isinstance(x, Tensor) else None for x in leaves]
        else:
            dims = []
            for argument, d in zip(args, in_dims):
                if isinstance(d, int) or d is None:
                    dims += [d] * len(tree_flatten(argument)[0])
                else:
                    dims += tree_flatten(d)[0]
        sizes = {x.shape[d] for x, d in zip(leaves, dims) if d is not None}
        if len(sizes) != 1:
            raise ValueError(f"vmap: expected one size of the batched dimensions, got {sizes}")
        results = []
        for i in range(sizes.pop()):
            one = [x if d is None else x.select(d, i) for x, d in zip(leaves, dims)]
            results.append(tree_flatten(func(*tree_unflatten(one, spec), **kwargs)))
        columns = zip(*(flat for flat, _ in results))
        outs = out_dims if isinstance(out_dims, (tuple, list)) else None
        stacked = [
            stack(list(column), outs[k] if outs is not None else out_dims)
            for k, column in enumerate(columns)
        ]
        return tree_unflatten(stacked, results[0][1])

    return batched
