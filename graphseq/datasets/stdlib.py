"""Syntax trees of the functions in Python's standard library, labelled by the verb that begins their name."""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..convert import KINDS, Vocabulary, syntax_tree
from ..errors import Words, expected
from .cache import Stored, cache_key, cached
from .modules import deal_modules, fingerprint, functions_of, module_of, source_files, source_folder, without_repeats
from .trees import flatten, texts_to_ids

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["VERBS", "FunctionTrees", "bag_of_kinds", "stdlib_functions"]

# The ten most frequent verbs of CPython 3.11, except `load`, half of whose functions are in one module.
VERBS = ("get", "set", "is", "add", "read", "close", "parse", "create", "find", "check")

# getName, get_name, _get_name and get, but not getter.
_VERB = re.compile(rf"_*({'|'.join(VERBS)})(?![a-z])")
_NAMES_ONE = re.compile(rf"def\s+{_VERB.pattern}".encode())  # far quicker than parsing a file for nothing


@dataclass(frozen=True)
class FunctionTrees:
    """The splits of :func:`stdlib_functions` and the vocabulary of their tokens.

    Each function is a ``Data`` as :func:`graphseq.convert.syntax_tree` makes it, with ``y`` int64 [1], an
    index into :data:`VERBS`, and ``origin``, its module's path and line.
    """

    train: list[Data]
    val: list[Data]
    test: list[Data]
    vocabulary: Vocabulary


def stdlib_functions(
    *, seed: int = 0, min_nodes: int = 8, max_nodes: int = 300, min_count: int = 3,
    folder: str | os.PathLike[str] | None = None,
) -> FunctionTrees:  # fmt: skip
    """Return the functions and methods whose name begins with one of :data:`VERBS`, which is to be predicted.

    The name is hidden wherever it is in the tree, in recursive calls and calls of a method of the same name too.
    Functions inside of functions are only part of the outer one. A split is a set of whole modules: about 70 % of the
    functions are for training, 15 % for validation, 15 % for test. Of functions with equal ``kind``, ``token`` and
    ``edge_index`` only the first is kept, in the order train, val, test, so that no tree is in two splits.

    Source: the standard library of the running Python (PSF licence), so the counts differ between versions.
    The trees are cached under the names, sizes and times of the source files.

    Args:
        seed: of the split of the modules.
        min_nodes: size of the smallest tree that is kept.
        max_nodes: size of the largest tree that is kept.
        min_count: how often a token must be in the training modules for an index of its own.
        folder: other Python source to read instead; files that this Python can't parse are skipped.

    Returns:
        The three splits, lists of ``Data``, and the tokens' vocabulary, built of the training split alone.

    Raises:
        GraphError: a size or count is out of range, or no function in the folder qualifies.

    >>> tree = stdlib_functions(max_nodes=40).train[0]
    >>> tree.num_nodes <= 40, tree.kind.shape == tree.token.shape, VERBS[int(tree.y)] in VERBS
    (True, True, True)
    """
    if not 1 <= min_nodes <= max_nodes:
        raise expected("min_nodes", f"an integer from 1 to max_nodes={max_nodes}", min_nodes)
    top = source_folder(folder)
    paths = list(source_files(top))
    key = cache_key(fingerprint(top, paths), sys.version)
    modules = _within(cached("stdlib", key, lambda: _read(top, paths)), min_nodes, max_nodes)
    if not modules:
        came = Words(f"{top}, which has none with {min_nodes} to {max_nodes} nodes")
        raise expected("folder", f"Python source with functions named {', '.join(VERBS)}", came)
    splits = deal_modules(modules, seed)
    vocabulary = Vocabulary.build((token for tree in splits[0] for token in tree.tokens if token), min_count=min_count)
    train, val, test = _unique(splits, vocabulary)
    return FunctionTrees(train, val, test, vocabulary)


def bag_of_kinds(dataset: Sequence[Data]) -> Tensor:
    """Count the nodes of each kind in each tree: the features of a baseline that ignores structure.

    Args:
        dataset: trees with ``kind``, indices into :data:`graphseq.convert.KINDS`.

    Returns:
        Counts, float32 [B, len(KINDS)].

    >>> bag_of_kinds([syntax_tree("x = x + x")])[0, KINDS.index("Name")]
    tensor(3.)
    """
    counts = [torch.bincount(tree.kind, minlength=len(KINDS)) for tree in dataset]
    return torch.stack(counts).float() if counts else torch.zeros(0, len(KINDS))


def _read(top: Path, paths: Sequence[Path]) -> Stored:
    """Return the trees of all functions that have a verb, whatever their size, with their modules and lines."""
    found = [(*each, path.relative_to(top).as_posix()) for path in paths for each in _trees(path)]
    trees = [tree for tree, *_ in found]
    tokens, table = texts_to_ids([token for tree in trees for token in tree.tokens])
    module, names = texts_to_ids([name for *_, name in found])
    sizes, nodes = flatten(trees, ("kind",))
    arrays = {"sizes": sizes, **nodes, "tokens": tokens, "module": module}
    arrays["y"] = torch.tensor([tree.y for tree in trees], dtype=torch.int64)
    arrays["line"] = torch.tensor([line for _, line, _ in found], dtype=torch.int64)
    return Stored({name: array.int() for name, array in arrays.items()}, {"table": table, "modules": names})


def _within(stored: Stored, min_nodes: int, max_nodes: int) -> list[list[Data]]:
    """Return the trees of the right size, a list for each module that has some."""
    from torch_geometric.data import Data

    arrays = {name: array.long() for name, array in stored.arrays.items()}
    table, names, end = stored.meta["table"], stored.meta["modules"], 0
    modules: dict[int, list[Data]] = {}
    columns = (arrays[name].tolist() for name in ("sizes", "module", "line", "y"))
    for size, module, line, y in zip(*columns, strict=True):
        start, end = end, end + size
        if min_nodes <= size <= max_nodes:
            edges = torch.stack([torch.arange(1, size), arrays["parent"][start + 1 : end]])
            tree = Data(edge_index=edges, num_nodes=size, kind=arrays["kind"][start:end].clone(), y=torch.tensor([y]))
            tree.tokens = [table[token] for token in arrays["tokens"][start:end].tolist()]
            tree.origin = f"{names[module]}:{line}"
            modules.setdefault(module, []).append(tree)
    return list(modules.values())


def _trees(path: Path) -> Iterator[tuple[Data, int]]:
    """Yield the trees of a module's functions that have a verb, each with its line."""
    text = path.read_bytes()
    root = module_of(text) if _NAMES_ONE.search(text) else None
    for node in () if root is None else functions_of(root):
        if (match := _VERB.match(node.name)) is not None:
            tree = syntax_tree(node, hide=node.name)
            tree.y = VERBS.index(match[1])
            yield tree, node.lineno


def _unique(splits: Sequence[list[Data]], vocabulary: Vocabulary) -> list[list[Data]]:
    """Give the trees their ``token`` and drop those that a model could not tell from an earlier one."""
    for tree in itertools.chain(*splits):
        tree.token = torch.tensor([vocabulary[token] if token else -1 for token in tree.tokens])
    return without_repeats(
        splits, lambda tree: torch.cat([tree.kind, tree.token, tree.edge_index[1]]).numpy().tobytes()
    )
