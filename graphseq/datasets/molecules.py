"""Molecules with measured properties, from tables of SMILES such as MoleculeNet's."""

from __future__ import annotations

import csv
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..errors import GraphError, Words, expected
from .cache import Stored, cache_key, cached
from .files import find_or_fetch, verify
from .graphs import graph_set, store_graphs
from .roots import Root

if TYPE_CHECKING:
    from torch_geometric.data import Data, InMemoryDataset

__all__ = ["molecules"]

_FOLDER = "molecules"
_URL = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets"
_PACKED = ("pcba", "muv", "tox21", "toxcast_data", "sider", "clintox")  # published as <name>.csv.gz
_SHOWN = 5  # invalid lines that a message quotes


def molecules(
    name: str = "delaney-processed", root: Root = None, *, smiles: str = "smiles",
    targets: Sequence[str] = ("measured log solubility in mols per litre",),
    transform: Callable[[Data], Data] | None = None, check: bool = True, offline: bool = False,
) -> InMemoryDataset:  # fmt: skip
    """Return a table of molecules as graphs: atoms, their bonds and what was measured.

    Source of the default, ESOL: J. S. Delaney, "ESOL: Estimating Aqueous Solubility Directly from Molecular Structure",
    Journal of Chemical Information and Computer Sciences 44 (2004); by MoleculeNet (Z. Wu et al., Chemical Science
    9, 2018), MIT licence. RDKit reads the SMILES; PyG's ``from_smiles`` names the features.

    Args:
        name: the table is ``molecules/<name>.csv``.
        root: a data root with that file, searched first; only read.
        smiles: the column with the SMILES.
        targets: the T columns with the numbers to predict.
        transform: applied to a molecule each time it is taken out.
        check: whether a table with a recorded checksum must be the published one, and every line must be a molecule;
            with False, lines that are not are left out with a warning.
        offline: whether downloads are forbidden, as with ``GRAPHSEQ_OFFLINE=1``.

    Returns:
        A PyG data set of B graphs. Each has ``x`` int64 [N, 9], ``edge_index`` int64 [2, E], both directions of each
        bond, ``edge_attr`` int64 [E, 3], ``y`` float32 [1, T], NaN where nothing was measured, and ``smiles``.

    Raises:
        ImportError: RDKit is not installed, and the set not cached.
        MissingData: the table is in no data root and was not downloaded.
        CorruptData: the table is not the published one.
        GraphError: the table lacks a column, or a line has no number or no molecule; the message names the line.

    Example::

        esol = molecules()
        len(esol), esol[0].y  # 1128, tensor([[-0.7700]])
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise expected("name", "a table's name, such as 'delaney-processed'", name)
    if isinstance(targets, str) or not targets:
        raise expected("targets", "a sequence of names of columns", targets)
    packed = ".gz" if name in _PACKED else ""
    file = f"{name}.csv"
    path = find_or_fetch(_FOLDER, [file], [f"{_URL}/{file}{packed}"], root, offline=offline) / file
    key = cache_key(verify(_FOLDER, [path], check=check), smiles, list(targets), check)
    stored = cached(f"molecules-{name}", key, lambda: _read(path, smiles, targets, check))
    return graph_set(name, stored, transform=transform)


def _read(path: Path, smiles: str, targets: Sequence[str], check: bool) -> Stored:
    """Return the table's molecules as graphs."""
    from torch_geometric.data import InMemoryDataset
    from torch_geometric.utils import from_smiles

    try:
        import rdkit  # noqa: F401
    except ImportError as error:
        raise ImportError("molecules are read by RDKit: pip install graphseq[chem]") from error
    graphs, bad = [], []
    for line, text, numbers in _rows(path, smiles, targets):
        try:
            graph = from_smiles(text)
        except (RuntimeError, ValueError):  # an atom or a bond that PyG has no number for
            graph = None
        if graph is None or graph.num_nodes == 0:
            bad.append(f"line {line}: {text!r}")
        else:
            graph.y = torch.tensor([numbers])
            graphs.append(graph)
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        what = f"{path}: no molecules that RDKit can read: {'; '.join(bad[:_SHOWN])}{more}"
        if check:
            raise GraphError(f"{what}; check=False leaves them out")
        warnings.warn(what, stacklevel=2)
    if not graphs:
        raise GraphError(f"{path}: has no molecules")
    data, slices = InMemoryDataset.collate(graphs)
    return store_graphs(data.to_dict(), slices)


def _rows(path: Path, smiles: str, targets: Sequence[str]) -> Iterator[tuple[int, str, list[float]]]:
    """Yield each row's line in the file, its SMILES and its numbers."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            for argument, columns in (("smiles", [smiles]), ("targets", targets)):
                if lost := [column for column in columns if column not in (table.fieldnames or ())]:
                    came = Words(f"{lost[0]!r}, where {path.name} has {', '.join(table.fieldnames or ())}")
                    raise expected(argument, "a column of the table", came)
            for row in table:
                try:
                    numbers = [float(row[column]) if (row[column] or "").strip() else math.nan for column in targets]
                except ValueError as error:
                    raise GraphError(f"{path}, line {table.line_num}: {error}") from None
                yield table.line_num, (row[smiles] or "").strip(), numbers
    except (UnicodeDecodeError, csv.Error) as error:
        raise GraphError(f"{path}: not a table of comma-separated values: {error}") from None
