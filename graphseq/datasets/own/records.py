"""User-provided tables and JSON lines, as records with their place in the file."""

from __future__ import annotations

import contextlib
import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import GraphError, Words, expected

__all__ = ["TABLES", "Record", "choose", "json_records", "read_records", "read_text"]

TABLES = (".csv", ".tsv")
_LONGEST = 2**31 - 1  # characters of a field; csv's own limit is 131,072


@dataclass(frozen=True)
class Record:
    """A row of a table, or an object in a JSON file.

    Args:
        place: in its file, ``"reviews.csv, line 3"``.
        fields: values by column or key; those of a table are texts.
    """

    place: str
    fields: Mapping[str, Any]


def read_text(path: Path, argument: str) -> str:
    """Return the content of a text file, without a byte-order mark.

    Raises:
        GraphError: there is no such file, or it is not UTF-8; the message names the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise expected(argument, "a file that exists", Words(str(path))) from None
    except OSError as error:
        raise expected(argument, "a file", Words(f"{path}: {error.strerror or error}")) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = " (saved by Excel? choose 'CSV UTF-8')" if path.suffix.lower() in TABLES else ""
        raise expected(argument, f"a file in UTF-8{hint}", Words(f"{path}, line {line}, which is not")) from None


def read_records(path: Path, argument: str = "data") -> list[Record]:
    """Read a table (``.csv``, ``.tsv``) or JSON (``.json``, ``.jsonl``, ``.ndjson``).

    The first line of a table names its columns. In a JSON file there is a list of objects, or one on each line.

    Raises:
        GraphError: it cannot be read, or has no records; the message names file and line.
    """
    kind = path.suffix.lower()
    text = read_text(path, argument)
    if kind in TABLES:
        found = list(_table(path, text))
        while found and len(found[-1].fields) > 1 and not any(map(str.strip, found[-1].fields.values())):
            found.pop()  # rows of commas alone, which spreadsheets leave at the end
    elif kind in (".json", ".jsonl", ".ndjson"):
        found = list(json_records(text, path.name, lines=kind != ".json"))
    else:
        raise expected(argument, "a file ending in .csv, .tsv, .jsonl or .json", Words(str(path)))
    if not found:
        raise expected(argument, "a file with at least one example", Words(f"{path}, which has none"))
    return found


def _table(path: Path, text: str) -> Iterator[Record]:
    header = text.partition("\n")[0]
    mark = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    with _long_fields():
        try:
            names = [name.strip() for name in next(rows, [])]
            if doubled := [name for name in names if name and names.count(name) > 1]:
                raise GraphError(f"{path}, line 1: two columns are named {doubled[0]!r}")
            begin = rows.line_num + 1
            for row in rows:
                place, begin = f"{path.name}, line {begin}", rows.line_num + 1
                if not row:  # a blank line
                    continue
                if len(row) != len(names):
                    what = f"{len(names)} columns as in line 1 ({', '.join(names)[:80]})"
                    raise GraphError(f"{place}: expected {what}, got {len(row)}")
                yield Record(place, {name: cell for name, cell in zip(names, row, strict=True) if name})
        except csv.Error as error:
            raise GraphError(f"{path}, line {rows.line_num}: not a table: {error}") from None


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(_LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def json_records(text: str, name: str, *, lines: bool) -> Iterator[Record]:
    """Yield the records of a JSON text: a list, one value, or with `lines` one value a line.

    Raises:
        GraphError: it is not JSON.
    """
    if not lines:
        try:
            content = _parse(text, name)
        except GraphError:
            first = text.strip().partition("\n")[0]
            if first == text.strip() or not _is_json(first):
                raise
        else:
            many = content if isinstance(content, list) else [content]
            for i, item in enumerate(many, start=1):
                yield _record(item, f"{name}, entry {i}" if isinstance(content, list) else name)
            return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _record(_parse(line, f"{name}, line {number}"), f"{name}, line {number}")


def _record(item: Any, place: str) -> Record:
    return Record(place, item if isinstance(item, dict) else {"": item})  # a value that is not an object has no name


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, place))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}" if "\n" in text.strip() else f"column {error.colno}"
        raise GraphError(f"{place}, {where}: not JSON: {error.msg}") from None
    except RecursionError:
        raise GraphError(f"{place}: nested too deep; write the tree as a list of parents") from None
    except ValueError as error:  # an integer of thousands of digits
        raise error if isinstance(error, GraphError) else GraphError(f"{place}: not JSON: {error}") from None


def _once(pairs: list[tuple[str, Any]], place: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise GraphError(f"{place}: {next(name for name in names if names.count(name) > 1)!r} is repeated")
    return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def choose(
    records: Sequence[Record], argument: str, wanted: str, guesses: Sequence[str], *, required: bool = True
) -> str | None:
    """Return the column or key: the named one, or the first of some usual names that exists.

    Raises:
        GraphError: there is none; the message lists the existing ones.
    """
    names = list(dict.fromkeys(name for record in records for name in record.fields if name))
    folded = {name.casefold(): name for name in reversed(names)}
    if wanted:
        if wanted in names:
            return wanted
        if not required:
            return None
        close = difflib.get_close_matches(wanted, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)[:200] or 'none'}"
        raise expected(argument, "the name of a column", Words(f"{wanted!r}{hint}"))
    found = next((folded[guess] for guess in guesses if guess in folded), None)
    if found is None and required:
        what = f"the name of a column, where none is named {', '.join(guesses[:-1])} or {guesses[-1]}"
        raise expected(argument, what, Words(f"none; there are {', '.join(names)[:200] or 'none'}"))
    return found
