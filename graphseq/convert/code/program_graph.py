"""Source code as PyG ``Data``: the syntax tree of a program, and the edges of its program graph."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...errors import Words, expected
from .python_assignments import computed_from
from .python_flow import last_occurrences
from .python_parser import parse_python
from .python_tree import read_tree
from .subtokens import split_identifier
from .syntax import Syntax
from .tree_sitter import read_code

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["EDGES", "from_code"]

EDGES: tuple[str, ...] = ("child", "next_token", "next_sibling", "last_use", "last_write", "computed_from")
_DATA_FLOW = ("last_use", "last_write", "computed_from")

_Pairs = dict[str, Iterable[tuple[int, int]]]  # of each kind of edges, sender and receiver


def from_code(
    source: str | bytes | os.PathLike[str] | ast.AST,
    *,
    language: str = "python",
    edges: Sequence[str] = (),
    backward: bool = False,
) -> Data:
    """Return the syntax tree of source code and, on request, the edges of its program graph beside it.

    Source of the edges: M. Allamanis, M. Brockschmidt, M. Khademi, "Learning to Represent Programs with Graphs", ICLR
    2018. Nodes are numbered depth first, children in the order of the source; edge k runs from node k + 1 to its
    parent, so that a sweep goes from the leaves to the root. Other edges follow, sorted by sender, kind by kind:

    - ``"next_token"``: from a node with a token to that whose token comes next in the source.
    - ``"next_sibling"``: from a node to the next child of its parent.
    - ``"last_use"``: from an occurrence of a variable to each that may have read the variable last before it.
    - ``"last_write"``: from an occurrence to each that may have written, bound or deleted the variable last before it.
    - ``"computed_from"``: from a variable that is assigned (``=``, ``+=``, ``:=``, the target of ``for``, what
      follows ``as`` in ``with``) to each variable that is read in the expression that it is assigned from.

    The last three are for Python alone. An occurrence is a ``Name``, an ``arg``, or a definition, import, handler or
    pattern that binds a name. What came before it is told by all paths through the body that it is in: that of the
    module, a class, a function or a lambda. What other bodies do with a variable isn't seen, and a body begins with
    nothing read or written. On these paths

    - every test may come out either way, except that ``while True`` doesn't end by its test, and a loop may run any
      number of times; so an edge may lead to a later line, or to the occurrence itself;
    - ``x += y`` reads x, reads y and writes x; an annotation without a value writes nothing;
    - a comprehension runs where it stands, and its targets are variables of its own;
    - in a ``try``, an exception may come at the start and after each occurrence, and a handler may catch it or not;
    - ``finally`` has one copy: every way into it goes through, and from its end every way that came in goes on;
    - a case's pattern may fail at its start and after each occurrence, unless it is, or ends with ``|`` and, a name or
      ``_``; ``with`` stops no exception;
    - code that can't be reached has no edges of these kinds.

    Args:
        source: the text of a program; bytes of it or, as a :class:`pathlib.Path`, a file; for Python also a node of an
            ``ast`` tree. Bytes are UTF-8, or for Python what their coding line says (PEP 263).
        language: ``"python"`` is read by :mod:`ast`; any other by `tree-sitter <https://tree-sitter.github.io>`_, with
            a grammar from the package ``tree-sitter-<language>``; ``pip install graphseq[code]`` brings JavaScript's.
        edges: those wanted beside the tree, of :data:`EDGES`.
        backward: whether each edge has another in the opposite direction.

    Returns:
        ``Data`` with ``edge_index`` int64 [2, E], the N - 1 edges child → parent first; ``edge_type`` int64 [E],
        indices into :data:`EDGES`, plus ``len(EDGES)`` for edges in the opposite direction; ``num_nodes``; ``lines``
        int64 [N, 2], first and last line, 0 where unknown; and lists of N entries: ``kinds``, the name of the node's
        class or of its rule in the grammar; ``fields``, the field of the parent that contains the node, or ``""``;
        ``tokens``, the identifier or literal that the node has, or ``""``; ``subtokens``, the parts of its identifiers
        by :func:`split_identifier`, a list. Of other languages, the nodes are the grammar's named ones and operators
        (unnamed ones in a field), without comments.

    Raises:
        GraphError: the source can't be read, decoded or parsed (the message names line and column); Python's parser
            refuses its nesting, of 200 brackets, 100 indentations, or some thousands of operators; there is no grammar
            for the language; or an unknown kind of edges.

    >>> code = from_code("total = 0\\nfor maxItem in items:\\n    total += maxItem", edges=["last_write"])
    >>> code.kinds[:6], code.fields[3], code.subtokens[5], code.lines[4].tolist()
    (['Module', 'Assign', 'Name', 'Constant', 'For', 'Name'], 'value', ['max', 'item'], [2, 3])
    >>> code.edge_index[:, code.edge_type == EDGES.index("last_write")].tolist(), code.tokens[8]
    ([[5, 8, 8, 10], [5, 2, 8, 5]], 'total')
    """
    from torch_geometric.data import Data

    wanted = _check_edges(edges, language)
    if language == "python":
        syntax, more = _python(source, wanted)
    else:
        syntax, more = read_code(source, language), {}
    pairs: _Pairs = {"child": list(enumerate(syntax.parents))[1:]}
    pairs |= {"next_token": syntax.next_tokens(), "next_sibling": syntax.next_siblings(), **more}
    found = [(kind, np.array(pairs[EDGES[kind]], np.int64).reshape(-1, 2)) for kind in wanted]
    index = np.concatenate([rows for _, rows in found]).T
    types = np.repeat([kind for kind, _ in found], [len(rows) for _, rows in found])
    if backward:
        index, types = np.concatenate([index, index[::-1]], 1), np.concatenate([types, types + len(EDGES)])
    code = Data(edge_index=torch.tensor(index), num_nodes=len(syntax.kinds))
    code.edge_type, code.lines = torch.tensor(types), torch.tensor(syntax.lines)
    code.kinds, code.fields, code.tokens = syntax.kinds, syntax.fields, syntax.tokens
    code.subtokens = [[part for name in names for part in split_identifier(name)] for names in syntax.names]
    return code


def _python(
    source: str | bytes | os.PathLike[str] | ast.AST, wanted: Sequence[int]
) -> tuple[Syntax, dict[str, list[tuple[int, int]]]]:
    """Return the syntax of Python source and its data flow as far as it is wanted."""
    tree = read_tree(parse_python(source))
    names = [EDGES[kind] for kind in wanted]
    more: dict[str, list[tuple[int, int]]] = {name: [] for name in _DATA_FLOW}
    kinds = [write for write, name in ((False, "last_use"), (True, "last_write")) if name in names]
    if kinds:
        for node, write, earlier in last_occurrences(tree, kinds):
            more["last_write" if write else "last_use"].append((node, earlier))
    if "computed_from" in names:
        more["computed_from"] += computed_from(tree)
    return tree.syntax(), {name: sorted(set(found)) for name, found in more.items()}


def _check_edges(edges: Sequence[str], language: str) -> list[int]:
    """Return the kinds of edges that are wanted, the tree's first."""
    if not isinstance(language, str) or language != language.lower():
        raise expected("language", 'the name of a language, as "python"', language)
    known = EDGES if language == "python" else tuple(name for name in EDGES if name not in _DATA_FLOW)
    named = ", ".join(f'"{name}"' for name in known)
    if isinstance(edges, str) or not isinstance(edges, Sequence):
        raise expected("edges", f"a list of {named}", edges)
    for name in edges:
        if name not in known:
            raise expected("edges", f"a list of {named}" + (f" for {language}" * (known != EDGES)), Words(repr(name)))
    return sorted({0, *(EDGES.index(name) for name in edges)})
