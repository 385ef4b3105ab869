"""Published facts as small tables, each row with the work it comes from. Nothing here was measured by this course.

- ``timeline``: steps from 1962 to 2022. `year` is that of the journal or proceedings, or of the preprint where there is
  nothing else; `preprint` is that of the first preprint where it is an earlier one.
- ``ilsvrc``: entries of the ImageNet challenge, top-5 error on the test images in per cent. `data` is "supplied" or
  "extra" (trained on more than the challenge supplied), `nets` how many networks voted, where that is known. All
  convolutional entries are ensembles.
- ``imagenet_models``: torchvision's weights, as torchvision 0.29 states them: accuracies in per cent on the 50,000
  validation images, one center crop of `crop` pixels, `gmacs` in 10**9 multiply-adds for one image.
- ``mnist_1998``: test errors in per cent, figure 9 of LeCun et al. 1998. `training` is how the images were prepared.

`key` names an entry of ``book/references.bib``.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from course_utils.checks import choose

FOLDER = Path(__file__).parent
WHOLE_NUMBERS = {"preprint": "Int64", "nets": "Int64"}  # these may be missing


def load(name: str) -> pd.DataFrame:
    """Read a table by its name.

    Raises
    ------
    ValueError
        If there is no table of that name; the message lists those that there are.
    """
    tables = {path.stem: path for path in sorted(FOLDER.glob("*.csv"))}
    frame = pd.read_csv(choose(tables, name, "table"))
    return frame.astype({column: kind for column, kind in WHOLE_NUMBERS.items() if column in frame})
