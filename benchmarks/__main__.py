"""Time pellucid against its peers: `python -m benchmarks [NAME ...] [--peers torch,jax,...] [--markdown FILE]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import digits
from benchmarks.kinds import Reach
from benchmarks.race import race, sides_of
from benchmarks.report import heading, section
from benchmarks.side import workload

HERE = Path(__file__).parent
WORKLOADS = sorted(file.stem for file in (HERE / "workloads").glob("[a-z]*.py") if file.stem != "product")
NAMES = f"of {', '.join(WORKLOADS)}; or all"
PEERS = ("torch", "jax", "sklearn", "onnxruntime")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=["eager_step"], metavar="NAME", help=NAMES)
    parser.add_argument("--peers", default=",".join(PEERS), help="libraries to compare with, separated by commas")
    parser.add_argument(
        "--without",
        default="",
        help="who does not take part, by parts of names: compiled,2t leaves out compiled-1t too",
    )
    parser.add_argument("--rounds", type=int, default=10, help="how often each is timed")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long one round of one side takes at least")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report to this file too")
    arguments = parser.parse_args()
    names = WORKLOADS if arguments.names == ["all"] else arguments.names
    peers = [peer for peer in arguments.peers.split(",") if peer]
    for given, known, what in ((names, WORKLOADS, "workload"), (peers, PEERS, "side for")):
        for name in given:
            if name not in known:
                parser.error(f"no {what} {name}; there are {', '.join(known)}")
    report = heading(arguments.rounds)
    for name in names:
        work = workload(name)
        with tempfile.TemporaryDirectory() as folder:
            if isinstance(work, Reach):
                digits.write(Path(folder), work)
            without = set(arguments.without.split(","))
            sides = sides_of(name, work, peers, Path(folder))
            sides = [side for side in sides if without.isdisjoint(side.configuration.split("-"))]
            race(sides, arguments.rounds, arguments.seconds)
        report += "\n" + section(sides, work)
        if arguments.markdown is not None:
            arguments.markdown.write_text(report, encoding="utf-8")
    print(report, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
