"""The command ``explain``: name what is in a photograph, and show what the answer rests on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DEFAULT_METHOD = "grad_cam"


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of ``python -m course_utils``."""
    command = commands.add_parser("explain", help="classify a photograph, and write a picture of what counted")
    command.add_argument("file", metavar="FILE", help="a JPEG or PNG, or the name of an example such as chelsea")
    command.add_argument("--method", default=DEFAULT_METHOD, help=f"{DEFAULT_METHOD} (default), cam, hires_cam, ...")
    command.add_argument("--target", metavar="CLASS", help="explain this class instead of the likeliest")
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    command.add_argument("--to", metavar="PNG", help="where to write (default: NAME_explained.png, here)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read the picture, print the five likeliest classes, write photograph and map side by side."""
    from course_utils import photographs
    from course_utils.attribution import METHODS, explain, overlay
    from course_utils.checks import choose
    from course_utils.device import pick_device

    choose(dict.fromkeys(METHODS), args.method, "method")
    device = pick_device(args.device)
    is_example = args.file in photographs.EXAMPLES and not Path(args.file).exists()
    picture = photographs.example(args.file) if is_example else photographs.load_picture(args.file)
    model = photographs.efficientnet_lite0()
    model.net.to(device)
    target = None if args.target is None else photographs.class_index(model, args.target)

    height, width = picture.pixels.shape[:2]
    print(f"{picture.name}, {width} x {height}" + (f" ({picture.note})" if picture.note else ""))
    for name, probability in model.predict(picture):
        print(f"  {probability:.3f}  {name}")
    explanation = explain(model.net, model.prepare(picture), target, args.method)
    print(f"{args.method} for {model.classes[int(explanation.targets[0])]!r}" + _where(explanation.layer))
    if explanation.notes[0]:
        print(f"  {explanation.notes[0]}")

    seen = model.crop(picture)
    gap = np.full((len(seen), 8, 3), 255, np.uint8)
    both = np.hstack([seen, gap, overlay(seen, explanation.maps[0])])
    path = Path(args.to or f"{picture.name}_explained.png")
    Image.fromarray(both).resize((both.shape[1] * 2, both.shape[0] * 2), Image.Resampling.BICUBIC).save(path)
    print(f"written: {path}")
    return 0


def _where(layer: str | None) -> str:
    return f", at layer {layer!r}" if layer else ""
