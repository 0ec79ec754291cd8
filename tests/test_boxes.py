"""Boxes: areas, intersection over union, and its loss."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina.vision import ops

A = [[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 4.0, 3.0], [5.0, 5.0, 6.0, 7.0]]
B = [[0.0, 0.0, 2.0, 2.0], [3.0, 0.0, 5.0, 2.0]]


def test_box_iou():
    a, b = lamina.tensor(A, dtype=lamina.float64), lamina.tensor(B, dtype=lamina.float64)
    assert ops.box_area(a).tolist() == [4, 6, 2]
    want = [[1, 0], [1 / 9, 1 / 9], [0, 0]]
    np.testing.assert_allclose(ops.box_iou(a, b).numpy(), want, rtol=1e-12)
    with pytest.raises(lamina.ShapeError, match="x1, y1, x2, y2"):
        ops.box_iou(a[0], b)


def test_generalized_box_iou_loss():
    a = lamina.tensor(A, dtype=lamina.float64)
    b = lamina.tensor([A[0], [0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]], dtype=lamina.float64)
    b.requires_grad_()
    loss = ops.generalized_box_iou_loss(a, b)
    # around: 4, 12, 42; unions 4, 9, 3
    want = [0, 1 - 1 / 9 + 3 / 12, 1 + 39 / 42]
    np.testing.assert_allclose(loss.detach().numpy(), want, atol=2e-7)
    ops.generalized_box_iou_loss(a, b, "mean").backward()
    assert float(b.grad[2].abs().max()) > 0  # boxes apart still attract each other
    total = ops.generalized_box_iou_loss(a, b, "sum").item()
    assert total == pytest.approx(sum(want), abs=1e-6)
    with pytest.raises(ValueError, match="reduction"):
        ops.generalized_box_iou_loss(a, b, "max")
