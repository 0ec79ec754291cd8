"""Random numbers: generators, seeds, and random tensors.

All draws come from Philox 4x32-10 (Salmon et al., SC 2011), a counter-based generator: a value
depends only on (seed, offset, position), never on the number of threads or the instruction set.
A generator's state is its seed and how many 128-bit blocks it has given away.
"""

from __future__ import annotations

import contextlib
import math
import os

from . import _core
from ._core import Tensor
from ._expect import fails
from .ops._method import method, write
from .ops.creation import _like, _made, empty_like

__all__ = [
    "Generator", "default_generator", "manual_seed", "seed", "initial_seed", "get_rng_state",
    "set_rng_state", "fork_rng", "rand", "randn", "randint", "randperm", "rand_like", "randn_like",
    "randint_like", "normal", "bernoulli", "multinomial", "poisson", "binomial",
]  # fmt: skip

_DEFAULT_SEED = 67280421310721  # of a new Generator, as in PyTorch
_MASK = (1 << 64) - 1


class Generator(_core.Generator):
    """A source of random numbers: a seed and a position in its stream.

    Args:
        device: where the random tensors will be; "cpu".

    >>> g = lamina.Generator().manual_seed(1)
    >>> a = lamina.rand(3, generator=g)
    >>> bool((lamina.rand(3, generator=g.manual_seed(1)) == a).all())
    True
    """

    def __init__(self, device="cpu"):
        from ._types import device as Device

        self._device = device if isinstance(device, Device) else Device(device)
        self._device._require()
        self._set(_DEFAULT_SEED, 0)

    @property
    def device(self):
        """Where its numbers are made."""
        return self._device

    def manual_seed(self, seed) -> Generator:
        """Restart the stream of `seed`, an int in [-2^63, 2^64). ValueError outside."""
        seed = int(seed)
        if not -(1 << 63) <= seed < 1 << 64:
            raise _core.ArgumentError(f"manual_seed: seed must be in [-2**63, 2**64), got {seed}")
        self._set(seed & _MASK, 0)
        return self

    def seed(self) -> int:
        """Restart from a seed of the operating system's randomness, and return it."""
        seed = int.from_bytes(os.urandom(8), "little")
        self._set(seed, 0)
        return seed

    def initial_seed(self) -> int:
        """The seed the stream was started with."""
        return self._get()[0]

    def get_state(self) -> Tensor:
        """The state as a uint8 tensor of 16 bytes (seed, position; little-endian)."""
        data = b"".join(v.to_bytes(8, "little") for v in self._get())
        return _core.tensor(list(data), _core.uint8)

    def set_state(self, new_state: Tensor) -> Generator:
        """Continue from a state of `get_state`. TypeError or ValueError for anything else."""
        if not isinstance(new_state, Tensor) or new_state.dtype is not _core.uint8:
            raise TypeError("set_state: expected a uint8 tensor made by get_state")
        data = bytes(new_state.tolist())
        if len(data) != 16:
            raise _core.ArgumentError(f"set_state: expected 16 bytes, got {len(data)}")
        self._set(int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little"))
        return self

    def clone_state(self) -> Generator:
        """A new generator at the same place."""
        g = Generator(self._device)
        g._set(*self._get())
        return g

    def __reduce__(self):
        return _rebuild, self._get()


def _rebuild(seed: int, offset: int) -> Generator:
    g = Generator()
    g._set(seed, offset)
    return g


def _make_default() -> Generator:
    g = Generator()
    g._share_default()
    return g


default_generator = _make_default()
default_generator.seed()


# ---- seeds -------------------------------------------------------------------------------------
def manual_seed(seed) -> Generator:
    """Seed the default generator, and return it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system, and return the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the default generator into a state of `get_rng_state`."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True, **_):
    """A context that leaves the default generator as it found it."""
    before = default_generator._get()
    try:
        yield
    finally:
        if enabled:
            default_generator._set(*before)


# ---- new tensors -------------------------------------------------------------------------------
def _shape(size, named) -> tuple:
    size = named.pop("size", size)
    if len(size) == 1 and not isinstance(size[0], int) and hasattr(size[0], "__iter__"):
        return tuple(size[0])
    return tuple(size)


def _finish(name, value, out, device, requires_grad, named=()) -> Tensor:
    unknown = set(named) - {"layout", "pin_memory", "memory_format"}
    if unknown:
        raise TypeError(f"{name}: got an unexpected keyword argument {sorted(unknown)[0]!r}")
    if out is None:
        value = _made(value, device)
    value = write(out, value)
    if requires_grad:
        value.requires_grad = True
    return value


def _draw(random, shape, part, dtype, generator) -> Tensor:
    """From (0, 1), or both parts of complex numbers from (0, part)."""
    d = dtype or _core.default_dtype()
    if not d.is_complex:
        return random(shape, 0.0, 1.0, d, generator)
    return _core.view_as_complex(random((*shape, 2), 0.0, part, d.to_real(), generator))


def rand(*size, generator=None, out=None, dtype=None, device=None, requires_grad=False, **named):
    """Uniform on [0, 1), of the given shape: multiples of 2^-24 (2^-53 for float64)."""
    shape = _shape(size, named)
    y = _draw(_core.random_uniform, shape, 1.0, dtype, generator)
    return _finish("rand", y, out, device, requires_grad, named)


def randn(*size, generator=None, out=None, dtype=None, device=None, requires_grad=False, **named):
    """Standard normal, of the given shape (Box and Muller, 1958). The parts of complex numbers have
    variance 1/2 each."""
    shape = _shape(size, named)
    y = _draw(_core.random_normal, shape, 0.5**0.5, dtype, generator)
    return _finish("randn", y, out, device, requires_grad, named)


def _bounds(name, low, high):
    low, high = int(low), int(high)
    if low >= high:
        raise _core.ArgumentError(f"{name}: needs low < high, got [{low}, {high})")
    width = high - low
    if width > 1 << 64 or not -(1 << 63) <= low < 1 << 63:
        raise _core.ArgumentError(f"{name}: [{low}, {high}) does not fit int64")
    width &= _MASK
    return low, width - (1 << 64) if width >> 63 else width


def randint(low=0, high=None, size=None, *, generator=None, out=None, dtype=None, device=None,
            requires_grad=False, **named):  # fmt: skip
    """Integers uniform on [low, high): ``randint(high, size)`` or ``randint(low, high, size)``.

    dtype int64 unless given. ValueError unless low < high. The bias is below (high - low) / 2^64.
    """
    if size is None:
        low, high, size = (0, low, high) if high is not None else (0, low, None)
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint: size is missing; call randint(high, size)")
    y = _core.random_integers(
        tuple(size), *_bounds("randint", low, high), dtype or _core.int64, generator
    )
    return _finish("randint", y, out, device, requires_grad, named)


def randperm(n, *, generator=None, out=None, dtype=None, device=None, requires_grad=False, **named):
    """The integers 0 to n - 1 in random order, int64 unless `dtype` says otherwise."""
    y = _core.random_permutation(n, dtype or _core.int64, generator)
    return _finish("randperm", y, out, device, requires_grad, named)


def rand_like(input: Tensor, *, generator=None, dtype=None, device=None, requires_grad=False, **kw):
    """`rand` with the shape and dtype of `input`."""
    return rand(input.shape, generator=generator, dtype=dtype or input.dtype,
                device=_like(input, device), requires_grad=requires_grad, **kw)  # fmt: skip


def randn_like(input: Tensor, *, generator=None, dtype=None, device=None, requires_grad=False,
               **kw):  # fmt: skip
    """`randn` with the shape and dtype of `input`."""
    return randn(input.shape, generator=generator, dtype=dtype or input.dtype,
                 device=_like(input, device), requires_grad=requires_grad, **kw)  # fmt: skip


def randint_like(input: Tensor, low=None, high=None, *, generator=None, dtype=None, device=None,
                 requires_grad=False, **kw):  # fmt: skip
    """`randint` with the shape and dtype of `input`: ``randint_like(x, high)`` or
    ``randint_like(x, low, high)``."""
    if high is None or low is None:
        low, high = 0, low if high is None else high
    return randint(low, high, input.shape, generator=generator, dtype=dtype or input.dtype,
                   device=_like(input, device), requires_grad=requires_grad, **kw)  # fmt: skip


def normal(mean=0.0, std=1.0, size=None, *, generator=None, out=None, dtype=None, device=None,
           requires_grad=False, **named):  # fmt: skip
    """mean + std * z with z standard normal; mean, std: numbers (with `size`) or tensors.

    Tensors broadcast together and give the shape. RuntimeError for a negative `std`.
    """
    tensors = [t for t in (mean, std) if isinstance(t, Tensor)]
    if not isinstance(std, Tensor) and std < 0:
        raise RuntimeError(f"normal: std must not be negative, got {std}")
    if not tensors:
        if size is None:
            raise TypeError("normal: size is needed when mean and std are numbers")
        y = _core.random_normal(
            tuple(size), float(mean), float(std), dtype or _core.default_dtype(), generator
        )
        return _finish("normal", y, out, device, requires_grad, named)
    like = tensors[0] + tensors[1] if len(tensors) == 2 else tensors[0]
    if not like.dtype.is_floating_point:
        raise _core.DTypeError(f"normal: tensors must be floating, got {like.dtype}")
    if isinstance(std, Tensor) and bool((std < 0).any()):
        raise RuntimeError("normal: std must not be negative")
    z = _core.random_normal(like.shape, 0.0, 1.0, like.dtype, generator)
    y = _made(z, like.device) * std + mean
    return _finish("normal", y, out, _like(like, device), requires_grad, named)


@method
def bernoulli(input: Tensor, p=None, *, generator=None, out=None) -> Tensor:
    """1 with probability `input` (a floating tensor), else 0; `p`, a number, replaces `input`'s
    values. RuntimeError for a probability outside [0, 1]."""
    if p is not None:
        return _core.random_(empty_like(input), 3, _probability(p), 0.0, generator)
    if not input.dtype.is_floating_point:
        raise _core.DTypeError(f"bernoulli: probabilities must be floating, got {input.dtype}")
    u = _core.random_uniform(input.shape, 0.0, 1.0, input.dtype, generator)
    u, chance = _made(u, input.device), input.detach()
    what = "bernoulli: probabilities must be in [0, 1]"
    if fails((chance >= 0) & (chance <= 1), RuntimeError, what):
        raise RuntimeError(what)
    return _finish("bernoulli", (u < chance).to(input.dtype), out, input.device, False)


def _probability(p) -> float:
    if not 0 <= (p := float(p)) <= 1:
        raise RuntimeError(f"bernoulli: probability must be in [0, 1], got {p}")
    return p


@method
def multinomial(input: Tensor, num_samples, replacement=False, *, generator=None, out=None):
    """Indices drawn with probabilities proportional to the rows of `input`.

    Args:
        input: (n,) or (rows, n), finite, not negative, each row with a positive sum.
        num_samples: indices per row. replacement: whether one may come twice.
    Returns int64 (num_samples,) or (rows, num_samples).
    """
    y = _core.multinomial(input, num_samples, replacement, generator)
    return _finish("multinomial", y, out, input.device, False)


def poisson(input: Tensor, generator=None) -> Tensor:
    """Poisson draws with the rates in `input`, in its dtype (Hormann, 1993). No gradient flows."""
    return _core.random_poisson(input, generator)


def binomial(count: Tensor, prob: Tensor, generator=None) -> Tensor:
    """Successes in `count` trials of probability `prob`: floating tensors of one shape, which is
    that of the result. NaN for a negative count or a probability outside [0, 1]. No gradient flows
    (geometric gaps; Hormann, 1993)."""
    return _core.random_binomial(count, prob, generator)


# ---- in place ----------------------------------------------------------------------------------
def _named(name, values, kwargs, *names):
    """Arguments that PyTorch calls `from` and `to`, given by position or by name."""
    out = list(values)
    for key, value in kwargs.items():
        if key not in names:
            raise TypeError(f"{name}: got an unexpected keyword argument {key!r}")
        out[names.index(key)] = value
    return out


@method
def uniform_(self: Tensor, a=0.0, b=1.0, *, generator=None, **named) -> Tensor:
    """Fill with values uniform on [a, b) (PyTorch's names: `from`, `to`)."""
    a, b = _named("uniform_", (a, b), named, "from", "to")
    if not a <= b:
        raise RuntimeError(f"uniform_: needs from <= to, got [{a}, {b})")
    _core.random_(_core.view_as_real(self) if self.is_complex() else self, 0, a, b, generator)
    return self


@method
def normal_(self: Tensor, mean=0.0, std=1.0, *, generator=None) -> Tensor:
    """Fill with mean + std * z, z standard normal."""
    if not std >= 0:
        raise RuntimeError(f"normal_: std must not be negative, got {std}")
    if self.is_complex():  # the variance is std^2 in all
        normal_(_core.view_as_real(self), mean, std * 0.5**0.5, generator=generator)
        return self
    return _core.random_(self, 1, mean, std, generator)


@method
def exponential_(self: Tensor, lambd=1.0, *, generator=None) -> Tensor:
    """Fill with draws of density lambd exp(-lambd x)."""
    if not lambd > 0:
        raise RuntimeError(f"exponential_: lambd must be positive, got {lambd}")
    return _core.random_(self, 2, lambd, 0.0, generator)


@method
def bernoulli_(self: Tensor, p=0.5, *, generator=None) -> Tensor:
    """Fill with 1 with probability p, else 0; p: a number, or a tensor that broadcasts."""
    if isinstance(p, Tensor):
        return _core.copy_(self, bernoulli(p.expand(self.shape), generator=generator))
    return _core.random_(self, 3, _probability(p), 0.0, generator)


@method
def cauchy_(self: Tensor, median=0.0, sigma=1.0, *, generator=None) -> Tensor:
    """Fill with draws of density sigma / (pi ((x - median)^2 + sigma^2))."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_: sigma must be positive, got {sigma}")
    return _core.random_(self, 4, median, sigma, generator)


@method
def log_normal_(self: Tensor, mean=1.0, std=2.0, *, generator=None) -> Tensor:
    """Fill with exp(mean + std * z), z standard normal."""
    if not std > 0:
        raise RuntimeError(f"log_normal_: std must be positive, got {std}")
    y = _core.random_normal(self.shape, mean, std, self.dtype, generator)
    return _core.copy_(self, _core.exp(y))


@method
def geometric_(self: Tensor, p, *, generator=None) -> Tensor:
    """Fill with the number of trials up to the first success: P(k) = (1 - p)^(k-1) p, k >= 1."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_: p must be in (0, 1), got {p}")
    dtype = self.dtype if self.dtype.is_floating_point else _core.float64
    y = _core.random_(_core.empty(self.shape, dtype), 2, -math.log1p(-p), 0.0, generator)
    return _core.copy_(self, _core.ceil(y).clamp(min=1))


# Integers a floating dtype holds exactly: 0 ... 2^digits.
_DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
_MAXIMUM = {"int64": 63, "int32": 31, "int16": 15, "int8": 7, "uint8": 8, "bool": 1}


@method
def random_(self: Tensor, low=0, high=None, *, generator=None, **named) -> Tensor:
    """Fill with integers uniform on [low, high) (PyTorch's names: `from`, `to`); ``random_(high)``
    starts at 0. Without bounds: every non-negative value an integer dtype has, or 0 to 2^digits."""
    given = high is not None or "to" in named
    low, high = _named("random_", (low, high), named, "from", "to")
    if not given and "from" not in named and low != 0:
        low, high = 0, low
    if high is None:
        kind = str(self.dtype).removeprefix("lamina.")
        high = (1 << _DIGITS[kind]) + 1 if kind in _DIGITS else 1 << _MAXIMUM[kind]
    return _core.random_integers_(self, *_bounds("random_", low, high), generator)
