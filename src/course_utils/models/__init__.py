"""The networks of the course."""

from course_utils.models.lenet import lenet
from course_utils.models.lenet5 import lenet5
from course_utils.models.lenet_family import lenet1, lenet4_like
from course_utils.models.mlp import linear, mlp

__all__ = ["lenet", "lenet1", "lenet4_like", "lenet5", "linear", "mlp"]
