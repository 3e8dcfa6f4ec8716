"""The recipes on Python source, on a small folder of it."""

import math

import pytest
import torch

from graphseq.errors import GraphError
from graphseq.recipes import Source, find_recipe, open_run, train
from graphseq.recipes.misuse import log_softmax
from graphseq.recipes.names import label_loss
from graphseq.topology import Links
from graphseq.train import chosen_labels, measure

NAMES = ("stdlib-treelstm", "stdlib-names", "stdlib-misuse")
MODULE = """
class Box{i}:
    def get_item{i}(self, key, default):
        if key in self.items:
            return self.items[key]{more}
        return default

    def set_item(self, key, value):
        old = self.get_item{i}(key, None)
        self.items[key] = value
        return old, {i}{more}
"""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "source"
    made.mkdir()
    for i in range(10):
        (made / f"box{i}.py").write_text(MODULE.format(i=i, more=" + 1" * i))
    return made


def small(name, folder, **options):
    return find_recipe(name, folder=str(folder), epochs=1, hidden=8, **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_one_s_own(name, folder, tmp_path):
    recipe = small(name, folder)
    summary = train(recipe, tmp_path / "run")
    run = open_run(tmp_path / "run")
    found = run.evaluate()
    assert found[recipe.metrics[0]] == pytest.approx(summary["mean"], abs=1e-3) and found["loss"] > 0
    prediction = run.predict(recipe.example)
    if name == "stdlib-names":
        assert [row["input"] for row in prediction] == ["f, line 1"]
        assert prediction[0]["value"] and set(prediction[0]["value"]) <= set(run.metadata["names"])
    if name == "stdlib-misuse":
        assert prediction.note.startswith("6 places read")
        for row in prediction:
            assert row["input"].startswith("f, line ") and row["class"] in ("low", "high")
            assert row["class"] != row["input"].split(": ")[1] and 0.5 <= row["probability"] <= 1
    for text in ("(((", "x = 1"):
        with pytest.raises(GraphError, match="`input`: expected Python source"):
            run.predict(text)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient(name, folder):
    task, _ = small(name, folder).task(Source(), 0)
    batch = task.train.batch(torch.arange(task.train.size))
    task.loss(batch.rows(task.model(*batch.inputs)), batch.target).sum().backward()
    assert all(parameter.grad is not None for parameter in task.model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_as_good_as_its_examples(name, folder):
    task, _ = small(name, folder).task(Source(), 0)
    task.model.eval()
    every = task.train.batch(torch.arange(task.train.size))
    alone = [task.train.batch(torch.tensor([i])) for i in range(task.train.size)]
    together = task.model(*every.inputs)
    torch.testing.assert_close(together, torch.cat([task.model(*each.inputs) for each in alone]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_folders_without_enough(name, tmp_path):
    with pytest.raises(GraphError, match=r"`folder`: expected a folder of Python source, got .*which does not exist"):
        small(name, tmp_path / "nowhere").task(Source(), 0)
    (tmp_path / "a.py").write_text(MODULE.format(i=0, more=""))
    with pytest.raises(GraphError, match=r"`folder`: expected Python source with functions"):
        small(name, tmp_path).task(Source(), 0)


def test_a_single_verb_is_refused(tmp_path):
    for i in range(10):
        text = f"def get_it(a{i}, b):\n    return a{i}.b(b, a{i})" + " + b" * i
        (tmp_path / f"m{i}.py").write_text(text)
    with pytest.raises(GraphError, match=r"`folder`: expected .* at least two of the verbs .*, with get alone"):
        small("stdlib-treelstm", tmp_path).task(Source(), 0)


def test_edges_of_the_syntax_alone(folder):
    def kinds(**options):
        task, _ = small("stdlib-misuse", folder, **options).task(Source(), 0)
        return set(task.train.batch(torch.arange(4)).inputs[4].tolist())

    assert kinds() == set(range(12)) and kinds(edges="syntax") == {0, 1, 6, 7}


def test_f1_of_sub_tokens_by_hand():
    """Names: get item; set; a name of two unknown sub-tokens. Column 0 stands for the unknown."""
    target = torch.tensor([[0.0, 1, 0, 1], [0, 0, 1, 0], [2, 0, 0, 0]])
    scores = torch.tensor([[9.0, 2, 1, -1], [9, -3, -2, -4], [9, -2, -1, -3]])
    assert chosen_labels(scores).long().tolist() == [[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0]]
    right, found, true = 2, 4, 5  # get, set; get set, set, set; get item, set, two unknown
    assert measure(["subtoken_f1"], scores, target)["subtoken_f1"] == pytest.approx(100 * 2 * right / (found + true))
    assert not chosen_labels(torch.ones(2, 1)).any()


def test_losses_by_hand():
    scores, target = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 3.0]])
    by_hand = math.log(2) + 4 * math.log(1 + math.exp(-2))
    assert float(label_loss(scores, target)) == pytest.approx(by_hand, rel=1e-6)
    owners = Links.between(torch.tensor([[0, 1, 2, 3, 4], [0, 0, 1, 1, 1]]), 5, 2)
    scores = torch.tensor([[1.0], [500.0], [-2.0], [0.5], [3.0]], requires_grad=True)
    parts = [scores[:2].log_softmax(0), scores[2:].log_softmax(0)]
    made = log_softmax(scores, owners)
    torch.testing.assert_close(made, torch.cat(parts))
    one, other = (torch.autograd.grad(each[[0, 3]].sum(), scores)[0] for each in (made, torch.cat(parts)))
    torch.testing.assert_close(one, other)


def test_the_rows_of_the_pointer(folder):
    """The best wrong candidate and the right one; without targets all candidates, whose probabilities sum to 1."""
    task, _ = small("stdlib-misuse", folder).task(Source(), 0)
    task.model.eval()
    inputs = task.train.batch(torch.arange(5)).inputs
    every = task.model(*inputs[:-1], None)[:, 0].detach()
    of, right = inputs[-2].edge_index[1], inputs[-1]
    torch.testing.assert_close(torch.zeros(5).index_add(0, of, every.exp()), torch.ones(5))
    for example, row in enumerate(task.model(*inputs)):
        own = [float(v) for c, v in enumerate(every) if int(of[c]) == example and c != int(right[example])]
        assert row.tolist() == pytest.approx([max(own), float(every[right[example]])], abs=1e-5)
