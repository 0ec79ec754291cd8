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
from ..random import multinomial
from . import functional as F
from .module import Module

__all__ = ["KVCache", "filter_logits", "generate", "beam_search"]


class KVCache:
    """Keys and values of the positions a model has seen, one pair per attention layer.

    A layer calls ``k, v = cache.update(self, k, v)`` with the new ones (N, H, T, D) and gets all of
    them; `CausalSelfAttention` does. Room doubles when it is used up, so n steps copy O(n). Nothing
    is recorded for backward.
    """

    def __init__(self):
        self._layers: dict[int, list] = {}  # id(layer): keys, values, length, the layer itself

    def length_of(self, layer) -> int:
        """Positions held for a layer."""
        return self._layers[id(layer)][2] if id(layer) in self._layers else 0

    @property
    def length(self) -> int:
        """Positions held: the least of all layers."""
        return min((entry[2] for entry in self._layers.values()), default=0)

    def update(self, layer, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Adds (N, H, T, D) keys and (N, H, T, E) values; returns all of the layer's, as views."""
        k, v = k.detach(), v.detach()
        held, T = self.length_of(layer), k.shape[2]
        entry = self._layers.get(id(layer))
        if entry is None or held + T > entry[0].shape[2]:
            room = 64
            while room < held + T:
                room *= 2
            grown = [x.new_empty((*x.shape[:2], room, x.shape[3])) for x in (k, v)]
            if entry is not None and held:
                for new, old in zip(grown, entry):
                    new[:, :, :held] = old[:, :, :held]
            entry = self._layers[id(layer)] = [*grown, held, layer]
        for buffer, new in zip(entry, (k, v)):
            buffer[:, :, held : held + T] = new
        entry[2] = held + T
        return entry[0][:, :, : held + T], entry[1][:, :, : held + T]

    def reorder(self, index: Tensor) -> None:
        """Row n of the batch becomes the old row index[n] (beams that survive)."""
        for entry in self._layers.values():
            entry[0], entry[1] = entry[0][index], entry[1][index]

    def crop(self, length: int) -> None:
        """Forgets positions from `length` on."""
        for entry in self._layers.values():
            entry[2] = min(entry[2], length)


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
        ruled_out = _core.full(tuple(late.shape), False, _core.bool)
        logits = logits.masked_fill(ruled_out.scatter(-1, order, late), -math.inf)
    return logits


class _Steps:
    """The logits that follow given tokens: through a cache when the model takes one, else from the
    last `context` tokens."""

    def __init__(self, model, use_cache, context, inputs):
        forward = model.forward if isinstance(model, Module) else model
        if use_cache is None:
            try:
                import inspect  # slow to import

                use_cache = "cache" in inspect.signature(forward).parameters
            except (TypeError, ValueError):
                use_cache = False
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
        logits = self.model(tokens[:, seen:], **inputs)
        if isinstance(logits, tuple):
            logits = logits[0]
        return logits[:, -1]

    def reorder(self, index: Tensor) -> None:
        if self.cache is not None:
            self.cache.reorder(index)


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
             generator=None, **inputs) -> Tensor:  # fmt: skip
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

    >>> table = lamina.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    >>> generate(lambda t: table[t], lamina.tensor([[0]]), 4)
    tensor([[0, 1, 2, 0, 1]])
    """
    step = _Steps(model, use_cache, context, inputs)
    pad = eos_token if pad_token is None else pad_token
    ended = _core.full((tokens.shape[0],), False, _core.bool)
    for _ in range(max_new_tokens):
        logits = step(tokens)
        if do_sample:
            p = F.softmax(filter_logits(logits, temperature, top_k, top_p), -1)
            chosen = multinomial(p, 1, generator=generator).squeeze(1)
        else:
            chosen = logits.argmax(-1)
        if eos_token is not None:
            chosen = chosen.masked_fill(ended, pad)
            ended = ended | (chosen == eos_token)
        tokens = _core.cat([tokens, chosen.unsqueeze(1)], 1)
        if eos_token is not None and bool(ended.all()):
            break
    return tokens


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
    beams = tokens.repeat_interleave(K, 0)  # (N K, T)
    sums = [[0.0] + [-math.inf] * (K - 1) for _ in range(N)]  # the first beam begins alone
    done: list[list[tuple[float, list]]] = [[] for _ in range(N)]

    def score(total: float, n: int) -> float:
        return total / ((5 + n) / 6) ** length_penalty if n else total

    for n in range(1, max_new_tokens + 1):
        logp = F.log_softmax(step(beams), -1)
        V = logp.shape[1]
        total = logp.view(N, K, V) + _core.tensor(sums, logp.dtype).unsqueeze(2)
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
        index = _core.tensor(origin, _core.int64)
        beams = _core.cat([beams[index], _core.tensor(chosen, _core.int64).unsqueeze(1)], 1)
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
    return _gather(done, num_return, eos_token if pad_token is None else pad_token, tokens.dtype)


def _bound(total: float, n: int, most: int, score) -> float:
    """The best score an unfinished hypothesis can still reach: its sum only falls."""
    return max(score(total, n), score(total, most))


def _gather(done, num_return, pad, dtype) -> tuple[Tensor, Tensor]:
    chosen = [sorted(d, key=lambda x: -x[0])[:num_return] for d in done]
    least = min(len(c) for c in chosen)
    chosen = [c[:least] for c in chosen]
    longest = max(len(h[1]) for c in chosen for h in c)
    filled = [[h[1] + [pad] * (longest - len(h[1])) for h in c] for c in chosen]
    return _core.tensor(filled, dtype), _core.tensor(
        [[h[0] for h in c] for c in chosen], _core.float32
    )
