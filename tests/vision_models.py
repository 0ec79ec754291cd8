"""What is known of the models of lamina.vision: parameters as published, entries of state_dict, and
settings to run them with. Read by test_vision_models.py."""

# Parameters, as torchvision's documentation gives them (auxiliary classifiers included).
COUNTS = {
    "alexnet": 61_100_840,
    "resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032,
    "resnet101": 44_549_160, "resnet152": 60_192_808, "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336, "resnext101_64x4d": 83_455_272,
    "wide_resnet50_2": 68_883_240, "wide_resnet101_2": 126_886_696,
    "vgg11": 132_863_336, "vgg11_bn": 132_868_840, "vgg13": 133_047_848, "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544, "vgg16_bn": 138_365_992, "vgg19": 143_667_240, "vgg19_bn": 143_678_248,
}  # fmt: skip

# Some entries of state_dict and their shapes.
KEYS = {
    "alexnet": {"features.0.weight": (64, 3, 11, 11), "features.10.bias": (256,),
                "classifier.6.bias": (1000,)},
    "resnet18": {"conv1.weight": (64, 3, 7, 7), "bn1.num_batches_tracked": (),
                 "layer1.0.conv1.weight": (64, 64, 3, 3),
                 "layer2.0.downsample.1.running_var": (128,), "fc.weight": (1000, 512)},
    "resnext50_32x4d": {"layer1.0.conv2.weight": (128, 4, 3, 3), "layer4.2.bn3.bias": (2048,)},
    "vgg11": {"features.0.weight": (64, 3, 3, 3), "features.18.bias": (512,),
              "classifier.3.weight": (4096, 4096)},
    "vgg16_bn": {"features.41.running_mean": (512,), "features.40.weight": (512, 512, 3, 3)},
}  # fmt: skip

# Models small enough to run, with the image size and the settings to do it with.
RUN = {
    "alexnet": (63, {}),
    "resnet18": (33, {}),
    "resnet50": (32, {"zero_init_residual": True}),
    "resnext50_32x4d": (32, {"replace_stride_with_dilation": [False, True, True]}),
    "vgg11": (32, {}),
}  # fmt: skip
