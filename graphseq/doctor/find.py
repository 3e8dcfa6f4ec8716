"""Find an object by its name."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from ..errors import GraphError, expected
from .finding import Raised, user_code

__all__ = ["find"]


def find(target: str, *, argument: str = "target") -> Any:
    """Return the object with a name such as ``my_module:MyModel``.

    The module is imported, also from the current folder, which is put on ``sys.path`` for this.

    Args:
        target: the module's dotted name or, below the current folder, its file; a colon; a name in it.
        argument: its name in errors.

    Raises:
        GraphError: no colon, no such module, no such name (the nearest ones are named), or an error that the module
            itself raises when it is imported.

    >>> find("graphseq.nn:NodeClassifier").__name__
    'NodeClassifier'
    """
    module, _, name = target.rpartition(":") if isinstance(target, str) else ("", "", "")
    if module.endswith(".py"):
        module = Path(module).with_suffix("").as_posix().removeprefix("./").replace("/", ".")
    if not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise expected(argument, "module:name, such as my_module:MyModel", target)
    found = _imported(module, argument)
    for part in name.split("."):
        if not hasattr(found, part):
            close = _nearest(part, [other for other in dir(found) if not other.startswith("_")])
            raise expected(argument, f"a name in {getattr(found, '__qualname__', module)}{close}", part)
        found = getattr(found, part)
    return found


def _imported(module: str, argument: str) -> Any:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        with user_code():
            return importlib.import_module(module)
    except Raised as raised:
        error = raised.__cause__
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            files = [path.stem for path in Path(here).glob("*.py")]
            close = _nearest(module, files + [path.parent.name for path in Path(here).glob("*/__init__.py")])
            raise expected(argument, f"a module that is installed or in {here}{close}", module) from None
        libraries = (Path(__file__).parents[1], Path(torch.__file__).parent)
        place = ""
        for frame in traceback.extract_tb(error.__traceback__ if error else None):
            if "importlib" not in frame.filename and not any(map(Path(frame.filename).is_relative_to, libraries)):
                place = f" (line {frame.lineno} of {frame.filename})"
        raise GraphError(f"`{argument}`: importing {module} failed with {raised}{place}") from error


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(set(names)), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
