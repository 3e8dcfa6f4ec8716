"""Typical mistakes: the report's first finding names the cause in plain words, and what was tried."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.nn import GCNConv, global_add_pool, global_mean_pool

import graphseq as gs
from graphseq import doctor
from tests.doctor import models
from tests.doctor.models import F_IN, Base, C, H, OfRoots, PooledBase


class Plain(nn.Module):
    """Linear layers, for others to do the rest."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(F_IN, H), nn.Linear(H, C)


class LastEdge(Plain):
    def forward(self, x, edge_index):
        received = torch.zeros_like(x)
        received[edge_index[1]] = x[edge_index[0]]
        return self.out(torch.tanh(self.hidden(x + received)))


class BatchOf32(PooledBase):
    """Hard-coded batch size, all graphs of one size."""

    def pool(self, h, batch):
        return h.view(32, -1, C).mean(1)


class SweepOfBatch8(OfRoots):
    """Refuses cycles, as it should, and has a hard-coded batch size."""

    def forward(self, x, topology):
        h, _ = self.layer(x, topology)
        return self.classifier(h[topology.roots].view(8, 16))


class RowsOf16(PooledBase):
    def pool(self, h, batch):
        return global_add_pool(h, batch, size=16)


class TableOf34(Base):
    """A row of weights for each node of one graph."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(34, F_IN))

    def forward(self, x, edge_index):
        return super().forward(x + self.table, edge_index)


class FlattensNodes(PooledBase):
    """A linear layer over all 10 nodes of a graph."""

    def __init__(self):
        super().__init__()
        self.flat = nn.Linear(10 * C, 2)

    def pool(self, h, batch):
        return self.flat(h.view(int(batch.max()) + 1, -1))


class EqualSizes(PooledBase):
    def pool(self, h, batch):
        count = int(batch.max()) + 1
        parts = [h[batch == i] for i in range(count)]
        return torch.stack(parts).mean(1)


class AtLeast7(PooledBase):
    """The 7 best nodes of each graph."""

    def pool(self, h, batch):
        return torch.stack([h[batch == i].topk(7, dim=0).values.sum(0) for i in range(int(batch.max()) + 1)])


class SoftmaxOverNodes(Base):
    def forward(self, x, edge_index):
        return F.log_softmax(super().forward(x, edge_index), dim=0)


class CentresOverBatch(PooledBase):
    def pool(self, h, batch):
        return global_mean_pool(h - h.mean(0), batch)


class BatchStatistics(PooledBase):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(C, track_running_stats=False)

    def pool(self, h, batch):
        return global_mean_pool(self.norm(h), batch)


class MergesGraphs(PooledBase):
    def pool(self, h, batch):
        return h.mean(0)


class TopDown(OfRoots):
    """Sweeps from the roots to the leaves, then reads the roots out."""

    def forward(self, x, trees):
        h, _ = self.layer(x, trees.reverse())
        return self.classifier(h[trees.roots])


class ReverseSweep(nn.Module):
    def __init__(self):
        super().__init__()
        self.sweep, self.out = gs.nn.Recurrent(gs.nn.GRUCell(4, 8), gs.Sweep(reverse=True)), nn.Linear(8, 2)

    def forward(self, x, topology):
        return self.out(self.sweep(x, topology)[topology.roots])


class SwappedEnds(Plain):
    """Sums the targets of a node's edges."""

    def forward(self, x, edge_index):
        received = torch.zeros_like(x).index_add(0, edge_index[0], x[edge_index[1]])
        return self.out(torch.tanh(self.hidden(x + received)))


class IgnoresEdges(Plain):
    def forward(self, x, edge_index):
        return self.out(torch.tanh(self.hidden(x)))


class KeepsState(Base):
    def forward(self, x, edge_index):
        self.calls = getattr(self, "calls", 0) + 1
        return super().forward(x, edge_index) * self.calls


class ReadsTargets(Base):
    def __init__(self):
        super().__init__()
        self.label = nn.Embedding(2, F_IN)

    def forward(self, data):
        return super().forward(data.x + self.label(data.y), data.edge_index)


class ReadsTargetsOfGraphs(PooledBase):
    def forward(self, data):
        return super().forward(data.x, data.edge_index, data.batch) + data.y[:, None]


class CutOff(Base):
    """A tensor is detached between two layers."""

    def forward(self, x, edge_index):
        return self.out(torch.tanh(self.conv(x, edge_index)).detach())


class DividesWithoutLoops(Plain):
    """Normalises by in-degrees, without self-loops."""

    def forward(self, x, edge_index):
        degree = torch.zeros(x.size(0), dtype=x.dtype).index_add(0, edge_index[1], torch.ones(edge_index.size(1)).to(x))
        total = torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])
        return self.out(torch.tanh(self.hidden(total / degree[:, None])))


class DictOfLayers(Base):
    def __init__(self):
        super().__init__()
        self.extra = {"first": nn.Linear(F_IN, C)}

    def forward(self, x, edge_index):
        return super().forward(x, edge_index) + self.extra["first"].to(x.dtype)(x)


class ListWithFrozenLayer(Base):
    def __init__(self):
        super().__init__()
        self.extra = [nn.Linear(F_IN, C), nn.Linear(F_IN, C).requires_grad_(False)]

    def forward(self, x, edge_index):
        return super().forward(x, edge_index) + sum(layer.to(x.dtype)(x) for layer in self.extra)


MISTAKES = [
    (BatchOf32, "sizes", "The batch size is hard-coded as 32", "it runs on 32 graphs of 3, 3"),
    (SweepOfBatch8, "sizes", "The batch size is hard-coded as 8", "(general, DAGs, trees, chains)"),
    (RowsOf16, "sizes", "The batch size is hard-coded as 16", "3 graphs of 4, 6, 3 nodes give shape [16, 3]"),
    (TableOf34, "sizes", "The number of nodes is hard-coded as 34", "it runs on 1 graph of 34"),
    (FlattensNodes, "sizes", "The number of nodes of each graph is hard-coded as 10", "10, 10, 10"),
    (EqualSizes, "sizes", "All graphs of a batch must have the same number of nodes", "7, 7"),
    (AtLeast7, "sizes", "Every graph needs at least 7 nodes", "7, 7, 7"),
    (SoftmaxOverNodes, "batched = separate", "softmax is taken over the nodes (dim=0)", "changing one graph"),
    (models.MixesBatch, "batched = separate", "softmax is taken over the nodes", "differ by"),
    (CentresOverBatch, "batched = separate", "Graphs of a batch are mixed: a mean, norm or softmax",
     "changing one graph"),
    (BatchStatistics, "batched = separate", "norm (BatchNorm1d) uses the statistics of the batch", "in a batch of 3"),
    (models.SpoiltByEmpty, "batched = separate", "Results depend on how many graphs",
     "not with other graphs' features"),
    (MergesGraphs, "sizes", "The graphs of a batch are merged into one result", "give shape [3]"),
    (TopDown, "direction of edges", "Edges are read backwards", "and no result does"),
    (ReverseSweep, "direction of edges", "Edges are read backwards", "and no result does"),
    (SwappedEnds, "direction of edges", "Edges are read backwards", "but the other way round"),
    (IgnoresEdges, "direction of edges", "The edges make no difference", "with and without their edges"),
    (models.DropsInEval, "repeatable", "Dropout or other randomness is active in eval mode", "with the same seed not"),
    (KeepsState, "repeatable", "State is kept from call to call", "with the same seed as well"),
    (models.InPlace, "inputs unchanged", "forward changes x of the caller in place", "after a call in eval mode"),
    (models.AssignsToData, "inputs unchanged", "forward changes data.x of the caller", "eval mode"),
    (ReadsTargets, "targets", "The targets leak into the predictions", "with other labels y"),
    (ReadsTargetsOfGraphs, "targets", "The targets leak into the predictions", "with other labels y"),
    (models.ByPosition, "node order", "Results depend on how the nodes are numbered", "nodes renumbered"),
    (models.LastEdgeWins, "edge order", "Results depend on the order of the edges", "edges in another order"),
    (LastEdge, "edge order", "Only the last edge into each node counts", "edges in another order"),
    (models.NormOfNothing, "finite numbers", "features that are all 0: likely a norm or sum is 0", "in results"),
    (models.RootOfNothing, "finite numbers", "a square root or norm at 0 has an infinite gradient",
     "the gradients of input x"),
    (CutOff, "gradients", "The gradient is cut off on the way to conv", "(none)"),
    (models.Unused, "gradients", "forgotten.weight is never used: a layer is made and not called",
     "none"),
    (models.TimesZero, "gradients", "silent.weight has no effect: multiplied by 0", "all 0"),
    (models.Detached, "gradients", "The gradient is cut off on the way to input x", "input x (none)"),
    (models.DropsColumn, "gradients", "x[:, [5]] is never read", "1 of 6 features"),
    (models.ListOfLayers, "state_dict", "Parameters are not registered: layers is a plain Python attribute", "layers"),
    (lambda: DictOfLayers(), "state_dict", "Parameters are not registered: extra is a plain Python attribute", "extra"),
    (ListWithFrozenLayer, "state_dict", "Parameters are not registered: extra is a plain Python attribute", "extra"),
    (models.OutsideState, "state_dict", "mask is a tensor outside the state", "differ by"),
    (DividesWithoutLoops, "isolated nodes", "divided by their degree, which is 0", "4, 6, 5 nodes"),
    (models.CountsByEdges, "isolated nodes", "The number of nodes is taken from the edges", "4, 6, 5 nodes"),
    (models.CountsUnique, "empty graphs", "Graphs are counted by which ids occur in `batch`", "4, 0, 3"),
    (models.Cancels, "dtype and device", "Digits cancel", "differ by"),
    (models.FallsBack, "dtype and device", "Results are converted to float32", "in float64"),
    (models.Whitens, "small batches in training", "A standard deviation is taken over one row", "1 graph of 1 nodes"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "check", "cause", "evidence"), MISTAKES, ids=lambda v: getattr(v, "__name__", ""))
def test_the_first_finding_names_the_cause(model, check, cause, evidence):
    findings = doctor.check_model(model)
    first = findings[0]
    assert first.state == ("warning" if model in (SwappedEnds, IgnoresEdges) else "failed"), findings
    assert (first.check, cause in first.cause, evidence in first.message) == (check, True, True), first
    assert first.advice
    text = str(first)
    assert text.index(first.cause) < text.index(first.message) < text.index(first.advice)


def test_a_hard_coded_batch_size_is_not_blamed_on_cycles():
    first = doctor.check_model(SweepOfBatch8)[0]
    assert "cycle" not in f"{first.cause} {first.message}"
    assert "shape '[8, 16]' is invalid" in first.message


def test_what_was_tried_is_stated_where_nothing_runs():
    class Never(nn.Module):
        def forward(self, x, edge_index):
            raise KeyError("weights")

    with pytest.raises(gs.GraphError, match=r"tried graphs, DAGs, trees and chains of 4, 6, 3 nodes .*KeyError"):
        doctor.check_model(Never())


def test_a_call_is_used_as_it_is_given():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = GCNConv(F_IN, H)

        def forward(self, moon, sun, *, scale):
            return self.conv(sun, moon) * scale

    def call(model, graphs):
        return model(graphs.edge_index, graphs.x, scale=2.0)

    with pytest.raises(gs.GraphError, match="call=lambda model, graphs"):
        doctor.check_model(Odd())
    findings = doctor.check_model(Odd(), call=call)
    assert findings[0].message.startswith("call reads edge_index, x [N, 6]; gives one row per node, [13, 8]")
    assert {f.state for f in findings} <= {"passed", "not checked"}
    broken = doctor.check_model(Odd(), call=lambda model, graphs: F.dropout(call(model, graphs)))
    assert broken[0].cause == "Dropout or other randomness is active in eval mode"


def test_a_call_that_uses_another_model_is_refused():
    model = Base()
    with pytest.raises(gs.GraphError, match="`call`: expected a function that calls the model it is given"):
        doctor.check_model(model, call=lambda _, graphs: model(graphs.x, graphs.edge_index))


def test_a_call_can_ask_for_symbols_labels_and_a_structure():
    class Tree(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.lstm = nn.Embedding(9, 4), gs.nn.TreeLSTM(4, 5, kind="nary")

        def forward(self, words, tree):
            return self.lstm(self.words(words), tree)[0][tree.roots]

    options = {"symbols": 9, "structure": "trees"}
    findings = doctor.check_model(Tree(), call=lambda m, g: m(g.x, g.topology), **options)
    assert findings[0].message.startswith("call reads x int64 [N], topology; gives one row per root, [3, 5]")
    leak = lambda m, g: m(g.x, g.topology) * (1 + g.y[g.topology.roots, None])  # noqa: E731
    leaking = doctor.check_model(Tree(), call=leak, **options)
    assert leaking[0].check == "targets"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"call": 3}, "`call`: expected a function"), ({"structure": "rings"}, "`structure`: expected one of graphs"),
     ({"symbols": -1}, "`symbols`")],
)  # fmt: skip
def test_errors(options, message):
    with pytest.raises(gs.GraphError, match=message):
        doctor.check_model(Base, **options)


def test_a_guess_is_stated():
    message = doctor.check_model(Base)[0].message
    assert "guessed from the names of forward's arguments" in message
