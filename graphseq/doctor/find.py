"""Find a model by its name, and make it."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import GraphError, Words, expected
from .finding import told

__all__ = ["IN", "Made", "find", "make"]

# What a constructor's required arguments are usually called, and what they get. All sizes differ, so that a model
# which takes one for another fails.
IN, HIDDEN, OUT, VOCABULARY, EDGE = 6, 8, 3, 11, 4
_USUAL: dict[int, tuple[str, ...]] = {
    IN: (
        "in_channels", "input_size", "in_features", "num_features", "num_node_features", "node_features", "in_dim",
        "input_dim", "in_size", "in_feats", "n_features", "nfeat", "feature_size", "feature_dim", "node_dim", "inputs",
    ),
    HIDDEN: (
        "hidden_channels", "hidden_size", "hidden_features", "hidden_dim", "hidden", "num_hidden", "n_hidden", "nhid",
        "hid_dim", "dim_h", "h_dim", "embedding_size", "embedding_dim", "embed_dim", "emb_dim", "width", "channels",
        "size", "dim",
    ),
    OUT: (
        "out_channels", "num_classes", "out_features", "output_size", "output_dim", "out_dim", "out_size", "out_feats",
        "n_classes", "nclass", "nclasses", "num_outputs", "num_tasks", "classes", "num_labels", "outputs",
    ),
    VOCABULARY: ("num_symbols", "vocab_size", "vocabulary_size", "num_words", "num_tokens", "num_embeddings"),
    EDGE: ("edge_dim", "edge_channels", "edge_features", "num_edge_features", "edge_size"),
    2: ("num_layers", "n_layers", "nlayers", "layers", "depth", "num_heads", "heads", "arity", "num_rounds", "k", "K"),
}  # fmt: skip
_FILL = {name: size for size, names in _USUAL.items() for name in names} | {"dropout": 0.5, "p": 0.5}

_FACTORY = "or give a function without arguments that makes the model"


class Made:
    """A model, the arguments that were chosen for it, and how to make another one like it (None for an instance)."""

    def __init__(self, model: nn.Module, chosen: dict[str, Any], again: Callable[[], nn.Module] | None = None) -> None:
        self.model, self.chosen, self.again = model, chosen, again


def find(target: str, *, argument: str = "target") -> Any:
    """Return the object that a name such as ``my_module:MyModel`` stands for.

    The module is imported, from the current folder too, which for that is put on ``sys.path``.

    Args:
        target: the module's dotted name or, below the current folder, its file; a colon; a name in it.
        argument: what errors call it.

    Raises:
        GraphError: no colon, no such module, no such name (the nearest ones are named), or an error that the module
            itself raises when it is imported.

    >>> find("graphseq.nn:NodeClassifier").__name__
    'NodeClassifier'
    """
    if not isinstance(target, str) or ":" not in target:
        raise expected(argument, "module:name, such as my_module:MyModel", target)
    module, _, name = target.rpartition(":")
    if module.endswith(".py"):
        module = Path(module).with_suffix("").as_posix().removeprefix("./").replace("/", ".")
    if not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise expected(argument, "module:name, such as my_module:MyModel", target)
    found = _imported(module, argument)
    for i, part in enumerate(name.split(".")):
        if not hasattr(found, part):
            where = ".".join([module, *name.split(".")[:i]])
            raise expected(argument, f"a name in {where}{_nearest(part, _public(found))}", part)
        found = getattr(found, part)
    return found


def _imported(module: str, argument: str) -> Any:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and (module == missing or module.startswith(missing + ".")):
            files = [p.stem for p in Path(here).glob("*.py")]
            close = _nearest(module, files + [p.parent.name for p in Path(here).glob("*/__init__.py")])
            raise expected(argument, f"a module that is installed or stands in {here}{close}", module) from None
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not _is_ours(f.filename)]
        frame = frames[-1] if frames else None
        place = "" if frame is None else f" (line {frame.lineno} of {frame.filename})"
        raise GraphError(f"`{argument}`: importing {module} failed with {told(error)}{place}") from error


def _is_ours(file: str) -> bool:
    """Say whether a line of this file is none of the user's: the import system's or this package's own."""
    return "importlib" in file or Path(file).is_relative_to(Path(__file__).parents[1])


def _public(found: Any) -> list[str]:
    return [name for name in dir(found) if not name.startswith("_")]


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(set(names)), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def make(target: Any) -> Made:
    """Return the model that an instance, a class or a function without arguments stands for.

    A class whose constructor has required arguments gets small sizes by their usual names.

    Raises:
        GraphError: it is none of these, an argument's name says nothing, or the constructor raises.
    """
    if isinstance(target, nn.Module):
        return Made(target, {})
    if not callable(target):
        raise expected("model", "a torch.nn.Module, a class of them or a function that makes one", target)
    is_model = isinstance(target, type) and issubclass(target, nn.Module)
    if isinstance(target, type) and not is_model:
        raise expected("model", "a class of torch.nn.Module", target)
    name = getattr(target, "__name__", repr(target))
    chosen: dict[str, Any] = {}
    for parameter in inspect.signature(target).parameters.values():
        rest = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if rest or parameter.default is not parameter.empty:
            continue
        if not is_model:
            got = Words(f"{name}, which wants {parameter.name}")
            raise expected("model", "a function without required arguments", got)
        if parameter.name not in _FILL or parameter.kind is parameter.POSITIONAL_ONLY:
            got = Words(f"{name}, whose argument {parameter.name} says no size")
            raise expected("model", f"a class whose arguments have usual names, {_FACTORY}", got)
        chosen[parameter.name] = _FILL[parameter.name]

    def again() -> nn.Module:
        made = target(**chosen)
        if not isinstance(made, nn.Module):
            raise expected("model", "a function that returns a torch.nn.Module", made)
        return made

    try:
        return Made(again(), chosen, again)
    except GraphError as error:
        raise GraphError(f"{name}({_written(chosen)}): {error}") from error
    except (Exception, SystemExit) as error:
        got = Words(f"{name}({_written(chosen)}), which raised {told(error)}")
        raise expected("model", f"arguments that a model can be made with, {_FACTORY}", got) from error


def _written(chosen: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in chosen.items())
