"""Data flow of ``from_code`` against an interpreter that follows all paths through a program."""

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

from graphseq.convert import EDGES, from_code

NAMES = "abc"
SIMPLE = (
    "{n} = {e}", "{n} += {e}", "{n}, {m} = {e}", "{n}: {e}", "{n}: {m} = {e}", "del {n}", "{e}", "{n}[{m}] = {e}",
    "assert {e}, {m}", "raise {e}", "return {e}", "import {n}.x", "from x import y as {n}", "f({n}={e}, *{m})",
    "{n}.x += {e}", "print({e}, (lambda {m}: {e})({n}))",
)  # fmt: skip
EXPRESSIONS = (
    "{n}", "({e} + {f})", "({e} and {f})", "({e} or {f} or {n})", "({e} if {n} else {f})", "({n} < {e} < {f})",
    "({n} := {e})", "[{e} for {n} in {f} if {m}]", "{{{n}: {m} for {n} in {m} for {m} in {e}}}",
)  # fmt: skip


@st.composite
def expressions(draw, depth=2):
    form = draw(st.sampled_from(EXPRESSIONS)) if depth else "{n}"
    inner = {k: draw(expressions(depth - 1)) if f"{{{k}}}" in form else "" for k in "ef"}
    n, m = draw(st.permutations(NAMES))[:2]
    return form.format(**inner, n=n, m=m)


COMPOUND = ("if", "while", "for", "try", "finally", "star", "with", "match", "def", "class")


@st.composite
def programs(draw):
    """A program with few kinds of statements, so that each often is inside of each other."""
    few = st.lists(st.sampled_from(COMPOUND), min_size=2, max_size=3, unique=True)
    return draw(blocks(3, False, draw(st.just(["while", "finally", "try"]) | few)))


@st.composite
def blocks(draw, depth, loop, compound):
    lines = [line for _ in range(draw(st.integers(1, 3))) for line in draw(statements(depth, loop, compound))]
    return [f" {line}" for line in lines]


@st.composite
def statements(draw, depth, loop, compound):
    def body(inner=loop):
        return draw(blocks(depth - 1, inner, compound))

    def maybe(head, inner=loop):
        return [head, *body(inner)] if draw(st.booleans()) else []

    e, (n, m, _) = draw(expressions()), draw(st.permutations(NAMES))
    kinds = ["simple"] * 2 + ["jump"] * 2 * loop + compound * (depth > 0)
    match draw(st.sampled_from(kinds)):
        case "simple":
            f, g = draw(expressions(1)), draw(st.sampled_from(SIMPLE))
            return [g.format(n=n, m=m, e=f)]
        case "jump":
            return [draw(st.sampled_from(["break", "continue"]))]
        case "if":
            return [f"if {e}:", *body(), *maybe("else:")]
        case "while":
            return [draw(st.sampled_from([f"while {e}:", "while True:"])), *body(True), *maybe("else:")]
        case "for":
            return [f"for {n} in {e}:", *body(True), *maybe("else:")]
        case "try":
            types = [f"except {e} as {n}:", *body(), *maybe(f"except {m}:"), *maybe("except:")]
            return ["try:", *body(), *types, *maybe("else:"), *maybe("finally:")]
        case "finally":
            return ["try:", *body(), "finally:", *body()]
        case "star":
            return ["try:", *body(), f"except* {e} as {n}:", *body(False), *maybe(f"except* {m}:", False)]
        case "with":
            return [f"with {e} as {n}, {m}:", *body()]
        case "match":
            patterns = (f"{n}.x", f"[{n}, {m}.y]", f"{n}.x | {m}.x", f"[{n}] | {m}.x, {n}", f"{n} if {e}", "_")
            cases = draw(st.lists(st.sampled_from(patterns[:-1]), min_size=1, max_size=2)) + ["_"] * draw(st.booleans())
            return [f"match {e}:", *(line for case in cases for line in [f" case {case}:", *(f" {x}" for x in body())])]
        case "def":
            return [f"def {n}({m}={e}):", *body(False)]
        case "class":
            return [f"class {n}({e}):", *body(False)]


class Interpreter:
    """Follows one variable along all paths; a state is (last read, last write), each a node or None."""

    def __init__(self, variable):
        self.variable, self.edges = variable, set()
        self.variables = set()  # all that occur
        self.raised = None  # collects the states in which an exception comes
        self.failed = None  # collects the states in which a pattern fails
        self.renamed = []  # the comprehensions around, with the names that they have for themselves
        self.bodies = []

    def occur(self, node, name, states, write, first=True):
        owner = next((node for names, node in reversed(self.renamed) if name in names), None)
        self.variables.add((name, owner))
        if self.variable == (name, owner):
            if first:
                self.edges |= {(node, kind, s[kind]) for s in states for kind in (0, 1) if s[kind] is not None}
            states = {(s[0], node) if write else (node, s[1]) for s in states}
        for collected in (self.raised, self.failed):
            if collected is not None:
                collected |= states
        return states

    # Expressions: states → states

    def values(self, nodes, states):
        for node in nodes:
            states = self.value(node, states)
        return states

    def value(self, node, states):
        match node:
            case None:
                return states
            case ast.Name():
                return self.occur(node, node.id, states, not isinstance(node.ctx, ast.Load))
            case ast.NamedExpr():
                return self.values([node.value, node.target], states)
            case ast.BoolOp():
                out = states = self.value(node.values[0], states)
                for operand in node.values[1:]:
                    states = self.value(operand, states)
                    out = out | states
                return out
            case ast.Compare():
                out = states = self.values([node.left, node.comparators[0]], states)
                for operand in node.comparators[1:]:
                    states = self.value(operand, states)
                    out = out | states
                return out
            case ast.IfExp():
                states = self.value(node.test, states)
                return self.value(node.body, states) | self.value(node.orelse, states)
            case ast.Lambda():
                self.bodies += [(node.args.args, node.body)] * bool(states)
                return self.values(node.args.defaults, states)
            case ast.ListComp() | ast.DictComp():
                return self.comprehension(node, states)
            case _:
                parts = sorted((n for n in ast.iter_child_nodes(node) if hasattr(n, "lineno")), key=place)
                return self.values(parts, states)

    def comprehension(self, node, states):
        first, *rest = node.generators
        states = self.value(first.iter, states)
        own = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        self.renamed.append((own, node))
        results = [node.elt] if isinstance(node, ast.ListComp) else [node.key, node.value]
        out = self.generate([first, *rest], results, states, fresh=False)
        self.renamed.pop()
        return out

    def generate(self, generators, results, states, fresh=True):
        if not generators:
            return self.values(results, states)
        generator, *rest = generators
        if fresh:
            states = self.value(generator.iter, states)
        while True:
            inside = self.value(generator.target, states)
            skipped = set()
            for test in generator.ifs:
                inside = self.value(test, inside)
                skipped |= inside
            more = states | skipped | self.generate(rest, results, inside)
            if more == states:
                return states
            states = more

    # Statements: states → {outcome: states}

    def block(self, body, states):
        out = {"next": states}
        for statement in body:
            if not out["next"]:
                break
            out = merge(out | {"next": set()}, self.statement(statement, out["next"]))
        return out

    def statement(self, node, states):
        match node:
            case ast.Assign():
                return {"next": self.values([node.value, *node.targets], states)}
            case ast.AnnAssign():
                target = [node.target] if node.value else []
                return {"next": self.values([node.value, *target, node.annotation], states)}
            case ast.AugAssign(target=ast.Name()):
                states = self.occur(node.target, node.target.id, states, False)
                states = self.value(node.value, states)
                return {"next": self.occur(node.target, node.target.id, states, True, first=False)}
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    states = self.occur(alias, alias.asname or alias.name.split(".")[0], states, True)
                return {"next": states}
            case ast.Assert():
                passed = self.value(node.test, states)
                failing = self.value(node.msg, passed)
                return merge({"next": passed}, self.throw(failing))
            case ast.Raise():
                return self.throw(self.value(node.exc, states))
            case ast.Return():
                return {"next": set(), "return": self.value(node.value, states)}
            case ast.Break() | ast.Continue():
                return {"next": set(), type(node).__name__: states}
            case ast.If():
                states = self.value(node.test, states)
                return merge(self.block(node.body, states), self.block(node.orelse, states))
            case ast.While() | ast.For():
                return self.loop(node, states)
            case ast.With():
                for item in node.items:
                    states = self.values([item.context_expr, item.optional_vars], states)
                return self.block(node.body, states)
            case ast.Try() | ast.TryStar():
                return self.guarded(node, states)
            case ast.Match():
                return self.match(node, states)
            case ast.FunctionDef():
                self.bodies.append((node.args.args, node.body))
                return {"next": self.occur(node, node.name, self.values(node.args.defaults, states), True)}
            case ast.ClassDef():
                self.bodies.append(([], node.body))
                return {"next": self.occur(node, node.name, self.values(node.bases, states), True)}
            case _:
                return {"next": self.value(node, states)}

    def throw(self, states):
        if self.raised is not None:
            self.raised |= states
        return {"next": set()}

    def loop(self, node, states):
        states = self.value(getattr(node, "iter", None), states)
        while True:
            tested = self.value(getattr(node, "test", None), states)
            out = self.block(node.body, self.value(getattr(node, "target", None), tested))
            more = states | out["next"] | out.pop("Continue", set())
            if more == states:
                break
            states = more
        endless = isinstance(getattr(node, "test", None), ast.Constant)
        after = self.block(node.orelse, set() if endless else tested)
        after["next"] = after["next"] | out.pop("Break", set())
        return merge(out | {"next": set()}, after)

    def guarded(self, node, states):
        outer = self.raised
        escaped = set() if node.finalbody else outer
        self.raised = caught = set() if node.handlers else escaped
        if caught is not None:
            caught |= states
        out = self.block(node.body, states)
        self.raised = escaped
        out = merge(out | {"next": set()}, self.block(node.orelse, out["next"]))
        for handler in node.handlers if caught else ():
            caught = self.value(handler.type, caught)
            handled = self.occur(handler, handler.name, caught, True) if handler.name else caught
            done = self.block(handler.body, handled)
            out = merge(out, done)
            caught = set() if handler.type is None else caught
            caught = caught | done["next"] if isinstance(node, ast.TryStar) else caught
        if node.handlers and escaped is not None:
            escaped |= caught
        self.raised = outer
        if not node.finalbody:
            return out
        entered = escaped.union(*out.values())
        final = self.block(node.finalbody, entered)
        if outer is not None and escaped:
            outer |= final["next"]
        return merge({k: final["next"] if s else set() for k, s in out.items()}, final | {"next": set()})

    def match(self, node, states):
        states, out = self.value(node.subject, states), {"next": set()}
        for case in node.cases:
            matched, failed = self.pattern(case.pattern, states)
            if case.guard:
                matched = self.value(case.guard, matched)
                failed = failed | matched
            out = merge(out, self.block(case.body, matched))
            states = failed
        return merge(out, {"next": states})

    def pattern(self, node, states):
        """Return the states in which it matches, and those in which it fails."""
        outer, self.failed = self.failed, set()
        match node:
            case ast.MatchOr():
                matched, rest = set(), states
                for alternative in node.patterns:
                    more, rest = self.pattern(alternative, rest)
                    matched = matched | more
                failed = rest
            case ast.MatchAs():
                matched, failed = (self.occur(node, node.name, states, True) if node.name else states), set()
            case ast.MatchValue():
                matched = self.value(node.value, states)
                failed = self.failed | states
            case ast.MatchSequence():
                matched, failed = states, set(states)
                for part in node.patterns:
                    matched, more = self.pattern(part, matched)
                    failed |= more | matched  # the sequence may fail after an occurrence that can't
        self.failed = outer
        return matched, failed


def merge(*outcomes):
    kinds = {kind for out in outcomes for kind in out}
    return {kind: set().union(*(out.get(kind, set()) for out in outcomes)) for kind in kinds}


def place(node):
    return node.lineno, node.col_offset


def interpret(text):
    """Return the edges (node, kind, earlier) of a program, all bodies and variables one by one."""
    edges, bodies = set(), [([], ast.parse(text).body)]
    while bodies:
        arguments, body = bodies.pop()
        variables, done, inner = {None}, set(), {}
        while variables - done:
            variable = (variables - done).pop()
            done.add(variable)
            run = Interpreter(variable)
            states = {(None, None)}
            for argument in arguments:
                states = run.occur(argument, argument.arg, states, True)
            run.value(body, states) if isinstance(body, ast.expr) else run.block(body, states)
            variables |= run.variables
            edges |= run.edges
            inner |= {id(found[1]): found for found in run.bodies}
        bodies += inner.values()
    return edges


def places(text, edges):
    return {(kind, *((type(n).__name__, *place(n)) for n in pair)) for n, kind, e in edges for pair in [(n, e)]}


def converted(text):
    """The same from the converter: its nodes of a kind are in the order of their places."""
    code = from_code(text, edges=["last_use", "last_write"])
    by_kind = {}
    for node in ast.walk(ast.parse(text)):
        if hasattr(node, "lineno"):
            by_kind.setdefault(type(node).__name__, []).append(place(node))
    queues = {kind: iter(sorted(found)) for kind, found in by_kind.items()}
    name = [(kind, *next(queues[kind])) if kind in ("Name", "arg", "alias", "ExceptHandler", "MatchAs", "FunctionDef",
            "ClassDef") else None for kind in code.kinds]  # fmt: skip
    kinds = (EDGES.index("last_use"), EDGES.index("last_write"))
    rows = zip(code.edge_type.tolist(), *code.edge_index.tolist(), strict=True)
    return {(kinds.index(t), name[a], name[b]) for t, a, b in rows if t in kinds}


@settings(max_examples=80, deadline=None)
@given(programs())
def test_data_flow_is_that_of_all_paths(lines):
    text = "if z:\n" + "\n".join(lines)
    truth = interpret(text)
    assert converted(text) == places(text, truth)
