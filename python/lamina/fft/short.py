"""Short-time Fourier transforms: the spectrum of a signal's windowed pieces, and back."""

from __future__ import annotations

from .. import _core
from .._core import Tensor
from .one import full

__all__ = ["stft", "istft"]

_PADS = {"constant": 0, "reflect": 1, "replicate": 2, "circular": 3}


def _pieces(name: str, input: Tensor, n_fft: int, hop_length, win_length, window) -> tuple:
    """Hop and the window of n_fft values: the given one with zeros on both sides, or ones."""
    hop = n_fft // 4 if hop_length is None else hop_length
    wide = n_fft if win_length is None else win_length
    if hop < 1:
        raise ValueError(f"{name}: hop_length must be positive, got {hop}")
    if not 0 < wide <= n_fft:
        raise ValueError(f"{name}: win_length must be in [1, n_fft = {n_fft}], got {wide}")
    window = None if window is None else full(window)
    if window is None:
        window = _core.full((wide,), 1, input.dtype.to_real())
    if tuple(window.shape) != (wide,):
        raise _core.ShapeError(
            f"{name}: the window must be 1-D with win_length = {wide} values, got shape "
            f"{tuple(window.shape)}"
        )
    left = (n_fft - wide) // 2
    return hop, _core.pad(window, [left, n_fft - wide - left], 0, 0.0)


def stft(input: Tensor, n_fft, hop_length=None, win_length=None, window=None, center=True,
         pad_mode="reflect", normalized=False, onesided=None, return_complex=None,
         align_to_window=None) -> Tensor:  # fmt: skip
    """The Fourier transforms of windowed pieces of n_fft samples, hop_length apart (Allen and
    Rabiner, 1977): y[k, t] = sum_j window[j] x[t hop + j] e^(-2 pi i j k / n_fft).

    Args:
        input: (L) or (B, L), float32, float64 or complex.
        hop_length: n_fft // 4 by default. win_length: n_fft by default.
        window: (win_length); ones by default. Shorter than n_fft, it is set in the middle of zeros.
        center: pad n_fft // 2 at both ends by `pad_mode`, so that piece t is centred at t hop.
        normalized: divide by sqrt(n_fft).
        onesided: only the n_fft // 2 + 1 first terms; the default for real input.
        return_complex: must be given for real input; False returns (..., 2) real numbers.

    Returns (B, terms, pieces). Raises ValueError or ShapeError for arguments that do not fit.
    """
    input = full(input)
    real = not (input.dtype.is_complex or (window is not None and window.dtype.is_complex))
    if return_complex is None:
        if real:
            raise RuntimeError("stft: return_complex must be given for real inputs; pass True")
        return_complex = True
    if input.dim() not in (1, 2):
        raise _core.ShapeError(f"stft: expected (L) or (B, L), got shape {tuple(input.shape)}")
    if not (input.dtype.is_complex or input.dtype in (_core.float32, _core.float64)):
        raise _core.DTypeError(f"stft: expected float32, float64 or complex, got {input.dtype}")
    hop, window = _pieces("stft", input, n_fft, hop_length, win_length, window)
    x = input
    if center:
        if pad_mode == "reflect" and n_fft // 2 >= x.size(-1):
            raise ValueError(
                f"stft: reflecting needs more than n_fft // 2 = {n_fft // 2} samples, got "
                f"{x.size(-1)}; use pad_mode='constant'"
            )
        x = _core.pad(x, [n_fft // 2] * 2, _PADS[pad_mode], 0.0)
    if n_fft < 1 or n_fft > x.size(-1):
        raise ValueError(f"stft: n_fft must be in [1, {x.size(-1)}], got {n_fft}")
    if onesided is None:
        onesided = real
    if onesided and not real:
        raise ValueError("stft: a complex signal or window needs onesided=False")
    pieces = _core.unfold_view(x, x.dim() - 1, n_fft, hop) * window  # (B, pieces, n_fft)
    scale = n_fft**-0.5 if normalized else 1.0
    if onesided:
        y = _core.fft_to_half(pieces, -1, scale)
    else:
        z = pieces if pieces.dtype.is_complex else _core.to_dtype(pieces, pieces.dtype.to_complex())
        y = _core.fft_complex(z, -1, False, scale)
    y = _core.transpose(y, -1, -2)
    return y if return_complex else _core.view_as_real(y)


def istft(input: Tensor, n_fft, hop_length=None, win_length=None, window=None, center=True,
          normalized=False, onesided=None, length=None,
          return_complex=False) -> Tensor:  # fmt: skip
    """The signal whose `stft` is nearest to `input` (Griffin and Lim, 1984): the pieces, windowed
    again and added where they overlap, over the sum of squares of the windows there.

    Args:
        input: (terms, pieces) or (B, terms, pieces), complex. The rest as in `stft`.
        length: samples to return; cut, or filled with zeros, at the end.

    Returns (L) or (B, L). Raises RuntimeError where the windows leave a sample uncovered.
    """
    if not input.dtype.is_complex:
        raise _core.DTypeError(f"istft: expected a complex tensor, got {input.dtype}")
    if input.dim() not in (2, 3):
        raise _core.ShapeError(
            f"istft: expected (terms, pieces) or (B, terms, pieces), got shape {tuple(input.shape)}"
        )
    hop, window = _pieces("istft", input, n_fft, hop_length, win_length, window)
    terms, count = input.shape[-2:]
    if onesided is None:
        onesided = terms != n_fft
    if terms != (n_fft // 2 + 1 if onesided else n_fft):
        raise _core.ShapeError(
            f"istft: {terms} terms do not fit n_fft = {n_fft}, onesided={onesided}"
        )
    if return_complex and onesided:
        raise ValueError("istft: half a spectrum gives a real signal; pass onesided=False")
    z = _core.transpose(input, -1, -2)
    scale = n_fft**-0.5 if normalized else 1 / n_fft
    if return_complex:
        pieces = _core.fft_complex(z, -1, True, scale)
    else:
        z = z.narrow(-1, 0, n_fft // 2 + 1)
        pieces = _core.fft_from_half(z, -1, n_fft, scale)
    pieces = (pieces * window).reshape(-1, count, n_fft)
    total = n_fft + hop * (count - 1)

    def added(x: Tensor) -> Tensor:  # (B, pieces, n_fft) where they overlap
        if x.dtype.is_complex:
            return _core.complex(added(x.real), added(x.imag))
        y = _core.fold_patches(_core.transpose(x, 1, 2), (1, total), (1, n_fft), 1, 0, (1, hop))
        return y.reshape(-1, total)

    begin = n_fft // 2 if center else 0
    end = begin + length if length is not None else total - begin
    envelope = added((window * window).expand(1, count, n_fft))[:, begin:end]
    if not bool((envelope.detach().abs() > 1e-11).all()):
        raise RuntimeError("istft: the windows leave samples uncovered; use a smaller hop_length")
    y = added(pieces)[:, begin:end] / envelope
    if length is not None and y.shape[1] < length:
        y = _core.pad(y, [0, length - y.shape[1]], 0, 0.0)
    return y if input.dim() == 3 else y[0]
