"""From AlexNet to ResNet: each network written once, for ImageNet and for 28 x 28 images."""

from collections.abc import Callable
from functools import partial

from torch import nn

from course_utils.models.classics.alexnet import alexnet
from course_utils.models.classics.common import Network
from course_utils.models.classics.googlenet import googlenet
from course_utils.models.classics.newer import convnext, densenet, mobilenet
from course_utils.models.classics.nin import nin
from course_utils.models.classics.resnet import resnet
from course_utils.models.classics.vgg import vgg

# The networks for Fashion-MNIST, by name. Depth and width were chosen so that ten passes through its images should
# take six minutes at most on two quiet CPU cores, in the memory format `torch.channels_last`.
SMALL: dict[str, Callable[..., nn.Module]] = {
    "alexnet_small": partial(alexnet, small=True),
    "vgg_small": partial(vgg, small=True),
    "nin_small": partial(nin, small=True),
    "googlenet_small": partial(googlenet, small=True, width=0.75),
    "resnet_small": partial(resnet, small=True, depth=14),
    "densenet_small": densenet,
    "mobilenet_small": partial(mobilenet, width=0.75),
    "convnext_small": convnext,
}

__all__ = ["SMALL", "Network", "alexnet", "convnext", "densenet", "googlenet", "mobilenet", "nin", "resnet", "vgg"]
