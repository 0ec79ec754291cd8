"""Arguments under their other names: NumPy's (axis, keepdims), and sizes and dims by name."""

import inspect
import pickle
import warnings

import numpy as np
import pytest

import lamina

A = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def _softmax(a, axis):
    e = np.exp(a.astype(np.float64) - a.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@pytest.mark.parametrize("call,wanted", [
    (lambda x: x.sum(axis=1), lambda a: a.sum(1)),
    (lambda x: x.sum(axis=(0, 2), keepdims=True), lambda a: a.sum((0, 2), keepdims=True)),
    (lambda x: lamina.mean(x, axis=0), lambda a: a.mean(0)),
    (lambda x: lamina.sum(a=x, axis=1), lambda a: a.sum(1)),
    (lambda x: x.max(axis=2).values, lambda a: a.max(2)),
    (lambda x: x.argmax(axis=1, keepdims=True), lambda a: a.argmax(1)[:, None]),
    (lambda x: lamina.cat([x, x], axis=2), lambda a: np.concatenate([a, a], 2)),
    (lambda x: lamina.stack([x, x], axis=1), lambda a: np.stack([a, a], 1)),
    (lambda x: lamina.softmax(x, axis=1), lambda a: _softmax(a, 1)),
    (lambda x: x.cumsum(axis=1), lambda a: a.cumsum(1)),
    (lambda x: x.squeeze(axis=0).unsqueeze(axis=3), lambda a: a[..., None]),
    (lambda x: x.split(split_size=2, dim=1)[1], lambda a: a[:, 2:]),
    (lambda x: x.split(split_size=[1, 2], dim=1)[0], lambda a: a[:, :1]),
    (lambda x: x.tensor_split(indices=[1], axis=2)[1], lambda a: a[:, :, 1:]),
    (lambda x: x.tensor_split(sections=2, dim=2)[0], lambda a: a[:, :, :2]),
    (lambda x: x.flip(dims=(0, 2)), lambda a: a[::-1, :, ::-1]),
    (lambda x: lamina.flip(x, dims=[1]), lambda a: a[:, ::-1]),
    (lambda x: x.permute(dims=(2, 0, 1)), lambda a: a.transpose(2, 0, 1)),
    (lambda x: x.reshape(shape=(4, 6)), lambda a: a.reshape(4, 6)),
    (lambda x: x.view(size=(4, 6)), lambda a: a.reshape(4, 6)),
    (lambda x: x.view(dtype=lamina.int32), lambda a: a.view(np.int32)),
    (lambda x: x[:, :1].expand(size=(2, 5, -1)), lambda a: np.repeat(a[:, :1], 5, 1)),
    (lambda x: x.repeat(repeats=(1, 2, 1)), lambda a: np.tile(a, (1, 2, 1))),
    (lambda x: x.tile(dims=(2,)), lambda a: np.tile(a, (1, 1, 2))),
    (lambda x: x.sum_to_size(size=(3, 1)), lambda a: a.sum((0, 2))[:, None]),
    (lambda x: x.clone().resize_(size=(2, 2)), lambda a: a.reshape(-1)[:4].reshape(2, 2)),
])  # fmt: skip
def test_values(call, wanted):
    np.testing.assert_allclose(call(lamina.from_numpy(A)).numpy(), wanted(A), rtol=1e-6)


def test_every_operation_with_a_dim():
    """Each public function with `dim` in its signature takes `axis`: the error is another one."""
    names = [
        n for n in lamina.ops.__all__ if "dim" in inspect.signature(getattr(lamina, n)).parameters
    ]
    assert len(names) > 60
    for name in names:
        with pytest.raises(Exception) as e:
            getattr(lamina, name)(axis=0, never=1)
        assert "'axis'" not in str(e.value), name


def test_errors():
    x = lamina.ones(2, 3)
    with pytest.raises(TypeError, match="multiple values for argument 'dim'"):
        x.sum(dim=1, axis=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'axes'"):
        x.sum(axes=1)
    with pytest.raises(IndexError):
        x.sum(axis=2)


def test_they_remain_functions():
    """Signature, documentation, name, pickling and binding are the function's."""
    f = lamina.sum
    assert pickle.loads(pickle.dumps(f)) is f and f.__name__ == "sum" and "sum over" in f.__doc__
    assert list(inspect.signature(f).parameters)[:3] == ["input", "dim", "keepdim"]
    x = lamina.ones(2, 3)
    bound = x.sum
    assert bound(1).tolist() == [3, 3] and bound(axis=0).tolist() == [2, 2, 2]
    assert lamina.Tensor.sum(x, 1).tolist() == [3, 3] and "function" in repr(f)
    assert lamina._core.renaming(lambda *, b: b, {"a": "b"})(a=3) == 3
    with pytest.raises(TypeError):
        lamina._core.renaming(len)


def _x():
    return lamina.tensor([1.0, 2.0])


def _m():
    return lamina.tensor([[1.0, 2.0], [3.0, 4.0]])


V, M = np.array([1.0, 2.0]), np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("call,wanted", [
    (lambda: _x().add_(3, _x()), V + 3 * V), (lambda: _x().add(-0.5, _x()), V / 2),
    (lambda: lamina.add(_x(), 3, _x()), V + 3 * V), (lambda: _x().sub_(3, _x()), V - 3 * V),
    (lambda: lamina.sub(_x(), 3, _x()), V - 3 * V),
    (lambda: _x().addcmul_(2, _x(), _x()), V + 2 * V * V),
    (lambda: lamina.addcmul(_x(), 2, _x(), _x()), V + 2 * V * V),
    (lambda: _x().addcdiv_(-2, _x(), _x() + 1), V - 2 * V / (V + 1)),
    (lambda: lamina.addcdiv(_x(), 2, _x(), _x()), V + 2),
    (lambda: _m().addmm_(3, 2, _m(), _m()), 3 * M + 2 * M @ M),
    (lambda: _m().addmm(3, _m(), _m()), 3 * M + M @ M),
    (lambda: lamina.addmm(3, _m(), 2, _m(), _m()), 3 * M + 2 * M @ M),
    (lambda: lamina.addmm(3, _m(), _m(), _m()), 3 * M + M @ M),
    (lambda: _x().addmv(3, 2, _m(), _x()), 3 * V + 2 * M @ V),
    (lambda: _m().addr(3, 2, _x(), _x()), 3 * M + 2 * np.outer(V, V)),
    (lambda: lamina.baddbmm(3, _m()[None], 2, _m()[None], _m()[None])[0], 3 * M + 2 * M @ M),
    (lambda: _m().addbmm(3, 2, _m()[None], _m()[None]), 3 * M + 2 * M @ M),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:This overload")
def test_numbers_before_tensors(call, wanted):
    """PyTorch's older positional forms, which programs before version 1.5 use."""
    np.testing.assert_allclose(call().numpy(), wanted, rtol=1e-6)


def test_older_forms_warn_once_and_refuse_others():
    from lamina.ops import _method

    _method._warned.clear()
    with pytest.warns(UserWarning, match="This overload of add_ is deprecated"):
        _x().add_(2, _x())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _x().add_(2, _x())
    for wrong in (lambda: _x().add_(_x(), 2), lambda: lamina.add(_x(), _x(), _x()),
                  lambda: _x().addcmul_(_x(), _x(), 2)):  # fmt: skip
        with pytest.raises(TypeError, match="positional arguments but"):
            wrong()
    out = lamina.zeros(2)
    assert lamina.addcmul(_x(), _x(), _x(), value=2, out=out) is out and out.tolist() == [3, 10]


def test_numpy_functions_of_a_tensor_give_tensors():
    x = lamina.tensor([1.0, 4.0])
    root = np.sqrt(x)
    assert isinstance(root, lamina.Tensor) and root.tolist() == [1, 2]
    assert np.maximum(x, 2).tolist() == [2, 4] and isinstance(np.maximum(x, 2), lamina.Tensor)
    assert np.isnan(x).dtype is lamina.uint8  # as in PyTorch
    assert type(np.stack([x, x])) is np.ndarray
