"""What predictions' pictures show: phrases, functions, molecules, the neighbourhood of a few nodes."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch_geometric.data import Data

from graphseq import plot
from graphseq.cli.pictures import draw_prediction
from graphseq.convert import read_trees, syntax_tree
from graphseq.datasets import SENTIMENTS
from graphseq.recipes import Source
from graphseq.recipes.base import Prediction
from graphseq.train import Batch
from tests.plot.looks import outside, overlaps

SIGNS = ("− −", "−", "0", "+", "+ +")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn."""
    figures = []
    for name in ("graph", "tree"):
        made = getattr(plot, name)

        def keep(*given, made=made, **options):
            figures.append(made(*given, **options))

        monkeypatch.setattr(plot, name, keep)
    return figures


def predict(scores, names, structures, classes, index=None):
    """Draw a prediction of a recipe that reads anything as these structures, with these scores."""
    batch = Batch((), torch.zeros(len(names)), index)
    recipe = SimpleNamespace(read=lambda text, metadata, source: Prediction(batch, names, structures))
    run = SimpleNamespace(name="own", recipe=recipe, metadata={"classes": classes}, outputs=lambda batch: scores)
    draw_prediction(run, "an input", Source(), Path("picture.png"))


def texts(figure):
    assert not overlaps(figure) and not outside(figure)
    return [text.get_text() for text in figure.axes[0].texts]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_sentence(drawn):
    [tree] = read_trees("(_ (_ not) (_ bad))")
    scores = torch.eye(5)[[4, 2, 0]] * 9
    predict(scores, ["not bad", "not", "bad"], [tree], list(SENTIMENTS))
    [figure] = drawn
    assert texts(figure) == ["+ +", "not", "bad"] and figure.texts[0].get_text() == "Predicted: very positive, 100 %"
    assert legend(figure) == [f"{sign} {name}" for sign, name in zip(SIGNS, SENTIMENTS, strict=True)]
    predict(scores, ["not bad", "not", "bad"], [tree], ["a", "b", "c", "d", "e"])  # of no order
    assert legend(drawn[1]) == ["a", "c", "e"] and texts(drawn[1])[-2:] == ["not", "bad"]


def test_functions(drawn):
    functions = ast.parse("def f(self): return self.x\ndef g(path): return load(path, strict=True)").body
    trees = [syntax_tree(node, hide=node.name) for node in functions]
    scores = torch.tensor([[9.0, 0], [0, 9]])
    predict(scores, ["f, line 1", "g, line 2"], trees, ["get", "load"])
    predict(scores[:1], ["f, line 1"], trees[:1], ["get", "load"])
    assert {"f, line 1: get, 100 %", "g, line 2: load, 100 %", ".x", "strict=", "<True>"} <= set(texts(drawn[0]))
    assert legend(drawn[0]) == ["constant", "syntax", "name"]
    assert drawn[1].texts[0].get_text() == "Predicted for f, line 1: get, 100 %" and "<name>" in texts(drawn[1])


def test_a_molecule(drawn):
    graph = Data(x=torch.eye(3)[[0, 2]], edge_index=torch.tensor([[0, 1], [1, 0]]))
    predict(torch.tensor([[0.0, 1.0]]), ["graph"], [graph], ["no", "yes"])
    assert drawn[0].texts[0].get_text() == "Predicted: yes, 73 %" and legend(drawn[0]) == ["feature 0", "feature 2"]


def test_of_a_large_graph_what_is_near(drawn):
    n = 1500
    ring = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
    graph = Data(x=torch.ones(n, 1), edge_index=torch.cat([ring, ring.flip(0)], 1))
    predict(torch.rand(n, 3), ["node 700"], [graph], ["a", "b", "c"], index=torch.tensor([700]))
    assert [text for text in texts(drawn[0]) if text] == ["698", "699", "700", "701", "702"]
    assert drawn[0].texts[0].get_text() == "Predicted classes of 5 of 1500 nodes" and "in the input" in legend(drawn[0])


def test_values(drawn):
    [tree] = read_trees("(_ (_ not) (_ bad))")
    predict(torch.tensor([[0.5], [0.0], [-1.0]]), ["not bad", "not", "bad"], [tree], None)
    assert legend(drawn[0]) == ["-1", "-0.5", "0", "0.5", "1"] and drawn[0].texts[0].get_text() == "Predicted: 0.5"
