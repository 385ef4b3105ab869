"""The studies of this course: every table of the post that it grew from, and the questions which those tables leave.

All arms of all studies use the seeds 0 to 9 (the studies beyond those tables 0 to 4), fixed before anything was run. An
arm says only what it changes against `course_utils.runs.DEFAULTS`: LeNet with sigmoid and average pooling, Xavier,
SGD with lr 0.9, batch 256, 10 epochs, Fashion-MNIST.
"""

from __future__ import annotations

from typing import Any

from course_utils.study import SEEDS, Study

FIVE_SEEDS = SEEDS[:5]
BATCH_SIZES = tuple(2**power for power in range(1, 11))
UPDATES = 2350  # of the default arm: 10 epochs of 235

RELU_CONV = {"conv_activation": "relu"}


def _everywhere(activation: str) -> dict[str, str]:
    return {"conv_activation": activation, "dense_activation": activation}


# The post's table 9 names ranges: lr 1.2 to 1.4, batch 8 or 16, about 50 epochs, ReLU. These are its two corners.
LITERAL_BEST: dict[str, dict[str, Any]] = {
    "lr 1.2, batch 8": {"lr": 1.2, "batch_size": 8, "epochs": 50, **RELU_CONV},
    "lr 1.4, batch 16": {"lr": 1.4, "batch_size": 16, "epochs": 50, **RELU_CONV},
}

# Candidates for the study `optimizer`; the best mean validation accuracy decides.
OPTIMIZER_LRS: dict[str, tuple[float, ...]] = {
    "sgd": (0.3, 0.6, 0.9, 1.2),
    "momentum": (0.03, 0.06, 0.1, 0.2),
    "adagrad": (0.01, 0.02, 0.04, 0.08),
    "rmsprop": (0.001, 0.002, 0.004, 0.008),
    "adam": (0.001, 0.002, 0.004, 0.008),
    "adamw": (0.001, 0.002, 0.004, 0.008),
}
# Chosen by `optimizer_lr`; a test compares them with its results.
CHOSEN_LR = {"sgd": 0.9, "momentum": 0.1, "adagrad": 0.02, "rmsprop": 0.002, "adam": 0.004, "adamw": 0.004}

# Found by `course_utils.search` on the validation images; empty until that has been run. A test compares it with the
# published results of the search.
CHOSEN_BEST: dict[str, Any] = {}
_CHOSEN = {"chosen": CHOSEN_BEST} if CHOSEN_BEST else {}

_ALL = [
    Study(
        "lr",
        "Which learning rates work at batch 256? (the post's table 3 and figure 11)",
        {f"{lr / 10}": {"lr": lr / 10} for lr in range(18)},
    ),
    Study(
        "batch_size",
        "How do results depend on the batch size, at lr 0.9 and 10 epochs? (table 4)",
        {str(size): {"batch_size": size} for size in BATCH_SIZES},
    ),
    Study(
        "batch_size_equal_updates",
        "The same with 2,350 updates for every batch size: table 4 varies both at once.",
        {
            str(size): {"batch_size": size, "epochs": -(-UPDATES // -(-60_000 // size)), "max_updates": UPDATES}
            if size != 256
            else {}
            for size in BATCH_SIZES
        },
        seeds=FIVE_SEEDS,
    ),
    Study(
        "lr_batch",
        "Does the best learning rate grow in proportion to the batch size?",
        {
            f"batch {size}, lr {lr}": {"batch_size": size, "lr": lr}
            for size in (64, 256, 1024)
            for lr in (0.225, 0.45, 0.9, 1.8, 3.6)
        },
        seeds=FIVE_SEEDS,
    ),
    Study(
        "linear_scaling",
        "Does a training stay what it is if the learning rate grows in proportion to the batch size?",
        {f"batch {n}, lr {lr}": {"batch_size": n, "lr": lr} for n, lr in ((64, 0.225), (256, 0.9), (1024, 3.6))},
        seeds=FIVE_SEEDS,
    ),
    Study(
        "epochs",
        "How long does it pay to train? 100 epochs, measured after each (figures 10, 14 and 15)",
        {"default": {"epochs": 100}},
    ),
    Study(
        "activation",
        "Which activation? ReLU after the convolutions alone, as the post has it, or everywhere (table 5)",
        {
            "sigmoid": {},
            "relu_conv": RELU_CONV,
            "relu": _everywhere("relu"),
            "tanh": _everywhere("tanh"),
            "scaled_tanh": _everywhere("scaled_tanh"),
            "leaky_relu": _everywhere("leaky_relu"),
            "gelu": _everywhere("gelu"),
        },
    ),
    Study(
        "pooling",
        "Which pooling? (table 6)",
        {name: {"pooling": name} for name in ("avg", "max", "mixed", "stochastic", "strided_conv")},
    ),
    Study(
        "conv_kernel",
        "Which kernel in C1? Padding stays 2, as in the post's code, so the maps change size too (table 7)",
        {str(size): {"conv_kernel": size} for size in (3, 4, 5, 7)},
    ),
    Study(
        "conv_kernel_same",
        "Which kernel in C1, if the padding grows with it, so that all maps keep their size?",
        {"3": {"conv_kernel": 3, "padding": 1}, "5": {}, "7": {"conv_kernel": 7, "padding": 3}},
        seeds=FIVE_SEEDS,
    ),
    Study(
        "pool_size",
        "Pooling windows of 2, or of 1? The post's code keeps stride 2 with window 1: it drops pixels (table 8)",
        {"2": {}, "1, stride 2": {"pool_size": 1}},
    ),
    Study(
        "no_pooling",
        "No pooling at all: windows of 1 with stride 1, eighteen times the parameters",
        {"2": {}, "1, stride 1": {"pool_size": 1, "pool_stride": 1}},
        seeds=FIVE_SEEDS,
    ),
    Study(
        "optimizer_lr",
        "Which learning rate for each optimizer? Judged on the validation images.",
        {
            f"{optimizer}, lr {lr}": {"optimizer": optimizer, "lr": lr}
            for optimizer, lrs in OPTIMIZER_LRS.items()
            for lr in lrs
        },
        base={"split": "validation"},
        seeds=SEEDS[:3],
    ),
    Study(
        "optimizer",
        "Which optimizer, each at a learning rate chosen on the validation images?",
        {
            **{name: {"optimizer": name, "lr": lr} for name, lr in CHOSEN_LR.items()},
            "adagrad, lr 0.9": {"optimizer": "adagrad"},
        },
        seeds=FIVE_SEEDS,
    ),
    Study(
        "schedule",
        "Does it help to change the learning rate on the way?",
        {name: {"schedule": name} for name in ("constant", "step", "cosine", "one_cycle")},
        seeds=FIVE_SEEDS,
    ),
    Study(
        "initialization",
        "How much hangs on the initial weights?",
        {name: {"initialization": name} for name in ("xavier", "default", "he", "zeros")},
        seeds=FIVE_SEEDS,
    ),
    Study(
        "normalization",
        "What do standardized inputs and batch normalization bring?",
        {"none": {}, "standardized": {"mean": 0.286, "std": 0.353}, "batch_norm": {"batch_norm": True}},
        seeds=FIVE_SEEDS,
    ),
    Study(
        "best",
        "The post's optimum, taken literally, against its default (tables 9 and 10)",
        {"default": {}, **LITERAL_BEST},
    ),
    Study(
        "mnist",
        "The same settings on MNIST",
        {"default": {}, "lr 1.4, batch 16": LITERAL_BEST["lr 1.4, batch 16"], **_CHOSEN},
        base={"dataset": "mnist"},
    ),
]
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
_ALL += [
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
        "What does LeNet-5 as published reach, with a rate that rises and falls, falls in steps, or stays?",
        {name: {"schedule": name} for name in ("one_cycle", "step", "constant")},
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
    "LeNet, ReLU and maximum": {**_everywhere("relu"), "pooling": "max"},
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
# Each arm has what the arms before it have. The last two have all of it: once computed in float32, once for as long
# as half an hour on one core allows.
_ALL_STEPS: dict[str, Any] = {"loss": "smoothed_cross_entropy", "ema": 0.998}
RECIPE_STEPS: dict[str, dict[str, Any]] = {
    "constant rate": {"schedule": "constant", "augment": "none"},
    "one-cycle": {"augment": "none"},
    "crop and flip": {},
    "smoothed labels": {"loss": "smoothed_cross_entropy"},
    "averaged weights": _ALL_STEPS,
    "in float32": {**_ALL_STEPS, "precision": "float32"},
    "30 passes": {**_ALL_STEPS, "epochs": 30},
}
LADDER_LRS = (0.03, 0.1, 0.3)
# Chosen by `ladder_lr`; a test compares them with its results.
LADDER_LR = dict.fromkeys(LADDER, 0.1)
_ALL += [
    Study(
        "ladder_lr",
        "Which learning rate for each network of the ladder? Two passes, judged on the validation images.",
        {f"{name}, lr {lr}": {**model, "lr": lr} for name, model in LADDER.items() for lr in LADDER_LRS},
        base={**RECIPE, "epochs": 2, "split": "validation"},
        seeds=SEEDS[:3],
    ),
    Study(
        "ladder",
        "From LeNet to ResNet and beyond, all trained in one way, each at its own learning rate: which one, and why?",
        {name: {**model, "lr": LADDER_LR[name]} for name, model in LADDER.items()},
        base=RECIPE,
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
        base={**RECIPE, "epochs": 10, "model": "resnet_small"},
        seeds=SEEDS[:3],
    ),
]
if CHOSEN_BEST:
    _ALL.append(
        Study(
            "best_chosen",
            "Settings chosen on the validation images, looked at once on the test images, against the default",
            {"default": {}, **_CHOSEN},
        )
    )
STUDIES = {study.name: study for study in _ALL}
