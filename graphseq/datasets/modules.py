"""Folders of Python source: their modules, the functions in these, and parts of whole modules."""

from __future__ import annotations

import ast
import hashlib
import os
import random
import sysconfig
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import Words, expected

__all__ = [
    "Function", "check_parts", "deal_modules", "fingerprint", "functions_of", "module_of", "source_files",
    "source_folder", "without_repeats",
]  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef
T = TypeVar("T")

_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
_TRAIN, _VAL = 0.7, 0.15  # shares of the functions; the test split has the rest


def source_folder(folder: str | os.PathLike[str] | None) -> Path:
    """Return the folder of Python source that is named, that of the standard library if none is.

    Raises:
        GraphError: it is not a folder.
    """
    if folder is None or folder == "":
        return Path(sysconfig.get_paths()["stdlib"]).resolve()
    top = Path(folder).expanduser().resolve()
    if not top.is_dir():
        what = "a file" if top.exists() else "which does not exist"
        raise expected("folder", "a folder of Python source", Words(f"{top}, {what}"))
    return top


def source_files(top: Path) -> Iterator[Path]:
    """Yield the files of Python source below a folder, in the same order everywhere, without tests."""
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


def fingerprint(top: Path, paths: Sequence[Path]) -> str:
    """Return a checksum of the files' names, sizes and times of change."""
    lines = [f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}" for path in paths for stat in [path.stat()]]
    return hashlib.sha256("\n".join([str(top), *lines]).encode(errors="surrogateescape")).hexdigest()


def module_of(text: bytes) -> ast.Module | None:
    """Return the module that some source is, None if this Python can't parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an invalid escape in the source
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def functions_of(root: ast.Module) -> Iterator[Function]:
    """Yield the functions and methods that are in no other function, from top to bottom."""
    stack: list[ast.AST] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
        elif not isinstance(node, ast.expr):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


def deal_modules(modules: Sequence[list[T]], seed: int) -> tuple[list[T], list[T], list[T]]:
    """Assign whole modules, shuffled, to train, val and test; of three or more each part gets one."""
    shuffled = list(modules)
    random.Random(seed).shuffle(shuffled)
    total = sum(map(len, shuffled))
    splits: tuple[list[list[T]], list[list[T]], list[list[T]]] = ([], [], [])
    dealt = 0
    for each in shuffled:
        share = dealt / total
        splits[(share >= _TRAIN) + (share >= _TRAIN + _VAL)].append(each)
        dealt += len(each)
    if len(shuffled) > 2 and not all(splits):  # few modules, or long ones
        splits = (shuffled[:-2], shuffled[-2:-1], shuffled[-1:])
    train, val, test = ([one for each in split for one in each] for split in splits)
    return train, val, test


def without_repeats(splits: Sequence[Sequence[T]], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Keep the first of equal examples, in the order train, val, test."""
    first: dict[Hashable, tuple[int, T]] = {}
    for split, examples in enumerate(splits):
        for example in examples:
            first.setdefault(key(example), (split, example))
    return [[example for split, example in first.values() if split == wanted] for wanted in range(len(splits))]


def check_parts(parts: Sequence[Sequence[object]], top: Path, what: str) -> None:
    """Check that each part has an example.

    Raises:
        GraphError: one has none.
    """
    if not all(parts):
        counts = " / ".join(str(len(part)) for part in parts)
        wanted = f"Python source with {what} in at least three modules, one for each part"
        raise expected("folder", wanted, Words(f"{top}, with {counts} in the training, validation and test part"))
