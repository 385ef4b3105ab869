"""The command line: ``python -m course_utils doctor | data | train | study | results | explain | weights``."""

from __future__ import annotations

import argparse
import sys

from course_utils import explain_command, shipped, study_commands


def doctor(args: argparse.Namespace) -> int:
    """Print what is installed and what is wrong; exit status 1 if anything is."""
    from course_utils.doctor import examine

    findings = examine()
    print("\n".join(map(str, findings)))
    wrong = sum(bool(finding.command) for finding in findings)
    print(f"\n{wrong} to mend" if wrong else "\nall is well")
    return int(wrong > 0)


def data(args: argparse.Namespace) -> int:
    """Show which files are there and where they came from; with --fetch, get those that are not."""
    from course_utils import sources

    print(f"data folder: {sources.cache_root()}")
    missing = 0
    for name, origin in sources.ORIGINS.items():
        if args.fetch:
            sources.fetch(name)
        recorded = sources.recorded_sources(name)
        for filename, digest in origin.sha256.items():
            path = sources.raw_folder(name) / filename
            intact = sources.is_intact(path, digest)
            state = "verified" if intact else ("damaged" if path.exists() else "missing")
            missing += not intact
            origin_text = f"from {recorded.get(filename, 'an earlier download or by hand')}" if intact else ""
            print(f"  {name:14} {filename:24} {state:9} {origin_text}".rstrip())
    if missing:
        print("get what is missing: python -m course_utils data --fetch")
    return int(missing > 0)


def train(args: argparse.Namespace) -> int:
    """Train the LeNet of the course once and print each epoch."""
    from course_utils import data, train
    from course_utils.device import describe_device, pick_device, seed_everything
    from course_utils.models import lenet

    device = pick_device(args.device)
    print(f"LeNet on {args.data}, {describe_device(device)}, seed {args.seed}")
    dataset = data.load(args.data)
    seed_everything(args.seed)
    model = lenet()
    settings = dict(epochs=args.epochs, batch_size=args.batch_size, lr=args.lr, seed=args.seed, device=device)
    try:
        history = train.fit(model, dataset.train, dataset.test, **settings)
    except train.TrainingDivergedError as error:
        print(error.history.to_frame().round(4).to_string())
        raise
    print(history.to_frame().round(4).to_string())
    return 0


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run one command; its exit status is returned."""
    parser = argparse.ArgumentParser(prog="python -m course_utils", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("doctor", help="say what is installed, what is wrong, and how to mend it")
    command.set_defaults(run=doctor)

    command = commands.add_parser("data", help="list the data sets' files and where they came from")
    command.add_argument("--fetch", action="store_true", help="get what is missing, verified by checksum")
    command.set_defaults(run=data)

    command = commands.add_parser("train", help="train LeNet once")
    command.add_argument("--data", default="fashion-mnist", help="fashion-mnist (default) or mnist")
    command.add_argument("--epochs", type=int, default=10)
    command.add_argument("--batch-size", type=int, default=256)
    command.add_argument("--lr", type=float, default=0.9)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    command.set_defaults(run=train)

    study_commands.add_to(commands)
    explain_command.add_to(commands)
    shipped.add_to(commands)

    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
