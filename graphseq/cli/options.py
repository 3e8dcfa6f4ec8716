"""Options that several commands share, and values given as texts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..errors import expected

__all__ = ["AsJson", "DataRoot", "Device", "Offline", "OwnRecipe", "out_folder", "pairs", "ranks_here"]

DataRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", exists=True, file_okay=False,
        help="A folder of data sets, searched before $GRAPHSEQ_DATA and the other data roots.",
    ),
]  # fmt: skip
Device = Annotated[str, typer.Option(metavar="D", help="auto, cpu, cuda, cuda:1 or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON as the last line, the rest on standard error.")]
Offline = Annotated[bool, typer.Option("--offline", help="Never download data.")]
OwnRecipe = Annotated[
    str | None,
    typer.Option(
        "--recipe", metavar="MODULE:RECIPE",
        help="The run's recipe, if it is one of your own: a run's files alone never import code.",
    ),
]  # fmt: skip


def out_folder(text: str) -> Path:
    """Return the folder that ``--out`` names.

    Raises:
        GraphError: the text is empty, such as an unset shell variable; as a path it would be the current folder.
    """
    if not text.strip():
        raise expected("--out", "a folder's name", text)
    return Path(text).expanduser()


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Split ``KEY=VALUE`` texts; if a key is repeated, the last value is used.

    >>> pairs(["epochs=5", "layer=gru"])
    {'epochs': '5', 'layer': 'gru'}
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise expected("--set", "KEY=VALUE, such as epochs=20", text)
        found[name.strip()] = value.strip()
    return found


def ranks_here() -> int | None:
    """Return how many processes torchrun starts on each machine, None if this process is not torchrun's."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else None
