"""The numbers of a training run, one row per epoch."""

from __future__ import annotations

import csv
import io

HIGHER = ("acc", "top", "precision", "recall", "f1")  # beginnings of names that should grow


def higher_is_better(name: str) -> bool:
    """True for names like accuracy, val_accuracy, top5, f1; False for losses and the rest."""
    return name.removeprefix("val_").startswith(HIGHER)


class History:
    """Rows of {"epoch", "loss", metrics, "val_...", "lr", "seconds"}, one per epoch.

    ``history["val_loss"]`` is the list of that column, ``history[-1]`` the last row (a dict).

    Attributes: `rows`; `interrupted` (stopped by Ctrl-C); `stopped` (why a callback ended the run
    early, or None).
    """

    def __init__(self, rows=()):
        self.rows: list[dict] = [dict(r) for r in rows]
        self.interrupted = False
        self.stopped: str | None = None

    def append(self, row: dict) -> None:
        """Add an epoch's row."""
        self.rows.append(row)

    @property
    def columns(self) -> list[str]:
        """All columns, in the order in which they first appear."""
        return list(dict.fromkeys(k for r in self.rows for k in r))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self):
        return iter(self.rows)

    def __contains__(self, name) -> bool:
        return any(name in r for r in self.rows)

    def __getitem__(self, key):
        if isinstance(key, str):
            if self.rows and key not in self:
                raise KeyError(f"history has no column {key!r}; it has {', '.join(self.columns)}")
            return [r.get(key) for r in self.rows]
        return self.rows[key]

    def best(self, monitor: str = "val_loss", mode: str = "auto") -> dict | None:
        """The row with the best value of `monitor`, the earliest among equals; None when empty.

        mode: "min", "max", or "auto": by the name.
        """
        high = higher_is_better(monitor) if mode == "auto" else mode == "max"
        rows = [r for r in self.rows if r.get(monitor) is not None and r[monitor] == r[monitor]]
        if not rows:
            return None
        return max(rows, key=lambda r: r[monitor] if high else -r[monitor])

    def to_csv(self) -> str:
        """The rows as CSV text with a header; numbers in full precision."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def __repr__(self) -> str:
        flags = " interrupted" if self.interrupted else ""
        if not self.rows:
            return f"History(0 epochs{flags})"
        last = ", ".join(f"{k}={v:.4g}" for k, v in self.rows[-1].items() if k != "epoch")
        return f"History({len(self)} epochs{flags}; last: {last})"
