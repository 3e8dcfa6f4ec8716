"""Program graphs of functions in Python source, each with one occurrence of a local variable hidden."""

from __future__ import annotations

import ast
import itertools
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..convert import Vocabulary, hide_place, variable_places
from ..errors import Words, expected
from .cache import Stored, cache_key, cached
from .modules import (
    Function,
    check_parts,
    deal_modules,
    fingerprint,
    functions_of,
    module_of,
    source_files,
    source_folder,
    without_repeats,
)
from .names import encode_parts
from .trees import texts_to_ids

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["HiddenVariables", "hidden_variables", "variable_misuse"]

_FLAT = ("kind", "count", "edge_type", "place", "y")  # tensors of a graph with one dimension


@dataclass(frozen=True)
class HiddenVariables:
    """The splits of :func:`variable_misuse`, and the vocabulary of the nodes' sub-tokens.

    Each example is a ``Data`` as :func:`graphseq.convert.hide_place` makes it, with ``part`` int64 [S], the sub-tokens
    of all nodes, indices into the vocabulary; ``count`` int64 [N], the number of those of each node; and ``origin``,
    its module's path and the line of the place.
    """

    train: list[Data]
    val: list[Data]
    test: list[Data]
    vocabulary: Vocabulary


def variable_misuse(
    *, seed: int = 0, max_nodes: int = 300, places: int = 3, min_count: int = 3, limit: int = 0,
    folder: str | os.PathLike[str] | None = None,
) -> HiddenVariables:  # fmt: skip
    """Return functions in each of which one read of a local variable is hidden; which one it is, is to be predicted.

    The task VarMisuse of Allamanis, Brockschmidt & Khademi (2018), Learning to represent programs with graphs. The
    candidates are the function's local variables, two at least. A split is a set of whole modules: about 70 % of the
    functions are for training, 15 % for validation, 15 % for test. Of functions with equal arguments and body, and of
    examples that a model can't tell apart, only the first is kept, in the order train, val, test. The graphs are cached
    under the names, sizes and times of the source files.

    Args:
        seed: of the split of the modules and of the places that are hidden.
        max_nodes: size of the largest graph that is kept.
        places: the number of places of a function at most, each an example of its own.
        min_count: how often a sub-token must be in the training part for an index of its own.
        limit: the number of examples to train on, counted before equal ones are dropped; 0 for all.
        folder: Python source to read; by default the standard library of the running Python. Folders of tests and
            files that this Python can't parse are skipped.

    Raises:
        GraphError: a size or count is out of range, no such folder, or too few functions for three parts.

    Example::

        example = variable_misuse().train[0]
        example.candidates[int(example.y)], example.edge_type.bincount()
    """
    for name, value, least in (("max_nodes", max_nodes, 1), ("places", places, 1), ("limit", limit, 0)):
        if not isinstance(value, int) or value < least:
            raise expected(name, f"an integer of at least {least}", value)
    top = source_folder(folder)
    paths = list(source_files(top))
    key = cache_key(fingerprint(top, paths), sys.version, seed, max_nodes, places, limit)
    splits = _load(cached("misuse", key, lambda: _store(_read(top, paths, seed, max_nodes, places, limit))))
    vocabulary = Vocabulary.build(
        (part for graph in splits[0] for each in graph.parts for part in each), min_count=min_count
    )
    for graph in itertools.chain(*splits):
        graph.part, graph.count = encode_parts(graph.parts, vocabulary)
        del graph.parts
    train, val, test = without_repeats(splits, _seen)
    check_parts((train, val, test), top, "functions of two or more local variables")
    return HiddenVariables(train, val, test, vocabulary)


def hidden_variables(function: Function, places: Sequence[ast.Name], max_nodes: int = 0) -> Iterator[Data]:
    """Yield the graph of a function for each place that is hidden, if there are two candidates; none of a function that
    has more than `max_nodes`.
    """
    size = 1 + sum(not isinstance(node, ast.expr_context) for node in ast.walk(function))
    if max_nodes and size > max_nodes:
        return
    for place in places:
        graph = hide_place(function, place)
        if len(graph.candidates) < 2:
            return
        yield graph


class _Found(NamedTuple):
    """A function, and where it is."""

    function: Function
    module: str
    places: list[ast.Name]


def _read(
    top: Path, paths: Sequence[Path], seed: int, max_nodes: int, places: int, limit: int
) -> tuple[list[Data], list[Data], list[Data]]:
    """Return the examples of each part."""
    modules = [found for path in paths if (found := list(_functions(top, path)))]
    if not modules:
        raise expected("folder", "Python source with functions that read local variables", Words(f"{top}, without any"))
    made: tuple[list[Data], list[Data], list[Data]] = ([], [], [])
    for part, functions in enumerate(without_repeats(deal_modules(modules, seed), _text)):
        for function, module, reads in functions:
            if limit and not part and len(made[0]) >= limit:
                break
            drawn = random.Random(f"{seed} {module} {function.lineno}").sample(reads, min(places, len(reads)))
            for graph, place in zip(hidden_variables(function, drawn, max_nodes), drawn, strict=False):
                graph.origin = f"{module}:{place.lineno}"
                made[part].append(graph)
    del made[0][limit or len(made[0]) :]
    return made


def _functions(top: Path, path: Path) -> Iterator[_Found]:
    """Yield the functions of a module that read a local variable."""
    root = module_of(path.read_bytes())
    for function in () if root is None else functions_of(root):
        if places := variable_places(function):
            yield _Found(function, path.relative_to(top).as_posix(), places)


def _text(found: _Found) -> str:
    return "\n".join(map(ast.dump, (found.function.args, *found.function.body)))


def _seen(graph: Data) -> tuple[bytes, ...]:
    tensors = (graph.kind, graph.count, graph.part, graph.edge_index, graph.edge_type, graph.place, graph.occurrence)
    return tuple(tensor.numpy().tobytes() for tensor in tensors)


def _store(splits: Sequence[Sequence[Data]]) -> Stored:
    """Return what the cache keeps: the graphs' tensors behind each other, and their lengths."""
    graphs = [graph for split in splits for graph in split]
    texts, table = texts_to_ids([part for graph in graphs for each in graph.parts for part in each])
    variables, names = texts_to_ids([name for graph in graphs for name in graph.candidates])
    for graph in graphs:
        graph.count = torch.tensor([len(each) for each in graph.parts])
    arrays = {"texts": texts, "variables": variables, "splits": torch.tensor([len(split) for split in splits])}
    for name in (*_FLAT, "edge_index", "occurrence"):
        tensors = [graph[name] for graph in graphs]
        arrays[name] = torch.cat(tensors, -1) if tensors else torch.empty(0)
        arrays[f"{name} of each"] = torch.tensor([tensor.size(-1) for tensor in tensors])
    arrays["variables of each"] = torch.tensor([len(graph.candidates) for graph in graphs])
    meta = {"table": table, "names": names, "origins": [graph.origin for graph in graphs]}
    return Stored({name: array.int() for name, array in arrays.items()}, meta)


def _load(stored: Stored) -> list[list[Data]]:
    """Return what the cache kept."""
    from torch_geometric.data import Data

    arrays = {name: array.long() for name, array in stored.arrays.items()}
    table, names = stored.meta["table"], stored.meta["names"]
    texts = iter([table[text] for text in arrays["texts"].tolist()])
    variables = iter([names[name] for name in arrays["variables"].tolist()])
    tensors = {
        name: arrays[name].split(arrays[f"{name} of each"].tolist(), -1)
        for name in (*_FLAT, "edge_index", "occurrence")
    }
    graphs = []
    for i, (origin, amount) in enumerate(
        zip(stored.meta["origins"], arrays["variables of each"].tolist(), strict=True)
    ):
        fields: dict[str, Tensor] = {name: each[i].clone() for name, each in tensors.items()}
        graph = Data(num_nodes=len(fields["kind"]), **fields)
        graph.parts = [list(itertools.islice(texts, count)) for count in fields["count"].tolist()]
        graph.candidates, graph.origin = list(itertools.islice(variables, amount)), origin
        graphs.append(graph)
    rest = iter(graphs)
    return [list(itertools.islice(rest, size)) for size in arrays["splits"].tolist()]
