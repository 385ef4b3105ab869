"""Train the networks that ship with the package: ``python -m course_utils weights NAME``."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import save

from course_utils import runs
from course_utils.checks import choose
from course_utils.lenet_studies import CHOSEN_BEST
from course_utils.models.pretrained import INDEX, cards, weights_folder
from course_utils.network_studies import RECIPE

SEED = 0
SHIPPED: dict[str, dict[str, Any]] = {
    "lenet-fashion": {},
    "lenet-best-fashion": CHOSEN_BEST,
    "resnet-fashion": {"model": "resnet_small", **RECIPE},
    "nin-fashion": {"model": "nin_small", "batch_norm": True, **RECIPE},
    "vgg-fashion": {"model": "vgg_small", "batch_norm": True, **RECIPE},
}


def ship(name: str, folder: str | os.PathLike[str] | None = None, device: str = "cpu") -> dict[str, Any]:
    """Train one of `SHIPPED`, write its weights and its card, and return the card.

    Raises
    ------
    ValueError
        If the name is unknown.
    RuntimeError
        If the training diverged; nothing is written then.
    """
    config = choose(SHIPPED, name, "trained network")
    folder = Path(folder or weights_folder())
    record, model = runs.train_one(config, SEED, device)
    if record["diverged"]:
        raise RuntimeError(f"{name}: {record['diverged']}")
    settings, arguments = runs.complete(config)
    content = save({key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()})
    given = {key: value for key, value in record["config"].items() if key in arguments}
    card = {
        "model": settings["model"],
        "arguments": given,
        "config": record["config"],
        "seed": SEED,
        "dataset": settings["dataset"],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "train_accuracy": round(record["train_accuracy"][-1], 4),
        "test_accuracy": round(record["test_accuracy"][-1], 4),
        "sha256": hashlib.sha256(content).hexdigest(),
        **{key: record[key] for key in ("seconds", "device", "device_name", "threads", "versions", "finished")},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.safetensors").write_bytes(content)
    index = cards(folder) | {name: card}
    (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return card


def add_to(commands: Any) -> None:
    """Add the command ``weights`` to the subparsers of ``python -m course_utils``."""
    parser = commands.add_parser("weights", help="list the trained networks that ship with the package, or train some")
    parser.add_argument("names", nargs="*", metavar="NAME", help="train these again and write them")
    parser.add_argument("--device", default="cpu", help="cpu (default), auto, cuda, cuda:1, mps")
    parser.add_argument("--to", metavar="FOLDER", help="default: the weights folder of the package")
    parser.set_defaults(run=_weights)


def _weights(args: argparse.Namespace) -> int:
    for name in args.names:
        choose(SHIPPED, name, "trained network")
    for name in args.names:
        print(f"training {name}", file=sys.stderr)
        ship(name, args.to, args.device)
    for name, card in cards(args.to).items():
        print(f"{name:18}{card['parameters']:9,} parameters  test accuracy {card['test_accuracy']:.4f}")
    return 0
