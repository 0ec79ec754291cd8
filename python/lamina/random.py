"""Random numbers: generators and seeds."""

from __future__ import annotations

__all__: list[str] = []
