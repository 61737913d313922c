"""Run workloads side by side and print Markdown tables: `python -m benchmarks [NAME ...] [--peers torch,...]`."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.measure import race, table

WORKLOADS = ("eager_step",)
PEERS = ("torch",)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=WORKLOADS, metavar="NAME", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--peers", default=",".join(PEERS), help="libraries to compare with, separated by commas")
    parser.add_argument("--rounds", type=int, default=40, help="how often each is timed")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in WORKLOADS:
            parser.error(f"no workload {name}; there are {', '.join(WORKLOADS)}")
        workload = importlib.import_module(f"benchmarks.{name}")
        contestants = workload.pellucid()
        for peer in filter(None, arguments.peers.split(",")):
            if not hasattr(workload, peer):
                parser.error(f"{name} has no side for {peer}")
            try:
                contestants += getattr(workload, peer)()
            except ImportError as problem:
                print(f"{peer} is left out: {problem}", file=sys.stderr)
        race(contestants, rounds=arguments.rounds)
        print(table(workload.TITLE, contestants))
    return 0


if __name__ == "__main__":
    sys.exit(main())
