"""The statements of the post that this course grew from, in our words, with its tables and figures."""

from __future__ import annotations

from course_utils.claim_checks import Claim, about, at_least, best, epochs_similar, higher, rising, similar

_GOOD_LRS = ("1.2", "1.3", "1.4")
_COMBINED = ("lr 1.2, batch 8", "lr 1.4, batch 16")

SEED_CLAIMS = (
    Claim("default-test", "The default setting reaches test accuracy 0.809.", "table 3", "lr", about("0.9", 0.809)),
    Claim(
        "default-loss",
        "The default setting ends at training loss 0.469.",
        "table 3",
        "lr",
        about("0.9", 0.469, 0.01, "train_loss"),
    ),
    Claim(
        "lr-rises", "Accuracy rises with the learning rate at first.", "figure 11", "lr", rising("0.3", "0.6", "0.9")
    ),
    Claim(
        "lr-falls",
        "Beyond lr 1.4 accuracy falls.",
        "figure 11",
        "lr",
        higher(_GOOD_LRS, ("1.5", "1.6", "1.7"), size=0.064),
    ),
    Claim(
        "lr-better",
        "Learning rates of 1.2 to 1.4 are better than 0.9.",
        "table 3",
        "lr",
        higher(_GOOD_LRS, "0.9", size=0.020),
    ),
    Claim("lr-best", "Learning rates of 1.2 to 1.4 are best.", "table 3", "lr", best(*_GOOD_LRS)),
    Claim("lr-reaches", "At lr 1.2 to 1.4 test accuracy is 0.83.", "table 3", "lr", about(_GOOD_LRS, 0.83)),
    Claim(
        "lr-dip",
        "At lr 1.1 test accuracy dips below that at 1.0 and 1.2.",
        "table 3",
        "lr",
        higher(("1.0", "1.2"), "1.1", size=0.063),
    ),
    Claim(
        "lr-loss", "Training loss is lowest at lr 1.3.", "table 3", "lr", best("1.3", value="train_loss", lowest=True)
    ),
    Claim("batch-too-small", "Batch 2 is worse than batch 8.", "table 4", "batch_size", higher("8", "2", size=0.067)),
    Claim(
        "batch-too-large",
        "From batch 16 upward accuracy falls: 16, 64, 256, 1024.",
        "table 4",
        "batch_size",
        rising("1024", "256", "64", "16"),
    ),
    Claim("batch-best", "Batch 8 or 16 is best.", "table 4", "batch_size", best("8", "16")),
    Claim(
        "batch-reaches", "At batch 8 or 16 test accuracy is 0.888.", "table 4", "batch_size", about(("8", "16"), 0.888)
    ),
    Claim(
        "batch-generalization",
        "The batch size governs generalization: the gap between train and test grows with it.",
        "text after table 4",
        "batch_size",
        higher("1024", "16", "gap"),
    ),
    Claim(
        "batch-updates",
        "It is the batch size that makes 8 or 16 best, not the number of updates.",
        "table 4",
        "batch_size_equal_updates",
        best("8", "16"),
    ),
    Claim(
        "epochs-reach",
        "After 50 epochs test accuracy is 0.89.",
        "figure 14",
        "epochs",
        about("default", 0.89, epoch=50),
    ),
    Claim(
        "epochs-stable", "After 50 epochs accuracy stays where it is.", "figure 15", "epochs", epochs_similar(100, 50)
    ),
    Claim(
        "relu-better",
        "ReLU after the convolutions is better than sigmoid.",
        "table 5",
        "activation",
        higher("relu_conv", "sigmoid", size=0.075),
    ),
    Claim(
        "relu-reaches",
        "With ReLU after the convolutions test accuracy is 0.884.",
        "table 5",
        "activation",
        about("relu_conv", 0.884),
    ),
    Claim(
        "relu-loss",
        "With ReLU after the convolutions the training loss ends at 0.28.",
        "table 5",
        "activation",
        about("relu_conv", 0.28, 0.01, "train_loss"),
    ),
    Claim(
        "pooling-equal",
        "Average and maximum pooling are equally good (within 0.01).",
        "table 6",
        "pooling",
        similar("max", "avg"),
    ),
    Claim(
        "pooling-loss",
        "Maximum pooling ends at a lower training loss than average pooling.",
        "table 6",
        "pooling",
        higher("avg", "max", "train_loss", size=0.040),
    ),
    Claim(
        "pooling-reaches",
        "With maximum pooling test accuracy is 0.811.",
        "table 6",
        "pooling",
        about("max", 0.811),
    ),
    Claim(
        "kernel-rises",
        "Accuracy rises with the kernel size of C1: 3, 4, 5.",
        "table 7",
        "conv_kernel",
        rising("3", "4", "5"),
    ),
    Claim(
        "kernel-best", "Kernel size 5 is best of 3, 4, 5.", "table 7", "conv_kernel", best("5", among=("3", "4", "5"))
    ),
    Claim(
        "pool-accuracy",
        "With pooling size 1 accuracy is lower than with 2.",
        "table 8",
        "pool_size",
        higher("2", "1, stride 2", size=0.018),
    ),
    Claim(
        "pool-loss",
        "With pooling size 1 the loss is larger than with 2.",
        "text after table 8",
        "pool_size",
        higher("1, stride 2", "2", "train_loss"),
    ),
    Claim(
        "combination-reaches", "The best settings combined reach 0.906.", "table 10", "best", at_least(_COMBINED, 0.906)
    ),
    Claim(
        "combination-better",
        "The best settings combined are better than the default.",
        "table 10",
        "best",
        rising("default", "lr 1.2, batch 8"),
    ),
    Claim("mnist-98", "LeNet reaches 98 % and more on MNIST.", "text", "mnist", at_least(("default",), 0.98)),
    Claim(
        "adagrad-drop-in",
        "Adagrad at the same learning rate, 0.9, is better than SGD.",
        "code 3",
        "optimizer",
        higher("adagrad, lr 0.9", "sgd"),
    ),
    Claim(
        "adaptive-better",
        "Adaptive optimizers are better than plain SGD.",
        "text after table 3",
        "optimizer",
        higher(("adagrad", "rmsprop", "adam", "adamw"), "sgd"),
    ),
)
