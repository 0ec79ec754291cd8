"""Sequences out of a model that maps tokens (N, T) to logits (N, T, V): greedy choice, sampling by
temperature, top-k and top-p, beam search, and the cache of keys and values that makes it fast.

Sources: Fan, Lewis and Dauphin, "Hierarchical neural story generation", ACL 2018 (top-k); Holtzman
et al., "The curious case of neural text degeneration", ICLR 2020 (top-p); Graves, "Sequence
transduction with recurrent neural networks", 2012 (beam search); Wu et al., "Google's neural
machine translation system", 2016 (length normalisation).
"""

from __future__ import annotations

import math

from .. import _core
from .._core import Tensor
from ..ops.creation import tensor
from ..random import multinomial
from . import functional as F
from .kv_cache import KVCache, kept_in
from .module import Module

__all__ = ["filter_logits", "generate", "beam_search"]


def filter_logits(logits: Tensor, temperature=1.0, top_k=None, top_p=None) -> Tensor:
    """logits / temperature with -inf wherever a token is ruled out; shape (..., V).

    top_k: the k largest stay (and those equal to the last). top_p: the fewest tokens whose
    probabilities, largest first, sum to at least p stay; at least one. Raises ValueError for a
    temperature or top_k below its range, or top_p outside (0, 1].

    >>> filter_logits(lamina.tensor([1.0, 3.0, 2.0]), top_k=2)
    tensor([-inf, 3., 2.])
    """
    if temperature <= 0:
        raise ValueError(f"filter_logits: temperature must be above 0, got {temperature}")
    if temperature != 1:
        logits = logits / temperature
    if top_k is not None:
        if top_k < 1:
            raise ValueError(f"filter_logits: top_k must be at least 1, got {top_k}")
        least = logits.topk(min(top_k, logits.shape[-1]), -1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    if top_p is not None:
        if not 0 < top_p <= 1:
            raise ValueError(f"filter_logits: top_p must be in (0, 1], got {top_p}")
        p, order = F.softmax(logits, -1).sort(-1, descending=True)
        late = p.cumsum(-1) - p >= top_p  # what comes before already sums to top_p
        late[..., :1] = False
        ruled_out = late.new_zeros(late.shape).scatter(-1, order, late)
        logits = logits.masked_fill(ruled_out, -math.inf)
    return logits


TYPE_CHECKING = False  # typing itself is slow to import
if TYPE_CHECKING:
    from typing import Any

    _Options = tuple[Any, Any, Any, Any]  # do_sample, temperature, top_k, top_p


def _takes_cache(model) -> bool:
    """Whether a model has an argument `cache`."""
    try:
        import inspect  # slow to import

        forward = model.forward if isinstance(model, Module) else model
        return "cache" in inspect.signature(forward).parameters
    except (TypeError, ValueError):
        return False


def _last(logits) -> Tensor:
    """(N, V) of a model's result: (N, T, V), or a tuple that begins with it."""
    return (logits[0] if isinstance(logits, tuple) else logits)[:, -1]


class _Steps:
    """The logits that follow given tokens: through a cache when the model takes one, else from the
    last `context` tokens."""

    def __init__(self, model, use_cache, context, inputs):
        if use_cache is None:
            use_cache = _takes_cache(model)
        self.model, self.context, self.inputs = model, context, inputs
        self.cache = KVCache() if use_cache else None

    def __call__(self, tokens: Tensor) -> Tensor:
        """(N, T) -> (N, V)."""
        inputs, seen = self.inputs, 0
        if self.cache is not None:
            inputs = {**inputs, "cache": self.cache}
            seen = self.cache.length
        elif self.context is not None:
            tokens = tokens[:, -self.context :]
        return _last(self.model(tokens[:, seen:], **inputs))

    def reorder(self, index: Tensor) -> None:
        if self.cache is not None:
            self.cache.reorder(index)


class _Decoder:
    """Steps of one token through a cache of fixed capacity, compiled. A model remembers its last
    one (its plans and the memory of its cache): the next call of `generate` goes on with it."""

    def __init__(self, model, sequences: int, capacity: int, compiled: bool):
        self.model, self.sequences, self.compiled = model, sequences, compiled
        self.cache = KVCache(capacity)
        self.steps: dict = {}  # how tokens are chosen: the step, eager and compiled

    @staticmethod
    def of(model, sequences: int, length: int, compiled: bool) -> _Decoder:
        """One with room for so many sequences of this length, its cache empty."""
        found = model.__dict__.pop("_decoder", None) if isinstance(model, Module) else None
        if (
            found is not None
            and found.model is model
            and (found.sequences, found.compiled) == (sequences, compiled)
            and found.cache.capacity >= length
            and found.suits()
        ):
            found.cache.reset()
            return found
        return _Decoder(model, sequences, max(64, 1 << (length - 1).bit_length()), compiled)

    def put_back(self) -> None:
        """For the next call; while one runs, others, in other threads, make their own."""
        if isinstance(self.model, Module):
            object.__setattr__(self.model, "_decoder", self)

    def suits(self) -> bool:
        """Whether the model still has the cache's layers, its dtype and its device."""
        model, held = self.model, list(self.cache._layers.values())
        p = next(iter(model.parameters()), None)
        if p is not None and held:
            x = held[0][0]
            if kept_in(p.dtype) is not x.dtype or p.device != x.device:
                return False
        layers = {id(layer) for layer in model.modules()}
        return all(id(entry[3]) in layers for entry in held)

    def __deepcopy__(self, memo):
        return None  # a copied model begins anew

    def __reduce__(self):
        return type(None), ()

    def chooser(self, options: _Options, generator, inputs: dict):
        """f(parts), the tokens so far as a list of (N, T): those that follow, (N, 1)."""
        if generator is not None:  # whose draws a plan does not make
            logits = self.chooser(_LOGITS, None, inputs)
            return lambda parts: _choose(logits(parts), *options, generator)
        eager, replayed = self._step(options)
        made = self.cache._layers  # by the first step, which is no step to record

        def follow(parts):
            step = replayed if made and parts[-1].shape[1] == 1 else eager
            return step(parts[-1], **inputs)

        return follow

    def _step(self, options: _Options) -> tuple:
        """f(tokens (N, T)) -> the tokens that follow, (N, 1), chosen by `_choose`; compiled too."""
        if options not in self.steps:
            model, cache = self.model, self.cache

            def next_tokens(tokens, **inputs):
                return _choose(_last(model(tokens, cache=cache, **inputs)), *options)

            replayed = next_tokens
            if self.compiled:
                from .. import compiler

                replayed = compiler.CompiledFunction(next_tokens, tell=lambda why: None)
            if len(self.steps) >= 8:
                self.steps.clear()
            self.steps[options] = next_tokens, replayed
        return self.steps[options]


_GREEDY, _LOGITS = (False, None, None, None), (None, None, None, None)


def _choose(logits: Tensor, do_sample, temperature, top_k, top_p, generator=None) -> Tensor:
    """(N, V) -> tokens (N, 1); the logits themselves where do_sample is None."""
    if do_sample is None:
        return logits
    if not do_sample:
        return logits.argmax(-1, keepdim=True)
    p = F.softmax(filter_logits(logits, temperature, top_k, top_p), -1)
    return multinomial(p, 1, generator=generator)


def _evaluating(function):
    """Runs a function of (model, tokens, ...) without gradients and with the model in eval mode."""
    import functools

    @functools.wraps(function)
    def run(model, tokens, *args, **kwargs):
        if tokens.dim() != 2 or tokens.shape[1] == 0:
            raise _core.ShapeError(
                f"{function.__name__}: expected tokens (N, T) with T > 0, got shape "
                f"{tuple(tokens.shape)}"
            )
        training = isinstance(model, Module) and model.training
        before = _core.grad_enabled()
        _core.set_grad_enabled(False)
        try:
            if training:
                model.eval()
            return function(model, tokens, *args, **kwargs)
        finally:
            _core.set_grad_enabled(before)
            if training:
                model.train()

    return run


@_evaluating
def generate(model, tokens: Tensor, max_new_tokens: int, *, do_sample=False, temperature=1.0,
             top_k=None, top_p=None, eos_token=None, pad_token=None, context=None, use_cache=None,
             generator=None, compile=True, **inputs) -> Tensor:  # fmt: skip
    """`tokens` continued by up to `max_new_tokens`: (N, T) int64 -> (N, T + at most that many).

    Args:
        model: maps tokens (N, T) to logits (N, T, V), or to a tuple that begins with them; runs
            without gradients and, if a Module, in eval mode. If it has an argument `cache`, it is
            given a `KVCache` and only the tokens not seen yet.
        do_sample: draw from softmax(`filter_logits`(logits, temperature, top_k, top_p)) with
            `generator`; else the most probable token.
        eos_token: ends a sequence; `pad_token` (eos_token when None) follows it, and all stop when
            every sequence has ended.
        context: without a cache, the most tokens the model takes. use_cache: whether to pass a
            cache, None: if the model has the argument. inputs: further arguments of the model.
        compile: replay the step of one token (`lamina.compile`) where there is a cache. A model
            whose step cannot be replayed runs eagerly; one that adds positions to its tokens takes
            them from ``cache.positions(T)``. A Module keeps the plan and the cache's memory for the
            next call.

    >>> table = lamina.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    >>> generate(lambda t: table[t], lamina.tensor([[0]]), 4)
    tensor([[0, 1, 2, 0, 1]])
    """
    options = (do_sample, temperature, top_k, top_p) if do_sample else _GREEDY
    decoder = None
    if _takes_cache(model) if use_cache is None else use_cache:
        room = tokens.shape[1] + max_new_tokens
        decoder = _Decoder.of(model, tokens.shape[0], room, compile)
        decoder.cache.device = tokens.device
        follow = decoder.chooser(options, generator, inputs)
    else:
        steps = _Steps(model, False, context, inputs)

        def follow(parts):
            return _choose(steps(_core.cat(parts, 1)), *options, generator)

    pad = eos_token if pad_token is None else pad_token
    ended = tokens.new_zeros((tokens.shape[0], 1), dtype=_core.bool)
    parts = [tokens]
    for _ in range(max_new_tokens):
        chosen = follow(parts)
        if eos_token is not None:
            chosen = chosen.masked_fill(ended, pad)
            ended = ended | (chosen == eos_token)
        parts.append(chosen)
        if eos_token is not None and bool(ended.all()):
            break
    if decoder is not None:
        decoder.put_back()
    return _core.cat(parts, 1)


@_evaluating
def beam_search(model, tokens: Tensor, max_new_tokens: int, *, num_beams=4, length_penalty=0.0,
                eos_token=None, pad_token=None, num_return=1, context=None, use_cache=None,
                **inputs):  # fmt: skip
    """The most probable continuations among `num_beams` kept at each step.

    A hypothesis y of n new tokens scores sum log p(y_t | y_<t) / ((5 + n) / 6)^length_penalty (Wu
    et al., 2016; 0: the plain sum). Each step costs one model call on N num_beams sequences and a
    choice among num_beams V candidates.

    Args: as for `generate`. num_return: hypotheses per sequence, at most num_beams. inputs:
    tensors among them are repeated num_beams times along their first dimension.
    Returns tokens (N, num_return, T + n), filled up with pad_token (eos_token when None), and
    scores (N, num_return), best first. Raises ValueError for num_beams or num_return out of range.

    >>> table = lamina.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    >>> beam_search(lambda t: table[t], lamina.tensor([[0]]), 3, num_beams=2)[0]
    tensor([[[0, 1, 2, 0]]])
    """
    if num_beams < 1 or not 1 <= num_return <= num_beams:
        raise ValueError(
            "beam_search: num_beams must be at least 1 and num_return between 1 and num_beams, got "
            f"{num_beams} and {num_return}"
        )
    N, K, T = tokens.shape[0], num_beams, tokens.shape[1]
    inputs = {
        k: x.repeat_interleave(K, 0) if isinstance(x, Tensor) else x for k, x in inputs.items()
    }
    step = _Steps(model, use_cache, context, inputs)
    if step.cache is not None:
        step.cache.device = tokens.device
    beams = tokens.repeat_interleave(K, 0)  # (N K, T)
    sums = [[0.0] + [-math.inf] * (K - 1) for _ in range(N)]  # the first beam begins alone
    done: list[list[tuple[float, list]]] = [[] for _ in range(N)]

    def score(total: float, n: int) -> float:
        return total / ((5 + n) / 6) ** length_penalty if n else total

    for n in range(1, max_new_tokens + 1):
        logp = F.log_softmax(step(beams), -1)
        V = logp.shape[1]
        total = logp.cpu().view(N, K, V) + _core.tensor(sums, logp.dtype).unsqueeze(2)
        best = total.view(N, K * V).topk(min(2 * K, K * V), -1)
        values, places = best.values.tolist(), best.indices.tolist()
        origin, chosen = [], []
        for i in range(N):
            kept: list[tuple[float, int, int]] = []
            for rank, (value, place) in enumerate(zip(values[i], places[i])):
                beam, token = divmod(place, V)
                if value == -math.inf or len(kept) == K:
                    continue
                if token != eos_token:
                    kept.append((value, beam, token))
                elif rank < K:  # an ending outside the best K is no candidate
                    done[i].append((score(value, n), [*beams[i * K + beam].tolist(), token]))
            done[i] = sorted(done[i], key=lambda d: -d[0])[:K]
            kept += [(-math.inf, 0, 0)] * (K - len(kept))
            sums[i] = [k[0] for k in kept]
            origin += [i * K + k[1] for k in kept]
            chosen += [k[2] for k in kept]
        index = beams.new_tensor(origin)
        beams = _core.cat([beams[index], beams.new_tensor(chosen).unsqueeze(1)], 1)
        step.reorder(index)
        if eos_token is not None and all(
            len(done[i]) == K and done[i][-1][0] >= _bound(sums[i][0], n, max_new_tokens, score)
            for i in range(N)
        ):
            break
    length = beams.shape[1] - T
    for i in range(N):
        for k in range(K):
            if sums[i][k] > -math.inf:
                done[i].append((score(sums[i][k], length), beams[i * K + k].tolist()))
    return _gather(done, num_return, eos_token if pad_token is None else pad_token, tokens)


def _bound(total: float, n: int, most: int, score) -> float:
    """The best score an unfinished hypothesis can still reach: its sum only falls."""
    return max(score(total, n), score(total, most))


def _gather(done, num_return, pad, tokens) -> tuple[Tensor, Tensor]:
    chosen = [sorted(d, key=lambda x: -x[0])[:num_return] for d in done]
    least = min(len(c) for c in chosen)
    chosen = [c[:least] for c in chosen]
    longest = max(len(h[1]) for c in chosen for h in c)
    filled = [[h[1] + [pad] * (longest - len(h[1])) for h in c] for c in chosen]
    scores = [[h[0] for h in c] for c in chosen]
    return tokens.new_tensor(filled), tensor(scores, dtype=_core.float32, device=tokens.device)
