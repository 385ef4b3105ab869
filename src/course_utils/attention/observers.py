"""People who look at pictures: simulated ones, whose habits are known, and real ones from a folder like MIT1003's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from course_utils.checks import checked_seed, positive_int

PICTURES, FIXATIONS = "ALLSTIMULI", "ALLFIXATIONMAPS"
SUFFIXES = (".jpeg", ".jpg", ".png")


def simulate_observers(
    density: np.ndarray, *, observers: int = 15, fixations: int = 6, seed: int = 0
) -> list[np.ndarray]:
    """Fixations of people who look at random, independently, as a density over pixels says.

    Parameters
    ----------
    density
        Shape (H, W), not negative; it is divided by its sum.
    observers, fixations
        How many people, and how often each looks.

    Returns
    -------
    list of numpy.ndarray
        Rows and columns (fixations, 2) of each person. `numpy.concatenate` makes one array of them.

    Raises
    ------
    ValueError
        If the density is not one.
    """
    density = np.asarray(density, float)
    if density.ndim != 2 or not np.isfinite(density).all() or density.min() < 0 or density.sum() <= 0:
        raise ValueError(f"density must be a map (H, W), nowhere negative, not all 0, given shape {density.shape}")
    rng = np.random.default_rng(checked_seed(seed))
    size = (positive_int(observers, "observers"), positive_int(fixations, "fixations"))
    places = rng.choice(density.size, size, p=density.ravel() / density.sum())
    return [np.stack(np.unravel_index(some, density.shape), axis=1) for some in places]


@dataclass(frozen=True)
class Scene:
    """A picture that people looked at.

    Attributes
    ----------
    name
        Of the file, without its ending.
    picture
        Shape (H, W, 3), uint8.
    fixations
        Rows and columns, shape (F, 2).
    density
        The fixations blurred, as published, (H, W), float, summing to 1; None if the folder has none.
    """

    name: str
    picture: np.ndarray
    fixations: np.ndarray
    density: np.ndarray | None


class SceneFolder:
    """Pictures and fixations in the form of MIT1003 (Judd et al. 2009), read when asked for.

    ``ALLSTIMULI`` holds the pictures; ``ALLFIXATIONMAPS`` holds, for a picture ``NAME.jpeg``, ``NAME_fixPts.jpg``,
    white where somebody looked, and ``NAME_fixMap.jpg``, the same blurred. The course ships neither.

    >>> for scene in SceneFolder("MIT1003"):  # doctest: +SKIP
    ...     print(scene.name, len(scene.fixations))

    Raises
    ------
    ValueError
        If the folders are not there or hold no pictures, or a picture has no fixations; the message says what is
        missing.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        missing = [name for name in (PICTURES, FIXATIONS) if not (self.root / name).is_dir()]
        if missing:
            raise ValueError(
                f"{self.root} is no folder like MIT1003's: it lacks {' and '.join(missing)}. Get ALLSTIMULI.zip and "
                f"ALLFIXATIONMAPS.zip from the authors' page and unpack both in it"
            )
        files = sorted((self.root / PICTURES).iterdir())
        self.files = [file for file in files if file.suffix.lower() in SUFFIXES]
        if not self.files:
            raise ValueError(f"{self.root / PICTURES} holds no pictures ({', '.join(SUFFIXES)})")
        without = [file.name for file in self.files if self._beside(file, "fixPts") is None]
        if without:
            raise ValueError(
                f"{len(without)} of {len(self.files)} pictures have no fixations in {self.root / FIXATIONS}, the first "
                f"{without[0]}, which needs {Path(without[0]).stem}_fixPts.jpg"
            )

    def _beside(self, file: Path, kind: str) -> Path | None:
        candidates = (self.root / FIXATIONS / f"{file.stem}_{kind}{suffix}" for suffix in SUFFIXES)
        return next((path for path in candidates if path.is_file()), None)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Scene:
        file = self.files[index]
        picture = _read(file, "RGB")
        points = _read(self._beside(file, "fixPts"), "L")
        if points.shape != picture.shape[:2]:
            raise ValueError(f"{file.name} is {_size(picture)}, but its fixations are {_size(points)} pixels")
        fixations = np.argwhere(points > 127)  # JPEG leaves gray shadows around the white points
        if not len(fixations):
            raise ValueError(f"nobody looked at {file.name}: its fixations are black everywhere")
        blurred = self._beside(file, "fixMap")
        density = None if blurred is None else _read(blurred, "L").astype(float)
        if density is not None:
            if density.shape != points.shape or not density.any():
                raise ValueError(f"the blurred fixations of {file.name} are {_size(density)} pixels, or all black")
            density = density / density.sum()
        return Scene(file.stem, picture, fixations, density)


def _read(path: Path | None, mode: str) -> np.ndarray:
    if path is None:
        raise ValueError("a file has gone since the folder was listed")
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error


def _size(array: np.ndarray) -> str:
    return f"{array.shape[0]} x {array.shape[1]}"
