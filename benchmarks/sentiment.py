"""What the recipes on the sentiment treebank reach, over seeds: ``python -m benchmarks.sentiment FOLDER …``.

Each folder holds a recipe's runs, as ``graphseq train sst-treelstm --seeds 3 --out FOLDER`` makes it. The report,
``benchmarks/results/sentiment.md``, has the sentences that are right at the best epoch and at the last one, phrases,
the seeds' mean probabilities, and how much more sentences are right than by the first folder's runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphseq.recipes import Run, Source, open_run

OUT = Path(__file__).parent / "results/sentiment.md"
DRAWS = 10_000  # of the bootstrap


class Measured(NamedTuple):
    """A recipe's runs on the sentences of the development part.

    Attributes:
        name: of the recipe, with what differs from its defaults.
        chances: probabilities `[K, n, C]` of K seeds, at the best epoch.
        y: classes, int64 `[n]`.
        last: accuracy at the last epoch, for each seed.
        phrases: accuracy on all phrases, for each seed.
    """

    name: str
    chances: Tensor
    y: Tensor
    last: list[float]
    phrases: list[float]

    @property
    def polar(self) -> list[float]:
        """Accuracy in two classes, for each seed, on the sentences that aren't neutral."""
        classes = self.chances.size(2)
        middle = classes // 2
        kept = torch.ones_like(self.y, dtype=torch.bool) if classes == 2 else self.y != middle
        positive = self.chances[..., (classes + 1) // 2 :].sum(2) > self.chances[..., :middle].sum(2)
        right = positive == (self.y >= (classes + 1) // 2)
        return (100 * right[:, kept].double().mean(1)).tolist()

    @property
    def right(self) -> Tensor:
        """Whether each seed is right, float `[K, n]`."""
        return (self.chances.argmax(2) == self.y).double()


def measure(folder: Path) -> Measured:
    """Evaluate all runs in a folder."""
    runs = sorted(path.parent for path in folder.rglob("result.json"))
    opened = [open_run(path) for path in runs]
    found = [_outputs(run, "sentences") for run in opened]
    phrases = [_outputs(run, "phrases") for run in opened]
    binary = ", binary" if opened[0].recipe.model_dump()["labels_of"] == "binary" else ""
    return Measured(
        opened[0].name + binary, torch.stack([scores.softmax(1) for scores, _ in found]), found[0][1],
        [_last(path) for path in runs], [100 * float((s.argmax(1) == y).float().mean()) for s, y in phrases],
    )  # fmt: skip


@torch.no_grad()
def _outputs(run: Run, evaluated: str) -> tuple[Tensor, Tensor]:
    """Return scores and classes of the development part."""
    recipe = run.recipe.replace(evaluated=evaluated)
    train, dev, _ = recipe.load_data(Source(), run.seed)
    split = recipe.splits((train, dev, None), run.metadata, run.seed).val
    batches = [split.batch(part) for part in torch.arange(split.size).split(256)]
    return torch.cat([batch.rows(run.outputs(batch)) for batch in batches]), torch.cat([b.target for b in batches])


def _last(run: Path) -> float:
    rows = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return float(json.loads(rows[-1])["val_accuracy"])


def interval(mine: Tensor, theirs: Tensor) -> str:
    """Return by how many points more of the same sentences are right, with a paired bootstrap interval of 95 %."""
    apart = 100 * (mine.mean(0) - theirs.mean(0)).numpy()
    draws = np.random.default_rng(0).integers(len(apart), size=(DRAWS, len(apart)))
    low, high = np.quantile(apart[draws].mean(1), [0.025, 0.975])
    return f"{apart.mean():+.1f} ({low:+.1f} to {high:+.1f})"


def report(all_measured: Sequence[Measured]) -> str:
    """Return the table."""
    first = all_measured[0]
    lines = [
        "# Sentiment", "",
        "Written by `python -m benchmarks.sentiment`. Stanford Sentiment Treebank, development part, per cent; mean ± "
        "sample standard deviation over seeds 0, 1, …. The epoch is chosen on the same sentences, except for *last "
        "epoch*. *Two classes*: positive or negative, for sentences that aren't neutral; of five classes by the sums "
        f"of probabilities. *Together*: the seeds' mean probabilities. *Beside {first.name}*: points by which more "
        "sentences are right, in the mean over seeds, with a paired bootstrap interval of 95 % over sentences.", "",
        f"| recipe | sentences | last epoch | phrases | two classes | seeds | together | beside {first.name} |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for m in all_measured:
        accuracies = (100 * m.right.mean(1)).tolist()
        beside = interval(m.right, first.right) if len(m.y) == len(first.y) and m is not first else ""
        spreads = map(_spread, (accuracies, m.last, m.phrases, m.polar))
        columns = [m.name, *spreads, ", ".join(f"{a:.1f}" for a in accuracies)]
        lines.append(f"| {' | '.join([*columns, f'{_together(m.chances, m.y):.1f}', beside])} |")
    fine = [m for m in all_measured if m.chances.size(2) == first.chances.size(2)]
    mixed = _together(torch.stack([m.chances[0] for m in fine]), first.y)
    names = ", ".join(m.name for m in fine)
    return "\n".join([*lines, "", f"Seed 0 of {names} together: {mixed:.1f}.", ""])


def _together(chances: Tensor, y: Tensor) -> float:
    return 100 * float((chances.mean(0).argmax(1) == y).double().mean())


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sentiment", description=__doc__)
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path, help="the runs of a recipe")
    text = report([measure(folder) for folder in parser.parse_args().folders])
    OUT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
