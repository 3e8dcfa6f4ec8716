"""The control flow of Python, body by body, for the data flow of its variables."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from .flow import Flow
from .python_assignments import is_read
from .python_tree import PythonTree

__all__ = ["last_occurrences"]

_Steps = Iterator[int]  # the nodes that are visited meanwhile, one after the other
_FUNCTIONS = ("FunctionDef", "AsyncFunctionDef", "Lambda")
_COMPREHENSIONS = ("ListComp", "SetComp", "DictComp", "GeneratorExp")


def last_occurrences(tree: PythonTree, kinds: Sequence[bool]) -> Iterator[tuple[int, bool, int]]:
    """Yield (node, write, earlier) where an earlier node may be the variable's last read (False) or write (True)."""
    bodies: list[int | None] = [None]
    while bodies:
        body = _Body(tree, bodies.pop())
        yield from body.flow.last(kinds)
        bodies += body.inner


@dataclass
class _Loop:
    head: int  # where `continue` goes
    end: int  # where `break` goes


@dataclass
class _Finally:
    entry: int
    pending: set[str] = field(default_factory=set)  # the jumps that it delays


class _Body:
    """The flow through one body. Visitors are generators, run by a stack of their own, so that nothing recurses."""

    def __init__(self, tree: PythonTree, root: int | None) -> None:
        self.tree = tree
        self.flow = Flow()
        self.here = 0  # the block that is being filled
        self.catch: int | None = None  # the block where an exception goes, None if it leaves the body
        self.fail: int | None = None  # the block where a pattern that doesn't match goes
        self.frames: list[_Loop | _Finally] = []
        self.scopes: list[tuple[int, set[str]]] = []  # of comprehensions: their own variables
        self.inner: list[int] = []  # the bodies inside
        self._run(self._enter(root))

    def _run(self, steps: _Steps) -> None:
        stack = [steps]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
            else:
                visitor = _VISITORS.get(type(self.tree.nodes[node]).__name__)
                stack.append(iter(self.children(node)) if visitor is None else visitor(self, node))

    def children(self, node: int, *names: str) -> list[int]:
        """Return the children of a node, or those in some fields, field by field."""
        found = self.tree.children[node]
        return [c for name in names for c in found if self.tree.fields[c] == name] if names else found

    def _enter(self, root: int | None) -> _Steps:
        """Bind a function's arguments and run its body, or run that of a class, or without a root all of the tree."""
        if root is None:
            yield 0
            return
        for arguments in self.children(root, "args"):
            for argument in self.tree.children[arguments]:
                if isinstance(node := self.tree.nodes[argument], ast.arg):
                    self.event(argument, node.arg, write=True)
        yield from self.children(root, "body")

    # Events and jumps

    def event(self, node: int, name: str, *, write: bool, first: bool = True) -> None:
        """Let a node read or write a variable; an exception may follow, or the failure of a pattern."""
        owner = next((scope for scope, names in reversed(self.scopes) if name in names), None)
        variable: Hashable = name if owner is None else (owner, name)
        self.flow.add(self.here, node, variable, write=write, first=first)
        self.may_raise()
        if self.fail is not None:
            self.flow.connect(self.here, self.fail)
            self.here = self.flow.block(self.here)

    def may_raise(self) -> None:
        """Let the flow branch to where exceptions go."""
        if self.catch is not None:
            self.flow.connect(self.here, self.catch)
            self.here = self.flow.block(self.here)

    def jump(self, kind: str) -> None:
        """Follow `break`, `continue` or `return`, through the innermost `finally`; what comes next isn't reached."""
        for frame in reversed(self.frames):
            if isinstance(frame, _Finally):
                self.flow.connect(self.here, frame.entry)
                if self.flow.live[self.here]:
                    frame.pending.add(kind)
                break
            if kind != "return":
                self.flow.connect(self.here, frame.end if kind == "break" else frame.head)
                break
        self.here = self.flow.block()

    # Variables

    def name(self, node: int) -> _Steps:
        """Read, write or delete a variable."""
        found = self.tree.nodes[node]
        if isinstance(found, ast.Name):
            self.event(node, found.id, write=not is_read(found))
        yield from ()

    def alias(self, node: int) -> _Steps:
        """Import a name."""
        found = self.tree.nodes[node]
        if isinstance(found, ast.alias) and found.name != "*":
            from_module = isinstance(self.tree.nodes[self.tree.parents[node]], ast.ImportFrom)
            self.event(node, found.asname or (found.name if from_module else found.name.partition(".")[0]), write=True)
        yield from ()

    def named(self, node: int) -> _Steps:
        """Bind the name that a pattern or type parameter has, after what is inside."""
        yield from self.children(node)
        found = self.tree.nodes[node]
        name = getattr(found, "rest" if isinstance(found, ast.MatchMapping) else "name", None)
        if name:
            self.event(node, name, write=True)

    def assign(self, node: int) -> _Steps:
        """Evaluate the value, then write the targets; a declaration without a value writes nothing."""
        value = self.children(node, "value")
        yield from value
        for target in self.children(node, "targets", "target"):
            if value or not isinstance(self.tree.nodes[target], ast.Name):
                yield target
        yield from self.children(node, "annotation")

    def aug_assign(self, node: int) -> _Steps:
        """Read the target, evaluate the value, write the target."""
        (target,) = self.children(node, "target")
        found = self.tree.nodes[target]
        if not isinstance(found, ast.Name):
            yield from self.children(node, "target", "value")
            return
        self.event(target, found.id, write=False)
        yield from self.children(node, "value")
        self.event(target, found.id, write=True, first=False)

    # Other bodies

    def define(self, node: int) -> _Steps:
        """Evaluate decorators, defaults, annotations and bases, then bind the name; the body is a flow of its own."""
        yield from self.children(node, "decorator_list", "type_params")
        for arguments in self.children(node, "args"):
            for child in self.tree.children[arguments]:
                yield from self.children(child) if isinstance(self.tree.nodes[child], ast.arg) else (child,)
        yield from self.children(node, "returns", "bases", "keywords")
        if self.flow.live[self.here]:
            self.inner.append(node)
        name = getattr(self.tree.nodes[node], "name", None)
        if name:
            self.event(node, name, write=True)

    def comprehension(self, node: int) -> _Steps:
        """Run the loops of a comprehension, whose targets are variables of its own."""
        generators = self.children(node, "generators")
        yield from self.children(generators[0], "iter")  # outside of the comprehension's scope
        self.scopes.append((node, {name for g in generators for name in self._targets(g)}))
        heads, ends = [], []
        for number, generator in enumerate(generators):
            if number:
                yield from self.children(generator, "iter")
            self.here = self.flow.block(self.here)
            heads.append(self.here)
            ends.append(self.flow.block(self.here))
            self.here = self.flow.block(self.here)
            yield from self.children(generator, "target")
            for test in self.children(generator, "ifs"):
                yield test
                self.flow.connect(self.here, heads[-1])
                self.here = self.flow.block(self.here)
        yield from self.children(node, "key", "value", "elt")
        for head, end in zip(reversed(heads), reversed(ends), strict=True):
            self.flow.connect(self.here, head)
            self.here = end
        self.scopes.pop()

    def _targets(self, generator: int) -> Iterator[str]:
        """Yield the names that a generator of a comprehension binds."""
        pending = self.children(generator, "target")
        while pending:
            target = pending.pop()
            found = self.tree.nodes[target]
            if isinstance(found, (ast.Tuple, ast.List, ast.Starred)):
                pending += self.children(target)
            elif isinstance(found, ast.Name):
                yield found.id

    # Branches

    def branch(self, node: int) -> _Steps:
        """Run one of two branches."""
        yield from self.children(node, "test")
        test = self.here
        self.here = self.flow.block(test)
        yield from self.children(node, "body")
        end = self.here
        self.here = self.flow.block(test)
        yield from self.children(node, "orelse")
        self.here = self.flow.block(end, self.here)

    def short_circuit(self, node: int) -> _Steps:
        """Evaluate operands until the result is known: one of `and` and `or`, two of a chain of comparisons."""
        operands = self.children(node, "values", "left", "comparators")
        sure = 1 if isinstance(self.tree.nodes[node], ast.BoolOp) else 2
        ends = []
        for number, operand in enumerate(operands):
            if number >= sure:
                ends.append(self.here)
                self.here = self.flow.block(self.here)
            yield operand
        self.here = self.flow.block(self.here, *ends)

    def check(self, node: int) -> _Steps:
        """Evaluate the message of an `assert` that fails."""
        yield from self.children(node, "test")
        passed = self.here
        self.here = self.flow.block(passed)
        yield from self.children(node, "msg")
        if self.catch is not None:
            self.flow.connect(self.here, self.catch)
        self.here = self.flow.block(passed)

    def match(self, node: int) -> _Steps:
        """Try the cases one after the other."""
        yield from self.children(node, "subject")
        ends = []
        for case in self.children(node, "cases"):
            failed = self.flow.block()
            for pattern in self.children(case, "pattern"):
                self.fail = None if self._always_matches(pattern) else failed
                yield pattern
            self.fail = None
            for guard in self.children(case, "guard"):
                yield guard
                self.flow.connect(self.here, failed)
                self.here = self.flow.block(self.here)
            yield from self.children(case, "body")
            ends.append(self.here)
            self.here = failed
        self.here = self.flow.block(self.here, *ends)

    def pattern(self, node: int) -> _Steps:
        """Match a pattern, which may fail at its start and after each of its occurrences."""
        if self.fail is not None:
            self.flow.connect(self.here, self.fail)
            self.here = self.flow.block(self.here)
        yield from self.alternatives(node) if isinstance(self.tree.nodes[node], ast.MatchOr) else self.named(node)

    def alternatives(self, node: int) -> _Steps:
        """Match one of several patterns: the first that doesn't fail."""
        *first, last = self.children(node)
        outer, ends = self.fail, []
        for pattern in first:
            self.fail = following = self.flow.block()
            yield pattern
            ends.append(self.here)
            self.here = following
        self.fail = outer
        yield last
        self.here = self.flow.block(self.here, *ends)

    def _always_matches(self, node: int) -> bool:
        """Return whether a pattern is a name or ``_``, or has one as its last alternative."""
        while isinstance(self.tree.nodes[node], (ast.MatchAs, ast.MatchOr)) and self.children(node):
            node = self.children(node)[-1]
        return isinstance(self.tree.nodes[node], ast.MatchAs)

    # Loops and jumps

    def loop(self, node: int) -> _Steps:
        """Run a body again and again, from the test or the next target on."""
        yield from self.children(node, "iter")
        self.here = head = self.flow.block(self.here)
        end = self.flow.block()
        yield from self.children(node, "test")
        test = next((self.tree.nodes[test] for test in self.children(node, "test")), None)
        endless = isinstance(test, ast.Constant) and bool(test.value)
        exhausted = self.flow.block() if endless else self.flow.block(self.here)
        self.here = self.flow.block(self.here)
        yield from self.children(node, "target")
        self.frames.append(_Loop(head, end))
        yield from self.children(node, "body")
        self.frames.pop()
        self.flow.connect(self.here, head)
        self.here = exhausted
        yield from self.children(node, "orelse")
        self.flow.connect(self.here, end)
        self.here = end

    def leave(self, node: int) -> _Steps:
        """Jump, after the value of `return`."""
        yield from self.children(node)
        self.jump(type(self.tree.nodes[node]).__name__.lower())

    def throw(self, node: int) -> _Steps:
        """Raise an exception."""
        yield from self.children(node)
        if self.catch is not None:
            self.flow.connect(self.here, self.catch)
        self.here = self.flow.block()

    # Exceptions

    def guarded(self, node: int) -> _Steps:
        """Run a `try`: an exception may come at its start and after each occurrence in it."""
        outer, handlers, final = self.catch, self.children(node, "handlers"), self.children(node, "finalbody")
        escape = self.flow.block() if final else outer  # where exceptions go that no handler catches
        delay = _Finally(self.flow.block())
        if final:
            self.frames.append(delay)
        self.catch = caught = self.flow.block() if handlers else escape
        self.may_raise()
        yield from self.children(node, "body")
        self.catch = escape
        yield from self.children(node, "orelse")
        ends = [self.here]
        if handlers and caught is not None:
            self.here = caught
        for handler in handlers:
            yield from self._handle(handler, ends, several=type(self.tree.nodes[node]).__name__ == "TryStar")
        if handlers and escape is not None:
            self.flow.connect(self.here, escape)
        self.catch, self.here = outer, self.flow.block(*ends)
        if final and escape is not None:
            self.frames.pop()
            yield from self._finish(final, delay, escape)

    def _handle(self, handler: int, ends: list[int], *, several: bool) -> _Steps:
        """Run a handler if the exception is of its type; `several` handlers may run for a group of exceptions."""
        kind = self.children(handler, "type")
        yield from kind
        unmatched = self.flow.block(self.here) if kind else self.flow.block()
        self.here = self.flow.block(self.here)
        name = getattr(self.tree.nodes[handler], "name", None)
        if name:
            self.event(handler, name, write=True)
        yield from self.children(handler, "body")
        ends.append(self.here)
        if several:
            self.flow.connect(self.here, unmatched)
        self.here = unmatched

    def _finish(self, final: list[int], delay: _Finally, escape: int) -> _Steps:
        """Run `finally`, and from its end on go wherever the flow that entered it was going."""
        normal = self.here
        self.flow.connect(normal, delay.entry)
        self.flow.connect(escape, delay.entry)
        self.here = delay.entry
        yield from final
        end = self.here
        if self.flow.live[escape] and self.catch is not None:
            self.flow.connect(end, self.catch)
        for kind in sorted(delay.pending):
            self.here = end
            self.jump(kind)
        self.here = self.flow.block(end) if self.flow.live[normal] else self.flow.block()


_PATTERNS = ("Value", "Singleton", "Sequence", "Mapping", "Class", "Star", "As", "Or")
_VISITORS: dict[str, Callable[[_Body, int], _Steps]] = {
    "Name": _Body.name,
    "alias": _Body.alias,
    "Assign": _Body.assign,
    "AnnAssign": _Body.assign,
    "NamedExpr": _Body.assign,
    "AugAssign": _Body.aug_assign,
    "If": _Body.branch,
    "IfExp": _Body.branch,
    "BoolOp": _Body.short_circuit,
    "Compare": _Body.short_circuit,
    "Assert": _Body.check,
    "Match": _Body.match,
    "Raise": _Body.throw,
    **dict.fromkeys(("TypeVar", "ParamSpec", "TypeVarTuple"), _Body.named),
    **dict.fromkeys([f"Match{name}" for name in _PATTERNS], _Body.pattern),
    **dict.fromkeys((*_FUNCTIONS, "ClassDef"), _Body.define),
    **dict.fromkeys(_COMPREHENSIONS, _Body.comprehension),
    **dict.fromkeys(("For", "AsyncFor", "While"), _Body.loop),
    **dict.fromkeys(("Return", "Break", "Continue"), _Body.leave),
    **dict.fromkeys(("Try", "TryStar"), _Body.guarded),
}
