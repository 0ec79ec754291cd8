"""Every layer of lamina.nn with its constructor's arguments and inputs, for test_nn_layers.py."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

ARRAY = np.random.default_rng(5).uniform(0.5, 1.5, 64)  # weights per class and the like


@dataclass(frozen=True)
class Case:
    """layer: its name. args, kwargs: its constructor's (NumPy arrays become tensors).
    inputs: (kind, shape without the batch) of each input; kinds as in `draw`.
    unbatched: the inputs without a batch dimension are valid too. batches: sizes of the batch.
    random: training draws random numbers, so only evaluation can be compared.
    tol: of float64; PyTorch works out some constants in float32. spread: standard deviation of the
    parameters; at 1 the scores of attention leave one key and rounding errors grow."""

    layer: str
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    inputs: tuple = (("normal", (4,)),)
    unbatched: bool = True
    batches: tuple = (0, 1, 3)
    random: bool = False
    tol: float = 1e-12
    spread: float = 1.0

    def make(self, m):
        """The layer of `m` (lamina or torch), which is in float64."""

        def value(v):
            return m.tensor(v.tolist(), dtype=m.float64) if isinstance(v, np.ndarray) else v

        kwargs = {k: value(v) for k, v in self.kwargs.items()}
        return getattr(m.nn, self.layer)(*map(value, self.args), **kwargs).double()

    def id(self) -> str:
        shown = {k: "a" if isinstance(v, np.ndarray) else v for k, v in self.kwargs.items()}
        text = ",".join([str(a) for a in self.args] + [f"{k}={v}" for k, v in shown.items()])
        shape = "x".join(str(n) for n in self.inputs[0][1])
        return f"{self.layer}({text})-{shape}".replace(" ", "")


def draw(kind: str, shape: tuple, rng) -> np.ndarray:
    """Values that avoid the kinks of the layers by more than rounding, by luck of the draw."""
    if kind == "normal":
        return rng.normal(size=shape) * 2
    if kind == "unit":
        return rng.uniform(0.05, 0.95, shape)
    if kind == "sign":
        return rng.choice([-1.0, 1.0], shape)
    if kind == "bits":
        return rng.integers(0, 2, shape).astype(float)
    if kind == "logits":
        x = rng.normal(size=shape)
        return x - np.log(np.exp(x).sum(-1, keepdims=True))
    if kind == "distribution":
        x = rng.uniform(0.1, 1, shape)
        return x / x.sum(-1, keepdims=True)
    if kind == "labels":  # class numbers, then -1 (MultiLabelMarginLoss)
        x = np.argsort(rng.uniform(size=shape), axis=-1)
        x[..., shape[-1] // 2 + 1 :] = -1
        return x
    if kind.startswith("place:"):  # different numbers for the last d sizes: "place:d:limit"
        d, limit = map(int, kind.removeprefix("place:").split(":"))
        lead, n = shape[:-d], int(np.prod(shape[-d:]))
        rows = [rng.permutation(limit)[:n] for _ in range(int(np.prod(lead)))]
        return np.array(rows, "int64").reshape(shape)
    return rng.integers(0, int(kind.removeprefix("int:")), shape)


FEW = (1, 3)  # sizes of the batch where PyTorch returns uninitialised memory, or fails, for none


def case(layer, *args, shape=(4,), inputs=None, unbatched=True, batches=(0, 1, 3), random=False,
         tol=1e-12, spread=1.0, **kwargs) -> Case:  # fmt: skip
    """Case with one input of normal numbers unless `inputs` says otherwise."""
    return Case(
        layer, args, kwargs, inputs or (("normal", shape),), unbatched, batches, random, tol,
        spread,
    )  # fmt: skip


def loss(layer, *inputs, **kwargs) -> list[Case]:
    """The loss with each reduction."""
    return [case(layer, inputs=inputs, reduction=r, **kwargs) for r in ("none", "mean", "sum")]


def twice(kind: str, shape: tuple) -> tuple:
    """Two inputs, the second of another kind."""
    return (("normal", shape), (kind, shape))


def activations() -> list[Case]:
    """Elementwise layers, in and out of place, and the softmaxes."""
    plain = ("ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardsigmoid", "Hardswish", "Sigmoid", "Tanh",
             "LogSigmoid", "Softsign", "Tanhshrink", "LeakyReLU", "ELU", "CELU", "Hardtanh", "GELU",
             "Hardshrink", "Softshrink", "Softplus")  # fmt: skip
    rough = {"Hardsigmoid": 1e-7, "Hardswish": 1e-7, "CELU": 1e-7}
    cases = [case(name, shape=(3, 5), tol=rough.get(name, 1e-12)) for name in plain]
    cases += [case(name, shape=(7,), inplace=True, tol=rough.get(name, 1e-12)) for name in
              ("ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardsigmoid", "Hardswish", "LeakyReLU",
               "ELU", "CELU", "Hardtanh")]  # fmt: skip
    return cases + [
        case("LeakyReLU", 0.3), case("ELU", 0.7), case("CELU", 0.7, tol=1e-7),
        case("Hardtanh", -0.4, 1.5), case("Hardtanh", min_value=-0.5, max_value=0.25),
        case("Hardshrink", 0.9), case("Softshrink", 0.9), case("Softplus", 2.0, 1.0),
        case("GELU", "tanh"),
        case("Threshold", 0.1, 20.0), case("Threshold", 0.1, 20.0, inplace=True),
        case("RReLU", random=True), case("RReLU", 0.25, 0.25), case("RReLU", 0.2, 0.4, True,
                                                                   random=True),
        case("PReLU", shape=(3, 5)), case("PReLU", 3, init=0.4, shape=(3, 5), unbatched=False),
        case("GLU", shape=(3, 6)), case("GLU", 1, shape=(4, 5)),
        case("Softmax", 1, shape=(5, 2)), case("Softmax", -1), case("Softmax", shape=(5,)),
        case("LogSoftmax", 1, shape=(5, 2)), case("LogSoftmax", -1), case("LogSoftmax", shape=(5,)),
        case("Softmin", 1, shape=(5, 2)), case("Softmin", -1), case("Softmin", shape=(5,)),
        case("Softmax2d", shape=(4, 3, 5)),
        case("Identity", shape=(3, 5)), case("Flatten", shape=(2, 3, 5), unbatched=False),
        case("Flatten", 0, 1, shape=(2, 3)), case("Unflatten", 1, (2, 3), shape=(6, 4)),
        case("Unflatten", -1, (2, -1), shape=(6,)),
    ]  # fmt: skip


def learned() -> list[Case]:
    """Linear, convolution and embedding layers."""
    cases = [
        case("Linear", 5, 3, shape=(5,)),
        case("Linear", 5, 3, shape=(2, 7, 5)),
        case("Linear", 4, 1, bias=False),
        case("Linear", 1, 4, shape=(1,)),
        case("Bilinear", 3, 4, 5, inputs=(("normal", (3,)), ("normal", (4,)))),
        case("Bilinear", 3, 4, 1, bias=False, inputs=(("normal", (2, 3)), ("normal", (2, 4)))),
        case("Embedding", 7, 3, inputs=(("int:7", (4,)),)),
        case("Embedding", 7, 3, padding_idx=-2, inputs=(("int:7", (2, 4)),)),
        case("Embedding", 7, 3, scale_grad_by_freq=True, inputs=(("int:7", (9,)),)),
        case("Embedding", 7, 3, max_norm=1.0, norm_type=1.5, inputs=(("int:7", (9,)),)),
        case("CosineSimilarity", inputs=twice("normal", (5,)), unbatched=False),
        case("CosineSimilarity", -1, 1e-3, inputs=twice("normal", (2, 5))),
        case("PairwiseDistance", inputs=twice("normal", (5,))),
        case("PairwiseDistance", 1.0, 1e-3, True, inputs=twice("normal", (2, 5))),
    ]
    cases += [
        case("Unfold", 3, shape=(2, 5, 6)), case("Unfold", (2, 3), (2, 1), (1, 0), (1, 2),
                                                 shape=(2, 5, 6)),
        case("Fold", (4, 5), 3, shape=(18, 6)),
        case("Fold", (5, 4), (2, 3), dilation=(2, 1), padding=(1, 0), stride=(1, 2),
             shape=(12, 5)),
    ]  # fmt: skip
    # every argument of the convolutions, in 1 and 2 dimensions
    one = [
        ((3, 4, 3), {}, 9), ((3, 4, 1), {}, 5), ((4, 6, 3), {"groups": 2, "stride": 2}, 10),
        ((3, 2, 4), {"padding": 2, "dilation": 2, "bias": False}, 9),
        ((3, 4, 3), {"padding": "same"}, 7), ((3, 4, 4), {"padding": "same", "dilation": 2}, 7),
        ((3, 4, 3), {"padding": "valid"}, 7), ((4, 4, 3), {"groups": 4, "padding": 1}, 6),
        *[((3, 2, 3), {"padding": 2, "padding_mode": mode}, 7)
          for mode in ("reflect", "replicate", "circular")],
        ((3, 2, 4), {"padding": "same", "padding_mode": "circular"}, 7),
    ]  # fmt: skip
    cases += [case("Conv1d", *a, shape=(a[0], length), **k) for a, k, length in one]
    cases += [case("Conv2d", *a, shape=(a[0], length, length + 1), **k) for a, k, length in one]
    return cases + [
        case("Conv2d", 2, 3, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 3),
             shape=(2, 6, 9)),
        case("Conv2d", 2, 3, (1, 3), padding=(0, 1), padding_mode="reflect", shape=(2, 4, 5)),
    ]  # fmt: skip


def upwards() -> list[Case]:
    """Transposed convolutions, and layers that resize images."""
    one = [
        ((3, 4, 3), {}, 5), ((4, 6, 3), {"groups": 2, "stride": 2}, 4),
        ((3, 2, 4), {"padding": 2, "dilation": 2, "bias": False}, 6),
        ((4, 4, 3), {"groups": 4, "stride": 3, "padding": 1, "output_padding": 2}, 4),
        ((3, 2, 3), {"stride": 2, "output_padding": 1, "dilation": 2}, 4),
    ]  # fmt: skip
    cases = [case("ConvTranspose1d", *a, shape=(a[0], n), **k) for a, k, n in one]
    cases += [case("ConvTranspose2d", *a, shape=(a[0], n, n + 1), **k) for a, k, n in one]
    # several dimensions, and (below) sizes that are not whole multiples
    few = {"unbatched": False, "batches": FEW}
    for mode in ("linear", "nearest", "nearest-exact"):
        cases.append(case("Upsample", scale_factor=1.7, mode=mode, shape=(2, 5), **few))
    for mode in ("bilinear", "bicubic"):
        for align in (False, True):
            cases.append(case("Upsample", size=(7, 3), mode=mode, align_corners=align,
                              shape=(2, 4, 5), **few))  # fmt: skip
    return cases + [
        case("ConvTranspose2d", 2, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 3),
             shape=(2, 4, 5)),
        case("Upsample", scale_factor=(2.0, 0.5), shape=(2, 4, 5), **few),
        case("Upsample", size=5, mode="trilinear", shape=(2, 3, 4, 2), **few),
        case("UpsamplingNearest2d", scale_factor=2, shape=(2, 3, 4), **few),
        case("UpsamplingBilinear2d", size=(5, 2), shape=(2, 3, 4), **few),
        case("PixelShuffle", 2, shape=(8, 2, 3), batches=FEW),
        case("PixelUnshuffle", 2, shape=(2, 4, 6), batches=FEW),
        case("ChannelShuffle", 2, shape=(4, 2, 3), unbatched=False, batches=FEW),
    ]  # fmt: skip


def norms() -> list[Case]:
    """Normalisation and dropout."""
    cases = []
    for d, shape in ((1, (3, 5)), (2, (3, 4, 2))):
        for kwargs in ({}, {"affine": False}, {"track_running_stats": False}, {"momentum": None},
                       {"momentum": 0.7, "eps": 0.1}, {"bias": False}):  # fmt: skip
            cases.append(case(f"BatchNorm{d}d", 3, shape=shape, unbatched=False, batches=FEW,
                              **kwargs))  # fmt: skip
        for kwargs in ({}, {"affine": True}, {"track_running_stats": True}, {"eps": 0.1},
                       {"affine": True, "bias": False}):  # fmt: skip
            cases.append(case(f"InstanceNorm{d}d", 3, shape=shape, batches=FEW, **kwargs))
    return cases + [
        case("BatchNorm1d", 3, shape=(3,), unbatched=False, batches=FEW),
        case("LayerNorm", 4), case("LayerNorm", (2, 4), 0.1, shape=(3, 2, 4)),
        case("LayerNorm", 4, elementwise_affine=False), case("LayerNorm", 4, bias=False),
        case("RMSNorm", 4), case("RMSNorm", (2, 4), 0.1, shape=(3, 2, 4)),
        case("RMSNorm", 4, elementwise_affine=False),
        case("GroupNorm", 2, 6, shape=(6, 5), unbatched=False),
        case("GroupNorm", 3, 6, 0.1, shape=(6, 2, 3), unbatched=False),
        case("GroupNorm", 1, 4, affine=False, shape=(4, 3), unbatched=False),
        case("GroupNorm", 2, 4, bias=False, shape=(4, 3), unbatched=False),
        case("GroupNorm", 2, 10, shape=(10,), unbatched=False),
        case("LocalResponseNorm", 3, shape=(5, 4), unbatched=False),
        case("LocalResponseNorm", 2, 0.1, 0.5, 2.0, shape=(5, 4, 3), unbatched=False),
        *[case(name, p, inplace, shape=(3, 5), random=0 < p < 1)
          for name in ("Dropout", "Dropout1d") for p in (0.0, 0.4, 1.0)
          for inplace in (False, True)],
        *[case("Dropout2d", p, shape=(3, 4, 5), random=0 < p < 1) for p in (0.0, 0.4, 1.0)],
        *[case(name, p, shape=(3, 5), random=0 < p < 1)
          for name in ("AlphaDropout", "FeatureAlphaDropout") for p in (0.0, 0.4, 1.0)],
    ]  # fmt: skip


def windows() -> list[Case]:
    """Pooling and padding."""
    one, two = (3, 11), (2, 9, 8)
    cases = []
    for kwargs in ({}, {"stride": 2}, {"padding": 1}, {"stride": 2, "ceil_mode": True},
                   {"stride": 3, "padding": 1, "ceil_mode": True}):  # fmt: skip
        for d, shape in ((1, one), (2, two)):
            cases.append(case(f"MaxPool{d}d", 3, shape=shape, **kwargs))
            cases.append(case(f"AvgPool{d}d", 3, shape=shape, **kwargs))
            cases.append(case(f"AvgPool{d}d", 3, shape=shape, count_include_pad=False, **kwargs))
            if "padding" not in kwargs:
                cases.append(case(f"LPPool{d}d", 2, 3, shape=shape, **kwargs))
    for d in (1, 2):
        ends = tuple(range(1, 2 * d + 1))
        shape = (one, two)[d - 1]
        for kind in ("Circular", "Reflection", "Replication", "Zero"):
            cases += [case(f"{kind}Pad{d}d", p, shape=shape) for p in (2, ends, ends[::-1])]
        cases += [case(f"ConstantPad{d}d", p, 1.5, shape=shape) for p in (2, ends)]
        cases += [case(f"ZeroPad{d}d", (-1,) * 2 * d, shape=shape)]
    return cases + [
        case("MaxPool1d", 3, 2, dilation=2, return_indices=True, shape=one),
        case("MaxPool2d", 3, 2, dilation=2, return_indices=True, shape=two),
        case("MaxPool2d", (3, 2), (2, 1), (1, 0), (1, 2), shape=two),
        case("AvgPool2d", (3, 2), (2, 1), (1, 0), shape=two),
        case("AvgPool2d", 2, divisor_override=3, shape=two),
        *[case(f"Adaptive{kind}Pool1d", n, shape=one) for kind in ("Avg", "Max")
          for n in (1, 4, 11, 13)],
        *[case(f"Adaptive{kind}Pool2d", n, shape=two) for kind in ("Avg", "Max")
          for n in (1, (3, 5), (None, 2), (10, 1))],
        case("AdaptiveMaxPool1d", 4, True, shape=one),
        case("AdaptiveMaxPool2d", 3, True, shape=two),
        case("LPPool1d", 3, 2, shape=one, inputs=(("unit", one),)),
        case("LPPool2d", 1.5, (2, 3), inputs=(("unit", two),)),
    ]  # fmt: skip


def volumes() -> list[Case]:
    """Layers of three dimensions, unpooling, and pooling at random places."""
    three, few = (2, 5, 6, 7), {"unbatched": False, "batches": FEW}
    cases = [
        case("Conv3d", 2, 3, 3, shape=three), case("Conv3d", 2, 4, 1, shape=three),
        case("Conv3d", 2, 4, (3, 2, 3), (2, 1, 2), (1, 0, 2), (1, 3, 2), 2, shape=three),
        case("Conv3d", 2, 3, (2, 3, 4), padding="same", bias=False, shape=three),
        *[case("Conv3d", 2, 3, 3, padding=(1, 2, 1), padding_mode=mode, shape=three)
          for mode in ("reflect", "replicate", "circular")],
        case("ConvTranspose3d", 2, 3, 3, shape=three),
        case("ConvTranspose3d", 2, 4, (3, 2, 3), (2, 1, 2), 1, (1, 0, 1), 2, False, (1, 3, 2),
             shape=three),
        case("Dropout3d", 1.0, shape=three), case("Dropout3d", 0.4, shape=three, random=True),
        case("Upsample", scale_factor=(2, 0.5, 1.5), shape=three, **few),
        case("Upsample", scale_factor=1.5, mode="trilinear", shape=three, **few),
    ]  # fmt: skip
    for kwargs in ({}, {"affine": False}, {"track_running_stats": False}, {"momentum": None}):
        cases.append(case("BatchNorm3d", 2, shape=three, unbatched=False, batches=FEW, **kwargs))
    for kwargs in ({}, {"affine": True, "track_running_stats": True}):
        cases.append(case("InstanceNorm3d", 2, shape=three, batches=FEW, **kwargs))
    for kwargs in ({}, {"stride": (1, 2, 3)}, {"padding": 1}, {"stride": 2, "ceil_mode": True}):
        cases.append(case("MaxPool3d", 3, shape=three, **kwargs))
        cases.append(case("AvgPool3d", 3, shape=three, **kwargs))
        cases.append(case("AvgPool3d", 3, shape=three, count_include_pad=False, **kwargs))
    ends = (1, 2, 3, 4, 2, 1)
    for kind in ("Circular", "Reflection", "Replication", "Zero"):
        cases += [case(f"{kind}Pad3d", p, shape=three) for p in (2, ends)]
    for n in (1, (3, 5, 2), (None, 2, 9)):
        cases += [case(f"Adaptive{kind}Pool3d", n, shape=three) for kind in ("Avg", "Max")]
    for d, shape, places in ((1, (2, 3), 6), (2, (2, 1, 2), 8), (3, (2, 1, 2, 1), 12)):
        cases.append(case(f"MaxUnpool{d}d", 2 if d < 3 else (2, 3, 2), batches=(1,),
                          inputs=(("normal", shape), (f"place:{d}:{places}", shape))))  # fmt: skip
    for d in (2, 3):
        samples, shape = ARRAY[: 6 * d].reshape(3, 2, d) / 2, (2, 6, 7, 5)[: d + 1]
        for settings in ({"output_size": 3}, {"output_ratio": 0.5, "return_indices": True}):
            cases.append(case(f"FractionalMaxPool{d}d", 2, _random_samples=samples, shape=shape,
                              batches=(3,), unbatched=False, **settings))  # fmt: skip
    return cases + [
        case("MaxPool3d", (3, 2, 2), 2, dilation=(1, 2, 1), return_indices=True, shape=three),
        case("AvgPool3d", 2, divisor_override=3, shape=three),
        case("AdaptiveMaxPool3d", 3, True, shape=three),
        case("ConstantPad3d", ends, 1.5, shape=three),
        case("LPPool3d", 3, 2, inputs=(("unit", three),), batches=FEW),
    ]


def losses() -> list[Case]:
    """Losses with each reduction and each argument."""
    x, v = ("normal", (5,)), ("normal", (4,))
    cases = [
        *loss("CrossEntropyLoss", x, ("int:5", ())), *loss("NLLLoss", x, ("int:5", ())),
        *loss("CrossEntropyLoss", x, ("int:5", ()), weight=ARRAY[:5], ignore_index=2,
              label_smoothing=0.1),
        *loss("CrossEntropyLoss", x, ("distribution", (5,)), weight=ARRAY[:5], label_smoothing=0.2),
        *loss("CrossEntropyLoss", ("normal", (5, 3, 2)), ("int:5", (3, 2)), unbatched=False,
              weight=ARRAY[:5]),
        *loss("NLLLoss", ("normal", (5, 3)), ("int:5", (3,)), unbatched=False, weight=ARRAY[:5],
              ignore_index=1),
        *loss("MultiMarginLoss", x, ("int:5", ()), batches=FEW),
        *loss("MultiMarginLoss", x, ("int:5", ()), batches=FEW, p=2, margin=0.7, weight=ARRAY[:5]),
        *loss("MultiLabelMarginLoss", x, ("labels", (5,)), batches=FEW),
        *loss("MultiLabelSoftMarginLoss", x, ("bits", (5,))),
        *loss("MultiLabelSoftMarginLoss", x, ("bits", (5,)), weight=ARRAY[:5]),
        *loss("MSELoss", v, v), *loss("L1Loss", v, v), *loss("SmoothL1Loss", v, v),
        *loss("SmoothL1Loss", v, v, beta=0.3), *loss("SmoothL1Loss", v, v, beta=0.0),
        *loss("HuberLoss", v, v), *loss("HuberLoss", v, v, delta=0.4),
        *loss("BCELoss", ("unit", (4,)), ("unit", (4,))),
        *loss("BCELoss", ("unit", (4,)), ("bits", (4,)), weight=ARRAY[:4]),
        *loss("BCEWithLogitsLoss", v, ("unit", (4,))),
        *loss("BCEWithLogitsLoss", v, ("bits", (4,)), weight=ARRAY[:4], pos_weight=ARRAY[4:8]),
        *loss("KLDivLoss", ("logits", (4,)), ("distribution", (4,))),
        *loss("KLDivLoss", ("logits", (4,)), ("logits", (4,)), log_target=True),
        case("KLDivLoss", reduction="batchmean", batches=(1, 3), unbatched=False,
             inputs=(("logits", (4,)), ("distribution", (4,)))),
        *loss("GaussianNLLLoss", v, v, ("unit", (4,))),
        *loss("GaussianNLLLoss", v, v, ("unit", (1,)), full=True, eps=0.1),
        *loss("PoissonNLLLoss", v, ("int:7", (4,))),
        *loss("PoissonNLLLoss", ("unit", (4,)), ("int:7", (4,)), log_input=False, full=True,
              eps=0.01),
        *loss("HingeEmbeddingLoss", v, ("sign", (4,))),
        *loss("HingeEmbeddingLoss", v, ("sign", (4,)), margin=0.3),
        *loss("MarginRankingLoss", v, v, ("sign", (4,))),
        *loss("MarginRankingLoss", v, v, ("sign", (4,)), margin=0.3),
        *loss("CosineEmbeddingLoss", v, v, ("sign", ())),
        *loss("CosineEmbeddingLoss", v, v, ("sign", ()), margin=0.3),
        *loss("TripletMarginLoss", v, v, v),
        *loss("TripletMarginLoss", v, v, v, margin=3.0, p=1.0, eps=0.01, swap=True),
        *loss("TripletMarginWithDistanceLoss", v, v, v),
        *loss("TripletMarginWithDistanceLoss", v, v, v, margin=3.0, swap=True),
        *loss("SoftMarginLoss", v, ("sign", (4,))),
    ]  # fmt: skip
    old = [{"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}]
    return cases + [case("MSELoss", inputs=(v, v), **kwargs) for kwargs in old]


def attention() -> list[Case]:
    """Attention and Transformer layers, the batch first, so that it may be absent."""
    three = (("normal", (5, 6)), ("normal", (3, 6)), ("normal", (3, 6)))
    other = (("normal", (5, 6)), ("normal", (3, 4)), ("normal", (3, 7)))
    pair = (("normal", (5, 6)), ("normal", (3, 6)))
    size = (6, 2, 7, 0.0)  # features, heads, hidden features, dropout
    first = {"batch_first": True, "batches": FEW, "spread": 0.4}
    return [
        case("MultiheadAttention", 6, 2, inputs=three, **first),
        case("MultiheadAttention", 6, 3, bias=False, inputs=three, **first),
        case("MultiheadAttention", 6, 1, kdim=4, vdim=7, inputs=other, **first),
        case("MultiheadAttention", 6, 2, add_bias_kv=True, inputs=three, **first),
        case("MultiheadAttention", 6, 2, add_zero_attn=True, inputs=three, **first),
        case("MultiheadAttention", 6, 2, add_bias_kv=True, add_zero_attn=True, kdim=4, vdim=7,
             inputs=other, **first),
        case("MultiheadAttention", 6, 2, 0.3, inputs=three, random=True, **first),
        case("TransformerEncoderLayer", *size, shape=(5, 6), **first),
        case("TransformerEncoderLayer", *size, "gelu", 1e-3, norm_first=True, bias=False,
             shape=(5, 6), **first),
        case("TransformerEncoderLayer", *size[:3], 0.3, random=True, shape=(5, 6), **first),
        case("TransformerDecoderLayer", *size, inputs=pair, **first),
        case("TransformerDecoderLayer", *size, "gelu", 1e-3, norm_first=True, bias=False,
             inputs=pair, **first),
        case("Transformer", 6, 2, 2, 1, *size[2:], inputs=pair, **first),
        case("Transformer", 6, 2, 1, 2, *size[2:], norm_first=True, inputs=pair, **first),
    ]  # fmt: skip


CASES = [
    *activations(), *learned(), *upwards(), *norms(), *windows(), *volumes(), *losses(),
    *attention(),
]  # fmt: skip
