"""The networks of the course."""

from collections.abc import Callable

from torch import nn

from course_utils.models.classics import SMALL
from course_utils.models.lenet import lenet
from course_utils.models.lenet5 import lenet5
from course_utils.models.lenet_family import lenet1, lenet4_like
from course_utils.models.mlp import linear, mlp

# The networks for 28 x 28 images that `course_utils.runs` trains, by name. Called without arguments, each is built for
# ten classes.
MODELS: dict[str, Callable[..., nn.Module]] = {
    "lenet": lenet,
    "lenet5": lenet5,
    "lenet4_like": lenet4_like,
    "lenet1": lenet1,
    "mlp": mlp,
    "linear": linear,
    **SMALL,
}

from course_utils.models.pretrained import pretrained  # noqa: E402 - it needs MODELS

__all__ = ["MODELS", "lenet", "lenet1", "lenet4_like", "lenet5", "linear", "mlp", "pretrained"]
