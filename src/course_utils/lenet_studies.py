"""Studies of the textbook's LeNet: every table of the post that this course grew from, and what those leave open.

An arm says only what it changes against `course_utils.runs.DEFAULTS`: LeNet with sigmoid and average pooling, Xavier,
SGD with lr 0.9, batch 256, 10 epochs, Fashion-MNIST.
"""

from __future__ import annotations

from typing import Any

from course_utils.study import SEEDS, Study

FIVE_SEEDS = SEEDS[:5]
BATCH_SIZES = tuple(2**power for power in range(1, 11))
UPDATES = 2350  # of the default arm: 10 epochs of 235

RELU_CONV = {"conv_activation": "relu"}


def everywhere(activation: str) -> dict[str, str]:
    """One activation after the convolutions and after the dense layers of LeNet."""
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
# Four of the six best rates are the highest of their rows, so higher ones get a try, too, until one is worse.
BEYOND: dict[str, tuple[float, ...]] = {
    "sgd": (1.2, 1.8, 2.7),
    "momentum": (0.2, 0.4, 0.8),
    "adam": (0.008, 0.016),
    "adamw": (0.008, 0.016),
}
# Chosen by `optimizer_lr` and `optimizer_lr_beyond`; a test compares them with the results.
CHOSEN_LR = {"sgd": 1.8, "momentum": 0.4, "adagrad": 0.04, "rmsprop": 0.004, "adam": 0.008, "adamw": 0.008}

# Found by `course_utils.search` on the validation images. A test compares it with the published results of the search.
CHOSEN_BEST: dict[str, Any] = {
    "epochs": 15,
    "lr": 0.22,
    "batch_size": 16,
    "conv_activation": "tanh",
    "dense_activation": "sigmoid",
    "pooling": "max",
    "conv_kernel": 3,
    "schedule": "cosine",
}

LENET_STUDIES = [
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
            "relu": everywhere("relu"),
            "tanh": everywhere("tanh"),
            "scaled_tanh": everywhere("scaled_tanh"),
            "leaky_relu": everywhere("leaky_relu"),
            "gelu": everywhere("gelu"),
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
    *(
        Study(
            name,
            question,
            {
                f"{optimizer}, lr {lr}": {"optimizer": optimizer, "lr": lr}
                for optimizer, lrs in candidates.items()
                for lr in lrs
            },
            base={"split": "validation"},
            seeds=SEEDS[:3],
        )
        for name, question, candidates in (
            ("optimizer_lr", "Which learning rate for each optimizer? Judged on the validation images.", OPTIMIZER_LRS),
            ("optimizer_lr_beyond", "And beyond the rates of optimizer_lr, where the highest was the best?", BEYOND),
        )
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
        "best_chosen",
        "Settings chosen on the validation images, looked at once on the test images, against the default",
        {"default": {}, "chosen": CHOSEN_BEST},
    ),
    Study(
        "mnist",
        "The same settings on MNIST",
        {"default": {}, "lr 1.4, batch 16": LITERAL_BEST["lr 1.4, batch 16"], "chosen": CHOSEN_BEST},
        base={"dataset": "mnist"},
    ),
]
