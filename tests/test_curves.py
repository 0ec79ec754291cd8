"""The language models of examples/ learn step for step as in PyTorch: the same source with only its
imports changed, from the same weights, on the same batches of Shakespeare."""

from __future__ import annotations

import os
import pathlib
import types

import numpy as np
import pytest

import lamina

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"
STEPS = 100


def module(name, library="lamina"):
    """The example as a module, of lamina or with PyTorch in its place."""
    source = (EXAMPLES / f"{name}.py").read_text()
    if library == "torch":
        source = source.replace("import lamina", "import torch as lamina")
        source = source.replace("from lamina", "from torch")
    found = types.ModuleType(f"{name}_{library}")
    exec(compile(source, f"{name}_{library}.py", "exec"), vars(found))
    return found


@pytest.fixture(scope="module")
def ids():
    """The text as numbers."""
    file = pathlib.Path(os.environ.get("LAMINA_DATA", ""), "text", "tinyshakespeare.txt")
    if not file.is_file():
        pytest.skip("LAMINA_DATA has no text/tinyshakespeare.txt")
    text = np.frombuffer(file.read_bytes(), np.uint8)
    return np.unique(text, return_inverse=True)[1].astype(np.int64)


def random_batches(ids):
    """12 stretches of 64 characters, for the GPT."""
    rng = np.random.default_rng(0)
    places = rng.integers(0, len(ids) - 65, (STEPS, 12, 1)) + np.arange(65)
    return [(ids[p[:, :-1]], ids[p[:, 1:]]) for p in places]


def streams(ids):
    """32 streams of text, 32 characters at a time, for the LSTM."""
    length = STEPS * 32
    rows = np.stack([ids[i : i + length + 1] for i in range(0, 32 * length, length)])
    return [(rows[:, i : i + 32], rows[:, i + 1 : i + 33]) for i in range(0, length, 32)]


MODELS = {
    "char_gpt": ("GPT", random_batches),  # 4 layers, 128 wide, 4 heads, context 64
    "char_lstm": ("CharLSTM", streams),  # 2 layers, 128 wide
}


@pytest.mark.parametrize("name", MODELS)
def test_losses_are_pytorchs(name, ids):
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # its threads wait for each other without end on a busy machine
    layer, draw = MODELS[name]
    batches = draw(ids)
    lamina.manual_seed(1)
    ours, theirs = module(name), module(name, "torch")
    model, other = (getattr(m, layer)(int(ids.max()) + 1) for m in (ours, theirs))
    other.load_state_dict({k: torch.tensor(v.numpy()) for k, v in model.state_dict().items()})
    losses = [
        np.array(list(m.train(net, [(t(x), t(y)) for x, y in batches])))
        for m, net, t in ((ours, model, lamina.tensor), (theirs, other, torch.tensor))
    ]
    torch.set_num_threads(threads)
    assert losses[0][-10:].mean() < losses[0][0] - 1.5  # they learn
    most = np.abs(losses[0] - losses[1]).max()
    print(f"{name}: losses differ by at most {most:.2g} over {STEPS} steps")
    assert most < 1e-3


def test_cache_of_keys_and_values_changes_nothing():
    """The logits of the GPT one token at a time are those of the whole sequence."""
    lamina.manual_seed(2)
    model = module("char_gpt").GPT(11, width=16, layers=2, heads=2, context=9)
    ids = lamina.randint(11, (3, 9))
    with lamina.no_grad():
        whole, cache = model(ids), []
        steps = [model(ids[:, t : t + 1], cache) for t in range(9)]
    np.testing.assert_allclose(lamina.cat(steps, 1).numpy(), whole.numpy(), atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_writing_is_of_the_vocabulary_and_repeats_from_a_seed(name):
    example = module(name)
    model = getattr(example, MODELS[name][0])(11, width=8)
    texts = []
    for seed in (3, 3, 4):
        lamina.manual_seed(seed)
        texts.append(example.write(model, [1, 2], 100, temperature=2.0, top_k=5))
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 102 and texts[0][:2] == [1, 2] and set(texts[0]) <= set(range(11))
