"""A small GPT that writes: lamina by `nn.generate`; PyTorch by hand, eager, in inference mode, with
a cache whose memory is made once and attention to its filled part. The tokens are the same."""

from __future__ import annotations

import numpy as np


def gpt(t, layers, width, heads, context):
    """A GPT of 65 tokens: scores (batch, length, 65) of tokens (batch, length), with `cache` of
    those that follow what it holds."""
    nn, F = t.nn, t.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x, cache):
            B, T, C = x.shape
            q, k, v = self.qkv(self.n1(x)).split(C, 2)
            q, k, v = (z.view(B, T, heads, C // heads).transpose(1, 2) for z in (q, k, v))
            if cache is None:
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                y = cache.attend(self, q, k, v)
            x = x + self.out(y.transpose(1, 2).reshape(B, T, C))
            return x + self.down(F.gelu(self.up(self.n2(x))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.place = nn.Embedding(65, width), nn.Embedding(context, width)
            self.blocks = nn.ModuleList([Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 65, bias=False)

        def forward(self, x, cache=None):
            T = x.shape[1]
            h = self.token(x) + self.place(t.arange(T) if cache is None else cache.positions(T))
            for block in self.blocks:
                h = block(h, cache)
            return self.head(self.norm(h))

    return GPT()


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
