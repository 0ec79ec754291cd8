"""An LSTM language model on the characters of Shakespeare's plays, and a text written by it.

    python examples/char_lstm.py                   # 1000 steps, a loss of about 1.6
    python examples/char_lstm.py --steps 200 --temperature 0.8 --top-k 10

Trains on text/tinyshakespeare.txt of $LAMINA_DATA, or on any text given with --data. The text is
cut into parallel streams, and the LSTM's state is carried from one stretch of a stream to the next
(truncated backpropagation through time; Mikolov et al., "Recurrent neural network based language
model", 2010).
"""

import argparse
import itertools
import math
import os
import pathlib

import lamina
from lamina import nn, optim
from lamina.nn import functional as F


class CharLSTM(nn.Module):
    def __init__(self, vocabulary, width=128, layers=2):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids, state=None):
        """Logits (B, T, V) of ids (B, T), and the state after them."""
        y, state = self.lstm(self.embedding(ids), state)
        return self.head(y), state


def stretches(ids, streams, length):
    """(inputs, targets), each (streams, length), of consecutive stretches, for ever."""
    whole = (len(ids) - 1) // (streams * length) * length  # of one stream
    inputs = ids[: streams * whole].view(streams, whole)
    targets = ids[1 : streams * whole + 1].view(streams, whole)
    while True:
        for at in range(0, whole, length):
            yield inputs[:, at : at + length], targets[:, at : at + length]


def train(model, batches, lr=5e-3):
    """Takes one step of Adam on each batch (inputs, targets); yields the losses."""
    optimizer, state = optim.Adam(model.parameters(), lr=lr), None
    for inputs, targets in batches:
        optimizer.zero_grad()
        logits, state = model(inputs, state)
        state = tuple(s.detach() for s in state)  # the gradient stops here
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss.item()


@lamina.no_grad()
def write(model, ids, count, temperature=1.0, top_k=None):
    """ids (list) continued by `count` tokens, each drawn from the model's probabilities."""
    seen, state, ids = ids, None, list(ids)
    for _ in range(count):
        logits, state = model(lamina.tensor([seen]), state)
        logits = logits[0, -1] / temperature
        if top_k is not None:
            logits[logits < logits.topk(min(top_k, len(logits))).values[-1]] = -math.inf
        seen = [lamina.multinomial(F.softmax(logits, -1), 1).item()]
        ids += seen
    return ids


def main(data, steps, batch, seed, temperature, top_k):
    lamina.manual_seed(seed)
    text = pathlib.Path(data).read_text()
    characters = sorted(set(text))
    number = {c: i for i, c in enumerate(characters)}
    ids = lamina.tensor([number[c] for c in text])
    model = CharLSTM(len(characters))
    batches = itertools.islice(stretches(ids, batch, 64), steps)
    for step, loss in enumerate(train(model, batches), 1):
        if step % max(1, steps // 10) == 0:
            print(f"step {step}: loss {loss:.3f}")
    written = write(model, [number["\n"]], 300, temperature, top_k)
    print("".join(characters[i] for i in written))


if __name__ == "__main__":
    found = pathlib.Path(os.environ.get("LAMINA_DATA", "data"), "text", "tinyshakespeare.txt")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=found, help="a file of text")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=0.9)
    parser.add_argument("--top-k", type=int, help="draw only from the k most probable")
    main(**vars(parser.parse_args()))
