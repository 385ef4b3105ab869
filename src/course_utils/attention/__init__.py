"""Where do people look? Models of human attention and the scores that judge them.

This is about eyes, not about what a network's answer rests on; for that see `course_utils.attribution`.
"""

from course_utils.attention.metrics import (
    auc_borji,
    auc_judd,
    auc_shuffled,
    cc,
    fixation_density,
    information_gain,
    kl,
    nss,
    sim,
)
from course_utils.attention.models import (
    center_bias,
    gbvs,
    itti_koch,
    itti_koch_maps,
    scanpath,
    spectral_residual,
)
from course_utils.attention.observers import Scene, SceneFolder, simulate_observers

__all__ = [
    "Scene",
    "SceneFolder",
    "auc_borji",
    "auc_judd",
    "auc_shuffled",
    "cc",
    "center_bias",
    "fixation_density",
    "gbvs",
    "information_gain",
    "itti_koch",
    "itti_koch_maps",
    "kl",
    "nss",
    "scanpath",
    "sim",
    "simulate_observers",
    "spectral_residual",
]
