"""Studies of other networks: those of 1989 to 1998 on MNIST, and those from AlexNet to ConvNeXt on Fashion-MNIST."""

from __future__ import annotations

from typing import Any

from course_utils.lenet_studies import FIVE_SEEDS, everywhere
from course_utils.study import SEEDS, Study

# The nets of 1989 to 1998, on MNIST, all trained in one way. The learning rates were chosen on the validation images.
# The penalties of LeNet-5 are sums of 84 squares, some 20 times what softmax logits are: scaled by 1/20 they bear the
# learning rates that the others do. One arm of `lenet5_diff` leaves them as they are, at a rate to match.
HISTORICAL: dict[str, Any] = {
    "dataset": "mnist",
    "epochs": 12,
    "batch_size": 64,
    "lr": 0.05,
    "optimizer": "momentum",
    "schedule": "one_cycle",
}
LENET5: dict[str, Any] = {"model": "lenet5", "loss": "rubbish_class", "penalty_scale": 0.05, "lr": 0.1}
# Each difference between LeNet-5 and the LeNet of the textbooks, one at a time, by the names of `models.lenet5`.
LENET5_DIFFERENCES: dict[str, dict[str, Any]] = {
    "sigmoid for scaled tanh": {"activation": "sigmoid"},
    "average pooling": {"pooling": "avg"},
    "C3 reads all maps": {"c3": "full"},
    "dense output for RBF": {"output": "linear", "penalty_scale": 1.0, "lr": 0.05},
    "cross-entropy for equation 9": {"loss": "cross_entropy"},
    "equation 8 for equation 9": {"loss": "right_penalty"},
    "input from 0 to 1": {"input_scale": "unit"},
    "padding with 0": {"padding": "zeros"},
    "Xavier for 2.4 / fan-in": {"initialization": "xavier"},
    "penalties not scaled": {"penalty_scale": 1.0, "lr": 0.003},
}
# The sigmoid in company. On the validation images, one seed each, at a rate of 1 two of the four learned, at 0.1 none.
LENET5_WITH_SIGMOIDS: dict[str, Any] = {"activation": "sigmoid", "lr": 1.0}
LENET5_COMPANIONS: dict[str, dict[str, Any]] = {
    "sigmoid": {},
    "and Xavier": {"initialization": "xavier"},
    "and average pooling": {"pooling": "avg"},
    "and both": {"initialization": "xavier", "pooling": "avg"},
}
NETWORK_STUDIES = [
    Study(
        "before_lenet5",
        "From a linear classifier to LeNet-5, trained in one way: what did each step bring?",
        {
            "linear": {"model": "linear"},
            "300": {"model": "mlp"},
            "300-100": {"model": "mlp", "hidden": [300, 100]},
            "LeNet-1": {"model": "lenet1"},
            "LeNet-1, 20 x 20": {"model": "lenet1", "digits": "20x20"},
            "LeNet-4-like": {"model": "lenet4_like"},
            "LeNet-5": LENET5,
        },
        base=HISTORICAL,
    ),
    Study(
        "lenet5",
        "What does LeNet-5 as published reach, with a rate that rises and falls, falls in steps, or stays? And in the "
        "paper's 20 passes?",
        {
            **{name: {"schedule": name} for name in ("one_cycle", "step", "constant")},
            "one_cycle, 20 passes": {"epochs": 20},
        },
        base={**HISTORICAL, **LENET5},
    ),
    Study(
        "lenet5_diff",
        "Which of the differences between LeNet-5 and the LeNet of the textbooks matters? Half as many passes.",
        {
            "LeNet-5": LENET5,
            **{name: LENET5 | change for name, change in LENET5_DIFFERENCES.items()},
            "the textbook's LeNet": {"model": "lenet"},
        },
        base={**HISTORICAL, "epochs": 6},
    ),
    Study(
        "lenet5_sigmoid",
        "With sigmoids LeNet-5 learns nothing. Does it with Xavier's weights, with average pooling, or with both?",
        {name: LENET5 | LENET5_WITH_SIGMOIDS | change for name, change in LENET5_COMPANIONS.items()},
        base={**HISTORICAL, "epochs": 6},
        seeds=FIVE_SEEDS,
    ),
]
# One way of training for all networks larger than LeNet. Where the processor has no instructions for bfloat16, the
# same runs take longer.
RECIPE: dict[str, Any] = {
    "epochs": 12,
    "batch_size": 128,
    "lr": 0.1,
    "optimizer": "momentum",
    "schedule": "one_cycle",
    "augment": "crop_flip",
    "weight_decay": 5e-4,
    "precision": "bfloat16",
}
LADDER: dict[str, dict[str, Any]] = {
    "LeNet": {},
    "LeNet, ReLU and maximum": {**everywhere("relu"), "pooling": "max"},
    "AlexNet": {"model": "alexnet_small"},
    "VGG": {"model": "vgg_small", "batch_norm": True},
    "NiN": {"model": "nin_small", "batch_norm": True},
    "GoogLeNet": {"model": "googlenet_small"},
    "ResNet": {"model": "resnet_small"},
    "DenseNet": {"model": "densenet_small"},
    "MobileNet": {"model": "mobilenet_small"},
    "ConvNeXt": {"model": "convnext_small"},
}
# A small AlexNet with all that its paper brought together, and each ingredient taken away. At lr 0.1 it and its twin
# with tanh both train well; both were tried at 0.03 too, on the validation images.
ALEXNET: dict[str, Any] = {"model": "alexnet_small", "version": "paper"}
ALEXNET_WITHOUT: dict[str, dict[str, Any]] = {
    "tanh for ReLU": {"activation": "tanh"},
    "no dropout": {"dropout": 0.0},
    "no response normalization": {"lrn": False},
    "pooling without overlap": {"overlapping_pooling": False},
    "no augmentation": {"augment": "none"},
    "neither dropout nor augmentation": {"dropout": 0.0, "augment": "none"},
    "one group": {"groups": 1},
}
# Half the paper's channels. A plain network has the parameters of its twin with shortcuts to the last one.
DEEP: dict[str, Any] = {"model": "resnet_small", "width": 0.5, "shortcut": "zero_pad"}
# Each arm has what the arms before it have, as far as "averaged weights"; those after it stand on that one. The
# constant rate is the mean of the one-cycle rate. Maps of half the side and float32, so that two cores can do it: a
# long and wide run takes one core 28 minutes.
_MIRRORED: dict[str, Any] = {"augment": "flip"}
_SMOOTHED: dict[str, Any] = {**_MIRRORED, "loss": "smoothed_cross_entropy"}
_ALL_STEPS: dict[str, Any] = {**_SMOOTHED, "ema": 0.998}
_SHIFTED: dict[str, Any] = {"augment": "crop1_flip"}
_LONG: dict[str, Any] = {"epochs": 18}
_WIDE: dict[str, Any] = {"width": 2.0}
RECIPE_STEPS: dict[str, dict[str, Any]] = {
    "constant rate": {"schedule": "constant", "lr": 0.1},
    "one-cycle": {},
    "mirror images": _MIRRORED,
    "smoothed labels": _SMOOTHED,
    "averaged weights": _ALL_STEPS,
    "shifted": _ALL_STEPS | _SHIFTED,
    "long": _ALL_STEPS | _LONG,
    "long, shifted": _ALL_STEPS | _LONG | _SHIFTED,
    "long, wide": _ALL_STEPS | _LONG | _WIDE,
    "long, shifted, wide": _ALL_STEPS | _LONG | _SHIFTED | _WIDE,
}
LADDER_LRS = (0.03, 0.1, 0.3)
# Chosen by `ladder_lr`; a test compares them with its results.
LADDER_LR = {
    "LeNet": 0.1,
    "LeNet, ReLU and maximum": 0.1,
    "AlexNet": 0.03,
    "VGG": 0.1,
    "NiN": 0.3,
    "GoogLeNet": 0.3,
    "ResNet": 0.3,
    "DenseNet": 0.3,
    "MobileNet": 0.3,
    "ConvNeXt": 0.1,
}
NETWORK_STUDIES += [
    Study(
        "ladder_lr",
        "Which learning rate for each network of the ladder? Two passes, judged on the validation images.",
        {f"{name}, lr {lr}": {**model, "lr": lr} for name, model in LADDER.items() for lr in LADDER_LRS},
        base={**RECIPE, "epochs": 2, "split": "validation"},
        seeds=SEEDS[:3],
    ),
    # four seeds: as many as were whole when the GPU on which it was measured had to be given back
    Study(
        "ladder",
        "From LeNet to ResNet and beyond, all trained in one way, each at its own learning rate: which one, and why?",
        {name: {**model, "lr": LADDER_LR[name]} for name, model in LADDER.items()},
        base=RECIPE,
        seeds=SEEDS[:4],
    ),
    Study(
        "ladder_seconds",
        "How long does a step of each network of the ladder take on one core? Accuracies mean nothing here.",
        {name: {**model, "lr": LADDER_LR[name]} for name, model in LADDER.items()},
        base={**RECIPE, "max_updates": 60, "test_size": 100},
        seeds=SEEDS[:3],
    ),
    Study(
        "ingredients",
        "Which of its ingredients does a small AlexNet live on? Each taken away, six passes.",
        {"AlexNet": {}, **ALEXNET_WITHOUT},
        base={**RECIPE, "epochs": 6, **ALEXNET},
        seeds=FIVE_SEEDS,
    ),
    Study(
        "degradation",
        "Do more layers make a plain network worse, on the images that it learns from too? And with shortcuts?",
        {
            "plain, 20 layers": {"depth": 20, "shortcut": "none"},
            "plain, 56 layers": {"depth": 56, "shortcut": "none"},
            "residual, 20 layers": {"depth": 20},
            "residual, 56 layers": {"depth": 56},
            "pre-activation, 56 layers": {"depth": 56, "preactivation": True},
            "bottlenecks, 29 layers": {"depth": 29, "bottleneck": True},
        },
        base={**RECIPE, "epochs": 4, "augment": "none", **DEEP},
        seeds=SEEDS[:3],
    ),
    Study(
        "recipe",
        "What does each step of a training recipe bring to a small ResNet? One is added to another.",
        RECIPE_STEPS,
        base={
            **RECIPE,
            "epochs": 6,
            "lr": 0.2,
            "augment": "none",
            "model": "resnet_small",
            "depth": 8,
            "stem": "pooled",
            "precision": "float32",
            "channels_last": True,
        },
        seeds=SEEDS[:3],
    ),
]
