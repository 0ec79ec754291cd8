"""A small GPT on the characters of Shakespeare's plays, and a text written by it.

    python examples/char_gpt.py                    # 2000 steps, a loss of about 1.6
    python examples/char_gpt.py --steps 200 --temperature 0.8 --top-k 10

Trains on text/tinyshakespeare.txt of $LAMINA_DATA, or on any text given with --data. Radford et
al., "Language models are unsupervised multitask learners", 2019 (GPT-2), at toy size.
"""

import argparse
import math
import os
import pathlib

import lamina
from lamina import nn, optim
from lamina.nn import functional as F


class Block(nn.Module):
    """x + attention(norm(x)), then x + network(norm(x)); x (B, T, C)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, past=None):
        """past: the keys and values (B, heads, T', C / heads) of earlier calls; also returned."""
        B, T, C = x.shape
        q, k, v = (
            t.view(B, T, self.heads, C // self.heads).transpose(1, 2)
            for t in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        if past is not None:
            k, v = lamina.cat([past[0], k], 2), lamina.cat([past[1], v], 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=past is None)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.norm2(x)))), (k, v)


class GPT(nn.Module):
    def __init__(self, vocabulary, width=128, layers=4, heads=4, context=64):
        super().__init__()
        self.context = context
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                last = name.endswith(("out.weight", "down.weight"))  # adds to the residual
                nn.init.normal_(p, 0.0, 0.02 / math.sqrt(2 * layers) if last else 0.02)

    def forward(self, ids, cache=None):
        """Logits (B, T, V) of ids (B, T). A cache, a list, keeps the keys and values of the calls
        so far; with one that is not empty ids is the one next token."""
        start = cache[0][0].shape[2] if cache else 0
        x = self.tokens(ids) + self.places(lamina.arange(start, start + ids.shape[1]))
        before, after = cache or [None] * len(self.blocks), []
        for block, past in zip(self.blocks, before):
            x, past = block(x, past)
            after.append(past)
        if cache is not None:
            cache[:] = after
        return self.head(self.norm(x))


def draw(ids, batch, length):
    """(inputs, targets), each (batch, length): stretches of ids at random places."""
    places = lamina.randint(len(ids) - length, (batch, 1)) + lamina.arange(length)
    return ids[places], ids[places + 1]


def train(model, batches, lr=1e-3):
    """Takes one step of AdamW on each batch (inputs, targets); yields the losses."""
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=0.1)
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss.item()


@lamina.no_grad()
def write(model, ids, count, temperature=1.0, top_k=None):
    """ids (list) continued by `count` tokens, each drawn from the model's probabilities."""
    cache, ids = [], list(ids)
    for _ in range(count):
        if cache and cache[0][0].shape[2] == model.context:
            cache = []  # full: begin again from the last half
        seen = ids[-1:] if cache else ids[-(model.context // 2) :]
        logits = model(lamina.tensor([seen]), cache)[0, -1] / temperature
        if top_k is not None:
            logits[logits < logits.topk(min(top_k, len(logits))).values[-1]] = -math.inf
        ids.append(lamina.multinomial(F.softmax(logits, -1), 1).item())
    return ids


def main(data, steps, batch, seed, temperature, top_k):
    lamina.manual_seed(seed)
    text = pathlib.Path(data).read_text()
    characters = sorted(set(text))
    number = {c: i for i, c in enumerate(characters)}
    ids = lamina.tensor([number[c] for c in text])
    model = GPT(len(characters))

    batches = (draw(ids, batch, model.context) for _ in range(steps))
    for step, loss in enumerate(train(model, batches), 1):
        if step % max(1, steps // 10) == 0:
            print(f"step {step}: loss {loss:.3f}")
    written = write(model, [number["\n"]], 300, temperature, top_k)
    print("".join(characters[i] for i in written))


if __name__ == "__main__":
    found = pathlib.Path(os.environ.get("LAMINA_DATA", "data"), "text", "tinyshakespeare.txt")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=found, help="a file of text")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=0.9)
    parser.add_argument("--top-k", type=int, help="draw only from the k most probable")
    main(**vars(parser.parse_args()))
