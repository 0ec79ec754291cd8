"""Names about the machine, number formats, mixed precision: what programs ask before they train."""

import importlib

import numpy as np
import pytest

import lamina
from lamina import nn

MODULES = [
    "accelerator", "amp", "backends.cudnn", "backends.cuda", "backends.mps", "cpu", "cuda",
    "cuda.amp", "distributed", "distributed.rpc.api", "func", "hub", "jit", "mps",
    "multiprocessing", "nested", "nn.parallel", "onnx", "profiler", "special", "testing",
    "utils.checkpoint", "utils.dlpack", "utils.model_zoo", "version", "xpu",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_modules(name):
    module = importlib.import_module(f"lamina.{name}")
    assert module.__doc__
    found = lamina
    for part in name.split("."):
        found = getattr(found, part)
    assert found is module


@pytest.mark.skipif(lamina.cuda.is_available(), reason="there is a CUDA device")
def test_no_gpu():
    cuda = lamina.cuda
    assert not cuda.is_available() and cuda.device_count() == 0 and not cuda.is_bf16_supported()
    cuda.manual_seed(1), cuda.manual_seed_all(1), cuda.empty_cache()
    assert cuda.max_memory_allocated() == 0
    for call in (lambda: cuda.set_device(0), cuda.synchronize, lambda: cuda.get_device_name(0)):
        with pytest.raises(RuntimeError, match="no CUDA device is available"):
            call()
    with pytest.raises(TypeError, match="not available"):
        cuda.FloatTensor(2)
    assert not lamina.accelerator.is_available()
    assert lamina.accelerator.current_accelerator() is None
    lamina.backends.cudnn.benchmark = True
    lamina.backends.cudnn.benchmark = False
    assert not lamina.backends.mps.is_available()
    assert lamina.backends.cpu.get_cpu_capability() in ("generic", "avx2", "avx512", "neon")
    for name in ("cuda", "mps", "cuda:1"):
        assert str(lamina.device(name)) == name
        with pytest.raises(RuntimeError):
            lamina.zeros(1, device=name)
    with pytest.raises(RuntimeError, match="expected one of cpu, cuda"):
        lamina.device("gpu")


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_finfo(name):
    ours, numpys = lamina.finfo(getattr(lamina, name)), np.finfo(name)
    for key in ("bits", "eps", "max", "min", "tiny", "smallest_normal"):
        assert float(getattr(ours, key)) == pytest.approx(float(getattr(numpys, key)), rel=1e-15)
    assert ours.dtype == name


def test_number_limits():
    assert lamina.finfo().bits == 32 and lamina.finfo(lamina.bfloat16).eps == 2**-7
    for name in ("uint8", "int8", "int16", "int32", "int64"):
        ours, numpys = lamina.iinfo(getattr(lamina, name)), np.iinfo(name)
        assert (ours.min, ours.max, ours.bits) == (numpys.min, numpys.max, numpys.bits)
    with pytest.raises(TypeError, match="use iinfo"):
        lamina.finfo(lamina.int8)
    with pytest.raises(TypeError, match="use finfo"):
        lamina.iinfo(lamina.float32)


def test_tensor_types():
    assert lamina.FloatTensor(2, 3).shape == (2, 3)
    assert lamina.LongTensor([1, 2]).dtype is lamina.int64
    assert lamina.ByteTensor(np.array([1, 2], dtype=np.int32)).tolist() == [1, 2]
    x = lamina.zeros(2)
    assert isinstance(x, lamina.FloatTensor) and not isinstance(x, lamina.DoubleTensor)
    assert not isinstance(x, lamina.cuda.FloatTensor)
    assert x.type(lamina.LongTensor).dtype is lamina.int64 and x.type() == "lamina.FloatTensor"
    assert x.type("torch.DoubleTensor").dtype is lamina.float64
    with pytest.raises(TypeError, match="FloatTensor: expected lamina.float32|got lamina.int64"):
        lamina.FloatTensor(lamina.zeros(2, dtype=lamina.int64))


def test_default_type():
    try:
        lamina.set_default_tensor_type(lamina.DoubleTensor)
        assert lamina.zeros(1).dtype is lamina.float64
        lamina.set_default_tensor_type("torch.FloatTensor")
        assert lamina.zeros(1).dtype is lamina.float32
        with pytest.raises(TypeError, match="only floating-point types"):
            lamina.set_default_tensor_type(lamina.LongTensor)
    finally:
        lamina.set_default_dtype(lamina.float32)


def test_attributes():
    x = lamina.zeros(2, 3)
    assert x.is_cpu and not x.is_cuda and not x.is_sparse and x.layout is lamina.strided
    assert x.element_size() == 4 and x.nbytes == 24 and x.get_device() == -1
    assert x.is_floating_point() and not x.is_complex() and x.is_signed()


def test_shapes_in_place():
    x = lamina.arange(6).view(2, 3)
    assert x.unsqueeze_(0) is x and x.shape == (1, 2, 3)
    assert x.transpose_(0, 2).shape == (3, 2, 1) and x.squeeze_().shape == (3, 2)
    assert x.t_().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]]
    leaf = lamina.zeros(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="unsqueeze_: a tensor that requires grad"):
        leaf.unsqueeze_(0)


@pytest.mark.skipif(lamina.cuda.is_available(), reason="there is a CUDA device")
def test_autocast_and_disabled_scaler():
    layer = nn.Linear(3, 2)
    optimizer = lamina.optim.SGD(layer.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match="CUDA is not available"):
        scaler = lamina.cuda.amp.GradScaler()
    assert not scaler.is_enabled() and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    with pytest.warns(UserWarning, match="CUDA is not available"):
        region = lamina.autocast("cuda", dtype=lamina.float16)
    with region:
        loss = layer(lamina.ones(1, 3)).sum()
    assert loss.dtype is lamina.float32
    before = layer.weight.detach().clone()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert lamina.allclose(layer.weight, before - 0.1)
    with pytest.raises(RuntimeError, match="unknown device type"):
        lamina.autocast("tpu")


def test_variable():
    x = lamina.autograd.Variable(lamina.ones(2), requires_grad=True)
    assert x.requires_grad and isinstance(x, lamina.autograd.Variable)
    assert not lamina.autograd.Variable(x * 2).requires_grad


def test_wrappers():
    layer = nn.Linear(2, 2)
    wrapped = nn.DataParallel(layer)
    x = lamina.ones(1, 2)
    assert lamina.equal(wrapped(x), layer(x))
    assert list(wrapped.state_dict()) == ["module.weight", "module.bias"]
    assert lamina.equal(nn.parallel.data_parallel(layer, x), layer(x))
    assert lamina.jit.script(layer) is layer
    assert not lamina.distributed.is_initialized()
    with pytest.raises(ValueError, match="has not been initialized"):
        lamina.distributed.get_rank()


def test_hub_reads_what_is_there(tmp_path):
    lamina.save(nn.Linear(2, 2).state_dict(), tmp_path / "weights.pt")
    url = "https://example.invalid/files/weights.pt"
    state = lamina.hub.load_state_dict_from_url(url, model_dir=tmp_path)
    assert list(state) == ["weight", "bias"]
    with pytest.raises(FileNotFoundError, match="nothing is downloaded"):
        lamina.hub.load_state_dict_from_url(url + "2", model_dir=tmp_path)


def test_pytree():
    from lamina.utils import _pytree

    tree = {"a": [1, (2, 3)], "b": 4}
    leaves, spec = _pytree.tree_flatten(tree)
    assert leaves == [1, 2, 3, 4] and spec.num_leaves == 4
    assert _pytree.tree_unflatten(leaves, spec) == tree
    assert _pytree.tree_map(lambda x: x + 1, tree) == {"a": [2, (3, 4)], "b": 5}
    with pytest.raises(ValueError, match="3 leaves given for a tree of 4"):
        _pytree.tree_unflatten([1, 2, 3], spec)


def test_assert_close():
    lamina.testing.assert_close(lamina.ones(2), lamina.ones(2) + 1e-6)
    with pytest.raises(AssertionError, match="1 of 2 elements differ"):
        lamina.testing.assert_close(lamina.ones(2), lamina.tensor([1.0, 2.0]))
    with pytest.raises(AssertionError, match="dtypes"):
        lamina.testing.assert_close(lamina.ones(2), lamina.ones(2, dtype=lamina.float64))
    lamina.testing.assert_close({"a": [1.0]}, {"a": [1.0]})


def test_distributed_sampler():
    from lamina.utils.data import DistributedSampler

    assert list(DistributedSampler(range(7), 3, 1, shuffle=False)) == [1, 4, 0]
    assert list(DistributedSampler(range(7), 3, 2, shuffle=False, drop_last=True)) == [2, 5]
    shares = [DistributedSampler(range(6), 3, r, seed=1) for r in range(3)]
    first = [list(s) for s in shares]
    assert sorted(sum(first, [])) == list(range(6)) and len(shares[0]) == 2
    assert [list(s) for s in shares] == first
    shares[0].set_epoch(1), shares[1].set_epoch(1), shares[2].set_epoch(1)
    assert [list(s) for s in shares] != first
    with pytest.raises(RuntimeError, match="no process group"):
        DistributedSampler(range(7))
    with pytest.raises(ValueError, match="Invalid rank 3"):
        DistributedSampler(range(7), 3, 3)


def test_unscaling_a_list():
    grads, found = [lamina.ones(2) * 4, lamina.tensor([8.0])], lamina.zeros(1)
    lamina._amp_foreach_non_finite_check_and_unscale_(grads, found, lamina.tensor([0.25]))
    assert grads[0].tolist() == [1, 1] and found.item() == 0
    grads[1][0] = float("inf")
    lamina._amp_foreach_non_finite_check_and_unscale_(grads, found, lamina.tensor([0.25]))
    assert found.item() == 1


def test_removed_names_say_what_to_use():
    for name in ("storage", "untyped_storage", "reinforce"):
        with pytest.raises(NotImplementedError, match="; (use|PyTorch)"):
            getattr(lamina.ones(1), name)()
    assert lamina._six.inf == float("inf") and nn.NLLLoss2d is nn.NLLLoss
