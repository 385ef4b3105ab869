"""Every method against every check: ``python -m course_utils.faithfulness.survey`` measures the table that ships.

A job is one net, one method and one group of checks. A finished job is a line in the store, so the measurement may be
stopped and started again.
"""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from course_utils import shipped_table
from course_utils.attribution import METHODS, Explanation, explain
from course_utils.checks import choose
from course_utils.faithfulness.intervals import over_images
from course_utils.faithfulness.localize import edge_maps, energy_share, pointing_game, random_maps
from course_utils.faithfulness.perturb import deletion, insertion, road
from course_utils.faithfulness.randomize import rank_correlation
from course_utils.faithfulness.subjects import (
    LITE,
    NETS,
    PHOTOGRAPHS,
    by_photograph,
    label_nets,
    net,
    pictures,
    randomized,
)
from course_utils.runs import provenance
from course_utils.store import Store, study_folder

COMMAND = "python -m course_utils.faithfulness.survey"
VERSION = 1  # of the measurement; a new one does not take up the jobs of an old one
LABELS = "lenet-relu-1000"  # the nets of the label check, as a row of the table
GROUPS: dict[str, dict[str, str]] = {  # group -> its checks and which values are better
    "removal": {"deletion": "low", "insertion": "high", "road": "high", "like_edges": ""},
    "pointing": {"pointing": "high", "energy": "high"},
    "weights": {"weights_output": "low", "weights_all": "low"},
    "labels": {"labels_true": "high", "labels_shuffled": "low", "labels_lost": "high"},
}
IMAGES = {"removal": 32, "pointing": 32, "weights": 16, "labels": 32}  # of Fashion-MNIST; there are seven photographs
STEEP = ("score_cam", "ablation_cam")  # one pass for each of EfficientNet-Lite0's 1,280 channels: left out there
SAME = ("cam", "hires_cam")  # on EfficientNet-Lite0 the maps of Grad-CAM once more
SLOW = ("smooth_grad", "integrated_gradients", "occlusion")  # not randomized there
RIVALS: dict[str, Callable[[Tensor], Tensor]] = {  # maps that know no network
    "edges": edge_maps,
    "noise": random_maps,
    "smooth_noise": functools.partial(random_maps, grid=7),
}
OPTIONS: dict[str, dict[str, Any]] = {"integrated_gradients": {"steps": 32}, "occlusion": {"patch": 6, "stride": 3}}
MOSAIC_OPTIONS = OPTIONS | {"occlusion": {"patch": 12, "stride": 6}}
PHOTO_OPTIONS: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"steps": 16},
    "occlusion": {"patch": 56, "stride": 28},
    "smooth_grad": {"samples": 12},
}
STEPS = {"fashion": 14, "photographs": 7}  # of deletion and insertion
ROAD = {"fashion": (30, 70), "photographs": (80,)}  # per cent of the pixels that stay


def jobs(
    nets: Iterable[str] = (*NETS, LABELS), methods: Iterable[str] = (*METHODS, *RIVALS)
) -> list[tuple[str, str, str]]:
    """All (net, method, group) that apply, without those that a net's architecture rules out."""
    nets, methods = list(nets), list(methods)
    for name in nets:
        choose(dict.fromkeys((*NETS, LABELS)), name, "net")
    for name in methods:
        choose(dict.fromkeys((*METHODS, *RIVALS)), name, "method")
    return [
        (name, method, group)
        for name in nets
        for group in GROUPS
        for method in methods
        if (group == "labels") == (name == LABELS)
        and (group != "pointing" or NETS[name].any_size)
        and (method not in RIVALS or group in ("removal", "pointing"))
        and method not in (() if name == LABELS else NETS[name].without)
        and not (name == LABELS and method == "cam")
        and not (name == LITE and method in (*STEEP, *SAME, "deconvnet"))
        and not (name == LITE and method in SLOW and group == "weights")
    ]


def maps_of(name: str, model: nn.Module, images: Tensor, method: str, target: Any = None) -> Explanation:
    """`explain` with the settings of the table."""
    mosaic = name != LITE and images.shape[-1] > 28
    options = PHOTO_OPTIONS if name == LITE else MOSAIC_OPTIONS if mosaic else OPTIONS
    return explain(model, images, target, method, batch_size=8 if name == LITE else 64, **options.get(method, {}))


def measure(name: str, method: str, group: str, images: int | None = None) -> dict[str, Any]:
    """Do one job: ``values`` for each check, one for each image, and how many of the maps are ``blank``."""
    n = images or IMAGES[group]
    if group in ("labels", "weights"):
        return _labels(method, n) if group == "labels" else _weights(name, method, n)
    model = net(name)
    shown, targets, masks = pictures(name, group, n)
    if method in RIVALS:
        maps = RIVALS[method](shown)
        with torch.no_grad():
            targets = model(shown).argmax(1) if targets is None else targets
    else:
        found = maps_of(name, model, shown, method, targets)
        maps, targets = found.maps, found.targets
    if masks is not None:
        tidy = by_photograph if name == LITE else np.asarray
        values = {"pointing": tidy(pointing_game(maps, masks)), "energy": tidy(energy_share(maps, masks))}
    else:
        kind = "photographs" if name == LITE else "fashion"
        steps, percentiles = STEPS[kind], ROAD[kind]
        values = {
            "deletion": deletion(model, shown, maps, targets, steps=steps).auc,
            "insertion": insertion(model, shown, maps, targets, steps=steps).auc,
            "road": np.concatenate(
                [
                    road(model, shown[i : i + 1], maps[i : i + 1], targets[i : i + 1], percentiles=percentiles)
                    for i in range(len(shown))
                ]
            ),
            "like_edges": rank_correlation(maps, edge_maps(shown)),
        }
    return _result(values, maps)


def _weights(name: str, method: str, n: int) -> dict[str, Any]:
    shown, _, _ = pictures(name, "weights", n)
    first = maps_of(name, net(name), shown, method)
    others = [maps_of(name, other, shown, method, first.targets) for other in randomized(name)]
    values = [rank_correlation(first.maps, other.maps) for other in others]
    return _result(dict(zip(GROUPS["weights"], values, strict=True)), others[-1].maps)


def _labels(method: str, n: int) -> dict[str, Any]:
    shown, _, _ = pictures("lenet-fashion", "labels", n)
    first, *others = label_nets()
    reference = maps_of(LABELS, first, shown, method)
    found = [maps_of(LABELS, other, shown, method, reference.targets).maps for other in others]
    values = [rank_correlation(reference.maps, maps) for maps in found]
    return _result(dict(zip(("labels_true", "labels_shuffled"), values, strict=True)), found[-1])


def _result(values: Mapping[str, np.ndarray], maps: Tensor) -> dict[str, Any]:
    blank = int((maps.flatten(1).amax(1) == maps.flatten(1).amin(1)).sum())
    return {"values": {check: [round(float(v), 6) for v in some] for check, some in values.items()}, "blank": blank}


def survey(
    nets: Iterable[str] = (*NETS, LABELS),
    methods: Iterable[str] = (*METHODS, *RIVALS),
    *,
    store: str | os.PathLike[str] | None = None,
    images: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Judge methods on networks by all checks that apply.

    Parameters
    ----------
    nets, methods
        Names from `NETS` and `LABELS`, and from `METHODS` and `RIVALS`.
    store
        Folder of finished jobs, which are not done again. Default: ``faithfulness`` under that of the studies.
    images
        How many Fashion-MNIST images for each check; default `IMAGES`.
    report
        Called with one line for each job that was done.

    Returns
    -------
    pandas.DataFrame
        One row for each net, method and check: ``better`` ("low", "high" or neither), ``mean`` over ``images`` with its
        95 % interval ``low``, ``high`` (bootstrap; Student's t below twenty images), and ``blank``: maps without
        contrast; in comparisons, images with one, whose likeness counts as 0. ``over_edges`` and ``over_smooth_noise``,
        where those maps can take part, say by how much the method does better, image by image, with their intervals.
    """
    wanted = jobs(nets, methods)
    kept = Store(store or study_folder() / "faithfulness", "cpu")
    done = {}
    for number, (name, method, group) in enumerate(wanted, start=1):
        key = f"faithfulness-{VERSION}/{name}/{method}/{group}/{images or IMAGES[group]}"
        if key not in kept.records:
            record = measure(name, method, group, images)
            config = {"net": name, "method": method, "group": group, "images": images or IMAGES[group]}
            kept.append(
                {"key": key, "seed": 0, "config": config, **record, **provenance(torch.device("cpu"), "single")}
            )
            report(f"{number} of {len(wanted)}: {name}, {method}, {group}")
        done[name, method, group] = kept.records[key]
    frame = _tabulate(done)
    frame.attrs["origin"] = shipped_table.origin(done.values())
    return frame


def _tabulate(done: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> pd.DataFrame:
    rows = []
    for (name, method, group), record in done.items():
        some = {check: np.asarray(values) for check, values in record["values"].items()}
        if group == "labels":
            some["labels_lost"] = some["labels_true"] - some["labels_shuffled"]
        for check, better in GROUPS[group].items():
            values = some[check]
            row = {"net": name, "method": method, "check": check, "better": better, **_interval(values, "mean")}
            row |= {"images": len(values), "blank": record["blank"]}
            if group in ("weights", "labels"):  # a likeness is exactly zero where one of its two maps is blank
                parts = [check] if check in record["values"] else list(record["values"])
                row["blank"] = int((np.prod([some[part] for part in parts], axis=0) == 0).sum())
            for rival in ("edges", "smooth_noise"):
                other = done.get((name, rival, group))
                if other is not None and better and method not in RIVALS:
                    sign = 1 if better == "high" else -1
                    row |= _interval(sign * (values - np.asarray(other["values"][check])), f"over_{rival}")
            rows.append(row)
    return pd.DataFrame(rows)


def _interval(values: np.ndarray, what: str) -> dict[str, float]:
    found = over_images(values, kind="t" if len(values) < 20 else "bootstrap")
    low, high = ("low", "high") if what == "mean" else (f"{what}_low", f"{what}_high")
    return {what: found.mean, low: found.low, high: found.high}


def survey_folder() -> Path:
    """Where the package keeps the table that ships."""
    return shipped_table.results_folder() / "faithfulness"


def load_survey(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The table that ships, as `survey` returns it, and how it came about in ``attrs["provenance"]``.

    Errors are those of `course_utils.shipped_table.read`.
    """
    return shipped_table.read(Path(folder or survey_folder()) / "table.csv", COMMAND).fillna({"better": ""})


def publish(frame: pd.DataFrame, folder: str | os.PathLike[str] | None = None) -> Path:
    """Write what `survey` returned to ``table.csv``, and ``table.json`` beside it; return the path of the table."""
    csv = Path(folder or survey_folder()) / "table.csv"
    details = {
        "version": VERSION,
        "images": IMAGES | {"photographs": len(PHOTOGRAPHS)},
        "photographs": list(PHOTOGRAPHS),
        "seeds": {"weights": 0, "labels": [0, 1, 1], "noise": 0, "mosaics": 0},
        "options": {"fashion": OPTIONS, "mosaics": MOSAIC_OPTIONS, "photographs": PHOTO_OPTIONS},
        "steps": STEPS,
        "road_percentiles": {name: list(some) for name, some in ROAD.items()},
        "left_out": {LITE: [*STEEP, *SAME, "deconvnet"]},
        "not_randomized": {LITE: list(SLOW)},
        **frame.attrs["origin"],
        "command": COMMAND,
    }
    shipped_table.write(csv, frame, details, "%.4f")
    return csv


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--nets", nargs="+", default=[*NETS, LABELS], metavar="NET", help="default: all")
    parser.add_argument("--methods", nargs="+", default=[*METHODS, *RIVALS], metavar="METHOD", help="default: all")
    parser.add_argument("--store", help="folder of finished jobs (default: faithfulness under that of the studies)")
    parser.add_argument("--to", help="folder for table and provenance (default: that of the package)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    frame = survey(given.nets, given.methods, store=given.store, report=functools.partial(print, flush=True))
    print(publish(frame, given.to))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
