"""Errors name what the caller gave, in the caller's words."""

import pytest
import torch
from torch import nn as torch_nn

import graphseq as gs
from graphseq import nn, spectral
from tests.nn.test_attacked import EDGES, RING, F, N

MAPPED = {
    "gat": lambda: nn.GATConv(F, 4, edge_dim=3),
    "gatv2": lambda: nn.GATv2Conv(F, 4, edge_dim=3),
    "transformer": lambda: nn.TransformerConv(F, 4, edge_dim=3),
    "gine": lambda: nn.GINEConv(torch_nn.Linear(F, 4), edge_dim=3),
    "nn": lambda: nn.NNConv(F, 4, torch_nn.Linear(3, 4 * F)),
    "pna": lambda: nn.PNAConv(F, 4, ["mean"], ["identity"], torch.tensor([0, 5]), edge_dim=3),
    "network": lambda: nn.GraphNetwork(torch_nn.Linear(3 + 2 * F, 4)),
}


@pytest.mark.parametrize("layer", MAPPED)
def test_features_of_edges_in_another_precision(layer):
    with pytest.raises(gs.GraphError, match="`edge_attr`: expected float32 on cpu"):
        MAPPED[layer]()(torch.randn(N, F), EDGES, torch.randn(9, 3).double())


@pytest.mark.parametrize(("call", "message"), [
    (lambda: nn.ChebConv(F, 4, 3)(torch.randn(4, F), RING, lambda_max=torch.tensor(-1.0)), "`lambda_max`: expected n"),
    (lambda: nn.ChebConv(F, 4, 3)(torch.randn(4, F), RING, lambda_max=float("nan")), "`lambda_max`: expected a number"),
    (lambda: spectral.lambda_max(gs.Topology.from_edge_index(RING), torch.full((8,), float("inf"))), "`edge_weight`"),
    (lambda: spectral.lambda_max(gs.Topology.from_edge_index(RING), -torch.ones(8), normalization="sym"),
     "`edge_weight`: expected finite numbers, and degrees"),
    (lambda: nn.TransformerConv((F, F), 4)((torch.randn(4, F), None), RING), "`x`: expected a pair of tensors"),
    (lambda: nn.MPNN("gru", None), "`message`: expected a torch.nn.Module"),
    (lambda: nn.InteractionNetwork(None, 3), "`object`: expected a torch.nn.Module"),
    (lambda: nn.GraphNorm(F)(torch.randn(4, F), torch.zeros(4)), "`batch`: expected int64"),
    (lambda: nn.Stack([torch_nn.Linear(F, F)], jump="lstm"), "`jump`: expected"),
    (lambda: nn.GATConv(F, 4, edge_dim=5, fill_value=torch.zeros(4))(torch.randn(4, F), RING, torch.zeros(8, 5)),
     "`fill_value`: expected a number, or a tensor of 5"),
    (lambda: nn.GraphNetwork(torch_nn.Linear(24, 4))(torch.randn(4, F), RING, None, torch.randn(1, 3)),
     r"`edge_model`: expected a first layer of 19 inputs, .*\(edges 0, receivers 8, senders 8, globals 3\)"),
    (lambda: nn.GCN2Conv(F, 0.1, theta=0.5), "`layer`: expected a number, since `theta` is given"),
    (lambda: nn.GCN2Conv(F, 1.5), "`alpha`: expected a share from 0 to 1, got 1.5"),
    (lambda: nn.GATConv(F, 4, edge_dim=0), "`edge_dim`: expected a whole number ≥ 1, got 0"),
    (lambda: nn.PNAConv(F, 4, ["mean"], ["linear"], torch.tensor([5, 0])), "`deg`: expected a node with edges"),
    (lambda: nn.PNAConv(F, 4, ["mean"], ["linear"], torch.tensor([5, -1])), "`deg`: expected the number of nodes"),
    (lambda: nn.SpectralConv(F, 4)(torch.randn(4, F), RING[:, :1]), "`edge_index`: expected as many edges"),
    (lambda: nn.SpectralConv(F, 4, K=9, smooth=False)(torch.randn(4, F), RING), "`K`: expected at most 4 eigenpairs"),
])  # fmt: skip
def test_errors_name_what_the_caller_gave(call, message):
    with pytest.raises(gs.GraphError, match=message):
        call()
