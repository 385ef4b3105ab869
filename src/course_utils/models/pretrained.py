"""Trained networks that ship with the package, each as a safetensors file with a record of how it was made."""

from __future__ import annotations

import hashlib
import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from course_utils.checks import choose

INDEX = "weights.json"


def weights_folder() -> Path:
    """Where the package keeps its trained weights and their index."""
    return Path(str(files("course_utils"))) / "weights"


def cards(folder: str | os.PathLike[str] | None = None) -> dict[str, dict[str, Any]]:
    """For each trained network's name how it was made and what it reaches.

    A card has ``config`` and ``seed`` (as for `course_utils.runs.run_one`), ``model`` and ``arguments`` (as for
    `course_utils.models.MODELS`), ``classes``, ``parameters``, ``train_accuracy``, ``test_accuracy``, ``seconds``,
    ``sha256`` of the file, and the provenance of the run.
    """
    index = Path(folder or weights_folder()) / INDEX
    return json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}


def pretrained(name: str, folder: str | os.PathLike[str] | None = None) -> nn.Module:
    """Build one of the trained networks, in evaluation mode, on the CPU.

    All of them take images (N, 1, 28, 28) with pixels from 0 to 1, as `course_utils.data.Batches` gives them, and
    return logits (N, 10).

    Parameters
    ----------
    name
        Such as "resnet-fashion"; `cards` lists all.
    folder
        Where weights and index are. Default: those of the package.

    Raises
    ------
    ValueError
        If the name is unknown, or the file is missing, damaged, or holds the weights of another network.
    """
    from course_utils.models import MODELS

    folder = Path(folder or weights_folder())
    card = choose(cards(folder), name, "trained network")
    file = folder / f"{name}.safetensors"
    if not file.is_file():
        raise ValueError(f"the weights of {name!r} are missing: no file {file.name} in {folder}")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ValueError(f"{file.name} is damaged: its SHA-256 is not that of {INDEX}; install course_utils again")
    model = choose(MODELS, card["model"], "model")(**card["arguments"])
    load_weights(model, content)
    return model.eval()


def load_weights(model: nn.Module, source: bytes | str | os.PathLike[str]) -> None:
    """Copy the weights of a safetensors file, or of its content, into a model.

    Raises
    ------
    ValueError
        If the file cannot be read, or its tensors are not those of the model: the message names the first that is
        missing, has no place, or has another shape. The model is unchanged then.
    """
    what = "the content" if isinstance(source, bytes) else Path(source).name
    try:
        found: dict[str, Tensor] = load(source if isinstance(source, bytes) else Path(source).read_bytes())
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{what} cannot be read as safetensors: {error}") from error
    wanted = model.state_dict()
    for name in [*wanted, *found]:
        if name not in found:
            raise ValueError(f"{what} lacks {name!r}, which the model has: these are the weights of another network")
        if name not in wanted:
            raise ValueError(f"{what} has {name!r}, which the model lacks: these are the weights of another network")
        if found[name].shape != wanted[name].shape:
            raise ValueError(
                f"{name!r} has shape {tuple(found[name].shape)} in {what} and {tuple(wanted[name].shape)} in the "
                "model: these are the weights of another width or depth"
            )
    model.load_state_dict(found)
