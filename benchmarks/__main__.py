"""``python -m benchmarks [GROUP …] [--json] [--out FILE]``, or ``python -m benchmarks accuracy``."""

from __future__ import annotations

import sys

from . import chains, cuda, graphs, layers, operators, parsing, timing, training, trees


def run(argv: list[str]) -> int:
    if argv[:1] == ["accuracy"]:
        from .accuracy import main

        return main(argv[1:])
    groups = {
        "chains": chains.rows, "trees": trees.rows, "graphs": graphs.rows, "layers": layers.rows,
        "operators": operators.rows, "training": training.rows,
        "parsing": parsing.rows, "cuda": cuda.rows,
    }  # fmt: skip
    return timing.main(groups, argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
