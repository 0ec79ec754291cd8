"""Small programs as PyTorch users write them, run with both libraries: equal results, or errors of
the same kind."""

import warnings

import numpy as np
import pytest

import lamina

torch = pytest.importorskip("torch")

SNIPPETS = """
x = m.arange(12.).view(3, 4).requires_grad_(); y = x[1:]; z = y.clone(); z[0, 0] = 5; r = z.sum()
r.backward(); r = x.grad

x = m.ones(3, requires_grad=True); y = x * 2; y[1] = x[0] * 10; y.sum().backward(); r = x.grad

x = m.ones(4, requires_grad=True); y = x * 1; v = y[::2]; v.mul_(3); y.sum().backward()
r = (x.grad, y)

x = m.ones(4, requires_grad=True); x[0] = 2

x = m.ones(4, requires_grad=True); x.add_(1)

x = m.ones(4, requires_grad=True); y = x.exp(); y.add_(1); y.sum().backward()

x = m.ones(4, requires_grad=True); y = x * 2; y.add_(1); y.sum().backward(); r = x.grad

x = m.ones(2, requires_grad=True); y = (x * x).sum(); y.backward(); y.backward()

x = m.ones(2, requires_grad=True); y = (x * x).sum(); y.backward(retain_graph=True); y.backward()
r = x.grad

x = m.ones(2, requires_grad=True); g, = m.autograd.grad((x ** 3).sum(), x, create_graph=True)
r = m.autograd.grad(g.sum(), x)[0]

x = m.ones(2, requires_grad=True); y = x.detach(); r = (y.requires_grad, y.is_leaf, x.is_leaf)

x = m.ones(2, requires_grad=True); y = x * 2; y.detach_()
r = (y.requires_grad, y.is_leaf, y.grad_fn is None)

x = m.ones(2); x.requires_grad_(); y = (x * 3).sum(); y.backward(); r = x.grad

x = m.ones(2, dtype=m.int64); x.requires_grad_()

x = m.ones(2, requires_grad=True); (x * 2).backward()

x = m.ones(2, requires_grad=True); (x * 2).backward(m.tensor([1., 10.])); r = x.grad

x = m.ones(2); x.sum().backward()

x = m.ones(2, requires_grad=True); y = x * 2; y.retain_grad(); y.sum().backward()
r = (y.grad, x.grad)

x = m.ones(2, requires_grad=True); L = []
h = x.register_hook(lambda g: L.append(g.sum().item()) or g * 2); (x * 3).sum().backward()
h.remove(); r = (x.grad, L)

x = m.ones(2, requires_grad=True); r = m.autograd.grad(x.sum(), x, allow_unused=True); r = r[0]

x = m.ones(2, requires_grad=True); y = m.ones(2, requires_grad=True); m.autograd.grad(x.sum(), y)

x = m.ones(2, requires_grad=True); y = m.ones(2, requires_grad=True)
r = m.autograd.grad(x.sum(), (x, y), allow_unused=True)[1] is None

x = m.ones(2, requires_grad=True); r = m.is_grad_enabled(); m.set_grad_enabled(False); y = x * 2
m.set_grad_enabled(True); r = (r, y.requires_grad)

x = m.ones(2, requires_grad=True)
with m.no_grad():
    y = x * 2
    with m.enable_grad():
        z = x * 3
r = (y.requires_grad, z.requires_grad)

x = m.ones(2, requires_grad=True)
with m.inference_mode():
    y = x * 2
r = y.requires_grad

x = m.ones(2, requires_grad=True)
with m.no_grad():
    x.add_(1)
    x[0] = 7
r = x.detach()

x = m.ones(2, requires_grad=True); y = x.data; y[0] = 5; r = (x.detach(), y.requires_grad)

x = m.ones(2, requires_grad=True); x.grad = m.ones(3)

x = m.ones(2, requires_grad=True); r = x.numpy()

x = m.ones(2, requires_grad=True); r = x.detach().numpy().sum()

x = m.ones(2, 2, requires_grad=True); r = (float(x.sum()), x.tolist(), len(x))

r = (m.tensor(3) + 2, m.tensor(3) / 2, m.tensor([1, 2]) * 2.5, m.tensor(7) // 2, -7 // m.tensor(2),
    m.tensor(-7) % 3)

r = (m.ones(2, dtype=m.int32) + m.ones(2, dtype=m.int64)).dtype == m.int64

r = (m.ones(2, dtype=m.float16) + m.ones(2)).dtype == m.float32

r = (m.tensor(1.5, dtype=m.float64) + m.ones(2)).dtype == m.float32

r = (m.tensor([True, False]) + 1, m.tensor([True]) & m.tensor([False]), ~m.tensor([True]))

r = m.tensor([1, 2, 3]).float().mean(); r = (r, m.tensor([1, 2, 3]).sum().dtype == m.int64)

r = m.tensor([1, 2, 3]).mean()

r = m.ones(2, 3) @ m.ones(2, 3)

r = m.cat([m.ones(1, 2), m.zeros(2, 2)]); r = (r, m.cat((m.ones(2), m.zeros(0))))

r = m.cat([m.ones(1, 2), m.zeros(2, 3)])

r = m.stack([m.ones(2), m.zeros(2)], dim=1); r = (r, m.stack([m.ones(2)] * 3).shape)

r = m.zeros(2, 3).view(3, -1).shape; r = (r, m.zeros(2, 3).t().reshape(6).shape)

m.zeros(2, 3).t().view(6)

r = m.arange(10)[2:8:2]
r = (r, m.arange(10)[-3:], m.arange(10)[[1, 3]], m.arange(10)[m.arange(10) > 6])

x = m.zeros(3, 3); x[m.tensor([0, 2]), m.tensor([1, 1])] = m.tensor([5., 6.]); r = x

x = m.zeros(3, 3); x[:, 1] = m.arange(3.); x[x == 0] = -1; r = x

x = m.arange(6).view(2, 3)
r = (x[..., 0], x[None].shape, x[:, None, 1], x[1, 2], x[(0, 1), (1, 1)])

m.zeros(2, 2)[0, 3]

r = m.arange(6.).view(2, 3).max(1); r = (r.values, r.indices, r[0])

r = m.arange(6.).view(2, 3).max(); r = (r, m.arange(6.).view(2, 3).min(dim=0, keepdim=True)[0])

v, i = m.tensor([[3., 1., 2.]]).topk(2); r = (v, i)

v, i = m.sort(m.tensor([3., 1., 2.]), descending=True); r = (v, i)

r = m.max(m.tensor([1., 5.]), m.tensor([3., 2.]))
r = (r, m.maximum(m.tensor([1.]), m.tensor([2.])))

r = m.arange(6.).view(2, 3).argmax(dim=1); r = (r, m.arange(6.).view(2, 3).argmax())

r = m.where(m.tensor([True, False]), m.tensor([1., 2.]), m.tensor([3., 4.]))
r = (r, m.where(m.tensor([0, 1]) > 0, 1.0, 0.0))

r = m.tensor([1., 2., 3.]).masked_fill(m.tensor([True, False, True]), -1e9)

r = m.zeros(2, 3).scatter_(1, m.tensor([[0], [2]]), 1.0)
r = (r, m.zeros(2, 3).scatter(1, m.tensor([[0], [2]]), m.tensor([[5.], [6.]])))

r = m.arange(6.).view(2, 3).gather(1, m.tensor([[2], [0]]))

r = m.einsum('bij,bjk->bik', m.ones(2, 3, 4), m.ones(2, 4, 5)).shape

r = m.arange(24).reshape(2, 3, 4).permute(2, 0, 1).shape
r = (r, m.zeros(2, 3, 4).transpose(1, 2).shape, m.zeros(1, 3, 1).squeeze().shape,
    m.zeros(3).unsqueeze(-1).shape)

r = m.zeros(1, 3).expand(4, 3).shape
r = (r, m.arange(3).repeat(2, 2), m.arange(2).repeat_interleave(2), m.arange(4).chunk(2)[1],
    m.arange(5).split(2)[2], m.arange(5).split([1, 4])[1])

r = m.linspace(0, 1, 5)
r = (r, m.arange(0, 1, 0.25), m.eye(2), m.full((2,), 7), m.full((2,), 7.).dtype == m.float32)

r = m.tril(m.ones(3, 3))
r = (r, m.triu(m.ones(3, 3), 1), m.ones(3, 3).tril(-1), m.diag(m.arange(3.)), m.outer(m.arange(2.),
    m.arange(2.)))

a, b = m.meshgrid(m.arange(2), m.arange(3), indexing='ij'); r = (a, b)

r = m.cumsum(m.arange(4), 0)
r = (r, m.cumprod(m.tensor([1., 2., 3.]), dim=0), m.prod(m.tensor([2., 3.])))

r = m.norm(m.tensor([3., 4.]))
r = (r, m.tensor([[3., 4.]]).norm(dim=1), m.tensor([3., -4.]).norm(1), m.tensor([3.,
    -4.]).norm(p=float('inf')))

r = m.clamp(m.tensor([-1., 0.5, 2.]), 0, 1)
r = (r, m.tensor([-1., 2.]).clamp(min=0), m.tensor([-1., 2.]).clamp_(max=1), m.clip(m.tensor([3.]),
    max=2.))

r = m.unique(m.tensor([3, 1, 1, 2])); r = (r, m.unique(m.tensor([3, 1, 1]), return_counts=True)[1])

r = m.nonzero(m.tensor([0, 1, 1]))
r = (r, m.tensor([0, 1, 1]).nonzero(as_tuple=True)[0], m.tensor([[1, 0], [0, 1]]).nonzero())

r = m.allclose(m.ones(2), m.ones(2) + 1e-9)
r = (r, m.equal(m.ones(2), m.zeros(2)), m.isnan(m.tensor([float('nan')])), m.tensor([1, 2]).eq(1),
    (m.tensor([1, 2]) == 1).all(), m.tensor([0, 1]).any())

r = m.std(m.arange(4.))
r = (r, m.arange(4.).var(unbiased=False), m.arange(6.).view(2, 3).std(dim=1),
    m.var_mean(m.arange(4.)))

r = m.nn.functional.one_hot(m.tensor([0, 2]), 4)
r = (r, m.nn.functional.softmax(m.tensor([1., 2.]), dim=0), m.nn.functional.normalize(m.tensor([[3.,
    4.]])))

r = m.nn.functional.cross_entropy(m.tensor([[1., 2.], [3., 1.]]), m.tensor([1, 0]))
r = (r, m.nn.functional.nll_loss(m.tensor([[1., 2.]]), m.tensor([1])))

r = m.nn.functional.cross_entropy(m.zeros(2, 3), m.tensor([0, 5]))

r = m.nn.Linear(3, 2)(m.zeros(4, 5))

r = m.nn.Embedding(3, 2)(m.tensor([3]))

r = m.nn.Conv2d(3, 4, 3)(m.zeros(1, 2, 5, 5))

r = m.tensor([1., 2.]).type(m.LongTensor)
r = (r, m.tensor([1.7]).long(), m.tensor([1]).type_as(m.zeros(1)), m.tensor([1.5]).int(),
    m.tensor([0., 2.]).bool(), m.tensor([1]).double().dtype == m.float64)

r = m.from_numpy(np.arange(3.))
r = (r, r.dtype == m.float64, m.tensor(np.float32(2)).dtype == m.float32,
    m.as_tensor(np.arange(2)).dtype == m.int64)

a = np.zeros(2); t = m.from_numpy(a); a[0] = 3; r = t; t.add_(1); r = (t, a[1])

r = np.asarray(m.arange(3.)) + 1; r = (r.sum(), np.sum(m.ones(3).numpy()))

r = (m.Size([2, 3])[0], m.zeros(2, 3).size(), m.zeros(2, 3).shape[-1], m.zeros(2, 3).numel(),
    m.zeros(2, 3).dim(), tuple(m.zeros(2, 3).shape))

r = [t.shape for t in m.zeros(2, 3).unbind(0)]
r = (r[0], [row.sum().item() for row in m.ones(2, 3)])

r = str(m.device('cpu'))
r = (r, m.zeros(1).device == m.device('cpu'), m.zeros(1).device.type, m.zeros(1).is_cuda)

r = m.ones(3).dot(m.arange(3.))
r = (r, m.mm(m.ones(2, 2), m.ones(2, 2)), m.bmm(m.ones(1, 2, 2), m.ones(1, 2, 2)), m.mv(m.ones(2,
    2), m.ones(2)))

r = m.tensor([1., 2.]).add(m.tensor([1., 1.]), alpha=2)
r = (r, m.add(m.ones(2), 1), m.tensor([3.]).sub(1), m.tensor([3.]).pow(2), 2 ** m.tensor([3.]),
    m.sqrt(m.tensor([4.])), m.rsqrt(m.tensor([4.])))

x = m.zeros(3); x.copy_(m.arange(3)); x.mul_(2).add_(1).div_(2); r = x
r = (r, x.fill_(3).clone(), x.zero_())

x = m.zeros(2, 2); x.fill_diagonal_(3); r = x

x = m.arange(4.).view(2, 2); x.t_(); r = x; r = (r, m.zeros(2, 3).unsqueeze_(0).shape)

x = m.zeros(3, 2).index_add_(0, m.tensor([0, 2]), m.ones(2, 2))
r = (x, m.arange(6).view(3, 2).index_select(0, m.tensor([2, 0])))

r = m.arange(4.).unfold(0, 2, 1)
r = (r, m.arange(4).roll(1), m.arange(4).flip(0), m.tile(m.arange(2), (2,)), m.arange(4).view(2,
    2).rot90())

r = m.bincount(m.tensor([0, 1, 1]))
r = (r, m.searchsorted(m.tensor([1., 3.]), m.tensor([2.])), m.bucketize(m.tensor([2.]),
    m.tensor([1., 3.])), m.histc(m.tensor([0., 1.]), bins=2))

r = m.logsumexp(m.tensor([1., 2.]), 0)
r = (r, m.tensor([1., 2.]).log_softmax(0), m.tensor([1., 2.]).sigmoid(),
    m.special.expm1(m.tensor([1.])))

r = m.repeat_interleave(m.tensor([1, 2]), m.tensor([2, 1]))
r = (r, m.combinations(m.arange(3)), m.cartesian_prod(m.arange(2), m.arange(2)))

r = m.lerp(m.zeros(2), m.ones(2), 0.3)
r = (r, m.addcmul(m.zeros(1), m.ones(1), m.ones(1), value=2), m.addmm(m.ones(1), m.ones(1, 1),
    m.ones(1, 1), beta=2), m.baddbmm(m.ones(1, 1, 1), m.ones(1, 1, 1), m.ones(1, 1, 1)))

r = m.gcd(m.tensor([12]), m.tensor([18]))
r = (r, m.lcm(m.tensor([4]), m.tensor([6])), m.heaviside(m.tensor([-1., 0., 2.]), m.tensor([0.5])),
    m.sinc(m.tensor([0., 0.5])))

r = m.cov(m.tensor([[1., 2., 4.], [3., 1., 0.]]))
r = (r, m.corrcoef(m.tensor([[1., 2., 4.], [3., 1., 0.]])))

r = m.hann_window(5)
r = (r, m.hamming_window(4), m.blackman_window(4), m.bartlett_window(5), m.hann_window(4,
    periodic=False))

r = m.result_type(m.ones(1, dtype=m.int32), 1.5) == m.float32
r = (r, m.can_cast(m.float32, m.int32), m.can_cast(m.int32, m.float32))

r = m.frombuffer(bytearray(b'abcd'), dtype=m.uint8)
r = (r, m.zeros(2, 3).new_full((2,), 3), m.zeros(2).new_tensor([1, 2]), m.zeros(2,
    dtype=m.int32).new_ones(1).dtype == m.int32)

x = m.ones(2, requires_grad=True); m.exp_(x.detach()); r = x.detach()
r = (r, m.relu_(m.tensor([-1., 1.])), m.sigmoid_(m.zeros(1)))

x = m.zeros(2, 2); x.addmm_(m.ones(2, 2), m.ones(2, 2)); r = x
r = (r, m.tensor([float('nan')]).nan_to_num_(), m.tensor([0.5]).logit_())

r = m.gradient(m.tensor([1., 4., 9., 16.])); r = r[0]

r = m.split_with_sizes(m.arange(5), [2, 3])
r = (r[1], m.ones(2, 3).sum_to_size(1, 3), m.tensor([[3., 4.]]).renorm(2, 0, 1.))

r = m.select_scatter(m.zeros(2, 2), m.ones(2), 0, 1)
r = (r, m.slice_scatter(m.zeros(4), m.ones(2), 0, 1, 3), m.diagonal_scatter(m.zeros(2, 2),
    m.ones(2)))

r = m.float_power(m.tensor([2]), 3).dtype == m.float64
r = (r, m.ldexp(m.tensor([1.]), m.tensor([3])), m.logaddexp2(m.tensor([1.]), m.tensor([1.])),
    m.nextafter(m.tensor([1.]), m.tensor([2.])) > 1)

x = m.ones(2, requires_grad=True); y = x * 2; r = (x.retains_grad, y.retains_grad); y.retain_grad()
r = (*r, y.retains_grad)

l = m.nn.Linear(2, 2); s = l.state_dict(); s['weight'].zero_(); r = l.weight.abs().sum().item()

l = m.nn.Linear(2, 2); l.load_state_dict({'weight': m.ones(2, 2)})

l = m.nn.Linear(2, 2); r = str(l.load_state_dict({'weight': m.ones(2, 2)}, strict=False))

l = m.nn.Linear(2, 2); l.load_state_dict({'weight': m.ones(3, 2), 'bias': m.ones(2)})

l = m.nn.Sequential(m.nn.Linear(2, 2), m.nn.ReLU())
r = (len(l), [n for n, _ in l.named_parameters()], l[0].in_features,
    [type(x).__name__ for x in l.modules()])

l = m.nn.Linear(2, 2); L = []; h = l.register_forward_hook(lambda mod, i, o: L.append(o.shape))
l(m.ones(1, 2)); h.remove(); l(m.ones(1, 2)); r = L

l = m.nn.Linear(2, 2); l.weight.requires_grad = False; l(m.ones(1, 2)).sum().backward()
r = (l.weight.grad, l.bias.grad)

l = m.nn.Linear(2, 2); o = m.optim.SGD(l.parameters(), lr=0.1); o.zero_grad()
r = (l.weight.grad, len(o.param_groups), o.param_groups[0]['lr'])

l = m.nn.Linear(2, 2)
o = m.optim.Adam([{'params': [l.weight]}, {'params': [l.bias], 'lr': 1.}], lr=0.1)
s = m.optim.lr_scheduler.StepLR(o, 1, gamma=0.5); l(m.ones(1, 2)).sum().backward(); o.step()
s.step(); r = (s.get_last_lr(), [g['lr'] for g in o.param_groups])

m.optim.SGD([], lr=0.1)

class F(m.autograd.Function):
    @staticmethod
    def forward(ctx, x, k):
        ctx.save_for_backward(x); ctx.k = k
        return x * k
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * ctx.k + x * 0, None
x = m.ones(2, requires_grad=True); F.apply(x, 3).sum().backward(); r = x.grad

class M(m.nn.Module):
    def __init__(self):
        super().__init__(); self.p = m.nn.Parameter(m.ones(2))
        self.register_buffer('b', m.zeros(1)); self.l = m.nn.ModuleList([m.nn.Linear(1, 1)])
r = (list(M().state_dict()), [n for n, _ in M().named_buffers()], M().p.requires_grad)

class M(m.nn.Module):
    def __init__(self):
        self.l = m.nn.Linear(1, 1)
M()

import copy; l = m.nn.Linear(2, 2); k = copy.deepcopy(l)
r = (m.equal(k.weight, l.weight), k.weight is l.weight)

import pickle; x = pickle.loads(pickle.dumps(m.arange(3.))); r = x

x = m.tensor(2.); r = f'{x:.2f} {x.item():.1f} {m.tensor(3)}'

r = (bool(m.tensor(1)), int(m.tensor(3.7)), [1, 2, 3][m.tensor(1)], range(m.tensor(3)),
    m.tensor(2) in [m.tensor(2)])

bool(m.tensor([1, 2]))

r = m.utils.data.DataLoader(m.utils.data.TensorDataset(m.arange(5), m.arange(5) * 2), batch_size=2)
r = [a.tolist() for a, b in r]

m.manual_seed(0); a = m.rand(3); m.manual_seed(0); r = m.equal(a, m.rand(3))

r = m.nn.utils.clip_grad_norm_([p for p in [m.ones(2, requires_grad=True)]], 1.0)
"""
PROGRAMS = SNIPPETS.strip().split("\n\n")


def outcome(m, text: str):
    """What the program leaves in r, or its exception."""
    names = {"m": m, "np": np}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(text, names)
        except Exception as error:
            return error
    return names.get("r")


def same(a, b) -> None:
    if isinstance(b, BaseException) or isinstance(a, BaseException):
        assert isinstance(b, BaseException), f"raises {a!r}"
        assert isinstance(a, BaseException), f"PyTorch raises {b!r}"
        assert isinstance(a, type(b)), f"{a!r} for {b!r}"
    elif isinstance(b, torch.Tensor):
        assert isinstance(a, lamina.Tensor) and tuple(a.shape) == tuple(b.shape)
        assert str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1]
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6, atol=1e-7)
    elif isinstance(b, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    else:
        assert a == b or str(a) == str(b)


@pytest.mark.parametrize("text", PROGRAMS, ids=[s.split("\n")[0][:50] for s in PROGRAMS])
def test_like_torch(text):
    same(outcome(lamina, text), outcome(torch, text))
