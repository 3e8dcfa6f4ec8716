import ast
import collections
import hashlib
import textwrap
from pathlib import Path

import pytest
import torch

from graphseq.convert import KINDS, NAME, Vocabulary, encode_tokens, syntax_tree
from graphseq.errors import GraphError

LIBRARY = [collections.__file__, textwrap.__file__, ast.__file__]


def kinds(tree):
    return [KINDS[k] for k in tree.kind.tolist()]


def named(text):
    """The tokens of a piece of source from left to right, those of constants but no empty ones."""
    return [token for token in syntax_tree(text).tokens if token]


@pytest.mark.parametrize("path", LIBRARY)
def test_has_the_nodes_that_ast_walks_over(path):
    text = Path(path).read_text(encoding="utf-8")
    tree = syntax_tree(text)
    walked = [n for n in ast.walk(ast.parse(text)) if not isinstance(n, ast.expr_context)]
    assert collections.Counter(kinds(tree)) == collections.Counter(type(n).__name__ for n in walked)
    names = collections.Counter(n.id for n in walked if isinstance(n, ast.Name))
    assert (
        collections.Counter(token for token, kind in zip(tree.tokens, kinds(tree), strict=True) if kind == "Name")
        == names
    )


@pytest.mark.parametrize("path", LIBRARY)
def test_is_a_tree_in_preorder(path):
    tree = syntax_tree(Path(path).read_text(encoding="utf-8"))
    child, parent = tree.edge_index.tolist()
    assert child == list(range(1, tree.num_nodes))
    open_nodes = [0]  # a node's parent is on the path to the node before it
    for v, p in zip(child, parent, strict=True):
        while open_nodes[-1] != p:
            open_nodes.pop()
        open_nodes.append(v)


def test_fields_of_a_small_tree():
    tree = syntax_tree("x = f(y, 2)", vocabulary=Vocabulary(("y", "<int>")))
    assert kinds(tree) == ["Module", "Assign", "Name", "Call", "Name", "Name", "Constant"]
    assert tree.tokens == ["", "", "x", "", "f", "y", "<int>"]
    assert tree.token.tolist() == [-1, -1, 0, -1, 0, 1, 2]
    assert tree.edge_index.tolist() == [[1, 2, 3, 4, 5, 6], [0, 1, 1, 3, 3, 3]]
    assert tree.kind.dtype == tree.token.dtype == tree.edge_index.dtype == torch.int64
    assert tree.num_nodes == 7


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("{a: b, c: d, **e}", "abcde"),
        ("a if b else c", "abc"),
        ("a(b, *c, d=e, *f, **g)", "abcdefg"),
        ("@a\n@b\ndef f(c: d = e, /, g=h, *i, j=k, l: m, **n) -> o:\n    p\n    q", "fabcdeghijklmnopq"),
        ("@a\nclass b(c, d=e):\n    f", "bacdef"),
        ("lambda a=b, *, c=d: e", "abcde"),
        ("for a in b:\n    c\nelse:\n    d", "abcd"),
        ("with a as b, c as d:\n    e", "abcde"),
        ("try:\n    a\nexcept b as c:\n    d\nelse:\n    e\nfinally:\n    f", "acbdef"),
        ("match a:\n    case {b.c: d, **e} if f:\n        g", "aecbdfg"),
        ("[a for b in c if d for e in f]", "abcdef"),
        ("a[b:c, d] = e.f.g = h", "abcdgfeh"),
    ],
)
def test_children_stand_in_the_order_of_the_source(text, order):
    """A node's own name comes first, even from behind its children: c before b in b.c."""
    assert "".join(named(text)) == order


def test_a_hidden_name_is_nowhere():
    text = """
def get_x(self, get_xy):
    "get_x"
    global get_x
    from m import get_x, y
    return self._get_x(get_x) + super().get_x(get_x=get_xy) + self.__get_x_
"""
    tree = syntax_tree(text, hide="_get_x")
    assert not [token for token in tree.tokens if token.strip("_") == "get_x"]
    assert tree.tokens.count(NAME) == 8
    assert tree.tokens.count("get_xy") == 2
    assert syntax_tree(text).tokens.count("get_x") == 6


def test_hiding_underscores_hides_nothing():
    assert syntax_tree("__ = _", hide="__").tokens == ["", "", "__", "_"]


def test_constants_show_their_type_and_singletons_themselves():
    text = "1; 'a'; b'a'; 1.0; 1j; None; True; False; ..."
    found = ["<int>", "<str>", "<bytes>", "<float>", "<complex>", "<None>", "<True>", "<False>", "<Ellipsis>"]
    assert named(text) == found


def test_names_of_statements():
    assert named("from a import b as c, d") == ["a", "b", "d"]
    assert named("from . import a") == ["a"]
    assert named("def f():\n    nonlocal a, b") == ["f", "a b"]


def test_deep_trees_need_no_recursion():
    depth = 50_000
    node: ast.expr = ast.Name("x", ast.Load())
    for _ in range(depth):
        node = ast.UnaryOp(ast.Not(), node)
    tree = syntax_tree(node)
    assert tree.num_nodes == 2 * depth + 1
    assert tree.tokens[-1] == "x"
    while isinstance(node, ast.UnaryOp):  # take it apart from the top: Python's own way is recursive
        node = node.operand


def test_a_node_of_an_unknown_kind():
    class Later(ast.AST):
        _fields = ("value",)

    tree = syntax_tree(Later(value=ast.Name("x", ast.Load())))
    assert tree.kind.tolist() == [0, KINDS.index("Name")]


def test_kinds_cover_this_python_and_never_change():
    outdated = {"Num", "Str", "Bytes", "NameConstant", "Ellipsis", "Suite", "Index", "ExtSlice", "Param"}
    leaves = [ast.AST]
    while any(cls.__subclasses__() for cls in leaves):
        leaves = [sub for cls in leaves for sub in (cls.__subclasses__() or [cls])]
    now = {c.__name__ for c in leaves if c.__module__ in ("ast", "_ast") and not issubclass(c, ast.expr_context)}
    assert {name for name in now if name[0] != "_"} - outdated - {"AugLoad", "AugStore", "slice"} <= set(KINDS)
    assert len(KINDS) == len(set(KINDS)) == 111
    digest = hashlib.sha256(" ".join(KINDS).encode()).hexdigest()
    assert digest[:8] == "842b6f10", "saved models hold these indices: add new kinds at the end alone"


def test_tokens_without_a_vocabulary():
    assert "token" not in syntax_tree("x")
    with pytest.raises(GraphError, match="`vocabulary`"):
        encode_tokens(["x"], {"x": 1})


@pytest.mark.parametrize(
    ("source", "came"),
    [
        ("x = 1\ny = = 2", "in line 2, column 5"),
        ("x = '\0'", "null byte"),
        ("(" * 5000, "got "),
        (b"x = \xff", "bytes that are not utf-8 in line 1, column 5"),
        (None, "None"),
    ],
)
def test_what_is_not_source(source, came):
    with pytest.raises(GraphError) as caught:
        syntax_tree(source)
    assert "`source`: expected Python source" in str(caught.value) and came in str(caught.value)
