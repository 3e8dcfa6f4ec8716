import ast
import collections
import sys
import textwrap
import types
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import graphseq as gs
from graphseq import nn
from graphseq.convert import EDGES, KINDS, from_code, split_identifier, syntax_tree
from graphseq.errors import GraphError

LIBRARY = [collections.__file__, textwrap.__file__, ast.__file__]


def pairs(code, name, backward=False):
    found = code.edge_index[:, code.edge_type == EDGES.index(name) + len(EDGES) * backward]
    return list(zip(*found.tolist(), strict=True))


def named(code, name):
    """The edges of a kind between tokens, each with the line that it is in."""
    label = [f"{token}{line}" for token, (line, _) in zip(code.tokens, code.lines.tolist(), strict=True)]
    return {(label[a], label[b]) for a, b in pairs(code, name)}


def numbered(text):
    """The edges of last use and last write of a program with one occurrence of a variable a line."""
    code = from_code(text, edges=["last_use", "last_write"])
    return named(code, "last_use"), named(code, "last_write")


@pytest.mark.parametrize("path", LIBRARY)
def test_is_the_tree_of_syntax_tree(path):
    code, tree = from_code(Path(path)), syntax_tree(Path(path))
    assert code.kinds == [KINDS[k] for k in tree.kind.tolist()]
    assert torch.equal(code.edge_index, tree.edge_index)
    assert gs.Topology.from_data(code) == gs.Topology.from_data(tree)
    assert code.edge_type.tolist() == [0] * (code.num_nodes - 1)


def test_fields_tokens_and_lines():
    code = from_code("@d\ndef getMax(x: int = 1):\n    return x.maxSize2[\n        'a']")
    assert code.kinds == ["Module", "FunctionDef", "Name", "arguments", "arg", "Name", "Constant", "Return",
                          "Subscript", "Attribute", "Name", "Constant"]  # fmt: skip
    assert code.fields == ["", "body", "decorator_list", "args", "args", "annotation", "defaults", "body", "value",
                           "value", "value", "slice"]  # fmt: skip
    assert code.tokens == ["", "getMax", "d", "", "x", "int", "1", "", "", "maxSize2", "x", "'a'"]
    assert code.subtokens[1] == ["get", "max"] and code.subtokens[9] == ["max", "size", "2"]
    assert code.subtokens[6] == code.subtokens[11] == code.subtokens[0] == []
    assert code.lines.tolist() == [[1, 4], [1, 4], [1, 1], [2, 2], [2, 2], [2, 2], [2, 2], [3, 4], [3, 4], [3, 3],
                                   [3, 3], [4, 4]]  # fmt: skip
    assert code.edge_index.dtype == code.edge_type.dtype == code.lines.dtype == torch.int64


@pytest.mark.parametrize("path", LIBRARY)
def test_a_node_contains_the_lines_of_its_children(path):
    code = from_code(Path(path))
    first, last = code.lines.T
    child, parent = code.edge_index
    assert (first[parent] <= first[child]).all() and (last[child] <= last[parent]).all() and (first >= 1).all()


def test_nodes_without_a_place_have_that_of_their_children_or_parent():
    code = from_code("x = (1\n+ 2)\ny = [a\nfor a in b]")
    assert code.lines[code.kinds.index("Add")].tolist() == [1, 2]
    assert code.lines[code.kinds.index("comprehension")].tolist() == [4, 4]
    assert from_code("").lines.tolist() == [[1, 1]] and from_code("").edge_index.shape == (2, 0)
    assert from_code(ast.Name("x", ast.Load())).lines.tolist() == [[0, 0]]


def test_names_of_imports_and_declarations():
    code = from_code("import a.bC as d\nfrom ..e import f\nfrom . import g\nglobal h, iJ")
    assert [t for t in code.tokens if t] == ["a.bC as d", "..e", "f", ".", "g", "h iJ"]
    assert [s for s in code.subtokens if s] == [["a", "b", "c", "d"], ["e"], ["f"], ["g"], ["h", "i", "j"]]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("parseHTTPResponse2", "parse http response 2"),
        ("HTTP", "http"),
        ("getX", "get x"),
        ("__init__", "init"),
        ("MAX_SIZE", "max size"),
        ("x2y", "x 2 y"),
        ("ÉtatDuMonde", "état du monde"),
        ("变量_名", "变量 名"),
        ("e\u0301te\u0301B", "e\u0301te\u0301 b"),
        ("_", ""),
        ("", ""),
        ("$jQuery", "j query"),
    ],
)
def test_identifiers_are_split(name, parts):
    assert split_identifier(name) == parts.split()


@given(st.text())
def test_the_parts_of_an_identifier_are_its_letters_and_digits(name):
    kept = "".join(split_identifier(name))
    assert [c for c in kept if c.isalnum()] == [c for c in name.lower() if c.isalnum()] or name.lower() != name
    assert not any(part == "" or "_" in part for part in split_identifier(name))


def test_results_are_not_shared():
    split_identifier("aB").append("c")
    assert split_identifier("aB") == ["a", "b"]
    code = from_code("aB = aB")
    code.subtokens[2].append("c")
    assert code.subtokens[3] == from_code("aB").subtokens[2] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("a.b.c(d)", "a b c d"),
        ("@a\ndef b(c, d=1):\n    e", "a b c d 1 e"),
        ("@a\nclass b(c): d", "a b c d"),
        ("try: a\nexcept b as c: d", "a b c d"),
        ("{a: b, **c}", "a b c"),
        ("a if b else c", "a b c"),
        ("match a:\n    case {1: b, **c}: d", "a 1 b c d"),
        ("match a:\n    case [b] as c: d", "a b c d"),
        ("f(a, b=c)", "f a b c"),
    ],
)
def test_next_tokens_are_in_the_order_of_the_source(text, order):
    code = from_code(text, edges=["next_token"])
    found = pairs(code, "next_token")
    follows = dict(found)
    start = (set(follows) - set(follows.values())).pop()
    tokens = [code.tokens[start]]
    while start in follows:
        start = follows.pop(start)
        tokens.append(code.tokens[start])
    assert tokens == order.split()


def test_next_siblings():
    code = from_code("a = b\nc(d, e)", edges=["next_sibling"])
    assert {(code.kinds[a], code.kinds[b]) for a, b in pairs(code, "next_sibling")} == {
        ("Assign", "Expr"), ("Name", "Name"),
    }  # fmt: skip
    assert len(pairs(code, "next_sibling")) == 1 + 1 + 2


def test_edges_of_the_paper():
    """The example of Figure 2 in Allamanis et al. 2018."""
    code = from_code(
        "x,\\\n y = Foo()\nwhile (x\n > 0): x = (x +\n y)", edges=["last_use", "last_write", "computed_from"]
    )
    assert named(code, "last_write") == {("x3", "x1"), ("x3", "x4"), ("x4", "x1"), ("x4", "x4"), ("y5", "y2")}
    assert named(code, "last_use") == {("x3", "x4"), ("x4", "x3"), ("x4", "x4"), ("y5", "y5")}
    assert named(code, "computed_from") == {("x1", "Foo2"), ("y2", "Foo2"), ("x4", "x4"), ("x4", "y5")}


@pytest.mark.parametrize(
    ("text", "use", "write"),
    [
        ("if 0:\n x = 1\nelse:\n x = 2\nx", set(), {("x5", "x2"), ("x5", "x4")}),
        ("x = 1\nif 0:\n x = 2\nx", set(), {("x3", "x1"), ("x4", "x1"), ("x4", "x3")}),
        ("x = 1\nreturn\nx", set(), set()),
        ("while True:\n x\nx", {("x2", "x2")}, set()),
        ("while True:\n x\n break\nx", {("x4", "x2")}, set()),
        ("x = 1\ndef f():\n x\nx", set(), {("x4", "x1")}),
        ("def f(x):\n x\n return lambda: x", set(), {("x2", "x1")}),
        ("try:\n x = 0\nfinally:\n x\nx", {("x5", "x4")}, {("x4", "x2"), ("x5", "x2")}),
        ("try:\n x = 0\nexcept:\n x\nx", {("x5", "x4")}, {("x4", "x2"), ("x5", "x2")}),
        ("for _ in 0:\n try:\n  x\n  break\n finally:\n  x\nx", {("x6", "x3"), ("x7", "x6")}, set()),
        ("x = [\nx\nfor\nx in\nx]", {("x2", "x2"), ("x4", "x2"), ("x1", "x5")}, {("x2", "x4"), ("x4", "x4")}),
        ("import x\ndel x\nx", set(), {("x2", "x1"), ("x3", "x2")}),
        ("x: int\nx", set(), set()),
    ],
)
def test_data_flow_of_small_programs(text, use, write):
    assert numbered(text) == (use, write)


def test_edges_are_types_beside_the_tree():
    text = Path(textwrap.__file__)
    tree, code = from_code(text), from_code(text, edges=EDGES[1:], backward=True)
    count = tree.num_nodes - 1
    assert torch.equal(code.edge_index[:, :count], tree.edge_index)
    assert code.edge_type.unique().tolist() == list(range(2 * len(EDGES)))
    for name in EDGES:
        assert [(b, a) for a, b in pairs(code, name)] == pairs(code, name, backward=True)
    one = from_code(text, edges=["last_use"])
    assert pairs(one, "last_use") == pairs(code, "last_use") == sorted(set(pairs(one, "last_use")))
    assert one.edge_type.unique().tolist() == [0, EDGES.index("last_use")]


def test_one_function_is_a_tree_for_a_sweep_and_a_graph_for_rounds():
    code = from_code("def double(x):\n    return 2 * x", edges=EDGES[1:], backward=True)
    x = torch.randn(code.num_nodes, 4)
    tree = gs.Topology.from_edge_index(code.edge_index[:, code.edge_type == 0], num_nodes=code.num_nodes)
    assert nn.TreeLSTM(4, 5)(x, tree)[0].shape == (code.num_nodes, 5)
    relations = nn.RGCNConv(4, 5, num_relations=2 * len(EDGES))
    assert relations(x, code.edge_index, code.edge_type).shape == (code.num_nodes, 5)


def test_deep_trees_need_no_recursion():
    depth = 20_000
    node: ast.expr = ast.Name("x", ast.Load())
    for _ in range(depth):
        node = ast.BoolOp(ast.And(), [node, ast.Name("x", ast.Load())])
    code = from_code(node, edges=["next_token", "next_sibling"])
    assert code.num_nodes == 3 * depth + 1 and len(pairs(code, "next_token")) == depth
    flow = from_code(node.values[0], edges=["last_write", "computed_from"])
    assert flow.edge_type.unique().tolist() == [0]
    while isinstance(node, ast.BoolOp):  # take it apart from the top: Python's own way is recursive
        node = node.values[0]


def test_nesting_that_python_parses():
    text = "".join(f"{' ' * i}if x:\n" for i in range(99)) + " " * 99 + "x"
    code = from_code(text, edges=["last_use"])
    assert code.num_nodes == 99 * 2 + 3 and len(pairs(code, "last_use")) == 99


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("x = 1\ny = = 2", 2, 5),
        ("x = 1\r\ny = '\0'", 2, 6),
        ("(" * 5000, 1, 201),
        ("x = 1\n" + "-" * 5000 + "x", 2, 5001),
        ("x = 1\ny = \ud800", 2, 5),
        (b"x = 1\ny = '\xff'", 2, 6),
        ("x = 'é'\ny = 'é\xff".encode("latin-1"), 1, 6),
        (b"# coding: ascii\nx = '\xc3\xa9'", 2, 6),
        (b"# coding: nonsense\nx", 1, 1),
        (b"\xff\xfex\0", 1, 1),
    ],
)
def test_errors_name_line_and_column(source, line, column, tmp_path):
    with pytest.raises(GraphError, match=rf"`source`: expected Python source, got .* in line {line}, column {column}$"):
        from_code(source)
    if isinstance(source, bytes):
        path = tmp_path / "a.py"
        path.write_bytes(source)
        with pytest.raises(GraphError, match=rf"a\.py, line {line}, column {column}: "):
            from_code(path)


def test_the_place_where_nesting_becomes_too_deep():
    text = "x = 1\ny = " + "+".join(["x"] * 20_000) + "\nz = 3"
    with pytest.raises(GraphError, match=r"too deep for Python's parser in line 2, column (\d+)$") as caught:
        from_code(text)
    column = int(str(caught.value).rsplit(" ", 1)[1])
    count = (column - 4) // 2  # the operands up to there; the limit depends on the depth of Python's own stack too
    ast.parse("+".join(["x"] * (count - 500)))
    with pytest.raises(RecursionError):
        ast.parse("+".join(["x"] * (count + 500)))


@pytest.mark.parametrize(
    "content",
    [
        "# -*- coding: latin-1 -*-\nname = 'é'".encode("latin-1"),
        "\ufeffa = 1\nname = 'é'".encode(),
        "a = 1\r\nname = 'é'\r\n".encode(),
        "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nname = 'é'".encode("cp1252"),
        "a = 1\rname = 'é'".encode(),
    ],
)
def test_encodings(content, tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes(content)
    for source in (content, path):
        code = from_code(source)
        assert code.tokens[-2:] == ["name", "'é'"]
        assert code.lines[-1].tolist() == [content.count(b"\n") + content.count(b"\r\n") * -1 + content.count(b"\r")
                                           + (not content.endswith(b"\n"))] * 2  # fmt: skip


def test_text_with_a_coding_line_or_a_byte_order_mark_is_text():
    assert from_code("# coding: ascii\nx = 'é'").tokens[-1] == "'é'"
    assert from_code("\ufeffx").tokens[-1] == "x"


def test_numbers_too_long_for_decimal():
    assert from_code("0x1" + "0" * 5000).tokens[-1] == "0x1" + "0" * 5000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": 1}, "`source`: expected Python source as a string, bytes or pathlib.Path, or an ast node, got 1"),
        ({"source": Path("missing.py")}, "missing.py: cannot be read"),
        ({"edges": "next_token"}, "`edges`: expected a list of"),
        ({"edges": ["parent"]}, "`edges`: expected a list of .*, got 'parent'"),
        ({"edges": [1]}, "`edges`: expected a list of .*, got 1"),
        ({"language": None}, "`language`: expected the name of a language, as \"python\", got None"),
        ({"language": "no/such"}, "`language`: expected the name of a language in letters and digits"),
        ({"language": "no-such"}, "pip install tree-sitter tree-sitter-no-such"),
        (
            {"language": "rust", "edges": ["last_use"]},
            'list of "child", "next_token", "next_sibling" for rust, got \'last_use\'',
        ),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(GraphError, match=message):
        from_code(**{"source": "x"} | options)


# Other languages: against a parser that knows one program, and against tree-sitter's where it is installed

PROGRAM = b"// a\nlet maxSize = x + ''"


class Fake:
    """A node, and a cursor over the nodes below it, of a parser that knows only PROGRAM."""

    def __init__(self, kind, start=0, end=0, children=(), field=None, named=True, wrong=""):
        self.type, self.start_byte, self.end_byte, self.children = kind, start, end, children
        self.field, self.is_named, self.is_extra = field, named, kind == "comment"
        self.child_count, self.is_error, self.is_missing = len(children), wrong == "error", wrong == "missing"
        self.has_error = bool(wrong) or any(child.has_error for child in children)
        self.start_point, self.end_point = ((PROGRAM[:at].count(b"\n"), 0) for at in (start, end))

    def walk(self):
        return Cursor(self)


class Cursor:
    def __init__(self, root):
        self.path = [(root, iter(()))]

    @property
    def node(self):
        return self.path[-1][0]

    @property
    def field_name(self):
        return self.node.field

    def goto_first_child(self):
        siblings = iter(self.node.children)
        child = next(siblings, None)
        if child is not None:
            self.path.append((child, siblings))
        return child is not None

    def goto_next_sibling(self):
        siblings = self.path[-1][1]
        node = next(siblings, None)
        if node is not None:
            self.path[-1] = (node, siblings)
        return node is not None

    def goto_parent(self):
        if len(self.path) > 1:
            self.path.pop()
            return True
        return False


@pytest.fixture
def fake(monkeypatch):
    """A function that gives the fake parser its answer."""

    def install(root):
        tree = types.SimpleNamespace(root_node=root, walk=root.walk)
        parser = types.SimpleNamespace(parse=lambda data: tree)
        package = types.SimpleNamespace(Language=lambda pointer: pointer, Parser=lambda language: parser)
        monkeypatch.setitem(sys.modules, "tree_sitter", package)
        monkeypatch.setitem(sys.modules, "tree_sitter_toy_lang", types.SimpleNamespace(language=lambda: 1))

    return install


def sum_of(*wrong):
    text = Fake("string", 23, 25, [Fake("'", named=False), Fake("'", named=False)], field="right")
    plus = Fake("+", 21, 22, field="operator", named=False)
    value = Fake("binary", 19, 25, [Fake("identifier", 19, 20, field="left"), plus, text, *wrong], field="value")
    name = Fake("identifier", 9, 16, field="name")
    declaration = Fake("declaration", 5, 25, [Fake("let", named=False), name, Fake("=", named=False), value])
    return Fake("program", 0, 25, [Fake("comment", 0, 4), declaration])


def test_another_language(fake):
    fake(sum_of())
    code = from_code(PROGRAM, language="toy-lang", edges=["next_token", "next_sibling"])
    assert code.kinds == ["program", "declaration", "identifier", "binary", "identifier", "+", "string"]
    assert code.fields == ["", "", "name", "value", "left", "operator", "right"]
    assert code.tokens == ["", "", "maxSize", "", "x", "", ""]
    assert code.subtokens[2] == ["max", "size"]
    assert code.edge_index[:, code.edge_type == 0].tolist() == [[1, 2, 3, 4, 5, 6], [0, 1, 1, 3, 3, 3]]
    assert pairs(code, "next_token") == [(2, 4)] and pairs(code, "next_sibling") == [(2, 3), (4, 5), (5, 6)]
    assert code.lines.tolist() == [[1, 2]] + [[2, 2]] * 6


@pytest.mark.parametrize(("wrong", "what"), [("error", "a syntax error"), ("missing", "a missing ';'")])
def test_an_error_in_another_language(fake, wrong, what, tmp_path):
    fake(sum_of(Fake(";", 25, 25, wrong=wrong)))
    with pytest.raises(GraphError, match=f"expected source code in toy-lang, got {what} in line 2, column 21$"):
        from_code(PROGRAM.decode(), language="toy-lang")
    (tmp_path / "a.toy").write_bytes(PROGRAM)
    with pytest.raises(GraphError, match=rf"a\.toy, line 2, column 21: {what}$"):
        from_code(tmp_path / "a.toy", language="toy-lang")
    with pytest.raises(GraphError, match=r"bytes that are not utf-8 in line 2, column 2$"):
        from_code(b"\n\xc3\xa9\xff", language="toy-lang")
    with pytest.raises(GraphError, match=r"half of a surrogate pair in line 1, column 2$"):
        from_code("é\ud800", language="toy-lang")


def test_a_grammar_without_a_language(monkeypatch):
    monkeypatch.setitem(sys.modules, "tree_sitter", types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "tree_sitter_toy", types.SimpleNamespace())
    with pytest.raises(
        GraphError, match="`language`: expected a grammar with a function `language`, or `language_toy`"
    ):
        from_code("x", language="toy")


def test_javascript():
    pytest.importorskip("tree_sitter_javascript")
    code = from_code(
        "// é\nconst aB = {x: ''};\nif (aB.x !== 1) { f(`é${aB}`); }", language="javascript", edges=["next_token"]
    )
    assert [t for t in code.tokens if t] == ["aB", "x", "aB", "x", "1", "f", "é", "aB"]
    assert code.kinds[:4] == ["program", "lexical_declaration", "const", "variable_declarator"]
    assert code.fields[2] == "kind" and "!==" in code.kinds and "comment" not in code.kinds
    assert len(pairs(code, "next_token")) == 7
    with pytest.raises(GraphError, match=r"in line 2, column \d+$"):
        from_code("a;\nconst é = = 3", language="javascript")
    assert from_code("", language="javascript").num_nodes == 1
    deep = from_code("(" * 5000 + "x" + ")" * 5000, language="javascript")
    assert deep.num_nodes == 5003 and gs.Topology.from_data(deep).num_levels == 5003
