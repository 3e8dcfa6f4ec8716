"""Syntax trees of functions in Python source, labelled by the sub-tokens of their names."""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..convert import NAME, Vocabulary, split_identifier, syntax_tree
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
from .trees import flatten, texts_to_ids

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["NamedFunctions", "encode_parts", "function_names", "named_tree"]

_SPECIAL = re.compile(r"__\w+__")


@dataclass(frozen=True)
class NamedFunctions:
    """The splits of :func:`function_names`, and two vocabularies of sub-tokens, of the trees' tokens and of names.

    Each function is a ``Data`` as :func:`graphseq.convert.syntax_tree` makes it, with ``part`` int64 [S], the
    sub-tokens of all nodes, indices into ``vocabulary``; ``count`` int64 [N], the number of those of each node; ``y``
    int64 [K], the different sub-tokens of the name, indices into ``names``, 0 for each that is unknown; ``words``, the
    same as text; and ``origin``, its module's path and line.
    """

    train: list[Data]
    val: list[Data]
    test: list[Data]
    vocabulary: Vocabulary
    names: Vocabulary


def function_names(
    *, seed: int = 0, min_nodes: int = 8, max_nodes: int = 300, min_count: int = 3, limit: int = 0,
    folder: str | os.PathLike[str] | None = None,
) -> NamedFunctions:  # fmt: skip
    """Return functions and methods, and the sub-tokens of their names, which are to be predicted from their bodies.

    The task of Allamanis, Peng & Sutton (2016), A convolutional attention network for extreme summarization of source
    code. The name is hidden wherever it is in the tree, in recursive calls and calls of a method of the same name too.
    ``__special__`` methods, whose names the language gives, are left out; functions inside of functions are only part
    of the outer one. A split is a set of whole modules: about 70 % of the functions are for training, 15 % for
    validation, 15 % for test. Of functions that a model can't tell apart only the first is kept, in the order train,
    val, test. The trees are cached under the names, sizes and times of the source files.

    Args:
        seed: of the split of the modules.
        min_nodes: size of the smallest tree that is kept.
        max_nodes: size of the largest tree that is kept.
        min_count: how often a sub-token must be in the training part for an index of its own.
        limit: the number of functions to train on, counted before equal ones are dropped; 0 for all.
        folder: Python source to read; by default the standard library of the running Python. Folders of tests and
            files that this Python can't parse are skipped.

    Raises:
        GraphError: a size or count is out of range, no such folder, or too few functions for three parts.

    >>> found = function_names(max_nodes=40)
    >>> tree = found.train[0]
    >>> len(tree.count) == tree.num_nodes, int(tree.count.sum()) == len(tree.part), len(tree.y) == len(tree.words)
    (True, True, True)
    """
    if not 1 <= min_nodes <= max_nodes:
        raise expected("min_nodes", f"an integer from 1 to max_nodes={max_nodes}", min_nodes)
    if not isinstance(limit, int) or limit < 0:
        raise expected("limit", "a number of functions, or 0 for all", limit)
    top = source_folder(folder)
    paths = list(source_files(top))
    key = cache_key(fingerprint(top, paths), sys.version)
    modules = _within(cached("names", key, lambda: _read(top, paths)), min_nodes, max_nodes)
    if not modules:
        came = Words(f"{top}, which has none with {min_nodes} to {max_nodes} nodes")
        raise expected("folder", "Python source with functions", came)
    train, val, test = deal_modules(modules, seed)
    train = train[: limit or None]
    parts = (part for tree in train for each in tree.parts for part in each)
    vocabulary = Vocabulary.build(parts, min_count=min_count)
    names = Vocabulary.build((word for tree in train for word in tree.words), min_count=min_count)
    for tree in itertools.chain(train, val, test):
        tree.part, tree.count = encode_parts(tree.parts, vocabulary)
        tree.y = torch.tensor(names.encode(tree.words))
        del tree.parts
    train, val, test = without_repeats((train, val, test), _seen)
    check_parts((train, val, test), top, "functions that differ")
    return NamedFunctions(train, val, test, vocabulary, names)


def named_tree(function: Function) -> Data:
    """Return the tree of a function with its name hidden, with ``parts``, a list of sub-tokens for each node."""
    tree = syntax_tree(function, hide=function.name)
    tree.parts = [list(_parts(token, function.name.strip("_"))) for token in tree.tokens]
    return tree


def encode_parts(parts: Sequence[Sequence[str]], vocabulary: Vocabulary) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the indices of the sub-tokens of all nodes, int64 [S], and the number of each node's, int64 [N]."""
    indices = [vocabulary[part] for each in parts for part in each]
    return torch.tensor(indices, dtype=torch.int64), torch.tensor([len(each) for each in parts])


@lru_cache(maxsize=1 << 16)
def _parts(token: str, hidden: str) -> tuple[str, ...]:
    """Return the sub-tokens of a token, where a part of a dotted one can be the hidden name, too."""
    if token.startswith("<") and " " not in token:  # the type of a constant, or the hidden name
        return (token,)
    return tuple(
        part
        for name in re.split("[. ]", token)
        for part in ([NAME] if name == NAME or (hidden and name.strip("_") == hidden) else split_identifier(name))
    )


def _seen(tree: Data) -> bytes:
    return torch.cat([tree.kind, tree.count, tree.part, tree.edge_index[1]]).numpy().tobytes()


def _read(top: Path, paths: Sequence[Path]) -> Stored:
    """Return the trees of all functions, whatever their size, with their names, modules and lines."""
    found = [(*each, path.relative_to(top).as_posix()) for path in paths for each in _trees(path)]
    trees = [tree for tree, *_ in found]
    texts, table = texts_to_ids([part for tree in trees for each in tree.parts for part in each])
    module, modules = texts_to_ids([name for *_, name in found])
    name, names = texts_to_ids([name for _, name, _, _ in found])
    sizes, nodes = flatten(trees, ("kind",))
    count = torch.tensor([len(each) for tree in trees for each in tree.parts], dtype=torch.int64)
    line = torch.tensor([line for _, _, line, _ in found], dtype=torch.int64)
    arrays = {"sizes": sizes, **nodes, "texts": texts, "count": count, "module": module, "name": name, "line": line}
    meta = {"table": table, "modules": modules, "names": names}
    return Stored({key: array.int() for key, array in arrays.items()}, meta)


def _trees(path: Path) -> Iterator[tuple[Data, str, int]]:
    """Yield the trees of a module's functions, each with its name and line."""
    root = module_of(path.read_bytes())
    for node in () if root is None else functions_of(root):
        if split_identifier(node.name) and not _SPECIAL.fullmatch(node.name):
            yield named_tree(node), node.name, node.lineno


def _within(stored: Stored, min_nodes: int, max_nodes: int) -> list[list[Data]]:
    """Return the trees of the right size, a list for each module that has some."""
    from torch_geometric.data import Data

    arrays = {name: array.long() for name, array in stored.arrays.items()}
    table, modules, names = (stored.meta[name] for name in ("table", "modules", "names"))
    texts = [table[text] for text in arrays["texts"].tolist()]
    counts, end, last = arrays["count"].tolist(), 0, 0
    found: dict[int, list[Data]] = {}
    columns = (arrays[name].tolist() for name in ("sizes", "module", "line", "name"))
    for size, module, line, name in zip(*columns, strict=True):
        start, end, first = end, end + size, last
        last = first + sum(counts[start:end])
        if min_nodes <= size <= max_nodes:
            edges = torch.stack([torch.arange(1, size), arrays["parent"][start + 1 : end]])
            tree = Data(edge_index=edges, num_nodes=size, kind=arrays["kind"][start:end].clone())
            flat = iter(texts[first:last])
            tree.parts = [list(itertools.islice(flat, count)) for count in counts[start:end]]
            tree.words = sorted(set(split_identifier(names[name])))
            tree.origin = f"{modules[module]}:{line}"
            found.setdefault(module, []).append(tree)
    return list(found.values())
