"""What is known of the models of lamina.vision: parameters as published, entries of state_dict, and
settings to run them with. Read by test_vision_models.py."""

# Parameters, as torchvision's documentation gives them (auxiliary classifiers included).
COUNTS = {
    "alexnet": 61_100_840, "googlenet": 13_004_888, "inception_v3": 27_161_264,
    "squeezenet1_0": 1_248_424, "squeezenet1_1": 1_235_496,
    "mobilenet_v1": 4_231_976, "mobilenet_v2": 3_504_872, "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "efficientnet_b0": 5_288_548, "efficientnet_b1": 7_794_184, "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232, "efficientnet_b4": 19_341_616, "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704, "efficientnet_b7": 66_347_960,
    "efficientnet_v2_s": 21_458_488, "efficientnet_v2_m": 54_139_356,
    "efficientnet_v2_l": 118_515_272,
    "densenet121": 7_978_856, "densenet161": 28_681_000, "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "shufflenet_v2_x0_5": 1_366_792, "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624, "shufflenet_v2_x2_0": 7_393_996,
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
    "googlenet": {"inception3a.branch3.1.conv.weight": (32, 16, 3, 3), "aux2.fc1.bias": (1024,),
                  "inception5b.branch4.1.bn.weight": (128,), "fc.weight": (1000, 1024)},
    "inception_v3": {"Conv2d_2b_3x3.conv.weight": (64, 32, 3, 3), "AuxLogits.fc.bias": (1000,),
                     "Mixed_6c.branch7x7dbl_4.conv.weight": (160, 160, 7, 1),
                     "Mixed_7c.branch3x3dbl_3b.bn.running_var": (384,)},
    "squeezenet1_0": {"features.3.squeeze.weight": (16, 96, 1, 1),
                      "features.12.expand3x3.bias": (256,), "classifier.1.bias": (1000,)},
    "squeezenet1_1": {"features.3.squeeze.weight": (16, 64, 1, 1),
                      "features.10.expand1x1.bias": (192,)},
    "densenet121": {"features.conv0.weight": (64, 3, 7, 7), "classifier.weight": (1000, 1024),
                    "features.denseblock4.denselayer16.norm1.weight": (992,),
                    "features.transition2.conv.weight": (256, 512, 1, 1),
                    "features.norm5.bias": (1024,)},
    "shufflenet_v2_x1_0": {"conv1.0.weight": (24, 3, 3, 3), "stage2.0.branch1.2.weight":
                           (58, 24, 1, 1), "stage4.3.branch2.6.bias": (232,),
                           "conv5.1.running_mean": (1024,)},
    "mobilenet_v2": {"features.0.0.weight": (32, 3, 3, 3), "features.1.conv.1.weight":
                     (16, 32, 1, 1), "features.2.conv.3.running_var": (24,),
                     "features.18.1.bias": (1280,), "classifier.1.weight": (1000, 1280)},
    "mobilenet_v3_large": {"features.1.block.0.0.weight": (16, 1, 3, 3),
                           "features.4.block.2.fc1.weight": (24, 72, 1, 1),
                           "features.16.1.running_mean": (960,), "classifier.3.bias": (1000,)},
    "mobilenet_v3_small": {"features.1.block.1.fc2.bias": (16,),
                           "features.11.block.3.0.weight": (96, 576, 1, 1)},
    "efficientnet_b0": {"features.1.0.block.1.fc1.weight": (8, 32, 1, 1),
                        "features.2.1.block.2.fc2.bias": (144,),
                        "features.8.1.running_var": (1280,), "classifier.1.bias": (1000,)},
    "efficientnet_v2_s": {"features.1.1.block.0.0.weight": (24, 24, 3, 3),
                          "features.2.0.block.1.0.weight": (48, 96, 1, 1),
                          "features.6.14.block.2.fc1.bias": (64,)},
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
    "vgg11": (32, {"init_weights": False}),
    "googlenet": (33, {"transform_input": True, "init_weights": False}),
    "inception_v3": (75, {"init_weights": False}),
    "squeezenet1_0": (41, {}),
    "squeezenet1_1": (40, {}),
    "densenet121": (32, {}),
    "mobilenet_v1": (32, {"width_mult": 0.25}),
    "mobilenet_v2": (32, {"width_mult": 0.35}),
    "mobilenet_v3_large": (32, {"reduced_tail": True}),
    "mobilenet_v3_small": (33, {"dilated": True}),
    "efficientnet_b0": (32, {}),
    "efficientnet_v2_s": (32, {}),
    "shufflenet_v2_x0_5": (33, {}),
}  # fmt: skip

# Where training needs larger images, for the auxiliary classifier.
TRAIN_SIZE = {"inception_v3": 299}
