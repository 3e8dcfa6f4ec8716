"""The local variables of a Python function, and its program graph with one occurrence of one of them hidden."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from .program_graph import EDGES, from_code
from .python_tree import read_tree
from .source import KINDS

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["HIDDEN", "hide_place", "variable_places"]

HIDDEN = "<hidden>"  # no identifier, so no variable has this name
_KIND = {name: i for i, name in enumerate(KINDS)}
_RECEIVERS = {"self", "cls"}
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def variable_places(function: _Function) -> list[ast.Name]:
    """Return where a function reads one of its local variables, in the order of the source.

    A local variable is an argument or a ``Name`` that is assigned, except ``self`` and ``cls``, what is declared global
    or nonlocal, and names that are also bound in a comprehension, a lambda, or a function or class inside. Nor are
    reads in these functions and classes, in decorators, defaults and annotations of arguments returned.
    """
    variables, found = _local(function)
    places = [node for node in found if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return sorted((node for node in places if node.id in variables), key=lambda node: (node.lineno, node.col_offset))


def hide_place(function: _Function, place: ast.Name) -> Data:
    """Return a function's program graph where the variable at one place is another one, which is nowhere else.

    The name is replaced before the data flow is computed, so that no edge tells which variable it was.

    Args:
        function: as a node of an ``ast`` tree, which is the same afterwards.
        place: one of :func:`variable_places`.

    Returns:
        ``Data`` as :func:`from_code` makes it of a module with this function and all kinds of edges. Also ``kind``
        int64 [N], indices into :data:`KINDS`; ``parts``, for each node the sub-tokens of its identifiers, the type of
        its constant, or :data:`HIDDEN`; ``place`` int64 [1], the node; ``candidates``, the names of the local
        variables, sorted by first occurrence; ``occurrence`` int64 [2, O], the nodes where they occur elsewhere, and
        which of them does; ``y`` int64 [1], the right one.

    >>> function = ast.parse("def larger(a, b): return a if a > b else b").body[0]
    >>> code = hide_place(function, variable_places(function)[2])
    >>> code.tokens[code.place], code.candidates, code.occurrence[1].tolist(), code.y.tolist()
    ('<hidden>', ['a', 'b'], [0, 1, 0, 0, 1], [1])
    """
    module, name = ast.Module(body=[function], type_ignores=[]), place.id
    place.id = HIDDEN
    try:
        code = from_code(module, edges=EDGES)
        nodes = read_tree(module).nodes
        at = {id(node): index for index, node in enumerate(nodes)}
        variables, found = _local(function)
        occurrences = sorted((at[id(node)], _name(node)) for node in found if _name(node) in variables)
    finally:
        place.id = name
    index: dict[str, int] = {}
    pairs = [(node, index.setdefault(variable, len(index))) for node, variable in occurrences]
    code.kind = torch.tensor([_KIND.get(kind, 0) for kind in code.kinds])
    code.parts = [_parts(node, subtokens) for node, subtokens in zip(nodes, code.subtokens, strict=True)]
    code.place, code.y = torch.tensor([at[id(place)]]), torch.tensor([index[name]])
    code.parts[at[id(place)]], code.tokens[at[id(place)]] = [HIDDEN], HIDDEN
    code.occurrence, code.candidates = torch.tensor(pairs).T, list(index)
    return code


def _parts(node: ast.AST, subtokens: list[str]) -> list[str]:
    if isinstance(node, (ast.Constant, ast.MatchSingleton)):
        value = node.value
        return [f"<{value}>" if value is None or isinstance(value, bool) else f"<{type(value).__name__}>"]
    return subtokens


def _name(node: ast.arg | ast.Name) -> str:
    return node.id if isinstance(node, ast.Name) else node.arg


def _local(function: _Function) -> tuple[set[str], list[ast.arg | ast.Name]]:
    """Return the local variables and the occurrences of names in the function's own body; which of them are read makes
    no difference to the variables.
    """
    found: list[ast.arg | ast.Name] = list(_arguments(function.args))
    bound = {node.arg for node in _arguments(function.args)}
    others = set(_RECEIVERS)
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, _SCOPES):
            others |= {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)} | _assigned(node)
            continue
        if isinstance(node, ast.comprehension):
            others |= _assigned(node.target)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            others |= set(node.names)
        elif isinstance(node, ast.Name):
            found.append(node)
            bound |= {node.id} if isinstance(node.ctx, ast.Store) else set()
        stack.extend(ast.iter_child_nodes(node))
    return bound - others, found


def _assigned(root: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(root) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _arguments(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (each for each in (arguments.vararg, arguments.kwarg) if each is not None)
