"""Rows of convolution, its transpose, unfold and fold."""

import importlib

import numpy as np

from row import Row


def functional(m):
    if m.__name__ == "torch":
        return m.nn.functional
    return importlib.import_module("lamina.ops.conv")


def pair(v):
    return (v, v) if isinstance(v, int) else v


def np_conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, end=None):
    """By the definition: one product per position of the kernel, summed over channels."""
    if w.ndim == 3:  # one dimension: as one row
        s, p, d = stride, padding, dilation
        e = None if end is None else (0, end)
        y = np_conv(x[..., None, :], w[..., None, :], b, (1, s), (0, p), (1, d), groups, e)
        return y[..., 0, :]
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    eh, ew = end or (ph, pw)
    x = np.pad(x, ((0, 0), (0, 0), (ph, eh), (pw, ew)))
    M, C, KH, KW = w.shape
    OH, OW = (x.shape[2] - dh * (KH - 1) - 1) // sh + 1, (x.shape[3] - dw * (KW - 1) - 1) // sw + 1
    y = np.zeros((x.shape[0], M, OH, OW))
    for g in range(groups):
        ms, cs = slice(g * M // groups, (g + 1) * M // groups), slice(g * C, (g + 1) * C)
        for r in range(KH):
            for s in range(KW):
                part = x[:, cs, r * dh : r * dh + OH * sh : sh, s * dw : s * dw + OW * sw : sw]
                part = part[:, :, :OH, :OW]
                y[:, ms] += np.einsum("nchw,mc->nmhw", part, w[ms, :, r, s])
    return y if b is None else y + b.reshape(1, -1, 1, 1)


def np_transpose(x, w, b=None, stride=1, padding=0, extra=0, groups=1, dilation=1):
    """Spread every input over the outputs its kernel reaches."""
    if w.ndim == 3:
        y = np_transpose(x[..., None, :], w[..., None, :], b, (1, stride), (0, padding),
                         (0, extra), groups, (1, dilation))  # fmt: skip
        return y[..., 0, :]
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    eh, ew = pair(extra)
    N, M, H, W = x.shape
    _, C, KH, KW = w.shape
    y = np.zeros((N, C * groups, (H - 1) * sh + dh * (KH - 1) + 1 + eh,
                  (W - 1) * sw + dw * (KW - 1) + 1 + ew))  # fmt: skip
    for g in range(groups):
        ms = slice(g * M // groups, (g + 1) * M // groups)
        for r in range(KH):
            for s in range(KW):
                y[:, g * C : (g + 1) * C, r * dh : r * dh + H * sh : sh,
                  s * dw : s * dw + W * sw : sw] += np.einsum(
                      "nmhw,mc->nchw", x[:, ms], w[ms, :, r, s])  # fmt: skip
    y = y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]
    return y if b is None else y + b.reshape(1, -1, 1, 1)


def np_unfold(x, kernel, dilation, padding, stride):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (kh, kw), d, s = pair(kernel), dilation, stride
    OH, OW = (x.shape[2] - d * (kh - 1) - 1) // s + 1, (x.shape[3] - d * (kw - 1) - 1) // s + 1
    cut = [x[:, :, r * d : r * d + s * OH : s, q * d : q * d + s * OW : s][:, :, :OH, :OW]
           for r in range(kh) for q in range(kw)]  # fmt: skip
    return np.stack(cut, 2).reshape(x.shape[0], x.shape[1] * kh * kw, OH * OW)


def np_fold(columns, size, kernel, padding, stride):
    H, W = size[0] + 2 * padding, size[1] + 2 * padding
    (kh, kw), s = pair(kernel), stride
    OH, OW = (H - kh) // s + 1, (W - kw) // s + 1
    c = columns.reshape(columns.shape[0], columns.shape[1] // (kh * kw), kh, kw, OH, OW)
    y = np.zeros((c.shape[0], c.shape[1], H, W))
    for r in range(kh):
        for q in range(kw):
            y[:, :, r : r + s * OH : s, q : q + s * OW : s][:, :, :OH, :OW] += c[:, :, r, q]
    return y[:, :, padding : H - padding, padding : W - padding]


def row(name, shapes, sizes=(0, 1, 3), large=None, **settings):
    nd = len(shapes(1)[1]) - 2
    end = settings.pop("end", None)
    np_settings = dict(settings)
    if settings.get("padding") == "same":
        np_settings["padding"] = settings.pop("before")
        np_settings.pop("before")
        np_settings["end"] = end
    return Row(name, lambda m, *t: getattr(functional(m), f"conv{nd}d")(*t, **settings),
               lambda *t: np_conv(*t, **np_settings), shapes, sizes=sizes, tol=4e-6,
               large=large)  # fmt: skip


ROWS = [
    row("conv2d", lambda n: [(n, 3, 7, 6), (5, 3, 3, 3), (5,)], large=40),
    row(
        "conv2d_columns",
        lambda n: [(2, 2, 5, n), (9, 2, 2, 1), (9,)],
        sizes=(1, 15, 16, 17, 33, 49),
    ),
    row(
        "conv2d_channels",
        lambda n: [(2, n, 6, 5), (2 * n, n, 3, 3)],
        sizes=(1, 2, 5, 9),
        padding=1,
        large=33,
    ),
    row("conv2d_padding", lambda n: [(n, 2, 5, 8), (3, 2, 3, 3), (3,)], padding=(2, 1)),
    row("conv2d_beyond", lambda n: [(n, 2, 1, 2), (3, 2, 3, 3)], padding=(3, 4)),
    row(
        "conv2d_stride",
        lambda n: [(n, 3, 9, 10), (4, 3, 3, 3), (4,)],
        stride=2,
        padding=1,
        large=40,
    ),
    row("conv2d_strides", lambda n: [(n, 2, 11, 13), (4, 2, 2, 3)], stride=(3, 4)),
    row("conv2d_stride_over_kernel", lambda n: [(n, 2, 7, 7), (4, 2, 1, 1), (4,)], stride=2),
    row(
        "conv2d_dilation",
        lambda n: [(n, 2, 9, 11), (4, 2, 3, 3), (4,)],
        dilation=(2, 3),
        padding=(2, 3),
    ),
    row(
        "conv2d_dilated_stride",
        lambda n: [(n, 2, 13, 12), (4, 2, 3, 3)],
        dilation=3,
        stride=2,
        padding=1,
    ),
    row(
        "conv2d_groups", lambda n: [(n, 4, 6, 7), (6, 2, 3, 3), (6,)], groups=2, padding=1, large=20
    ),
    row(
        "conv2d_depthwise",
        lambda n: [(n, 5, 6, 7), (10, 1, 3, 3), (10,)],
        groups=5,
        padding=1,
        large=40,
    ),
    row("conv2d_pointwise", lambda n: [(n, 5, 4, 7), (6, 5, 1, 1), (6,)], large=40),
    row(
        "conv2d_same",
        lambda n: [(n, 2, 5, 6), (3, 2, 2, 4)],
        padding="same",
        before=(0, 1),
        end=(1, 2),
    ),
    row("conv2d_whole", lambda n: [(n, 2, 5, 6), (17, 2, 5, 6), (17,)]),
    row("conv1d", lambda n: [(n, 3, 19), (5, 3, 4), (5,)], large=60),
    row(
        "conv1d_settings",
        lambda n: [(n, 4, 23), (6, 2, 3), (6,)],
        stride=2,
        padding=3,
        dilation=2,
        groups=2,
    ),
    row("conv1d_same", lambda n: [(n, 2, 9), (3, 2, 4), (3,)], padding="same", before=1, end=2),
    Row(
        "conv_transpose2d",
        lambda m, x, w, b: functional(m).conv_transpose2d(x, w, b, (2, 3), 1, (1, 0), 2, (1, 2)),
        lambda x, w, b: np_transpose(x, w, b, (2, 3), 1, (1, 0), 2, (1, 2)),
        lambda n: [(n, 4, 4, 5), (4, 3, 3, 2), (6,)],
        sizes=(0, 1, 3),
        tol=4e-6,
    ),
    Row(
        "conv_transpose1d",
        lambda m, x, w, b: functional(m).conv_transpose1d(x, w, b, 2, 1, 1),
        lambda x, w, b: np_transpose(x, w, b, 2, 1, 1),
        lambda n: [(n, 4, 7), (4, 3, 4), (3,)],
        sizes=(0, 1, 3),
        tol=4e-6,
    ),
    Row(
        "unfold_patches",
        lambda m, x: functional(m).unfold(x, (3, 2), 2, 1, 2),
        lambda x: np_unfold(x, (3, 2), 2, 1, 2),
        lambda n: [(n, 3, 7, 8)],
        sizes=(0, 1, 3),
    ),
    Row(
        "fold_patches",
        lambda m, x: functional(m).fold(x, (6, 5), (3, 2), 1, 1, 2),
        lambda x: np_fold(x, (6, 5), (3, 2), 1, 2),
        lambda n: [(n, 12, 9)],
        sizes=(0, 1, 3),
    ),
]
