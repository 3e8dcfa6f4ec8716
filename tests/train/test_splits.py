"""Ready splits: who goes where, and that a model learns from each kind with one call."""

from functools import partial

import networkx
import numpy
import pytest
import torch
import torch_geometric.nn as pyg
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

import graphseq as gs
from graphseq import nn, train
from graphseq.convert import Vocabulary, read_trees
from graphseq.errors import DataWarning
from tests.strategies import examples


@given(
    labels=st.lists(st.integers(0, 3), min_size=12, max_size=80), val=st.sampled_from([0.0, 0.1, 0.3]),
    test=st.sampled_from([0.0, 0.1, 0.3]), seed=st.integers(0, 5),
)  # fmt: skip
@examples(60)
def test_dealing(labels, val, test, seed):
    y = torch.tensor(labels)
    parts = train.deal(y, val=val, test=test, seed=seed)
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(len(y)))
    assert [len(part) for part in parts[1:]] == [max(1, round(share * len(y))) if share else 0 for share in (val, test)]
    assert set(labels) == set(y[parts[0]].tolist())  # no class is in the other parts alone
    rest = torch.bincount(y, minlength=4) - (torch.bincount(y, minlength=4) > 0).long()
    for part in parts[1:]:
        expected = rest * (len(part) / max(int(rest.sum()), 1))
        assert (torch.bincount(y[part], minlength=4) - expected).abs().max() <= 2
    again = train.deal(y, val=val, test=test, seed=seed)
    assert all(torch.equal(a, b) for a, b in zip(parts, again, strict=True))


def test_slips_in_dealing():
    for labels, shares, message in (
        (torch.tensor([0, 1]), {}, "`val`: .* got shares that take 2 of 2 examples in 2 classes"),
        (2, {}, "got shares that take 2 of 2 examples$"),
        (5, {"val": 1.0}, "`val`: expected a share from 0 to 1"),
        (5, {"val": 0.5, "test": 0.5}, "leave some for training"),
        (5, {"test": -0.1}, "`test`: expected a share"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            train.deal(labels, **shares)
    assert [len(part) for part in train.deal(10, val=0.2, test=0.0)] == [8, 2, 0]


def test_names_and_weights_of_classes():
    assert train.class_names(["b", "a10", "a2", "b"]) == ["a2", "a10", "b"]
    assert train.class_names([10, 9, -1]) == [-1, 9, 10]
    assert train.class_names([True, False]) == [False, True]
    weights = train.class_weights(torch.tensor([0, 2, 2, 2]))
    assert weights.mean() == 1 and weights[0] == weights[1:].sum()


def fitted(model, splits, **options):
    torch.manual_seed(0)
    outcome = train.fit(train.Task(model, *splits), train.Training(**{"epochs": 30, "lr": 0.02, **options}))
    best = train.measure(["accuracy"], torch.eye(2), torch.arange(2))
    return outcome.val["accuracy"] == outcome.test["accuracy"] == best["accuracy"]


def test_graphs():
    path = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    graphs = [Data(x=torch.full((3, 2), i % 2 - 0.5), edge_index=path, y=torch.tensor([i % 2])) for i in range(20)]
    for conv in ("gin", "gcn", nn.GCNConv, lambda a, b: nn.GINConv(torch.nn.Linear(a, b))):
        splits = train.graph_splits(graphs)
        assert fitted(nn.GraphClassifier(2, 8, 2, conv=conv, dropout=0.0), splits, batch_size=8)
    masks = [torch.arange(20) < 10, torch.arange(20) == 10, torch.zeros(20, dtype=torch.bool)]
    splits = train.graph_splits(graphs, parts=masks)
    assert (splits.train.size, splits.val.size, splits.test) == (10, 1, None)
    for graph in graphs:
        graph.edge_weight = torch.ones(4)
    batch = train.graph_splits(graphs).train.batch(torch.tensor([0, 1]))
    assert nn.GraphClassifier(2, 8, 2, conv="gcn")(*batch.inputs).shape == (2, 2)
    with pytest.raises(gs.GraphError, match="`edge_weight`: expected None, since no layer takes edge_weight"):
        nn.GraphClassifier(2, 8, 2)(*batch.inputs)
    wide = [*graphs, Data(x=torch.zeros(3, 9), edge_index=path, y=torch.tensor([0]), edge_weight=torch.ones(4))]
    with pytest.raises(gs.GraphError, match=r"x`: expected a tensor of shape \[N, 2\], got float32 of shape \[3, 9\]"):
        train.graph_splits(wide)
    del graphs[3].edge_weight
    for some, message in ((graphs[2:], "as graphs.0. has it, got None"), (graphs[3:], "none, as graphs.0. has none")):
        with pytest.raises(gs.GraphError, match=rf"`graphs\[1\].edge_weight`: expected .*{message}"):
            train.graph_split(some)


def test_slips_are_at_the_number_in_the_callers_list():
    path = torch.tensor([[0, 1], [1, 2]])
    graphs = [Data(x=torch.zeros(3, 2), edge_index=path, y=torch.tensor([i % 2])) for i in range(20)]
    x, y = torch.zeros(3, 2), torch.tensor([0])
    for wrong, message in (
        (Data(x=torch.zeros(3, 9), edge_index=path, y=y), r"`graphs\[13\].x`: .* \[N, 2\], got .* \[3, 9\]"),
        (Data(edge_index=path, y=y), r"`graphs\[13\].x`: expected a tensor of shape \[N, 2\], got None"),
        (Data(x=x, edge_index=path, y=1), r"`graphs\[13\].y`: .* such as torch.tensor\(\[1\]\), got 1"),
        (Data(x=x, edge_index=path), r"`graphs\[13\].y`: .*, got None"),
        (Data(x=x, edge_index=path, y=torch.tensor([0, 1])), r"`graphs\[13\].y`: expected 1 targets"),
        (networkx.path_graph(3), r"`graphs\[13\]`: expected torch_geometric.data.Data, which .*from_networkx makes"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            train.graph_splits([*graphs[:13], wrong, *graphs[14:]])
    sequences = [torch.zeros(3, 2)] * 20
    for wrong, message in (
        (numpy.zeros((3, 2)), r"`sequences\[13\]`: expected a tensor of shape \[T, 2\], .* NumPy array.*from_numpy"),
        (torch.zeros(3), r"`sequences\[13\]`"), (torch.zeros(0, 2), "at least one step"),
    ):  # fmt: skip
        with pytest.raises(gs.GraphError, match=message):
            train.sequence_splits([*sequences[:13], wrong, *sequences[14:]], [0, 1] * 10)
    graphs[13].x[0, 0] = torch.nan
    graphs[16].y[0] = 7
    right = [i for i in range(18) if i not in (13, 16)]
    for parts, message in (
        ([[*right, 13], [18], []], r"got nan at \[0, 0\] of .* \(example 13 of the data, in the split `train`\)"),
        ([right, [18, 16], []], r"from 0 to 1, got 7 at \[0\] \(example 16 of the data, in the split `val`\)"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            fitted(nn.GraphClassifier(2, 4, 2), train.graph_splits(graphs, parts=parts), batch_size=4, epochs=1)


def test_a_model_alone_is_no_task():
    with pytest.raises(gs.GraphError, match=r"`task`: expected a Task, such as Task\(model"):
        train.fit(nn.GraphClassifier(2, 4, 2), train.Training())
    splits = train.sequence_splits([torch.zeros(3, 2)] * 20, [0, 1] * 10)
    assert repr(splits) == "LabelledSplits(train=Split(size=16), val=Split(size=2), test=Split(size=2))"
    with pytest.raises(gs.GraphError, match=r"`x`: expected shape \[N, 2\], the model's in_channels wide"):
        nn.GraphClassifier(2, 4, 2)(torch.zeros(3, 5), gs.Topology.chain([3]))
    with pytest.raises(gs.GraphError, match=r"`x`: expected shape \[N, 2\], the model's in_channels wide"):
        nn.NodeClassifier(2, 4, 2, conv="gin")(torch.zeros(3, 5), gs.Topology.chain([3]))


def test_what_a_newcomer_gets_wrong():
    path = torch.tensor([[0, 1], [1, 2]])
    for make, call in ((nn.GraphClassifier, {}), (nn.NodeClassifier, {})):
        wide = make(8, 16, 4, conv=lambda a, b: nn.GATConv(a, b, heads=4), **call)
        with pytest.raises(gs.GraphError, match=r"`conv`: expected a layer that returns rows 16 wide"):
            wide(torch.randn(3, 8), gs.Topology.from_edge_index(path, 3))
        with pytest.raises(gs.GraphError, match="`num_classes`"):
            make(8, 16, 0)
        with pytest.raises(gs.GraphError, match="`conv`: expected a name, a class or a function that makes a layer"):
            make(8, 16, 4, conv=nn.GATConv(8, 16))
    one = Data(x=torch.zeros(3, 2), edge_index=path, y=torch.tensor([0]))
    with pytest.raises(gs.GraphError, match="`graphs`: expected a list"):
        train.graph_splits(one)
    with pytest.raises(gs.GraphError, match=r"`texts\[0\]`: expected a text, got 1"):
        train.text_splits([1, 2], [0, 1])
    graphs = [Data(x=torch.zeros(3, 2), edge_index=path, y=torch.tensor([i % 2]), edge_attr=torch.ones(2, 3))
              for i in range(20)]  # fmt: skip
    with pytest.warns(DataWarning, match="edge_attr is not used"):
        train.graph_splits(graphs)
    with pytest.raises(gs.GraphError, match="`graphs`: expected a list, such as a loader's `dataset`"):
        train.graph_splits(DataLoader(graphs))
    with pytest.raises(gs.GraphError, match="`metrics`: expected names from"):
        train.Task(nn.GraphClassifier(2, 4, 2), train.Split(1, lambda indices: None), metrics=["acc"])
    task = train.Task(nn.GraphClassifier(2, 4, 2), train.Split(1, lambda indices: None))
    task.metrics = "accuracy"
    with pytest.raises(gs.GraphError, match="`metrics`: expected a list of at least one name"):
        train.fit(task, train.Training(epochs=1))
    x, y = torch.zeros(3, 2), torch.tensor([0, 1, 1])
    for tensors, message in (
        ({"x": x}, r"`data\.y`: expected a tensor with 3 rows, one for each node, got None"),
        ({"y": y, "num_nodes": 3}, r"`data\.x`: expected a tensor with 3 rows"),
        ({"x": x, "y": y[:, None]}, r"`data\.y`: expected classes, .*; data\.y\.squeeze\(1\) may be meant"),
        ({"x": x, "y": torch.eye(3).long()}, r"`data\.y`: expected classes, .*; data\.y\.argmax\(1\) may be meant"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            train.node_splits(Data(edge_index=path, **tensors))
    with pytest.raises(gs.GraphError, match=r"`data`: expected torch_geometric\.data\.Data"):
        train.node_splits(x)


def test_devices_by_name():
    splits = train.sequence_splits([torch.zeros(3, 2)] * 20, [0, 1] * 10)
    task = train.Task(nn.SequenceClassifier(2, 4, 2), *splits)
    assert train.fit(task, train.Training(epochs=1), device="auto").epochs == 1
    with pytest.raises(gs.GraphError, match="`device`: expected auto, cpu, cuda"):
        train.fit(task, train.Training(epochs=1), device="tpu")
    fabric = train.Machine(device="cpu").fabric()
    fabric.launch()
    with pytest.raises(gs.GraphError, match="`device`: expected no device together with a fabric"):
        train.fit(task, train.Training(epochs=1), device="auto", fabric=fabric)


def test_parts_that_are_none():
    graphs = [Data(x=torch.zeros(1, 1), edge_index=torch.empty(2, 0).long(), y=torch.tensor([0]))] * 3
    for parts, message in (
        ([[0], [1]], "2 parts"), ([[0], [1], [5]], "indices from 0 to 2"),
        ([[0], [1], [1]], "each example in one part"), ([[], [1], [2]], "at least one training example"),
    ):  # fmt: skip
        with pytest.raises(gs.GraphError, match=message):
            train.graph_splits(graphs, parts=parts)
    with pytest.raises(gs.GraphError, match="`graphs`: expected at least one, got none"):
        train.graph_splits([])


def test_trees():
    texts = [f"({i % 2} (0 it) ({i % 2} {['bad', 'good'][i % 2]}))" for i in range(20)]
    vocabulary = Vocabulary(("it", "bad", "good"))
    trees = [read_trees(text, vocabulary=vocabulary, labels="01")[0] for text in texts]
    for cell in ("nary-tree-lstm", "child-sum-tree-lstm", "gru", nn.LSTMCell):
        splits = train.tree_splits(trees)
        assert fitted(nn.TreeClassifier(4, 8, 8, 2, cell=cell), splits)
    batch = splits.train.batch(torch.tensor([0]))
    assert len(batch.target) == 3 and len(splits.val.batch(torch.tensor([0])).target) == 1
    assert batch.weight is not None
    with pytest.raises(gs.GraphError, match="`on`"):
        train.tree_split(trees, on="leaves")
    del trees[3].word
    with pytest.raises(gs.GraphError, match="no word"):
        train.tree_split(trees)


def test_sequences_and_texts():
    sequences = [torch.full((1 + i % 5, 1), i % 2 - 0.5) for i in range(20)]
    splits = train.sequence_splits(sequences, ["no", "yes"] * 10)
    assert splits.classes == ["no", "yes"]
    for layer in ("gru", "lstm", "elman", nn.GRUCell):
        model = nn.SequenceClassifier(1, 8, 2, layer=layer, bidirectional=True)
        assert fitted(model, splits)
    texts = [f"A {['dull', 'fine'][i % 2]} film!" for i in range(20)]
    splits = train.text_splits(texts, [i % 2 for i in range(20)])
    assert splits.classes == [0, 1] and splits.vocabulary.words == ("!", "a", "film", "dull", "fine")
    model = nn.TextClassifier(len(splits.vocabulary), 8, 8, 2, layer="gru", dropout=0.0)
    assert fitted(model, splits)
    splits = train.text_splits(["only here", "other", ""], ["a", "b", "a"], parts=[[1], [0], [2]])
    assert splits.vocabulary.words == ("other",)
    words, chains = splits.val.batch(torch.tensor([0])).inputs
    assert words.tolist() == [0, 0] and chains.num_nodes == 2
    assert splits.test.batch(torch.tensor([0])).inputs[0].tolist() == [0]  # no word at all
    numbers = train.text_splits(["a film"] * 20, torch.arange(20) / 2)
    assert numbers.train.size == 16 and numbers.train.batch(torch.arange(16)).target.is_floating_point()
    with pytest.raises(gs.GraphError, match="`labels`: expected 2, one for each of `texts`, got 1"):
        train.text_splits(["a", "b"], [0])
    with pytest.raises(gs.GraphError, match="`texts`: expected a list"):
        train.text_splits("text", [0])


def test_nodes():
    ring = torch.tensor([[*range(20)], [*range(1, 20), 0]])
    data = Data(x=torch.eye(2)[torch.arange(20) // 10], edge_index=ring, y=(torch.arange(20) // 10))
    data.y[3] = -1
    splits = train.node_splits(data)
    assert splits.train.size + splits.val.size + splits.test.size == 19
    for conv in ("gcn", "gin", "gated-graph"):
        assert fitted(nn.NodeClassifier(2, 8, 2, conv=conv, dropout=0.0), splits)
    data.train_mask, data.val_mask, data.test_mask = (torch.arange(20) % 3 == i for i in range(3))
    assert [split.size for split in train.node_splits(data)] == [7, 7, 6]


class Pooled(torch.nn.Module):
    """Layers of PyG's, then the mean over each graph."""

    def __init__(self):
        super().__init__()
        self.conv = pyg.GATConv(2, 2, edge_dim=3)

    def forward(self, x, edge_index, batch, edge_weight, edge_attr):
        assert edge_weight is None
        return pyg.global_mean_pool(self.conv(x, edge_index, edge_attr), batch)


def test_features_of_edges_and_models_of_pyg():
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    graphs = [Data(x=torch.randn(3, 2), edge_index=edges, edge_attr=torch.randn(4, 3), y=torch.tensor([i % 2]))
              for i in range(20)]  # fmt: skip
    conv = partial(nn.GATConv, edge_dim=3)
    splits = train.graph_splits(graphs, edge_attr=True)
    x, topology, none, weight, e = splits.train.batch(torch.tensor([0, 1])).inputs
    assert none is weight is None and torch.equal(e, torch.cat([graphs[i].edge_attr for i in splits.train.origin[:2]]))
    assert fits(nn.GraphClassifier(2, 4, 2, conv=conv), splits)
    splits = train.graph_splits(graphs, edges="edge_index", edge_attr=True)
    given = splits.train.batch(torch.tensor([0, 1])).inputs
    assert torch.equal(given[1], topology.edge_index) and given[2].tolist() == [0] * 3 + [1] * 3
    assert torch.equal(given[0], x) and fits(Pooled(), splits)

    data = Data(x=torch.randn(20, 2), edge_index=torch.randint(20, (2, 50)), edge_attr=torch.ones(50, 3).long(),
                y=torch.arange(20) % 2)  # fmt: skip
    assert fits(nn.NodeClassifier(2, 4, 2, conv=conv), train.node_splits(data, edge_attr=True))
    with pytest.warns(DataWarning, match="edge_attr=True passes it"):
        splits = train.node_splits(data, edges="edge_index")
    assert fits(pyg.GCN(2, 4, 2, 2), splits) and fits(nn.NodeClassifier(2, 4, 2, conv=pyg.GATConv), splits)
    del data.edge_attr
    for model in (pyg.GCN(2, 4, 2, 2), nn.NodeClassifier(2, 4, 2, conv=pyg.GATConv)):
        with pytest.raises(gs.GraphError, match=r"`model`: expected one that takes a Topology; .* edges='edge_index'"):
            fits(model, train.node_splits(data))
    with pytest.raises(gs.GraphError, match='`edges`: expected "topology" or "edge_index"'):
        train.node_splits(data, edges="list")
    with pytest.raises(gs.GraphError, match=r"`data\.edge_attr`: expected a tensor of shape \[50, D\]"):
        train.node_splits(data, edge_attr=True)
    graphs[3].edge_attr = torch.randn(4, 2)
    with pytest.raises(gs.GraphError, match=r"`graphs\[3\]\.edge_attr`: expected a tensor of shape \[4, 3\]"):
        train.graph_splits(graphs, edge_attr=True)


def fits(model, splits):
    return train.fit(train.Task(model, *splits), train.Training(epochs=2)).test["accuracy"] >= 0


def test_single_layers_agree_with_those_of_torch():
    """A cell over chains is the layer of that cell: with its weights, forwards and backwards, stacked."""
    x, chains = torch.randn(7, 3), gs.Topology.chain([4, 0, 3])
    layer = nn.SequenceClassifier(3, 4, 2, layer="gru", num_layers=2, bidirectional=True)
    cells = nn.SequenceClassifier(3, 4, 2, layer=nn.GRUCell, num_layers=2, bidirectional=True)
    cells.classifier.load_state_dict(layer.classifier.state_dict())
    for k, ways in enumerate(cells.rnn.layers):
        for way, end in zip(ways, ("", "_reverse"), strict=True):
            for name, weight in way.cell.named_parameters():
                weight.data.copy_(getattr(layer.rnn, f"{name}_l{k}{end}"))
    torch.testing.assert_close(cells(x, chains), layer(x, chains))
    torch.testing.assert_close(cells(x[None, :4]), layer(x[None, :4]))
    with pytest.raises(gs.GraphError, match=r"`cell`: expected one of .*; did you mean 'elman'"):
        nn.TreeClassifier(3, 4, 5, 2, cell="elmann")
    with pytest.raises(gs.GraphError, match=r"`conv`: expected one of .*got 'gatt'"):
        nn.NodeClassifier(3, 4, 2, conv="gatt")
    with pytest.raises(gs.GraphError, match="`conv`"):
        nn.NodeClassifier(3, 4, 2, conv=lambda a, b: 3)
