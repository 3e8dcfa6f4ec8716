"""Networks on files of the user's own: trained, evaluated and predicted with, on the command line and in Python."""

import csv
import json
import random

import networkx
import pytest
import torch

import graphseq as gs
from graphseq.errors import DataWarning
from graphseq.recipes import Job, Source, find_recipe, open_run, train
from tests.cli.conftest import call, one_thread

GOOD, BAD = ("great", "fine", "brilliant"), ("awful", "poor", "dull")


def rows(count=40):
    draw = random.Random(0)
    return [
        (f"a {draw.choice(GOOD if i % 4 else BAD)} film {i % 7}", "good" if i % 4 else "bad") for i in range(count)
    ]  # fmt: skip


def table(path, header, lines):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    return path


def jsonl(path, objects):
    path.write_text("".join(json.dumps(each) + "\n" for each in objects), encoding="utf-8")
    return path


def club(path):
    graph = networkx.karate_club_graph()
    for node, values in graph.nodes(data=True):
        values["label"] = values.pop("club")
        values["age"] = 20 + node % 5
    networkx.write_graphml(graph, path)
    return path


def make(name, folder):
    """Write a file for a recipe and return it, and the number of its examples."""
    if name == "text":
        return table(folder / "reviews.csv", ["text", "label"], rows()), 40
    if name == "sequence":
        values = [{"x": [i % 2 * 2 - 1 + 0.1 * t for t in range(3 + i % 4)], "label": i % 2} for i in range(30)]
        return jsonl(folder / "series.jsonl", values), 30
    if name == "tree":
        trees = [f"({i % 2} (_ it) ({i % 2} {(BAD, GOOD)[i % 2][i % 3]}))" for i in range(30)]
        return jsonl(folder / "trees.jsonl", [*trees[:-1], "(1 great)"]), 30
    if name == "graph":
        path = [[j, j + 1] for j in range(4)]
        kinds = [{"edges": path, "label": "path"}, {"edges": [*path, [4, 0]], "label": "ring"}]
        graphs = [{**kinds[i % 2], "num_nodes": 6} for i in range(30)]
        return jsonl(folder / "graphs.jsonl", graphs), 30
    return club(folder / "club.graphml"), 34


NAMES = ("text", "sequence", "tree", "graph", "node")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with one_thread():
        yield


@pytest.mark.parametrize("name", NAMES)
def test_trained_evaluated_and_predicted_on_the_command_line(name, tmp_path):
    file, count = make(name, tmp_path)
    done = call("train", name, "--data", file, "--epochs", "2", "--out", "run", "--json")
    assert done.last["metric"] == "accuracy" and 0 <= done.last["baseline"] <= 100
    assert "2 classes in the training part: " in done.err and "train," in done.err
    told = call("evaluate", "run", file, "--json").last
    assert told["examples"] == count and {"loss", "accuracy", "f1", "baseline", "classes"} <= told.keys()
    assert sum(row["examples"] for row in told["classes"]) == count
    assert call("evaluate", "run", "--json").last["accuracy"] == pytest.approx(done.last["mean"], abs=1e-3)
    assert "most frequent class" in call("evaluate", "run", file).out
    assert call("predict", "run", file, "--out", "p/predictions.csv").out == ""
    with open("p/predictions.csv", newline="", encoding="utf-8") as opened:
        found = list(csv.DictReader(opened))
    assert len(found) == count
    classes = json.loads((tmp_path / "run/metadata.json").read_text())["classes"]
    for row in found:
        assert row["class"] in classes
        assert sum(float(row[f"p({each})"]) for each in classes) == pytest.approx(1, abs=1e-4)
    run = open_run("run")
    assert [row["class"] for row in run.predict_file(file)] == [row["class"] for row in found]
    shown = call("predict", "run", file, "--json").last["predictions"]
    assert [row["class"] for row in shown] == [row["class"] for row in found]


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("text", "layer", "gru"), ("text", "layer", "elman"), ("sequence", "layer", "child-sum-tree-lstm"),
        ("tree", "cell", "nary-tree-lstm"), ("tree", "cell", "gru"), ("graph", "conv", "gcn"),
        ("graph", "conv", "gated-graph"), ("node", "conv", "gin"), ("node", "conv", "gated-graph"),
    ],
)  # fmt: skip
def test_every_network_of_the_library(name, option, value, tmp_path):
    file, count = make(name, tmp_path)
    train(name, "run", data=str(file), epochs=1, **{option: value})
    assert len(open_run("run").predict(str(file))) == count
    with pytest.raises(gs.GraphError, match=f"`{option}`: expected one of .*got 'nothing'"):
        find_recipe(name, **{option: "nothing"})


@pytest.mark.parametrize("name", ["graph", "node"])
def test_heads_norms_and_connections(name, tmp_path):
    file, count = make(name, tmp_path)
    train(name, "run", data=str(file), epochs=1, conv="gat", heads=4, norm="graph", connection="residual", layers=3)
    run = open_run("run")
    inner = list(run.model.modules())
    assert next(m for m in inner if isinstance(m, gs.nn.GATConv)).heads == 4
    assert sum(isinstance(m, gs.nn.GraphNorm) for m in inner) == (3 if name == "graph" else 2)
    assert len(run.predict(str(file))) == count
    with pytest.raises(gs.GraphError, match="`heads`: expected 1 for a layer"):
        train(name, "other", data=str(file), epochs=1, conv="gcn", heads=4)


def test_a_layer_added_later_is_there(monkeypatch):
    class NewConv(gs.nn.GCNConv):
        pass

    monkeypatch.setattr(gs.nn.convs, "NewConv", NewConv, raising=False)
    odd = type("OddConv", (torch.nn.Module,), {"__init__": lambda self, relations: None})
    monkeypatch.setattr(gs.nn.convs, "OddConv", odd, raising=False)
    found = gs.nn.models.convolutions()
    assert found["new"] is NewConv and "odd" not in found
    assert isinstance(gs.nn.NodeClassifier(3, 4, 2, conv="new").convs[0], NewConv)


def test_learning_and_how_the_parts_are_told(tmp_path):
    file = table(tmp_path / "a.csv", ["text", "label"], rows(80))
    found = train("text", "run", data=str(file), epochs=12, lr=0.01, dropout=0.0)
    assert found["mean"] == 100.0 and found["baseline"] == 75.0
    held = table(tmp_path / "held.csv", ["text", "label"], rows()[:12])
    files = {"data": str(file), "val": str(held), "test": str(held)}
    recipe = find_recipe("text", **files)
    data = recipe.load_data(Source(), 0)
    assert {part: len(each) for part, each in data.parts.items()} == {"train": 80, "val": 12, "test": 12}
    said = [(*row, ("train", "dev", "test")[i % 3]) for i, row in enumerate(rows(12))]
    split = table(tmp_path / "s.csv", ["text", "label", "split"], said)
    data = find_recipe("text", data=str(split)).load_data(Source(), 0)
    assert {part: len(each) for part, each in data.parts.items()} == {"train": 4, "val": 4, "test": 4}
    shares = find_recipe("text", data=str(file), val_share=0.25, test_share=0.0).load_data(Source(), 1)
    assert {part: len(each) for part, each in shares.parts.items()} == {"train": 60, "val": 20}
    assert shares.parts["val"].labels.count("bad") == 5  # in proportion
    again = find_recipe("text", data=str(file), val_share=0.25, test_share=0.0).load_data(Source(), 1)
    assert again.parts["val"].items == shares.parts["val"].items


def test_the_vocabulary_and_the_classes_are_those_of_the_training_part(tmp_path):
    file = table(tmp_path / "a.csv", ["text", "label"], [("one Two", "x"), ("three", "y")])
    held = table(tmp_path / "v.csv", ["text", "label"], [("four", "x")])
    recipe = find_recipe("text", data=str(file), val=str(held), test_share=0.0)
    metadata = recipe.metadata(recipe.load_data(Source(), 0))
    assert sorted(metadata["words"]) == ["one", "three", "two"] and metadata["classes"] == ["x", "y"]
    table(tmp_path / "v.csv", ["text", "label"], [("four", "z")])
    with pytest.raises(gs.GraphError, match=r"labels of the training part: x, y, got 'z' in v.csv, line 2"):
        recipe.metadata(recipe.load_data(Source(), 0))


def test_classes_of_different_sizes_can_have_one_weight(tmp_path):
    file = table(tmp_path / "a.csv", ["text", "label"], rows())
    recipe = find_recipe("text", data=str(file), balanced=True, test_share=0.0)
    task, _ = recipe.task(Source(), 0)
    batch = task.train.batch(torch.arange(task.train.size))
    of_bad, of_good = (batch.weight[batch.target == c].sum() for c in (0, 1))
    torch.testing.assert_close(of_bad, of_good)
    assert task.val.batch(torch.arange(4)).weight is None


def test_numbers_are_predicted_in_their_own_scale(tmp_path):
    values = [{"x": [float(i)] * 3, "y": 1000 + 10.5 * i} for i in range(30)]
    file = jsonl(tmp_path / "n.jsonl", values)
    with pytest.raises(gs.GraphError, match="--target number, got numbers such as"):
        train("sequence", "no", data=str(file), epochs=1)
    found = train("sequence", "run", data=str(file), target="number", epochs=60, lr=0.02, dropout=0.0)
    assert found["metric"] == "rmse" and found["mean"] < 0.5 * found["baseline"]
    predicted = open_run("run").predict("[15, 15, 15]")
    assert 1050 < predicted[0]["value"] < 1270
    told = call("evaluate", "run", file)
    assert "rmse" in told.out and "mean" in told.out and "classes" not in told.out
    call("predict", "run", file, "--out", "p.csv")
    assert (tmp_path / "p.csv").read_text().startswith('input,value\n"n.jsonl, line 1",')


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([], {}, "a.csv, which has none"),
        ([("a", "x")], {}, "`label_column`: expected at least two classes, got only 'x'"),
        ([("a", "x"), ("b", "y")], {}, "got shares that take 2 of 2 examples in 2 classes"),
        ([("a", "x")] * 9, {}, "at least two classes, got only 'x'"),
        ([("a", "x"), ("b", "")] * 9, {}, "a label for each example, got none in a.csv, line 3"),
        ([("a", "0.5"), ("b", "1")] * 9, {}, "numbers are predicted with --target number"),
        ([("a", "1"), ("b", "0"), ("c", "1.0")] * 9, {}, "one spelling of each class, got '1' and '1.0'"),
        ([("a", "x"), ("b", "1")] * 9, {"target": "number"}, "a number to predict for each example, got 'x'"),
        ([("a", "x"), ("b", "y")] * 9, {"val_share": 0.5, "test_share": 0.6}, "leave some for training"),
        ([("a", "x"), ("b", "y")] * 9, {"val_share": 0.0, "test_share": 0.0}, "`val_share`: expected a share above 0"),
        ([("a", "x"), ("b", "y")] * 9, {"label_column": "stars"}, "`label_column`: expected the name of a column"),
    ],
)  # fmt: skip
def test_slips_in_data(lines, options, message, tmp_path):
    file = table(tmp_path / "a.csv", ["text", "label"], lines)
    with pytest.raises(gs.GraphError) as caught:
        train("text", "run", data=str(file), epochs=1, **options)
    assert message in str(caught.value)
    assert not (tmp_path / "run/config.json").exists()


def test_slips_with_parts(tmp_path):
    lines = [(*row, "train") for row in rows(8)]
    file = table(tmp_path / "a.csv", ["text", "label", "split"], lines)
    with pytest.raises(gs.GraphError, match="expected test examples"):
        train("text", "run", data=str(file))
    with pytest.raises(gs.GraphError, match="expected val examples"):
        train("text", "run", data=str(file), test_share=0.0)
    file = table(tmp_path / "b.csv", ["text", "label", "split"], [*lines, ("a", "good", "")])
    with pytest.raises(gs.GraphError, match="for each example, got nothing in b"):
        train("text", "run", data=str(file))
    file = table(tmp_path / "c.csv", ["text", "label", "split"], [(*row, "test") for row in rows(8)])
    with pytest.raises(gs.GraphError, match="expected train examples, got none"):
        train("text", "run", data=str(file))
    with pytest.raises(gs.GraphError, match="`test`: expected no file for a part"):
        both = table(tmp_path / "d.csv", ["text", "label", "split"], [*lines, ("a", "bad", "test")])
        train("text", "run", data=str(both), test=str(file))


def test_what_predict_is_given(tmp_path):
    file, _ = make("text", tmp_path)
    train("text", "run", data=str(file), epochs=1)
    new = table(tmp_path / "new.csv", ["text", "price"], [('quotes " and\nlines', 1), ("", 2), ("日本語 ünknown", 3)])
    found = open_run("run").predict(str(new))
    assert [row["input"] for row in found] == ['quotes " and\nlines', "", "日本語 ünknown"]
    call("predict", "run", new, "--out", "p.csv")
    with open("p.csv", newline="", encoding="utf-8") as opened:
        assert [row["input"] for row in csv.DictReader(opened)] == [row["input"] for row in found]
    assert len(call("predict", "run", "a great film", "--json").last["predictions"]) == 1
    wrong = table(tmp_path / "wrong.csv", ["body"], [("a",)])
    assert "`text_column`: expected the name of a column" in call("predict", "run", wrong, code=2).err
    assert "a file that exists, got nowhere.csv" in call("predict", "run", "nowhere.csv", code=2).err
    assert "`label_column`" in call("evaluate", "run", new, code=2).err
    assert "`input`: expected a text, or a .csv" in call("predict", "run", code=2).err
    assert "which does not exist" in call("predict", "nowhere", code=2).err
    known = table(tmp_path / "known.csv", ["body", "stars"], [("a great film", "good"), ("a dull film", "bad")])
    assert call("evaluate", "run", known, "--set", "text_column=body", "--set", "label_column=stars", "--json").last
    assert len(call("predict", "run", known, "--set", "text_column=body", "--json").last["predictions"]) == 2
    assert "the name of a column" in call("predict", "run", known, "--set", "hidden=3", code=2).err
    assert "together with FILE" in call("evaluate", "run", "--set", "text_column=body", code=2).err
    assert "1 of 3 texts without" not in call("predict", "run", known, "--set", "text_column=body").out
    outside = table(tmp_path / "o.csv", ["text", "label"], [("a", "ugly")])
    told = call("evaluate", "run", outside, code=2).err
    assert "labels of the training part: bad, good, got 'ugly' in o.csv, line 2" in told
    assert "no split together with a file" in call("evaluate", "run", file, "--split", "val", code=2).err
    call("train", "karate-gcn", "--epochs", "2", "--out", "karate")
    assert "a run on a file of your own" in call("evaluate", "karate", file, code=2).err


def test_what_says_nothing_is_told(tmp_path):
    file, _ = make("text", tmp_path)
    train("text", "run", data=str(file), epochs=1)
    assert "Note: the text without a word of the training part" in call("predict", "run", "zut alors").out
    strange = table(tmp_path / "s.csv", ["text"], [("zut alors",), ("a great film",), ("GREAT zut",)])
    assert open_run("run").predict(str(strange)).note.startswith("1 of 3 texts without a word")
    assert call("predict", "run", "a great film").out.count("Note") == 0
    parts = [(*row, "train" if i % 8 else "test") for i, row in enumerate(rows())]  # every eighth one is bad
    parts += [("a fine film", "good", "val"), ("a poor film", "bad", "val")]
    divided = table(tmp_path / "p.csv", ["text", "label", "split"], parts)
    told = call("train", "text", "--data", divided, "--epochs", "1")
    assert "all test examples are of one class: bad" in told.err and "all val" not in told.err
    from_one = [{"edges": [[1, 2], [2, 3], [3, 1 + i % 2]], "label": i % 2} for i in range(30)]
    with pytest.warns(DataWarning, match="g.jsonl, line 1: nodes are counted from 0, but no edge has node 0"):
        train("graph", "g", data=str(jsonl(tmp_path / "g.jsonl", from_one)), epochs=1)


def test_phrases_of_trees(tmp_path):
    file, _ = make("tree", tmp_path)
    train("tree", "run", data=str(file), epochs=1)
    found = call("predict", "run", file, "--nodes", "--json").last["predictions"]
    assert len(found) == 29 * 3 + 1 and [row["input"] for row in found[:3]] == ["it awful", "it", "awful"]
    one = call("predict", "run", "(_ (_ it) (_ great))", "--json").last["predictions"]
    assert [(row["input"], row["depth"]) for row in one] == [("it great", 0), ("it", 1), ("great", 1)]
    call("predict", "run", "(_ (_ it) (_ great))", "--plot", "tree.svg")
    assert "great" in (tmp_path / "tree.svg").read_text(encoding="utf-8")
    assert "`input`" in call("predict", "run", "a sentence", code=2).err
    labelled = [{"tree": f"(S (D it) (N {(BAD, GOOD)[i % 2][i % 3]}))", "label": f"c{i % 2}"} for i in range(20)]
    whole = jsonl(tmp_path / "w.jsonl", labelled)
    train("tree", "whole", data=str(whole), epochs=1)
    plain = jsonl(tmp_path / "plain.jsonl", [{"tree": "(S (D it) (N great))"}])
    assert open_run("whole").predict(str(plain))[0]["class"] in ("c0", "c1")
    wide = jsonl(tmp_path / "wide.jsonl", ["(0 (_ a) (_ b) (_ c))"])
    train("tree", "nary", data=str(file), epochs=1, cell="nary-tree-lstm")
    with pytest.raises(gs.GraphError, match=r"at most 2 children, as in training, got 3 in wide.jsonl, line 1"):
        open_run("nary").predict(str(wide))


def test_a_bracketed_tree_is_the_same_from_a_file_and_as_a_text(tmp_path):
    lines = [f"({i % 2} ({i % 2} {'ab'[i % 2]}) ({i % 2} 1\\/2))" for i in range(30)]
    file = tmp_path / "t.txt"
    file.write_text("\n".join(lines), encoding="utf-8")
    train("tree", "run", data=str(file), epochs=2, embedding=8, hidden=8)
    run = open_run("run")
    for text in (lines[0], '(1 (1 ") (1 a))', "(1 (1 \\*) (1 a))", "(1 (1 1\\/2)\n (1 b))", "(X (X a) (Y b))"):
        (tmp_path / "one.txt").write_text(text, encoding="utf-8")
        alone, [filed] = run.predict(text), run.predict_file(tmp_path / "one.txt")
        assert alone[0]["input"] == filed["input"] and alone[0]["class"] == filed["class"]
        assert alone[0]["probability"] == pytest.approx(filed["probability"], rel=1e-6)
    with pytest.raises(gs.GraphError, match=r"labels of the training part(: 0, 1)?, got '[XY]'"):
        run.evaluate_file(tmp_path / "one.txt")


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_numbers_changes_nothing(unit, tmp_path):
    found = []
    for factor in (1.0, unit):
        values = [{"x": [float(i)] * 3, "y": factor * (1 + (i * 7 % 11))} for i in range(30)]
        file = jsonl(tmp_path / "n.jsonl", values)
        run = train("sequence", f"run-{factor}", data=str(file), target="number", epochs=5, hidden=8)
        found.append(run["mean"] / factor)
    assert found[0] == pytest.approx(found[1], rel=1e-3)
    file = jsonl(tmp_path / "n.jsonl", [{"x": [1, 2], "y": 1e9 + i} for i in range(30)])
    with pytest.raises(gs.GraphError, match="subtract a constant, got a mean of 1e"):
        train("sequence", "far", data=str(file), target="number", epochs=1)


def test_numbers_far_from_zero_keep_their_differences(tmp_path):
    values = [{"x": [[1.7e9 + i], [1.7e9 - i]], "label": i % 2} for i in range(30)]
    recipe = find_recipe("sequence", data=str(jsonl(tmp_path / "t.jsonl", values)))
    task, _ = recipe.task(Source(), 0)
    x = task.train.batch(torch.arange(task.train.size)).inputs[0]
    assert len(x.unique()) == len({round(float(v), 4) for v in x}) > 40 and float(x.std()) == pytest.approx(1, abs=0.05)


def test_graphs_with_attributes_weights_and_without_neighbours(tmp_path):
    graphs = [
        {"nodes": [{"id": j, "size": i + j, "kind": "ab"[j % 2]} for j in range(4)],
         "links": [{"source": 0, "target": 1, "weight": 2.0}, {"source": 2, "target": 2}], "label": i % 2}
        for i in range(20)
    ]  # fmt: skip
    file = jsonl(tmp_path / "g.jsonl", graphs)
    train("graph", "gcn", data=str(file), epochs=1, conv="gcn")
    assert json.loads((tmp_path / "gcn/metadata.json").read_text())["weights"] is True
    done = call("train", "graph", "--data", file, "--epochs", "1", "--out", "gin")
    assert "gin takes no edge weights: ignored" in done.err
    unseen = dict(graphs[0], nodes=[{"id": j, "size": 1, "kind": "z"} for j in range(4)])
    assert len(open_run("gcn").predict(json.dumps(unseen))) == 1
    lost = dict(graphs[0], nodes=[{"id": j, "kind": "a"} for j in range(4)])
    with pytest.raises(gs.GraphError, match="a finite number under 'size' of node 0, got None"):
        open_run("gcn").predict(json.dumps(lost))
    with pytest.raises(gs.GraphError, match="graphs with nodes"):
        open_run("gcn").predict('{"edge_index": [[], []], "num_nodes": 0}')
    one = jsonl(tmp_path / "one.jsonl", [{"edge_index": [[], []], "x": [[float(i)]], "y": i % 2} for i in range(9)])
    train("graph", "one", data=str(one), epochs=1, batch_size=1)  # a batch of a single node
    assert len(open_run("one").predict(str(one))) == 9


def test_molecules_with_measured_numbers(tmp_path):
    pytest.importorskip("rdkit")
    file = table(tmp_path / "m.csv", ["smiles", "y"], [("C" * (i + 1) + "O", 0.5 * i) for i in range(20)])
    found = train("graph", "run", data=str(file), target="number", epochs=2)
    assert found["metric"] == "rmse"
    assert isinstance(open_run("run").predict("CCN")[0]["value"], float)
    assert "a molecule as SMILES" in call("predict", "run", "hello there", code=2).err


def test_nodes_without_labels_are_neighbours(tmp_path):
    graph = networkx.path_graph(12)
    for node in graph:
        graph.nodes[node].update({"label": "ab"[node % 2]} if node < 10 else {})
    file = tmp_path / "g.json"
    file.write_text(json.dumps(networkx.node_link_data(graph)))
    train("node", "run", data=str(file), epochs=2)
    assert len(open_run("run").predict(str(file))) == 12
    assert open_run("run").evaluate_file(file)["examples"] == 10
    call("predict", "run", json.dumps({"edge_index": [[0, 1], [1, 0]], "num_nodes": 3}), "--plot", "nodes.png")
    lists = {"edge_index": [[0, 1], [1, 0]], "y": ["a", "b"], "num_nodes": 2}
    assert len(open_run("run").predict(json.dumps(lists))) == 2
    with pytest.raises(gs.GraphError, match="a file with one graph"):
        train("node", "no", data=str(table(tmp_path / "t.csv", ["a"], [["b"]])))


def test_another_column_does_not_stand_in_for_the_labels_of_nodes(tmp_path):
    graph = networkx.Graph(networkx.planted_partition_graph(2, 12, 0.6, 0.05, seed=1).edges)
    for node in graph:
        graph.nodes[node].update({"label": "xy"[node // 12], "category": "ab"[node // 12]})
    labelled, plain = tmp_path / "g.json", tmp_path / "u.json"
    labelled.write_text(json.dumps(networkx.node_link_data(graph)))
    for node in graph:
        del graph.nodes[node]["label"]
    plain.write_text(json.dumps(networkx.node_link_data(graph)))
    train("node", "run", data=str(labelled), epochs=10)
    run = open_run("run")
    assert run.metadata["features"]["words"] == {"category": ["a", "b"]}
    assert run.predict_file(plain) == run.predict_file(labelled)
    assert run.predict(plain.read_text()) == run.predict(labelled.read_text())
    with pytest.raises(gs.GraphError, match="`label_column`: expected the name of a column, got 'label'"):
        run.evaluate_file(plain)


def test_data_that_have_changed_are_noticed(tmp_path):
    file, _ = make("text", tmp_path)
    train("text", "run", data=str(file), epochs=1)
    table(file, ["text", "label"], [*rows()[:-1], ("another", "good")])
    with pytest.raises(gs.GraphError, match="the data that the run was trained with"):
        open_run("run").evaluate("val")
    (tmp_path / "run/result.json").unlink()
    with pytest.raises(gs.GraphError, match="the data that the run in run began with"):
        train("text", "run", data=str(file), epochs=1, job=Job(resume=True))
