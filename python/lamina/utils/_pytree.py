"""Nested containers (dicts, lists, tuples, named tuples) as a flat list of leaves and a shape."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque


class TreeSpec:
    """The shape of a nested container, as `tree_flatten` finds it."""

    __slots__ = ("type", "context", "children_specs", "num_leaves")

    def __init__(self, type, context, children_specs):
        self.type, self.context = type, context
        self.children_specs = list(children_specs)
        self.num_leaves = 1 if type is None else sum(c.num_leaves for c in self.children_specs)

    def __eq__(self, other) -> bool:
        return isinstance(other, TreeSpec) and (
            (self.type, self.context, self.children_specs)
            == (other.type, other.context, other.children_specs)
        )

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves))

    def is_leaf(self) -> bool:
        """Whether this is one leaf."""
        return self.type is None

    def __repr__(self) -> str:
        if self.type is None:
            return "*"
        return f"TreeSpec({self.type.__name__}, {self.context}, {self.children_specs})"


LeafSpec = TreeSpec(None, None, [])


def _children(tree):
    """(container type, context, children), or None for a leaf."""
    kind = type(tree)
    if kind in (dict, OrderedDict, defaultdict):
        keys = list(tree)
        context = (tree.default_factory, keys) if kind is defaultdict else keys
        return kind, context, [tree[k] for k in keys]
    if kind is deque:
        return kind, tree.maxlen, list(tree)
    if kind in (list, tuple) or (isinstance(tree, tuple) and hasattr(tree, "_fields")):
        return kind, None, list(tree)
    return None


def tree_flatten(tree, is_leaf=None) -> tuple[list, TreeSpec]:
    """(leaves, spec) of nested containers; `is_leaf(node)` can stop the descent earlier."""
    parts = None if is_leaf is not None and is_leaf(tree) else _children(tree)
    if parts is None:
        return [tree], LeafSpec
    kind, context, children = parts
    leaves: list = []
    specs = []
    for child in children:
        found, spec = tree_flatten(child, is_leaf)
        leaves += found
        specs.append(spec)
    return leaves, TreeSpec(kind, context, specs)


def tree_unflatten(leaves, treespec: TreeSpec):
    """The inverse of `tree_flatten`. Raises ValueError for another number of leaves."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten: {len(leaves)} leaves given for a tree of {treespec.num_leaves}"
        )
    return _build(iter(leaves), treespec)


def _build(leaves, spec: TreeSpec):
    kind = spec.type
    if kind is None:
        return next(leaves)
    children = [_build(leaves, c) for c in spec.children_specs]
    if kind is defaultdict:
        factory, keys = spec.context
        return defaultdict(factory, zip(keys, children))
    if kind in (dict, OrderedDict):
        return kind(zip(spec.context, children))
    if kind is deque:
        return deque(children, maxlen=spec.context)
    return kind(*children) if hasattr(kind, "_fields") else kind(children)


def tree_leaves(tree, is_leaf=None) -> list:
    """The leaves alone."""
    return tree_flatten(tree, is_leaf)[0]


def tree_map(func, tree, *rests, is_leaf=None):
    """The same containers, each leaf replaced by ``func(leaf, leaves of rests...)``."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [tree_flatten(r, is_leaf)[0] for r in rests]
    return tree_unflatten([func(*x) for x in zip(leaves, *others)], spec)


def tree_map_only(type_or_types, func, tree, is_leaf=None):
    """`tree_map` over the leaves of some types; the others stay."""
    return tree_map(lambda x: func(x) if isinstance(x, type_or_types) else x, tree, is_leaf=is_leaf)


def tree_all(pred, tree, is_leaf=None) -> bool:
    """Whether ``pred(leaf)`` holds for all leaves."""
    return all(pred(x) for x in tree_leaves(tree, is_leaf))


def tree_any(pred, tree, is_leaf=None) -> bool:
    """Whether ``pred(leaf)`` holds for a leaf."""
    return any(pred(x) for x in tree_leaves(tree, is_leaf))
