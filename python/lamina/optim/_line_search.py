"""A line search for the strong Wolfe conditions.

Nocedal and Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6, with the cubic
interpolation of their equation 3.59 and the safeguards of Schmidt's minFunc (2005).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .._core import Tensor


class Point(NamedTuple):
    """A place on the line: step size, loss, gradient (flat) and slope along the direction."""

    t: float
    loss: float
    gradient: Tensor
    slope: float


def cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through two values and slopes is smallest, within [least, most]; the middle
    when it has no minimum."""
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2
    d2 = math.sqrt(square)
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, least), most)


def strong_wolfe(
    at: Callable[[float], Point],
    start: Point,
    t: float,
    size: float,
    tolerance: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    most: int = 25,
) -> tuple[Point, int]:
    """A point with loss <= loss_0 + c1 t slope_0 and abs(slope) <= c2 abs(slope_0), or the best
    one after `most` trials; and the number of evaluations.

    at: from a step size to its point. start: the point of step size 0. t: the first trial.
    size: the largest element of the direction; a bracket that moves no parameter by more than
    `tolerance` ends the search.
    """

    def too_high(p: Point) -> bool:
        return p.loss > start.loss + c1 * p.t * start.slope

    def flat(p: Point) -> bool:
        return abs(p.slope) <= -c2 * start.slope

    # Go on until a minimum is bracketed.
    new, before, trials, evaluations = at(t), start, 0, 1
    while trials < most:
        if too_high(new) or (trials > 1 and new.loss >= before.loss):
            break
        if flat(new):
            return new, evaluations
        if new.slope >= 0:
            break
        least = new.t + 0.01 * (new.t - before.t)
        t = cubic_minimum(before, new, least, 10 * new.t)
        before, new = new, at(t)
        evaluations += 1
        trials += 1
    else:
        before = start

    # Narrow the bracket from `low`, its end with the smaller loss, to `high`.
    low, high = (before, new) if before.loss <= new.loss else (new, before)
    stuck = False  # the last trial was near an end
    while trials < most:
        left, right = min(low.t, high.t), max(low.t, high.t)
        if (right - left) * size < tolerance:
            break
        t = cubic_minimum(low, high, left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = at(t)
        evaluations += 1
        trials += 1
        if too_high(new) or new.loss >= low.loss:
            high = new
            if high.loss < low.loss:
                low, high = high, low
            continue
        if flat(new):
            return new, evaluations
        if new.slope * (high.t - low.t) >= 0:
            high = low
        low = new
    return low, evaluations
