"""From which variables a variable is computed: the targets of assignments in Python, and their values."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .python_tree import PythonTree

__all__ = ["computed_from", "is_read"]

_ASSIGNMENTS = {  # the fields of targets and value
    "Assign": ("targets", "value"),
    "AugAssign": ("target", "value"),
    "AnnAssign": ("target", "value"),
    "NamedExpr": ("target", "value"),
    "For": ("target", "iter"),
    "AsyncFor": ("target", "iter"),
    "comprehension": ("target", "iter"),
    "withitem": ("optional_vars", "context_expr"),
}


def computed_from(tree: PythonTree) -> Iterator[tuple[int, int]]:
    """Yield each variable that is assigned with each variable in the expression that it is assigned from."""
    last = tree.last_descendants()
    fields: dict[int, dict[str, list[int]]] = {}
    for node, parent in enumerate(tree.parents):
        if parent >= 0 and type(tree.nodes[parent]).__name__ in _ASSIGNMENTS:
            fields.setdefault(parent, {}).setdefault(tree.fields[node], []).append(node)
    for parent, children in fields.items():
        targets, value = _ASSIGNMENTS[type(tree.nodes[parent]).__name__]
        reads = [v for root in children.get(value, ()) for v in range(root, last[root] + 1) if is_read(tree.nodes[v])]
        for root in children.get(targets, ()):
            for target in range(root, last[root] + 1):
                if _stores(tree.nodes[target]):
                    yield from ((target, read) for read in reads)


def is_read(node: ast.AST) -> bool:
    """Return whether a node is a name that is read."""
    return isinstance(node, ast.Name) and not isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def _stores(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(getattr(node, "ctx", None), ast.Store)
