"""``graphseq demo``: networks on graphs, sequences and trees, trained in a few minutes, with pictures."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer

from ..errors import CorruptData, MissingData
from ..recipes import Job, Source, find_recipe, new_folder, train
from ..train import Stopped
from .options import DataRoot, Offline, out_folder
from .pictures import draw
from .show import note, program, say, table, told

__all__ = ["demo"]


class _Part(NamedTuple):
    """A recipe, its options in the demo, and those with ``--quick``."""

    recipe: str
    options: Mapping[str, Any]
    quick: Mapping[str, Any]


_PARTS = (
    _Part("karate-gcn", {}, {"epochs": 5}),
    _Part("digits-gru", {"epochs": 30}, {"epochs": 1, "hidden": 8}),
    _Part("stdlib-treelstm", {"epochs": 12}, {"epochs": 1, "hidden": 8, "max_nodes": 40}),
    _Part("cora-gcn", {}, {"epochs": 3}),
    _Part("mutag-gin", {"epochs": 100}, {"epochs": 2}),
    _Part("sst-treelstm", {"epochs": 3}, {"epochs": 1, "hidden": 4, "embedding": 4, "batch_size": 256}),
)


def demo(
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where to write; by default a new folder, runs/demo or -2, -3, …")
    ] = None,
    data_root: DataRoot = None,
    quick: Annotated[bool, typer.Option("--quick", help="Hardly train: check that everything runs.")] = False,
    offline: Offline = False,
) -> None:
    """Train networks on graphs, sequences and trees, in a few minutes, and draw the results.

    Three data sets are built in; the others are left out if they are neither found nor can be downloaded.
    """
    folder = new_folder(Path("runs/demo")) if out is None else out_folder(out)
    torch.set_num_threads(1)  # small networks gain little from more, and lose much on a busy machine
    source = Source(data_root, offline)
    done: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    for i, part in enumerate(_PARTS, start=1):
        recipe = find_recipe(part.recipe, **(part.quick if quick else part.options))
        note(f"[{i}/{len(_PARTS)}] {part.recipe}: {recipe.network}, {recipe.summary}")
        try:
            # An interrupted demo is resumed, and a finished one is shown again.
            job = Job(source=source, resume=True, verbose=True)
            done[part.recipe] = train(recipe, folder / part.recipe, job=job)
        except (MissingData, CorruptData) as error:
            note("      left out: its data are not available")
            left_out[part.recipe] = _how_to_get(str(error))
        except (Stopped, KeyboardInterrupt):
            note(f"\nStopped. To resume:\n\n  {program()} demo --out {shlex.quote(str(folder))}{' --quick' * quick}")
            raise typer.Exit(130) from None
    drawn = draw(folder, list(done), source)
    rows = [[name, find_recipe(name).network, told(each), f"{each['seconds']:.0f} s"] for name, each in done.items()]
    say("\n" + table(rows, ["recipe", "network", "result", "time"]))
    for name, why in left_out.items():
        say(f"\nLeft out: {name}. {why}")
    say(f"\nPictures, in {folder / 'pictures'}:\n" + table([[f"  {path.name}", what] for path, what in drawn.items()]))
    say("\n" + _next(folder, done))


def _how_to_get(message: str) -> str:
    """Return a message without the list of places that were searched."""
    first, *others = message.splitlines()
    return " ".join(line for line in others if not line.startswith(" ")) or first


def _next(folder: Path, done: Mapping[str, dict[str, Any]]) -> str:
    """Return three commands that can be pasted."""
    what, name, text = "A verb for a function", "stdlib-treelstm", "def f(self, key): return self._items[key]"
    if "sst-treelstm" in done:
        what, name, text = "The sentiment of a sentence", "sst-treelstm", "A film that is not bad at all."
    commands = {
        f"{what} of your own:": shlex.join(["predict", str(folder / name), text]),
        "The variation over ten seeds:": "train karate-gcn --seeds 10",
        "Check a network of your own, module:Model:": "doctor graphseq.nn:NodeClassifier",
    }
    return "Next steps:\n" + "".join(f"\n  {why}\n    {program()} {line}" for why, line in commands.items())
