"""Module paths and small helpers of PyTorch's that programs import."""

import importlib
import math
import typing

import numpy as np
import pytest

import lamina
from lamina import nn

PATHS = {
    "utils.data.dataloader": "DataLoader default_collate RandomSampler",
    "utils.data._utils.collate": "default_collate default_convert",
    "utils.hooks": "RemovableHandle",
    "nn.modules.utils": "_pair _single _triple _quadruple _ntuple",
    "nn.modules.linear": "Linear NonDynamicallyQuantizableLinear",
    "nn.modules.conv": "_ConvNd _ConvTransposeNd Conv2d",
    "nn.modules.batchnorm": "SyncBatchNorm BatchNorm2d _BatchNorm",
    "nn.modules.transformer": "_get_activation_fn TransformerEncoderLayer",
    "nn.parallel._functions": "Broadcast ReduceAddCoalesced Gather Scatter",
    "nn.parallel.data_parallel": "DataParallel data_parallel",
    "nn.parallel.distributed": "DistributedDataParallel",
    "autograd.profiler": "profile record_function",
    "optim.lr_scheduler": "_LRScheduler",
    "distributed.nn": "all_reduce all_gather",
    "jit.annotations": "List Tuple Optional",
    "jit": "ScriptModule script_method Final freeze optimized_execution",
    "compiler": "is_compiling disable",
    "functional": "einsum norm split",
    "fx": "wrap symbolic_trace GraphModule",
    "hub": "HASH_REGEX _get_torch_home",
    "testing": "assert_allclose",
    "_utils": "_flatten_dense_tensors",
}


@pytest.mark.parametrize("path", PATHS)
def test_paths(path):
    module = importlib.import_module(f"lamina.{path}")
    assert module.__doc__
    for name in PATHS[path].split():
        assert getattr(module, name) is not None


def test_data_parallel_is_the_function():
    """The module of that name is in sys.modules; the attribute is its function, as in PyTorch."""
    assert nn.parallel.data_parallel(nn.Identity(), lamina.ones(2)).tolist() == [1, 1]
    assert nn.DataParallel is nn.parallel.DataParallel


def test_tuples_and_defaults():
    from lamina.nn.modules.utils import _list_with_default, _pair, _reverse_repeat_tuple, _single

    assert _pair(3) == (3, 3) and _pair([1, 2]) == (1, 2) and _single(0) == (0,)
    assert _reverse_repeat_tuple((1, 2), 2) == (2, 2, 1, 1)
    assert _list_with_default([None, 3], [5, 6, 7]) == [6, 3] and _list_with_default(4, [1]) == 4
    with pytest.raises(ValueError, match="at least 3"):
        _list_with_default([None, 3], [5, 6])


def test_prefix_of_a_state_dict():
    from lamina.nn.modules.utils import consume_prefix_in_state_dict_if_present

    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = nn.DataParallel(model).state_dict()
    consume_prefix_in_state_dict_if_present(state, "module.")
    assert sorted(state) == sorted(model.state_dict())
    assert set(state._metadata) == {"", "0", "1"} | set(state._metadata)
    model.load_state_dict(state)


def test_sync_batch_norm_is_batch_norm_in_one_process():
    x = np.random.default_rng(0).normal(size=(4, 3, 2, 2, 2)).astype(np.float32)
    layer = nn.SyncBatchNorm(3)
    y = layer(lamina.from_numpy(x)).detach().numpy()
    axes = (0, 2, 3, 4)
    x64 = x.astype(np.float64)
    mean, var = x64.mean(axes, keepdims=True), x64.var(axes, keepdims=True)
    np.testing.assert_allclose(y, (x64 - mean) / np.sqrt(var + 1e-5), atol=2e-6)
    running = 0.9 + 0.1 * x64.var(axes, ddof=1)
    np.testing.assert_allclose(layer.running_var.numpy(), running, rtol=1e-6)
    with pytest.raises(ValueError, match="at least 2D input"):
        layer(lamina.ones(3))
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2, eps=1e-3))).eval()
    keys = list(model.state_dict())
    new = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert new is model and isinstance(model[1][0], nn.SyncBatchNorm) and model[1][0].eps == 1e-3
    assert list(model.state_dict()) == keys and not model[1][0].training
    old = nn.BatchNorm1d(2)
    assert nn.SyncBatchNorm.convert_sync_batchnorm(old).weight is old.weight


def test_lists_of_tensors():
    a = [lamina.tensor([1.0, 4.0]), lamina.tensor([[9.0]])]
    b = [lamina.tensor([2.0, 2.0]), lamina.tensor([[3.0]])]

    def values(ts):
        return [t.reshape(-1).tolist() for t in ts]

    f = lamina._foreach_add(a, b, alpha=0.5)
    assert type(f) is tuple and values(f) == [[2, 5], [10.5]] and values(a) == [[1, 4], [9]]
    assert values(lamina._foreach_mul(a, 2)) == [[2, 8], [18]]
    assert values(lamina._foreach_mul(a, [2, 3])) == [[2, 8], [27]]
    assert values(lamina._foreach_sqrt(a)) == [[1, 2], [3]]
    assert values(lamina._foreach_maximum(a, b)) == [[2, 4], [9]]
    assert values(lamina._foreach_clamp_max(a, 3.0)) == [[1, 3], [3]]
    assert values(lamina._foreach_pow(2, [t for t in b])) == [[4, 4], [8]]
    assert values(lamina._foreach_lerp(a, b, 0.5)) == [[1.5, 3], [6]]
    assert values(lamina._foreach_lerp(a, b, weight=0.5)) == [[1.5, 3], [6]]
    assert values(lamina._foreach_addcmul(a, a, b, 0.5)) == [[2, 8], [22.5]]
    assert values(lamina._foreach_addcdiv(a, a, b, [2, 1])) == [[2, 8], [12]]
    assert values(lamina._foreach_addcdiv(a, a, b, value=2)) == [[2, 8], [15]]
    assert lamina._foreach_norm(a)[0].item() == pytest.approx(math.sqrt(17))
    held = a[0]
    assert lamina._foreach_mul_(a, 2) is None and a[0] is held and values(a) == [[2, 8], [18]]
    lamina._foreach_copy_(a, b)
    assert values(a) == values(b)
    lamina._foreach_zero_(a)
    assert values(a) == [[0, 0], [0]]
    with pytest.raises(RuntimeError, match="same number of tensors, got 2 and 1"):
        lamina._foreach_add(a, b[:1])
    with pytest.raises(AttributeError, match="_foreach_nothing"):
        lamina._foreach_nothing  # noqa: B018


def test_several_tensors_as_one():
    from lamina._utils import _flatten_dense_tensors, _unflatten_dense_tensors

    parts = [lamina.arange(6.0).view(2, 3).t(), lamina.tensor(7.0)]
    flat = _flatten_dense_tensors(parts)
    assert flat.tolist() == [0, 3, 1, 4, 2, 5, 7]
    first, last = _unflatten_dense_tensors(flat, parts)
    assert first.tolist() == parts[0].tolist() and last.item() == 7 and last.shape == ()


@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 3), (2, 3), (0, 2, 2)])
def test_lu_unpack(shape):
    a = np.random.default_rng(1).normal(size=shape)
    LU, pivots = lamina.linalg.lu_factor(lamina.from_numpy(a))
    P, L, U = lamina.lu_unpack(LU, pivots)
    k = min(shape[-2:])
    assert L.shape[-2:] == (shape[-2], k) and U.shape[-2:] == (k, shape[-1])
    np.testing.assert_allclose((P @ L @ U).numpy(), a, atol=1e-12)
    np.testing.assert_array_equal(np.triu(L.numpy(), 1), 0)
    np.testing.assert_array_equal(np.tril(U.numpy(), -1), 0)
    packed, again = lamina.from_numpy(a).lu()
    np.testing.assert_array_equal(packed.numpy(), LU.numpy())
    assert again.tolist() == pivots.tolist()
    assert (
        lamina.from_numpy(a).lu(get_infos=True)[2].abs().max().item() == 0 if LU.numel() else True
    )
    unpacked = lamina.lu_unpack(LU, pivots, unpack_data=False)
    assert unpacked.L.numel() == unpacked.U.numel() == 0 and unpacked.P.shape == P.shape
    assert lamina.lu_unpack(LU, pivots, unpack_pivots=False).P.numel() == 0


def test_scripting_returns_what_it_is_given():
    class Model(lamina.jit.ScriptModule):
        size: lamina.jit.Final[int]

        @lamina.jit.script_method
        def forward(self, x):
            return x + 1

    model = Model()
    with lamina.jit.optimized_execution(True):
        assert lamina.jit.freeze(model)(lamina.ones(1)).item() == 2
    assert not isinstance(nn.Linear(1, 1), lamina.jit.ScriptModule)
    assert lamina.jit.Final is typing.Final
    assert lamina.compiler.disable(model) is model
    assert lamina.compiler.disable(recursive=False)(model) is model
    assert lamina.fx.wrap("name") == "name" and not lamina.compiler.is_compiling()
    lamina._assert(True, "no")
    with pytest.raises(AssertionError, match="no"):
        lamina._assert(False, "no")


def test_older_comparison():
    check = lamina.testing.assert_allclose
    check(lamina.tensor([1.0]), lamina.tensor([1.00005], dtype=lamina.float64))
    check([1, 2], [1, 2])
    check(lamina.tensor([math.nan]), [math.nan])
    with pytest.raises(AssertionError):
        check(lamina.tensor([1.0]), [1.001])


def test_tensors_in_a_list_are_numbers():
    """A tensor inside a list stands for its one element, whatever its dimensions."""
    one = lamina.ones(1, 1)
    assert lamina.tensor([one, 2.0, lamina.tensor(3)]).tolist() == [1, 2, 3]
    assert lamina.tensor([[one], [one]]).shape == (2, 1)
    assert lamina.tensor([lamina.tensor(1)]).dtype == lamina.int64
    assert lamina.tensor([np.ones(2), np.zeros(2)]).shape == (2, 2)
    for wrong in (lamina.ones(2), lamina.ones(0)):
        with pytest.raises(ValueError, match="only one element tensors can be converted"):
            lamina.tensor([wrong])


def test_to_takes_none_and_flags():
    x = lamina.ones(2)
    assert x.to(None) is x and x.to("cpu", None) is x and x.to(lamina.float32, True) is x
    assert x.to("cpu", lamina.float64, True).dtype == lamina.float64
    assert x.to(lamina.float32, False, True) is not x
    with pytest.raises(TypeError, match="expected a dtype, a device or a tensor"):
        x.to([1])


def test_checkpoint_helpers():
    from lamina.utils import checkpoint as c

    assert c.get_device_states(lamina.ones(1)) == ([], [])
    c.set_device_states([], [])
    with pytest.raises(RuntimeError, match="no device but the CPU"):
        c.set_device_states([0], [None])
    x = lamina.ones(1, requires_grad=True) * 2
    y, other = c.detach_variable((x, 3))
    assert y.requires_grad and y.is_leaf and other == 3
    with pytest.raises(RuntimeError, match="Only tuple of tensors"):
        c.detach_variable([x])
    c.check_backward_validity([x])
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad"):
        c.check_backward_validity([y.detach()])


def test_writes_through_data_are_not_noticed():
    """``x.data`` has a count of writes of its own, as in PyTorch: backward of what saved `x` uses
    the values now in memory; what saved ``x.data`` still refuses changed ones."""
    x = lamina.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (x * x).sum()
    x.data[1:] = lamina.tensor([5.0, 6.0])
    x.data.mul_(2)
    y.backward()
    assert x.grad.tolist() == [4.0, 20.0, 24.0] and x.tolist() == [2.0, 10.0, 12.0]
    z = (x * 2).exp_().sum()
    version = x._version
    x.data.zero_()
    assert x._version == version and x.data._version > version
    z.backward()
    d, w = x.data, lamina.ones(3, requires_grad=True)
    y = (d * w).sum()
    d.add_(1)
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.backward()
    y = (x.detach() * w).sum()
    x.detach().add_(1)  # detach() shares the count
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.backward()


def test_scratch_memory_of_a_function():
    """A Function that fills a row of scratch memory through ``.data`` and returns the scratch."""

    class Assign(lamina.autograd.Function):
        @staticmethod
        def forward(ctx, scratch, value, row):
            ctx.row = row
            scratch.data[row] = value
            return scratch

        @staticmethod
        def backward(ctx, g):
            return g, g[ctx.row], None

    v = lamina.tensor([2.0, 3.0], requires_grad=True)
    scratch, total = lamina.zeros(2, 2), 0.0
    for row in range(2):
        scratch = Assign.apply(scratch, v * (row + 1), row)
        total = total + (scratch[: row + 1] * lamina.tensor([1.0, 10.0])).sum()
    total.backward()
    assert v.grad.tolist() == [4.0, 40.0]
