"""Arguments given once or per dimension."""

from __future__ import annotations


def per_dim(value, n: int) -> tuple:
    """`value` n times, or the sequence it is."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n
