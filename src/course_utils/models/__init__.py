"""The networks of the course."""

from course_utils.models.lenet import lenet

__all__ = ["lenet"]
