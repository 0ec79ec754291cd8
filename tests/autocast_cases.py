"""Calls whose result's dtype under autocast is compared with PyTorch's: name -> (call, shapes).

The call takes the module (lamina or torch), its nn.functional, and tensors of the shapes.
"""

V, M, B, I = (4,), (4, 4), (2, 4, 4), (2, 3, 6, 6)  # vector, matrix, batch of matrices, images


def _classes(m, x, n=4):
    return m.tensor([i % n for i in range(x.shape[0])], device=x.device)


def _cell(name, state):
    """A step of a float32 cell from a state of float32, of the input's type, or none."""

    def call(m, f, x):
        cell = getattr(m.nn, name)(4, 4).to(x.device)
        h = m.zeros_like(x) if state == "like" else m.zeros(x.shape, device=x.device)
        given = () if state == "absent" else ((h, h) if name == "LSTMCell" else h,)
        result = cell(x, *given)
        return m.cat(result) if isinstance(result, tuple) else result

    return call


CASES = {
    # products
    "matmul": (lambda m, f, x, y: m.matmul(x, y), (M, M)),
    "@": (lambda m, f, x, y: x @ y, (M, M)),
    "@ vector": (lambda m, f, x, y: x @ y, (M, V)),
    "mm": (lambda m, f, x, y: m.mm(x, y), (M, M)),
    "bmm": (lambda m, f, x, y: m.bmm(x, y), (B, B)),
    "mv": (lambda m, f, x, y: m.mv(x, y), (M, V)),
    "dot": (lambda m, f, x, y: m.dot(x, y), (V, V)),
    "addmm": (lambda m, f, x, y, z: m.addmm(x, y, z), (M, M, M)),
    "addmm alpha": (lambda m, f, x, y, z: m.addmm(x, y, z, alpha=2.0), (M, M, M)),
    "addbmm": (lambda m, f, x, y, z: m.addbmm(x, y, z), (M, B, B)),
    "baddbmm": (lambda m, f, x, y, z: m.baddbmm(x, y, z), (B, B, B)),
    "addmv": (lambda m, f, x, y, z: m.addmv(x, y, z), (V, M, V)),
    "linear": (lambda m, f, x, w, b: f.linear(x, w, b), (M, M, V)),
    "einsum": (lambda m, f, x, y: m.einsum("bij,bjk->bik", x, y), (B, B)),
    "multi_dot": (lambda m, f, x, y, z: m.linalg.multi_dot([x, y, z]), (M, M, M)),
    "chain_matmul": (lambda m, f, x, y, z: m.chain_matmul(x, y, z), (M, M, M)),
    "conv2d": (lambda m, f, x, w, b: f.conv2d(x, w, b), (I, (5, 3, 3, 3), (5,))),
    "conv1d": (lambda m, f, x, w: f.conv1d(x, w), ((2, 3, 8), (5, 3, 3))),
    "conv_transpose2d": (lambda m, f, x, w: f.conv_transpose2d(x, w), (I, (3, 5, 3, 3))),
    "attention": (
        lambda m, f, q, k, v: f.scaled_dot_product_attention(q, k, v),
        ((2, 2, 4, 8),) * 3,
    ),
    "prelu": (lambda m, f, x, w: f.prelu(x, w), (M, (1,))),
    # elementwise
    **{
        name: (lambda m, f, x, _n=name: getattr(m, _n)(x), (M,))
        for name in "exp expm1 log log2 log10 log1p reciprocal rsqrt sqrt sin cos tan asin acos "
        "atan sinh cosh tanh sigmoid relu erf erfinv abs neg square floor".split()
    },
    "exp method": (lambda m, f, x: x.exp(), (M,)),
    "** 2": (lambda m, f, x: x**2, (M,)),
    "** tensor": (lambda m, f, x, y: x**y, (M, M)),
    "2 **": (lambda m, f, x: 2.0**x, (M,)),
    "pow": (lambda m, f, x: m.pow(x, 3), (M,)),
    "add": (lambda m, f, x, y: x + y, (M, M)),
    "mul": (lambda m, f, x, y: m.mul(x, y), (M, M)),
    "add number": (lambda m, f, x: x + 1.0, (M,)),
    "where": (lambda m, f, x, y: m.where(x > 0, x, y), (M, M)),
    "atan2": (lambda m, f, x, y: m.atan2(x, y), (M, M)),
    "addcmul": (lambda m, f, x, y, z: m.addcmul(x, y, z), (M, M, M)),
    "addcdiv": (lambda m, f, x, y, z: m.addcdiv(x, y, z), (M, M, M)),
    "gelu": (lambda m, f, x: f.gelu(x), (M,)),
    "silu": (lambda m, f, x: f.silu(x), (M,)),
    "softplus": (lambda m, f, x: f.softplus(x), (M,)),
    "leaky_relu": (lambda m, f, x: f.leaky_relu(x), (M,)),
    "clamp": (lambda m, f, x: x.clamp(0.2, 0.8), (M,)),
    # reductions, softmax, norms
    "sum": (lambda m, f, x: x.sum(), (M,)),
    "sum dim": (lambda m, f, x: x.sum(1), (M,)),
    "mean": (lambda m, f, x: x.mean(), (M,)),
    "prod": (lambda m, f, x: x.prod(), (M,)),
    "prod dim": (lambda m, f, x: x.prod(1), (M,)),
    "amax": (lambda m, f, x: x.amax(1), (M,)),
    "var": (lambda m, f, x: x.var(), (M,)),
    "norm": (lambda m, f, x: x.norm(), (M,)),
    "vector_norm": (lambda m, f, x: m.linalg.vector_norm(x), (M,)),
    "cumsum": (lambda m, f, x: x.cumsum(0), (M,)),
    "cumprod": (lambda m, f, x: x.cumprod(0), (M,)),
    "logsumexp": (lambda m, f, x: x.logsumexp(1), (M,)),
    "softmax": (lambda m, f, x: f.softmax(x, -1), (M,)),
    "log_softmax": (lambda m, f, x: m.log_softmax(x, -1), (M,)),
    "softmin": (lambda m, f, x: f.softmin(x, -1), (M,)),
    "layer_norm": (lambda m, f, x, w, b: f.layer_norm(x, (4,), w, b), (M, V, V)),
    "layer_norm alone": (lambda m, f, x: f.layer_norm(x, (4,)), (M,)),
    "group_norm": (lambda m, f, x, w, b: f.group_norm(x, 1, w, b), (I, (3,), (3,))),
    "normalize": (lambda m, f, x: f.normalize(x), (M,)),
    # losses
    "cross_entropy": (lambda m, f, x: f.cross_entropy(x, _classes(m, x)), (M,)),
    "nll_loss": (lambda m, f, x: f.nll_loss(x, _classes(m, x)), (M,)),
    "mse_loss": (lambda m, f, x, y: f.mse_loss(x, y), (M, M)),
    "l1_loss": (lambda m, f, x, y: f.l1_loss(x, y), (M, M)),
    "smooth_l1_loss": (lambda m, f, x, y: f.smooth_l1_loss(x, y), (M, M)),
    "huber_loss": (lambda m, f, x, y: f.huber_loss(x, y), (M, M)),
    "mse_loss none": (lambda m, f, x, y: f.mse_loss(x, y, reduction="none"), (M, M)),
    "bce_with_logits": (lambda m, f, x, y: f.binary_cross_entropy_with_logits(x, y), (M, M)),
    "bce_with_logits weight": (
        lambda m, f, x, y, w: f.binary_cross_entropy_with_logits(x, y, pos_weight=w),
        (M, M, V),
    ),
    "kl_div": (lambda m, f, x, y: f.kl_div(x, y, reduction="batchmean"), (M, M)),
    "poisson_nll_loss": (lambda m, f, x, y: f.poisson_nll_loss(x, y), (M, M)),
    "soft_margin_loss": (lambda m, f, x, y: f.soft_margin_loss(x, y), (M, M)),
    "hinge_embedding_loss": (lambda m, f, x, y: f.hinge_embedding_loss(x, y), (M, M)),
    "margin_ranking_loss": (
        lambda m, f, x, y, z: f.margin_ranking_loss(x, y, z),
        (V, V, V),
    ),
    "cosine_embedding_loss": (lambda m, f, x, y, z: f.cosine_embedding_loss(x, y, z), (M, M, V)),
    "cosine_similarity": (lambda m, f, x, y: f.cosine_similarity(x, y), (M, M)),
    "triplet_margin_loss": (lambda m, f, x, y, z: f.triplet_margin_loss(x, y, z), (M, M, M)),
    "multi_margin_loss": (lambda m, f, x: f.multi_margin_loss(x, _classes(m, x)), (M,)),
    # the rest
    "cat": (lambda m, f, x, y: m.cat([x, y]), (M, M)),
    "stack": (lambda m, f, x, y: m.stack([x, y]), (M, M)),
    "max_pool2d": (lambda m, f, x: f.max_pool2d(x, 2), (I,)),
    "avg_pool2d": (lambda m, f, x: f.avg_pool2d(x, 2), (I,)),
    "interpolate": (lambda m, f, x: f.interpolate(x, scale_factor=2), (I,)),
    "bilinear interpolate": (
        lambda m, f, x: f.interpolate(x, scale_factor=2, mode="bilinear"),
        (I,),
    ),
    "cdist": (lambda m, f, x, y: m.cdist(x, y), (M, M)),
    "transpose": (lambda m, f, x: x.t(), (M,)),
    "tril": (lambda m, f, x: m.tril(x), (M,)),
    "embedding": (lambda m, f, w: f.embedding(_classes(m, w), w), (M,)),
    "index": (lambda m, f, x: x[1], (M,)),
    "dropout": (lambda m, f, x: f.dropout(x, 0.5), (M,)),
    "reflect": (lambda m, f, x: f.pad(x, (1, 1, 1, 1), mode="reflect"), (I,)),
    "quantile": (lambda m, f, x: x.quantile(0.5), (M,)),
    "trace": (lambda m, f, x: x.trace(), (M,)),
    "avg_pool3d": (lambda m, f, x: f.avg_pool3d(x, 2), ((1, 2, 4, 4, 4),)),
    "max_pool3d": (lambda m, f, x: f.max_pool3d(x, 2), ((1, 2, 4, 4, 4),)),
    "bilinear": (lambda m, f, x, y, w: f.bilinear(x, y, w), (M, M, (2, 4, 4))),
    "cross": (lambda m, f, x, y: m.cross(x, y, dim=1), ((2, 3), (2, 3))),
    "tensordot": (lambda m, f, x, y: m.tensordot(x, y, 1), (M, M)),
    "pad": (lambda m, f, x: f.pad(x, (1, 1)), (M,)),
    "clone": (lambda m, f, x: x.clone(), (M,)),
    "rnn_tanh_cell": (lambda m, f, x, h, w, u: m.rnn_tanh_cell(x, h, w, u), (M, M, M, M)),
    "lstm_cell": (
        lambda m, f, x, c, h, w, u: m.lstm_cell(x, (h, c), w, u)[0],
        (M, M, M, (16, 4), (16, 4)),
    ),
    "gru_cell": (lambda m, f, x, h, w, u: m.gru_cell(x, h, w, u), (M, M, (12, 4), (12, 4))),
    "vecdot": (lambda m, f, x, y: m.linalg.vecdot(x, y), (M, M)),
    "local_response_norm": (lambda m, f, x: f.local_response_norm(x, 3), (I,)),
    **{
        f"{name} state {state}": (_cell(name, state), (M,))
        for name in ("RNNCell", "GRUCell", "LSTMCell")
        for state in ("absent", "float32", "like")
    },
}
