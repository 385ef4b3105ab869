"""The studies of this course, by name.

All arms of a study use the same seeds, fixed before anything was run: 0 to 9 for those that answer the post's tables
or the paper of 1998, fewer for the others. `course_utils.lenet_studies` and `course_utils.network_studies` define them.
"""

from course_utils.lenet_studies import LENET_STUDIES
from course_utils.network_studies import NETWORK_STUDIES

STUDIES = {study.name: study for study in LENET_STUDIES + NETWORK_STUDIES}
