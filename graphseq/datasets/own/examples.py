"""User-provided examples: inputs, labels, parts, and places in their file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...errors import GraphError, Words, expected
from .records import Record, choose

__all__ = ["LABELS", "PARTS", "Columns", "Examples", "labels_and_parts", "name_of", "number_of"]

LABELS = ("label", "labels", "class", "target", "y", "category", "sentiment")
PARTS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """The meaning of a file's columns or keys; an empty name is inferred.

    Args:
        input: of the texts, trees, …
        label: of the class or the number to predict.
        split: of train, val or test.
        labelled: whether there must be labels.
    """

    input: str = ""
    label: str = ""
    split: str = ""
    labelled: bool = True


@dataclass
class Examples:
    """Examples of a file.

    Args:
        items: texts, sequences, trees or graphs.
        labels: as they are written; None where there is none.
        parts: "train", "val" or "test", or None.
        places: the place of each, for messages.
        names: of each, in predictions.
        about: how the file was read, for the user.
        label_column: whose values are the labels; "" where inputs have no columns of their own.
    """

    items: list[Any]
    labels: list[str | None]
    parts: list[str | None]
    places: list[str]
    names: list[str]
    about: list[str] = field(default_factory=list)
    label_column: str = ""

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.items)

    def take(self, indices: Tensor | Sequence[int]) -> Examples:
        """Return some of the examples."""
        at = indices.tolist() if isinstance(indices, Tensor) else list(indices)
        return Examples(
            [self.items[i] for i in at], [self.labels[i] for i in at], [self.parts[i] for i in at],
            [self.places[i] for i in at], [self.names[i] for i in at], self.about,
            self.label_column,
        )  # fmt: skip

    def classes(self, names: Sequence[str], argument: str = "data") -> Tensor:
        """Return the index of each label among the names, int64 `[n]`.

        Raises:
            GraphError: a label is missing, or not among them.
        """
        index = {name: i for i, name in enumerate(names)}
        for place, label in zip(self.places, self.labels, strict=True):
            if label is None:
                raise expected(argument, "a label for each example", Words(f"none in {place}"))
            if label not in index:
                known = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
                raise expected(argument, f"labels of the training part: {known}", Words(f"{label!r} in {place}"))
        return torch.tensor([index[str(label)] for label in self.labels], dtype=torch.int64)

    def numbers(self, argument: str = "data") -> Tensor:
        """Return each label as a number, float32 `[n]`.

        Raises:
            GraphError: one is missing or not a finite number.
        """
        found = []
        for place, label in zip(self.places, self.labels, strict=True):
            value = number_of(label)
            if value is None or not math.isfinite(value):
                raise expected(argument, "a number to predict for each example", Words(f"{label!r} in {place}"))
            found.append(value)
        return torch.tensor(found, dtype=torch.float32)


def labels_and_parts(records: Sequence[Record], columns: Columns) -> tuple[list[str | None], list[str | None]]:
    """Return the label and the part of each record.

    Raises:
        GraphError: there is no such column, or a part is not train, val or test.
    """
    label = choose(records, "label_column", columns.label, LABELS, required=columns.labelled)
    labels = [None if label is None else name_of(record.fields.get(label), record.place) for record in records]
    split = choose(
        records, "split_column", columns.split, ("split",), required=columns.labelled and bool(columns.split)
    )
    return labels, [None if split is None else _part(record, split) for record in records]


def _part(record: Record, column: str) -> str | None:
    said = record.fields.get(column)
    if said is None or said == "":
        return None
    part = PARTS.get(str(said).strip().casefold())
    if part is None:
        raise expected("split_column", "train, val or test", Words(f"{said!r} in {record.place}"))
    return part


def name_of(label: Any, place: str) -> str | None:
    """Return a label as it is written, without surrounding spaces; None if there is none.

    Raises:
        GraphError: it is a list or an object.
    """
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    if isinstance(label, list | dict):
        raise expected("label_column", "one label for each example", Words(f"{str(label)[:60]} in {place}"))
    if label is None or (isinstance(label, float) and math.isnan(label)):
        return None
    text = str(label).lower() if isinstance(label, bool) else str(label).strip()
    return text or None


def number_of(value: Any) -> float | None:
    """Return a number, or a text that is one, as a number; None for anything else.

    Raises:
        GraphError: an integer that no floating number can hold.
    """
    if isinstance(value, bool):
        return float(value)
    try:
        return float(value)
    except OverflowError:
        raise GraphError(f"{str(value)[:20]}…: a number that is too large") from None
    except (TypeError, ValueError):
        return None
