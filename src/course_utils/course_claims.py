"""What the pages of this course say of its studies: a test fails when one of these sentences stops being true.

Sentences of the kind 'no difference seen' are not among them: they claim nothing.
"""

from __future__ import annotations

from course_utils.claim_checks import Claim, best, epochs_higher, higher, rising, similar

_OURS = "this course"

COURSE_CLAIMS = (
    Claim(
        "course-lr-steps",
        "From 0.1 to 0.9 each step of 0.1 improves the accuracy.",
        _OURS,
        "lr",
        rising("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"),
    ),
    Claim(
        "course-lr-default-low",
        "Learning rates of 1.0 to 1.3 are better than 0.9.",
        _OURS,
        "lr",
        higher(("1.0", "1.1", "1.2", "1.3"), "0.9"),
    ),
    Claim(
        "course-batch-gap",
        "The gap between training and test accuracy at batch 1024 is that at batch 16, within 0.025.",
        _OURS,
        "batch_size",
        similar("1024", "16", 0.025, "gap"),
    ),
    Claim(
        "course-batch-large-wins",
        "With equally many updates batches of 512 and 1024 are better than 256.",
        _OURS,
        "batch_size_equal_updates",
        higher(("512", "1024"), "256"),
    ),
    Claim(
        "course-batch-large-loss",
        "With equally many updates the training loss falls from batch 256 over 512 to 1024.",
        _OURS,
        "batch_size_equal_updates",
        rising("1024", "512", "256", value="train_loss"),
    ),
    Claim(
        "course-batch-small-stuck",
        "2,350 updates with batches of 2 to 16 are worse than with 256.",
        _OURS,
        "batch_size_equal_updates",
        higher("256", ("2", "4", "8", "16")),
    ),
    Claim(
        "course-scaling-down",
        "Batch 64 with a quarter of the learning rate ends better than batch 256: the linear scaling rule fails.",
        _OURS,
        "lr_batch",
        higher("batch 64, lr 0.225", "batch 256, lr 0.9"),
    ),
    Claim(
        "course-scaling-up",
        "Batch 1024 with four times the learning rate is worse than batch 256: the rule fails there too.",
        _OURS,
        "lr_batch",
        higher("batch 256, lr 0.9", "batch 1024, lr 3.6"),
    ),
    Claim(
        "course-lr-batch-small",
        "At batch 64 a learning rate of 1.8 ends at a lower training loss than 0.9.",
        _OURS,
        "lr_batch",
        higher("batch 64, lr 0.9", "batch 64, lr 1.8", "train_loss"),
    ),
    Claim(
        "course-lr-batch-large",
        "At batch 1024 a learning rate of 0.9 ends at a lower training loss than 3.6.",
        _OURS,
        "lr_batch",
        higher("batch 1024, lr 3.6", "batch 1024, lr 0.9", "train_loss"),
    ),
    Claim(
        "course-epochs-rise",
        "Accuracy still rises between 50 and 100 epochs.",
        _OURS,
        "epochs",
        epochs_higher(100, 50),
    ),
    Claim(
        "course-relu-everywhere",
        "At learning rate 0.9 ReLU everywhere is worse than ReLU after the convolutions alone.",
        _OURS,
        "activation",
        higher("relu_conv", "relu"),
    ),
    Claim(
        "course-tanh",
        "At learning rate 0.9 both kinds of tanh are worse than the sigmoid.",
        _OURS,
        "activation",
        higher("sigmoid", ("tanh", "scaled_tanh")),
    ),
    Claim(
        "course-pooling-max",
        "Maximum pooling is better than average pooling by two points.",
        _OURS,
        "pooling",
        higher("max", "avg", size=0.02),
    ),
    Claim(
        "course-pooling-strided",
        "Strided convolution is best of the five poolings.",
        _OURS,
        "pooling",
        best("strided_conv"),
    ),
    Claim(
        "course-kernel-7",
        "Kernel 7 with the padding of kernel 5 ends at a higher training loss than kernel 5.",
        _OURS,
        "conv_kernel",
        higher("7", "5", "train_loss"),
    ),
    Claim(
        "course-kernel-7-padded",
        "Kernel 7 with padding 3 ends at a lower training loss than kernel 5.",
        _OURS,
        "conv_kernel_same",
        higher("5", "7", "train_loss"),
    ),
    Claim(
        "course-dropping",
        "Dropping three pixels of four is better than averaging them, by 1.8 points.",
        _OURS,
        "pool_size",
        higher("1, stride 2", "2", size=0.018),
    ),
    Claim(
        "course-no-pooling",
        "No pooling at all is better than average pooling.",
        _OURS,
        "no_pooling",
        higher("1, stride 1", "2"),
    ),
    Claim(
        "course-standardized",
        "Standardized pixels bring LeNet further in ten epochs.",
        _OURS,
        "normalization",
        higher("standardized", "none"),
    ),
    Claim(
        "course-batch-norm",
        "In ten epochs batch normalization brings LeNet further than standardized pixels.",
        _OURS,
        "normalization",
        higher("batch_norm", "standardized"),
    ),
    Claim(
        "course-alexnet-overlap",
        "Without overlap, which leaves pixels unread as well, a small AlexNet is worse.",
        _OURS,
        "ingredients",
        higher("AlexNet", "pooling without overlap"),
    ),
    Claim(
        "course-alexnet-dropout",
        "In six passes a small AlexNet is better without dropout.",
        _OURS,
        "ingredients",
        higher("no dropout", "AlexNet"),
    ),
    Claim(
        "course-alexnet-augmentation",
        "In six passes a small AlexNet is better without augmentation.",
        _OURS,
        "ingredients",
        higher("no augmentation", "AlexNet"),
    ),
    Claim(
        "course-alexnet-tanh",
        "A small AlexNet with tanh is as good as one with ReLU (within 0.01).",
        _OURS,
        "ingredients",
        similar("tanh for ReLU", "AlexNet"),
    ),
)
