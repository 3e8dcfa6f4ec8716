"""User-provided texts and sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import GraphError, Words, expected
from .examples import Columns, Examples, labels_and_parts
from .records import Record, choose, read_records

__all__ = ["SEQUENCES", "TEXTS", "read_sequences", "read_texts", "sequence_of"]

TEXTS = ("text", "sentence", "review", "content", "message", "comment", "tweet", "document", "title")
SEQUENCES = ("x", "sequence", "values", "series")


def read_texts(path: Path, columns: Columns, argument: str = "data") -> Examples:
    """Read texts from a table or from JSON lines: a column of texts, and one of labels.

    Raises:
        GraphError: the file cannot be read, or a column is missing.
    """
    records = read_records(path, argument)
    records = [Record(r.place, {"text": r.fields[""]}) if set(r.fields) == {""} else r for r in records]
    column = str(choose(records, "text_column", columns.input, TEXTS))
    labels, parts = labels_and_parts(records, columns)
    texts = []
    for record in records:
        text = record.fields.get(column)
        if not isinstance(text, str | int | float):
            raise expected(argument, f"a text under {column!r}", Words(f"{text!r} in {record.place}"))
        texts.append(str(text))
    return Examples(texts, labels, parts, [r.place for r in records], texts, [f"texts in {column!r}"])


def read_sequences(path: Path, columns: Columns, argument: str = "data") -> Examples:
    """Read sequences from JSON lines: a list of numbers, or of equally long lists of numbers, and a label.

    Raises:
        GraphError: the file cannot be read, or a sequence is invalid, or its width differs from the first one's.
    """
    records = read_records(path, argument)
    records = [Record(r.place, {"x": r.fields[""]}) if set(r.fields) == {""} else r for r in records]
    column = str(choose(records, "sequence_column", columns.input, SEQUENCES))
    labels, parts = labels_and_parts(records, columns)
    found: list[Tensor] = []
    for record in records:
        found.append(sequence_of(record.fields.get(column), record.place, argument))
        if found[-1].size(1) != found[0].size(1):
            what = f"vectors of {found[0].size(1)} numbers as in {records[0].place}"
            raise expected(argument, what, Words(f"{found[-1].size(1)} in {record.place}"))
    places = [record.place for record in records]
    return Examples(found, labels, parts, places, places, [f"sequences in {column!r}"])


def sequence_of(value: Any, place: str, argument: str = "data") -> Tensor:
    """Return a sequence as float64 `[T, F]`, from a list of numbers, of lists of numbers, or a text of numbers.

    Raises:
        GraphError: it is not a sequence, or empty, or a number is not finite.
    """
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    try:
        rows = [[float(n) for n in (step if isinstance(step, list) else [step])] for step in value]
        made = torch.tensor(rows, dtype=torch.float64)  # yet to be standardised
    except (TypeError, ValueError, OverflowError) as error:
        what = "a list of numbers, or of equally long lists of numbers"
        raise expected(argument, what, Words(f"{str(value)[:60]} in {place}: {error}")) from None
    if made.dim() != 2 or not made.numel():
        raise expected(argument, "a sequence of at least one number", Words(f"an empty one in {place}"))
    if not made.isfinite().all():
        step = int((~made.isfinite()).any(1).nonzero()[0, 0])
        raise GraphError(f"{place}: step {step} of the sequence has a number that is not finite")
    return made
