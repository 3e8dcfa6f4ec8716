"""``python -m benchmarks [chains] [trees] [graphs] [--json] [--out FILE]``, or ``python -m benchmarks accuracy``."""

from __future__ import annotations

import sys

from . import chains, graphs, timing, trees


def run(argv: list[str]) -> int:
    if argv[:1] == ["accuracy"]:
        from .accuracy import main

        return main(argv[1:])
    return timing.main({"chains": chains.rows, "trees": trees.rows, "graphs": graphs.rows}, argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
