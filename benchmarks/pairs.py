"""How many sentences of the minimal pairs come out right: ``python -m benchmarks.pairs [RUN …]``.

A sentence is right if its expected sentiment is on the right side of neutral; a pair, if both of its sentences are.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import torch

FILE = Path(__file__).parents[1] / "datasets/minimal_pairs/pairs.tsv"
OUT = Path(__file__).parent / "results/pairs.md"
Score = Callable[[str], float]


def read() -> list[tuple[str, int, str]]:
    """Return kind, sign and sentence, without the brackets around the phrase that turns the answer."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    signs = {"positive": 1, "negative": -1}
    return [(row["kind"], signs[row["label"]], row["sentence"].translate({91: None, 93: None})) for row in rows]


def shipped() -> Score:
    """Return the model that comes with graphseq."""
    from graphseq.parsing import sentiment_model

    model = sentiment_model()
    return lambda sentence: model.score(sentence).phrases[0].value


def trained(folder: str) -> tuple[str, Score]:
    """Return the name and the model of a run with five classes."""
    from graphseq.recipes import Source, open_run

    run = open_run(folder)

    def score(sentence: str) -> float:
        made = run.recipe.read(sentence, run.metadata, Source())
        with torch.no_grad():
            output = run.model(*made.batch.inputs)
        chances = made.batch.rows(output)[0].softmax(0)
        return float(chances @ torch.arange(-2.0, 3.0))

    return f"{run.name}, seed {run.seed}", score


def report(models: dict[str, Score]) -> str:
    """Return a table: sentences and pairs that are right, per kind."""
    rows, kinds = read(), list(dict.fromkeys(kind for kind, *_ in read()))
    lines = [
        "# Minimal pairs of sentiment", "",
        "Written by `python -m benchmarks.pairs`: right sentences, and in brackets pairs of which both are right.", "",
        f"| model | {' | '.join(kinds)} | all |", f"| --- |{' --- |' * (len(kinds) + 1)}",
    ]  # fmt: skip
    for name, score in models.items():
        right = [score(sentence) * sign > 0 for _, sign, sentence in rows]
        cells = []
        for kind in [*kinds, None]:
            mine = [ok for ok, (k, *_) in zip(right, rows, strict=True) if kind in (None, k)]
            both = [a and b for a, b in zip(mine[::2], mine[1::2], strict=True)]
            cells.append(f"{sum(mine)} of {len(mine)} ({sum(both)} of {len(both)})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pairs", description=__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="the folder of a run on SST, with five classes")
    models = {"shipped": shipped()} | dict(map(trained, parser.parse_args().runs))
    text = report(models)
    OUT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
