"""A small GPT that writes: lamina by `nn.generate`; PyTorch by hand, eager, in inference mode, with
a cache whose memory is made once and attention to its filled part. The tokens are the same."""

from __future__ import annotations

import numpy as np
from networks import gpt


def generation(t, fill, layers, width, heads, length):
    """(step, batches): a prompt of 4 tokens continued to `length`, greedily."""
    nn, F = t.nn, t.nn.functional

    class Cache:
        def __init__(self, capacity):
            self.room = {}
            self.capacity, self.length = capacity, 0
            self.numbers = t.arange(capacity)

        def positions(self, n):
            self.first, self.length = self.length, self.length + n
            return self.numbers[self.first : self.length]

        def attend(self, layer, q, k, v):
            if layer not in self.room:
                B, H, _, D = k.shape
                self.room[layer] = t.empty(2, B, H, self.capacity, D)
            keys, values = self.room[layer]
            keys[:, :, self.first : self.length] = k
            values[:, :, self.first : self.length] = v
            keys, values = keys[:, :, : self.length], values[:, :, : self.length]
            return F.scaled_dot_product_attention(q, keys, values, is_causal=q.shape[2] > 1)

    model = gpt(t, layers, width, heads, length).eval()
    fill(t, model)

    def lamina_step(prompt, compile=True):
        return nn.generate(model, prompt, length - prompt.shape[1], compile=compile)

    def torch_step(prompt):
        cache, parts = Cache(length), [prompt]
        with t.inference_mode():
            while cache.length < length - 1:
                parts.append(model(parts[-1], cache)[:, -1].argmax(-1, keepdim=True))
            return t.cat(parts, 1)

    step = lamina_step if t.__name__ == "lamina" else torch_step
    step.whole = True  # compiles by itself
    rng = np.random.default_rng(0)
    return step, [(rng.integers(0, 65, (1, 4)),) for _ in range(8)]
