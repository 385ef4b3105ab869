"""The commands ``study`` and ``results``."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_to(commands: Any) -> None:
    """Add the two commands to the subparsers of ``python -m course_utils``."""
    parser = commands.add_parser("study", help="list, run, follow and export the course's studies")
    actions = parser.add_subparsers(required=True, metavar="action")

    action = actions.add_parser("list", help="name the studies and what each asks")
    action.set_defaults(run=_list)

    action = actions.add_parser("run", help="do the runs that are missing; stop and start it as you like")
    action.add_argument("names", nargs="+", metavar="NAME", help="studies, in this order; 'all' is all of them")
    action.add_argument("--seeds", type=int, help="the first so many seeds (default: the study's own)")
    action.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    action.add_argument("--engine", default="auto", help="auto (default), processes, ensemble, serial")
    action.add_argument("--workers", type=int, help="number of processes (default: one per core)")
    action.add_argument("--nice", type=int, default=0, help="0 to 19: leave the machine to others")
    action.add_argument("--quiet", action="store_true", help="no progress bar")
    action.set_defaults(run=_run)

    action = actions.add_parser("status", help="runs done, and time left")
    action.add_argument("names", nargs="*", metavar="NAME")
    action.add_argument("--device", default="auto")
    action.add_argument("--workers", type=int, help="for the time left (default: one per core)")
    action.set_defaults(run=_status)

    action = actions.add_parser("export", help="publish a finished study as CSV and JSON")
    action.add_argument("names", nargs="+", metavar="NAME")
    action.add_argument("--device", default="auto")
    action.add_argument("--to", metavar="FOLDER", help="default: the results folder of the package")
    action.add_argument(
        "--partial", action="store_true", help="allow missing runs; the JSON says which seeds are whole"
    )
    action.set_defaults(run=_export)

    action = actions.add_parser("search", help="choose settings on the validation images, with Optuna")
    action.add_argument("--device", default="auto")
    action.add_argument("--nice", type=int, default=0)
    action.set_defaults(run=_search)

    parser = commands.add_parser("results", help="show published results and what they say about the claims")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.set_defaults(run=_results)


def _studies(names: list[str]) -> list[Any]:
    from course_utils.checks import choose
    from course_utils.studies import STUDIES

    if not names or names == ["all"]:
        return list(STUDIES.values())
    return [choose(STUDIES, name, "study") for name in names]


def _list(args: argparse.Namespace) -> int:
    for study in _studies([]):
        print(f"{study.name:26}{len(study.arms):3} arms x {len(study.seeds):2} seeds  {study.description}")
    return 0


def _run(args: argparse.Namespace) -> int:
    from course_utils import study

    chosen = _studies(args.names)
    settings = dict(device=args.device, engine=args.engine, workers=args.workers, nice=args.nice)
    try:
        study.run(chosen, seeds=args.seeds, progress=not args.quiet, **settings)
    except KeyboardInterrupt:
        print("stopped; finished runs are kept, the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def _status(args: argparse.Namespace) -> int:
    from course_utils import study

    workers = args.workers or study.available_cores()
    for item in _studies(args.names):
        state = study.status(item, device=args.device)
        left = "" if state.seconds_left is None else f"{state.seconds_left / workers / 60:7.0f} min left"
        diverged = f"  {state.diverged} diverged" if state.diverged else ""
        print(f"{state.name:26}{state.done:4} of {state.total:3}{left}{diverged}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from course_utils import published

    for item in _studies(args.names):
        csv = published.export(item, device=args.device, to=args.to, partial=args.partial)
        print(f"wrote {csv} and {csv.with_suffix('.json').name}")
    return 0


def _search(args: argparse.Namespace) -> int:
    from course_utils.search import search

    print(f"CHOSEN_BEST = {search(device=args.device, nice=args.nice)}")
    return 0


def _results(args: argparse.Namespace) -> int:
    from course_utils import claims, published, stats

    names = args.names or published.available()
    for name in names:
        results = published.load_results(name)
        print(f"{name}\n{stats.summarize(results).to_string()}\n")
    for verdict in claims.evaluate(names):
        print(f"[{verdict.outcome}] {verdict.claim.sentence}\n    {verdict.evidence}")
    return 0
