"""Files of the user's own, read: each format, and what is wrong in them told with its place."""

import json
from pathlib import Path

import networkx
import pytest
import torch

import graphseq as gs
from graphseq.datasets.own import (
    Columns,
    Graph,
    feature_names,
    graph_of,
    learn,
    make_features,
    node_examples,
    read_forest,
    read_graphs,
    read_nodes,
    read_sequences,
    read_texts,
)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(path: Path, *objects) -> Path:
    return write(path, "".join(json.dumps(each) + "\n" for each in objects))


NONE = Columns(labelled=False)


def test_tables_as_they_are_saved(tmp_path):
    table = 'text,label\r\n"a ""b"",\r\nc",pos\r\n\r\nd\u2028e, neg \r\n'
    for kind, content in {"plain": table.encode(), "bom": b"\xef\xbb\xbf" + table.encode()}.items():
        found = read_texts(write(tmp_path / f"{kind}.csv", content), Columns())
        assert found.items == ['a "b",\r\nc', "d\u2028e"] and found.labels == ["pos", "neg"]
        assert found.places == [f"{kind}.csv, line 2", f"{kind}.csv, line 5"]
    for name, content in (("semicolons.csv", "text;label\nx, y;1\n"), ("tabs.tsv", "text\tlabel\nx, y\t1\n")):
        assert read_texts(write(tmp_path / name, content), Columns()).items == ["x, y"]
    long = "word " * 50_000
    assert read_texts(write(tmp_path / "long.csv", f"text,label\n{long},1\n"), Columns()).items == [long]
    own = Columns(input="Body", label="Stars", split="Set")
    found = read_texts(write(tmp_path / "own.csv", "Body,Stars,Set,text\nhi,5,dev,no\nho,1,Training,no\n"), own)
    assert (found.items, found.labels, found.parts) == (["hi", "ho"], ["5", "1"], ["val", "train"])
    found = read_texts(
        lines(tmp_path / "texts.jsonl", {"text": "ä", "label": True}, {"text": "b", "label": 3}), Columns()
    )
    assert (found.items, found.labels) == (["ä", "b"], ["true", "3"])
    assert read_texts(write(tmp_path / "list.json", '["a", "b"]'), NONE).items == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,label\nok,1\n\xff\xfe,0\n", "a.csv, line 3, which is not"),
        ("a.csv", b"", "a.csv, which has none"),
        ("a.csv", b"text,label\n", "a.csv, which has none"),
        ("a.csv", b"text,text,label\na,b,c\n", "line 1: two columns are named 'text'"),
        ("a.csv", b"text,label\na,b,c\n", "a.csv, line 2: expected 2 columns as in line 1 (text, label), got 3"),
        ("a.csv", b'text,label\n"a,b\n', "not a table"),
        ("a.csv", b"a film,good\nanother,bad\n", "`text_column`: expected the name of a column"),
        ("a.csv", b"text,stars\na,b\n", "`label_column`: expected the name of a column"),
        ("a.csv", b"text,label,split\na,b,held\n", "expected train, val or test, got 'held' in a.csv, line 2"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": }\n', "a.jsonl, line 2, column 10: not JSON"),
        ("a.jsonl", b'{"text": "a", "label": [1, 2]}\n', "one label for each example, got [1, 2] in a.jsonl, line 1"),
        ("a.jsonl", b'{"text": "a", "text": "b", "label": 1}\n', "'text' is repeated"),
        ("a.jsonl", b'{"text": null, "label": 1}\n', "a text under 'text', got None in a.jsonl, line 1"),
        ("a.json", b'{"text": ' + b"[" * 100_000, "nested too deep"),
        ("a.xlsx", b"PK", "a file ending in .csv"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_of_texts(tmp_path, name, content, message):
    with pytest.raises(gs.GraphError) as caught:
        read_texts(write(tmp_path / name, content), Columns())
    assert message in str(caught.value)


def test_columns_that_are_not_there(tmp_path):
    table = write(tmp_path / "a.csv", "text,label\na,b\n")
    with pytest.raises(gs.GraphError, match=r"`text_column`: .*got 'texts'; did you mean 'text'?"):
        read_texts(table, Columns(input="texts"))
    with pytest.raises(gs.GraphError, match=r"`label_column`: .*got 'stars'; there are text, label"):
        read_texts(table, Columns(label="stars"))
    with pytest.raises(gs.GraphError, match=r"`data`: expected a file that exists, got .*nowhere.csv"):
        read_texts(tmp_path / "nowhere.csv", Columns())


def test_sequences(tmp_path):
    file = lines(tmp_path / "s.jsonl", {"x": [1, 2.5], "label": "up"}, {"x": [3], "label": "down"})
    found = read_sequences(file, Columns())
    assert [s.tolist() for s in found.items] == [[[1.0], [2.5]], [[3.0]]] and found.labels == ["up", "down"]
    assert read_sequences(lines(tmp_path / "v.jsonl", [[1, 2], [3, 4]]), NONE).items[0].shape == (2, 2)
    for wrong, message in (
        ([], "empty one in w.jsonl, line 1"),
        ([1, "a"], "w.jsonl, line 1"),
        ([[1, 2], [3]], "w.jsonl, line 1"),
        ([1, float("nan")], "line 1: step 1 of the sequence has a number that is not finite"),
        ([10**400], "w.jsonl, line 1"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            read_sequences(lines(tmp_path / "w.jsonl", {"x": wrong, "label": "a"}), Columns())
    with pytest.raises(gs.GraphError, match=r"vectors of 1 numbers as in w.*, got 2 in w"):
        read_sequences(lines(tmp_path / "w.jsonl", {"x": [1], "label": 0}, {"x": [[1, 2]], "label": 0}), Columns())


def test_a_tree_in_each_of_its_forms(tmp_path):
    nested = {"label": "3", "children": [{"label": "2", "word": "It"}, {"label": "4", "word": "works"}]}
    file = lines(
        tmp_path / "t.jsonl", "(3 (2 It) (4 works))", nested, {"tree": "(3 (2 It) (4 works))"}, {"tree": nested},
        {"parent": [-1, 0, 0], "words": [None, "It", "works"], "labels": [3, 2, 4]},
    )  # fmt: skip
    found = read_forest(file, Columns())
    for tree in found.items:
        assert (tree.parent, tree.words, tree.labels) == ([-1, 0, 0], [None, "It", "works"], ["3", "2", "4"])
    assert found.labels == ["3"] * 5 and found.names == ["It works"] * 5
    text = read_forest(write(tmp_path / "t.txt", "(3 (2 It) (_ works))\n(1 a)\n"), Columns())
    assert [t.labels for t in text.items] == [["3", "2", None], ["1"]] and text.places[1] == "t.txt, tree 2"
    file = lines(tmp_path / "w.jsonl", {"tree": "(S (D the) (N cat))", "label": "x", "split": "test"})
    whole = read_forest(file, Columns())
    [tree] = whole.items
    assert tree.words == ["S", "the", "cat"] and tree.labels == ["x", None, None] and whole.parts == ["test"]
    table = read_forest(write(tmp_path / "t.csv", "tree,label\n(S (D the) (N cat)),y\n"), Columns())
    assert table.labels == ["y"]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("(3 (2 It)", "line 1, line 1, column 10"),
        ("(3 a) (2 b)", "expected one tree, got 2"),
        ({"parent": [-1, 2, 1], "words": ["a", "b", "c"]}, "a cycle in parent, at node 1"),
        ({"parent": [-1, -1]}, "expected one root"),
        ({"parent": [0]}, "expected one root"),
        ({"parent": [-1, 5]}, "expected parent as each node's parent"),
        ({"parent": [-1, 10**30]}, "expected parent as each node's parent"),
        ({"parent": [-1, 0], "words": ["a"]}, "expected 2 words"),
        ({"children": "ab"}, "children as a list"),
        ({"children": [3]}, "a node as an object or a word"),
        ({"something": 1}, "expected a tree"),
        (3, "expected a tree"),
    ],
)
def test_what_is_wrong_in_a_tree(tmp_path, tree, message):
    with pytest.raises(gs.GraphError) as caught:
        read_forest(lines(tmp_path / "t.jsonl", tree), Columns())
    assert message in str(caught.value) and "t.jsonl" in str(caught.value)


def test_a_graph_in_each_of_its_forms(tmp_path):
    path = [[0, 1, 1, 2], [1, 0, 2, 1]]
    given = graph_of({"edge_index": path, "x": [[1], [2], [3]]}, "g")
    pairs = graph_of({"edges": [[0, 1], [1, 2], [2, 1]], "num_nodes": 4}, "g")
    directed = graph_of({"edges": [[0, 1], [1, 1]], "directed": True, "edge_weight": [2, 3]}, "g")
    assert given.edges.tolist() == path and given.x.tolist() == [[1.0], [2.0], [3.0]]
    assert sorted(pairs.edges.t().tolist()) == [[0, 1], [1, 0], [1, 2], [2, 1]] and pairs.num_nodes == 4
    assert directed.edges.tolist() == [[0, 1], [1, 1]] and directed.weight.tolist() == [2.0, 3.0]
    net = networkx.Graph([("a", "b", {"weight": 0.5}), ("b", "b", {})])
    net.add_node("alone")
    networkx.set_node_attributes(net, {"a": 1, "b": 2.5, "alone": 3}, "size")
    networkx.write_graphml(net, tmp_path / "g.graphml")
    write(tmp_path / "g.json", json.dumps(networkx.node_link_data(net)))
    for name in ("g.graphml", "g.json"):
        graph, _ = read_nodes(tmp_path / name, NONE)
        assert graph.names == ["a", "b", "alone"] and graph.columns == {"size": [1, 2.5, 3]}
        assert graph.edges.tolist() == [[0, 1, 1], [1, 1, 0]] and graph.weight.tolist() == [0.5, 1.0, 0.5]
    arrows = networkx.DiGraph([("a", "b")])
    write(tmp_path / "d.json", json.dumps(networkx.node_link_data(arrows)))
    assert read_nodes(tmp_path / "d.json", NONE)[0].edges.tolist() == [[0], [1]]
    written = networkx.node_link_data(networkx.MultiGraph([(0, 1), (0, 1)]))
    assert graph_of(written, "g").edges.shape == (2, 4)


def test_one_graph_is_the_same_in_each_of_its_forms(tmp_path):
    net = networkx.Graph([("a", "b"), ("b", "c"), ("c", "c"), ("a", "d")])
    net.add_node("e")
    networkx.write_graphml(net, tmp_path / "g.graphml")
    number = {name: i for i, name in enumerate(net)}
    pairs = [[number[u], number[v]] for u, v in net.edges]
    both = pairs + [[v, u] for u, v in pairs if u != v]
    links = networkx.node_link_data(net, edges="edges")
    forms = [
        read_nodes(tmp_path / "g.graphml", NONE)[0], graph_of(links, "g"),
        graph_of({"edges": pairs, "num_nodes": 5}, "g"), graph_of({"edges": both, "num_nodes": 5}, "g"),
        graph_of({"edge_index": [[u for u, _ in both], [v for _, v in both]], "num_nodes": 5}, "g"),
    ]  # fmt: skip
    for graph in forms:
        assert graph.num_nodes == 5 and sorted(graph.edges.t().tolist()) == sorted(both)
    back = [{"source": v, "target": u} for u, v in net.edges if u != v]
    doubled = {"nodes": links["nodes"], "links": [*links["edges"], *back]}  # as d3 has them, both ways: not two each
    assert sorted(graph_of(doubled, "g").edges.t().tolist()) == sorted(both)
    assert graph_of(doubled | {"multigraph": True}, "g").edges.size(1) == 2 * len(both) - 1


def test_labels_and_parts_of_graphs_are_no_features(tmp_path):
    file = tmp_path / "one.jsonl"
    single = {"edge_index": [[], []], "num_nodes": 1}
    write(file, "".join(json.dumps({**single, "id": i, "y": [i % 2], "size": [i]}) + "\n" for i in range(4)))
    found = read_graphs(file, Columns())
    assert found.labels == ["0", "1", "0", "1"] and found.names == ["0", "1", "2", "3"]
    assert [graph.columns for graph in found.items] == [{"size": [i]} for i in range(4)]
    write(file, json.dumps({"edges": [[0, 1]], "colour": ["a", "b", "c"], "label": "x"}))
    assert read_graphs(file, Columns()).about == ["not used: colour"]  # of three nodes where the edges know two
    nodes = [{"id": i, "label": "ab"[i % 2], "Split": "train", "size": i} for i in range(3)]
    graph, examples = node_examples(graph_of({"nodes": nodes, "links": []}, "g"), "g", Columns())
    assert graph.columns == {"size": [0, 1, 2]} and examples.parts == ["train"] * 3
    assert examples.label_column == "label"


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({}, "expected a graph with"),
        ({"edge_index": [[0], [1], [2]]}, "edge_index as two lists of nodes"),
        ({"edge_index": [[0, 1], [1, 2], [2, 0]]}, '3 pairs are "edges"'),
        ({"edge_index": [[0.5], [1]]}, "whole numbers"),
        ({"edge_index": [[1], [3]], "x": [[1], [1], [1]]}, "got node 3; nodes are counted from 0"),
        ({"edge_index": [[0], [-1]]}, "got node -1"),
        ({"edge_index": [[0], [10**30]], "num_nodes": 2}, "between the nodes 0 to 1"),
        ({"edge_index": [[0], [1]], "x": [[1], [float("nan")]]}, "x[1][0] is nan"),
        ({"edge_index": [[0], [1]], "x": [[1], [1, 2]]}, "x as lists of numbers"),
        ({"edge_index": [[0], [1]], "x": [[1], [10**400]]}, "x as lists of numbers"),
        ({"edge_index": [[0], [1]], "x": [[1], [1]], "num_nodes": 3}, "num_nodes"),
        ({"edge_index": [[0], [1]], "edge_weight": [1, 2]}, "edge_weight with 1 rows"),
        ({"nodes": [{"id": 0}, {"id": 0}], "links": []}, "two nodes are named 0"),
        ({"nodes": [{"id": 0}], "links": [{"source": 0, "target": 9}]}, "source and target of link 0"),
        ({"nodes": [{"id": 0}]}, '"links"'),
    ],
)
def test_what_is_wrong_in_a_graph(tmp_path, graph, message):
    with pytest.raises(gs.GraphError) as caught:
        read_graphs(lines(tmp_path / "g.jsonl", {**graph, "y": 0}), Columns())
    assert message in str(caught.value) and "g.jsonl, line 1" in str(caught.value)


def test_graphml_that_is_none(tmp_path):
    for content in ("", "<graphml>", "<html></html>", "{}"):
        with pytest.raises(gs.GraphError, match=r"g\.graphml"):
            read_nodes(write(tmp_path / "g.graphml", content), NONE)


def test_folders_of_graphs(tmp_path):
    tu = tmp_path / "TOY"
    tu.mkdir()
    write(tu / "TOY_A.txt", "1, 2\n2, 1\n3, 4\n4, 3\n")
    write(tu / "TOY_graph_indicator.txt", "1\n1\n2\n2\n")
    write(tu / "TOY_graph_labels.txt", "-1\n1\n")
    write(tu / "TOY_node_attributes.txt", "0.5\n1\n2\n3\n")
    found = read_graphs(tu, Columns())
    assert found.labels == ["-1", "1"] and [g.x.tolist() for g in found.items] == [[[0.5], [1.0]], [[2.0], [3.0]]]
    write(tu / "TOY_node_labels.txt", "3\n4\n3\n4\n")
    first = read_graphs(tu, Columns()).items
    write(tu / "TOY_node_labels.txt", "4\n5\n4\n5\n")  # as many, others: one is known, one unknown
    learnt = learn(first, ["a", "b"])
    assert make_features(first[0], learnt, "a")[:, 1:].tolist() == [[0, 1, 0], [0, 0, 1]]
    assert make_features(read_graphs(tu, Columns()).items[0], learnt, "a")[:, 1:].tolist() == [[0, 0, 1], [1, 0, 0]]
    write(tu / "TOY_node_labels.txt", "4\n")
    with pytest.raises(gs.GraphError, match="TOY"):
        read_graphs(tu, Columns())
    (tu / "TOY_node_labels.txt").unlink()
    many = tmp_path / "many"
    many.mkdir()
    for name, label in (("a", "ring"), ("b", "path")):
        net = networkx.path_graph(3)
        net.graph["label"] = label
        networkx.write_graphml(net, many / f"{name}.graphml")
    found = read_graphs(many, Columns())
    assert found.labels == ["ring", "path"] and found.names == ["a.graphml", "b.graphml"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(gs.GraphError, match="a folder with NAME_A"):
        read_graphs(tmp_path / "empty", Columns())


def test_molecules(tmp_path):
    pytest.importorskip("rdkit")
    found = read_graphs(write(tmp_path / "m.csv", "smiles,label\nCCO,1\nc1ccccc1,0\n"), Columns())
    assert [g.num_nodes for g in found.items] == [3, 6] and found.names == ["CCO", "c1ccccc1"]
    with pytest.raises(gs.GraphError, match=r"m\.csv, line 3: expected a molecule as SMILES, got 'C\(C'"):
        read_graphs(write(tmp_path / "m.csv", "smiles,label\nCCO,1\nC(C,0\n"), Columns())


def one(edges=(), n=2, **given):
    return Graph(torch.tensor(edges, dtype=torch.int64).reshape(2, -1), n, **given)


def test_features_are_learnt_from_the_training_part():
    graph = one(n=4, columns={"size": [1, 3, 100, -100], "kind": ["a", "b", "b", "c"], "who": ["p", "q", "r", "s"]})
    learnt = learn([graph], ["g"], torch.tensor([0, 1]))
    assert learnt["numbers"] == {"size": [2.0, 1.0]} and learnt["words"] == {}  # both differ at every training node
    learnt = learn([graph], ["g"], torch.tensor([0, 1, 2]))
    assert learnt["words"] == {"kind": ["a", "b"]} and learnt["left_out"] == ["who (different at each node)"]
    lacking = one(n=3, columns={"size": [1, 2, None], "kind": ["a", "a", None]})
    few = learn([lacking], ["g"], torch.tensor([0, 1]))  # a node that isn't in the training part lacks its size
    assert few["left_out"] == ["size (missing at some nodes)"] and few["words"] == {"kind": ["a"]}
    made = make_features(graph, learnt, "g")
    assert made.shape == (4, len(feature_names(learnt))) and made[3, 1:].tolist() == [1.0, 0.0, 0.0]  # "c" is unknown
    flags = one(x=torch.tensor([[0.0, 5.0], [1.0, 7.0]]))
    learnt = json.loads(json.dumps(learn([flags], ["g"])))
    assert make_features(flags, learnt, "g").tolist() == [[0.0, -1.0], [1.0, 1.0]]
    with pytest.raises(gs.GraphError, match="h: expected x with 2 numbers a node, got no x"):
        make_features(one(), learnt, "h")
    bare = learn([one([[0, 1], [1, 1]])], ["g"])
    assert make_features(one(n=1), bare, "g").tolist() == [[1.0, 0.0, 0.0]]
    assert make_features(one([[0] * 9, [1] * 9]), bare, "g").tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    numbers = learn([one(columns={"size": [1, 2]})], ["g"])
    for values, message in (([1, None], "of node 1, got None"), ([float("nan"), 1], "of node 0, got nan")):
        with pytest.raises(gs.GraphError, match=message):
            make_features(one(columns={"size": values}), numbers, "g")
