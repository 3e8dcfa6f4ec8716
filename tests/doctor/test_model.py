"""Sound models pass; of those with one fault each, the right check fails, and no other without cause."""

import copy

import pytest
import torch
import torch_geometric.nn as pyg
from torch import nn

import graphseq as gs
from graphseq import GraphError, doctor
from graphseq.doctor.graphs import Spec
from tests.devices import DEVICE, pretence
from tests.doctor import models

STATES = {"passed", "failed", "warning", "not checked"}


def states(findings, state):
    return {f.check for f in findings if f.state == state}


# Each model with what must fail of it: the check that is its own, and those that the same fault really breaks.
BROKEN = [
    (models.ByPosition, {"node order", "batched = separate"}),
    (models.ByLabelOrder, {"node order"}),
    (models.LastEdgeWins, {"edge order"}),
    (models.MixesBatch, {"batched = separate"}),
    (models.CountsByEdges, {"isolated nodes"}),
    (models.DropsSingles, {"isolated nodes"}),
    (models.DividesByDegree, {"isolated nodes"}),
    (models.CountsUnique, {"empty graphs"}),
    (models.SpoiltByEmpty, {"batched = separate"}),
    (models.NormOfNothing, {"finite numbers"}),
    (models.RootOfNothing, {"finite numbers"}),
    (models.AlwaysNaN, {"finite numbers"}),
    (models.SinglePrecision, {"dtype and device"}),
    (models.FallsBack, {"dtype and device"}),
    (models.Cancels, {"dtype and device"}),
    (models.Unused, {"gradients"}),
    (models.TimesZero, {"gradients"}),
    (models.Detached, {"gradients"}),
    (models.DropsColumn, {"gradients"}),
    (models.InPlace, {"inputs unchanged"}),
    (models.InPlaceWhenTraining, {"inputs unchanged"}),
    (models.AssignsToData, {"inputs unchanged"}),
    (models.AddsToData, {"inputs unchanged"}),
    (models.DropsInEval, {"repeatable"}),
    (models.OutsideState, {"state_dict"}),
    (models.ListOfLayers, {"state_dict", "dtype and device"}),
    (models.Whitens, {"small batches in training"}),
]


@pytest.mark.parametrize(("model", "checks"), BROKEN, ids=lambda v: getattr(v, "__name__", ""))
def test_a_broken_model_is_caught_by_the_right_check(model, checks):
    findings, failed = doctor.check_model(model), set(checks)
    if model is models.LastEdgeWins and torch.cuda.is_available():
        failed = states(findings, "failed") & {"dtype and device"} | failed  # there another edge may be the last
    assert states(findings, "failed") == failed
    for finding in findings:
        assert finding.state in STATES
        assert finding.message
        assert bool(finding.advice) == (finding.state in ("failed", "warning"))


def TOP_DOWN():
    return gs.nn.Recurrent(gs.nn.GRUCell(5, 5), gs.Sweep(reverse=True))


SOUND = [
    gs.nn.NodeClassifier, gs.nn.GraphClassifier, gs.nn.TreeClassifier,
    lambda: gs.nn.TreeClassifier(9, 4, 5, 3, cell="child-sum-tree-lstm"),
    *(lambda kind=kind: gs.nn.Recurrent(kind(4, 5)) for kind in (
        gs.nn.ElmanCell, gs.nn.GRUCell, gs.nn.LSTMCell, gs.nn.ChildSumTreeLSTMCell, gs.nn.NaryTreeLSTMCell)),
    lambda: gs.nn.Recurrent(gs.nn.GRUCell(5, 5), gs.Rounds(3)),
    TOP_DOWN,
    lambda: gs.nn.GRU(4, 5, 2, bidirectional=True),
    lambda: gs.nn.GatedGraphConv(6, 2),
    *(lambda kind=kind: kind(5, 8, 2, 3) for kind in (pyg.GCN, pyg.GIN, pyg.GAT)),
    pyg.GCN, pyg.GIN, pyg.GAT,
    lambda: pyg.GCN(-1, 8, 2, 3),
    lambda: pyg.GATv2Conv(4, 3, edge_dim=5),
]  # fmt: skip


@pytest.mark.parametrize("model", SOUND, ids=lambda m: getattr(m, "__name__", ""))
def test_sound_models_pass(model):
    findings = doctor.check_model(model)
    assert states(findings, "failed") == set()
    assert states(findings, "warning") == ({"direction of edges"} if model is TOP_DOWN else set())
    compared = {"repeatable", "inputs unchanged", "finite numbers", "node order", "edge order", "batched = separate",
                "empty graphs", "isolated nodes", "gradients", "state_dict", "dtype and device"}  # fmt: skip
    assert compared <= states(findings, "passed")


@pytest.mark.parametrize(
    ("model", "call", "rows"),
    [
        (models.Base, "(x [N, 6], edge_index)", "one row per node"),
        (models.PooledBase, "(x [N, 6], edge_index, batch)", "one row per graph"),
        (models.OfData, "(data with x [N, 6])", "one row per graph"),
        (models.OfDataWithEdges, "(data with x [N, 6])", "one row per node"),
        (models.Weighted, "(x [N, 6], edge_index, edge_weight [E])", "one row per node"),
        (models.WithEdges, "(x [N, 6], edge_index, edge_attr [E, 4])", "one row per node"),
        (models.ScoresEdges, "(x [N, 6], edge_index)", "one row per edge"),
        (models.Symbols, "(x int64 [N], edge_index)", "one row per node"),
        (models.OnTrees, "(x [N, 6], topology)", "one row per graph"),
        (models.OfRoots, "(x [N, 8], topology)", "one row per root"),
        (models.OfRootsOrdered, "(x [N, 8], topology)", "one row per root"),
        (models.Several, "(x [N, 6], edge_index, batch)", "one row per node, one row per graph"),
        (models.OfSets, "(x [N, 6], batch)", "one row per graph"),
        (models.OneHot, "(x int64 [N], topology)", "one row per node"),
        (models.Whole, "(x [N, 6], edge_index)", "the same shape for any graph"),
        (lambda: pyg.GATv2Conv(4, 3, edge_dim=5), "(x [N, 4], edge_index, edge_attr [E, 5])", "one row per node"),
    ],
)  # fmt: skip
def test_how_a_model_is_called_is_found_out(model, call, rows):
    findings = doctor.check_model(model)
    assert findings[0].check == "call"
    assert findings[0].message.startswith(f"model{call}")
    assert rows in findings[0].message.partition(";")[0]
    assert states(findings, "failed") == set()


def test_what_refuses_cycles_is_checked_on_what_it_takes():
    messages = [doctor.check_model(gs.nn.Recurrent(cell))[0].message
                for cell in (gs.nn.GRUCell(4, 5), gs.nn.NaryTreeLSTMCell(4, 5))]  # fmt: skip
    assert (
        "it runs on DAGs, other structures raise GraphError: `topology`: expected a graph without cycles" in messages[0]
    )
    assert "it runs on trees" in messages[1]
    assert "it runs on" not in doctor.check_model(gs.nn.Recurrent(gs.nn.GRUCell(5, 5), gs.Rounds(2)))[0].message


@pytest.mark.parametrize("seed", [1, 2, 6])
def test_what_takes_few_predecessors_is_never_tried_on_more(seed):
    findings = doctor.check_model(gs.nn.TreeClassifier, seed=seed)
    assert "it runs on trees" in findings[0].message
    assert states(findings, "failed") == set()


def test_batch_norm_in_training_is_a_warning():
    [finding] = [f for f in doctor.check_model(models.Normalised) if f.state == "warning"]
    assert finding.check == "small batches in training"
    assert "more than 1 value per channel" in finding.message
    assert "LayerNorm" in finding.advice


def test_comparisons_are_left_out_where_they_would_tell_nothing():
    compared = {"node order", "edge order", "batched = separate", "state_dict", "dtype and device"}
    for model in (models.DropsInEval, models.AlwaysNaN):
        assert compared <= states(doctor.check_model(model), "not checked")


def test_no_nodes_at_all_is_a_warning():
    [finding] = [f for f in doctor.check_model(models.CountsByMax) if f.state == "warning"]
    assert finding.check == "empty graphs"
    assert "it raises RuntimeError" in finding.message


def test_nodes_that_get_no_gradient_are_a_warning():
    class FirstAlone(models.ByLabelOrder):
        def forward(self, x, edge_index, batch):
            return self.pool(self.out(self.conv(x, edge_index[:, :0])), batch)

    findings = doctor.check_model(FirstAlone)
    [finding] = [f for f in findings if f.check == "gradients"]
    assert finding.state == "warning"
    assert finding.message.startswith("10 of 13 nodes never get a gradient on 6 batches")
    assert "node order" in states(findings, "failed")


def test_the_model_and_the_random_numbers_are_left_as_they_are():
    model = models.Normalised()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    first = doctor.check_model(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert model.training and all(p.grad is None and p.dtype == torch.float32 for p in model.parameters())
    assert doctor.check_model(model) == first
    doctor.check_model(lambda: model)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert model.training


def test_the_width_of_features_can_be_said():
    class Any(nn.Module):
        def forward(self, x, edge_index):
            return x.sum(1, keepdim=True) if x.size(1) == 9 else x[:, 99]

    with pytest.raises(GraphError, match="`features` for the width of x"):
        doctor.check_model(Any())
    assert "model(x [N, 9], edge_index)" in {
        f.message.partition(" gives")[0] for f in doctor.check_model(Any(), features=9)
    }


def test_a_function_and_a_class_are_made():
    assert "made with in_channels=6, edge_dim=4, num_classes=3" in doctor.check_model(models.WithEdges)[0].message
    assert "made with" not in doctor.check_model(lambda: models.WithEdges(2, 3, 4))[0].message


class Demanding(nn.Module):
    def __init__(self, plan):
        super().__init__()


class Raising(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        raise RuntimeError("no luck")


class Leaving(nn.Module):
    def __init__(self):
        raise SystemExit


class LeavingLater(models.Base):
    def forward(self, x, edge_index):
        raise SystemExit(0)


class Strange(nn.Module):
    def forward(self, x, edge_index, moon):
        return x


class TwoInputs(nn.Module):
    def forward(self, x, x_0, edge_index):
        return x


class Silent(nn.Module):
    def forward(self, x, edge_index):
        return "nothing"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Demanding, {}, "a function without arguments that makes it, got Demanding, whose argument plan"),
        (Raising, {}, r"Raising\(hidden_size=8\), which raised RuntimeError: no luck"),
        (Leaving, {}, r"Leaving\(\), which raised SystemExit"),
        (LeavingLater, {}, "one that runs on small graphs .* got one that raised SystemExit"),
        (Strange(), {}, r"pass call=lambda model, graphs: model\(.*the parameter moon"),
        (
            pyg.Sequential("x, edge_index", [(pyg.GCNConv(4, 3), "x, edge_index -> x")]),
            {},
            "or pass call=lambda model, graphs.*no named parameter",
        ),
        (pyg.RGCNConv(4, 3, 5), {}, "pass `call`"),
        (TwoInputs(), {}, "the parameter x_0"),
        (Silent(), {}, "no tensor of real numbers, but str, was returned"),
        (3, {}, "a torch.nn.Module, a class of them or a function"),
        (dict, {}, "a class of them"),
        (lambda: 3, {}, "a function that returns a torch.nn.Module"),
        (lambda n: 3, {}, "a function without arguments that makes it, got <lambda>, whose argument n"),
        (models.Base, {"seed": -1}, "`seed`"),
        (models.Base, {"features": 0}, "`features`"),
        (models.Base, {"features": 7}, "one that raised RuntimeError"),
        (models.Base, {"edge_features": True}, "`edge_features`"),
    ],
)
def test_errors(model, options, message):
    with pytest.raises(GraphError, match=message):
        doctor.check_model(model, **options)


def test_graphs_elsewhere_mix_no_devices():
    with pretence():
        graphs = Spec(3).draw((4, 2), 0).to(DEVICE)
        parts = [graphs.data, graphs.pick(1), graphs.take()]
        assert {part.x.device for part in parts} == {part.edge_index.device for part in parts} == {DEVICE}


@pytest.mark.cuda
def test_cuda_is_compared_with_the_cpu():
    class OnTheCPU(models.Base):
        def forward(self, x, edge_index):
            return super().forward(x, edge_index) * torch.ones(3)

    sound = (models.Base, models.OfData, gs.nn.GraphClassifier)
    for model, state in (*((each, "passed") for each in sound), (OnTheCPU, "failed")):
        [finding] = [f for f in doctor.check_model(model) if f.check == "dtype and device"]
        assert finding.state == state
