"""Errors name what the caller gave, in the caller's words."""

import subprocess
import sys

import pytest
import scipy.sparse
import torch
from torch import nn as torch_nn
from torch_geometric.data import Data

import graphseq as gs
from graphseq import core, nn, spectral
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
    (lambda: nn.SpectralConv(F, 4)(torch.randn(4, F), RING[:, :1]), "`edge_index`: expected an undirected graph"),
    (lambda: nn.SpectralConv(F, 4, K=9, smooth=False)(torch.randn(4, F), RING), "`K`: expected at most 4 eigenpairs"),
])  # fmt: skip
def test_errors_name_what_the_caller_gave(call, message):
    with pytest.raises(gs.GraphError, match=message):
        call()


def spread(width):
    return torch_nn.Linear(width, 4)


X, TWO = torch.randn(4, F), Data(x=torch.randn(4, F), edge_index=RING, batch=torch.zeros(4, dtype=torch.int64))
T, E = gs.Topology.from_edge_index(RING), torch.randn(8, 3)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: spectral.laplacian(RING), r"`topology`: expected a graphseq.Topology \(see Topology.from_edge_index\)"),
    (lambda: spectral.scaled_laplacian(RING), "`topology`: expected a graphseq.Topology"),
    (lambda: spectral.lambda_max(RING), "`topology`: expected a graphseq.Topology"),
    (lambda: spectral.gcn_norm(RING), "`topology`: expected a graphseq.Topology"),
    (lambda: spectral.gcn_norm(TWO), "`topology`: .*; Topology.from_data"),
    (lambda: spectral.basis(T, [1] * 8), r"`edge_weight`: expected shape \[8\]"),
    (lambda: spectral.scaled_laplacian(T, [1] * 8), r"`edge_weight`: expected shape \[8\]"),
    (lambda: spectral.lambda_max(T, [1] * 8), r"`edge_weight`: expected shape \[8\]"),
    (lambda: spectral.basis(T, torch.ones(8, requires_grad=True)), "`edge_weight`: .* require gradients.*detach"),
    (lambda: core.aggregate(RING, (X,)), r"`links`: expected graphseq.Links or .* \(see Topology.from_edge_index\)"),
    (lambda: core.aggregate(T, (X,), merge="add"), "`merge`: .*, got 'add'; did you mean \"sum\""),
    (lambda: nn.readout(X, T, "avg"), "`reduce`: .*, got 'avg'; did you mean \"mean\""),
    (lambda: nn.readout(X, TWO, "mean"), "`batch_or_topology`: .*; pass data.batch"),
    (lambda: nn.SAGEConv(F, 4, aggr="avg"), "`aggr`: .*, got 'avg'; did you mean \"mean\""),
    (lambda: nn.GraphNetwork(aggregate="avg"), "`aggregate`: .*, got 'avg'; did you mean \"mean\""),
    (lambda: nn.GCNConv(F, 4)(X, TWO), "`edge_index`: .*; pass data.edge_index"),
    (lambda: nn.GCNConv(F, 4)(TWO, RING), "`x`: .*; pass data.x"),
    (lambda: nn.GCNConv(F, 4)(X, RING.float()), r"`edge_index`: .*; convert it: edge_index.long\(\)"),
    (lambda: nn.GCNConv(F, 4)(X.to_sparse(), RING), "`x`: .*got a sparse matrix, float32 of.*SparseFeatures.of"),
    (lambda: nn.GCNConv(F, 4)(X, scipy.sparse.eye(4)), "`edge_index`: .*got a SciPy matrix.*Topology.from_scipy"),
    (lambda: nn.SparseFeatures(X), r"`pattern`: .*SparseFeatures.of\(x\)"),
    (lambda: nn.APPNP(10, 1.5), "`alpha`: expected a number from 0 to 1, got 1.5"),
    (lambda: nn.EdgeConv(spread(F))(X, RING), f"`nn`: expected a first layer of {2 * F} inputs, .*got {F}"),
    (lambda: nn.GINConv(spread(9))(X, RING), f"`nn`: expected a first layer of {F} inputs, .*got 9"),
    (lambda: nn.GINConv(torch_nn.Sequential(spread(9)))(X, RING), f"`nn`: expected a first layer of {F} inputs"),
    (lambda: nn.GINEConv(spread(9))(X, RING, torch.randn(8, F)), f"`nn`: expected a first layer of {F} inputs"),
    (lambda: nn.NodeClassifier(F, 16, 3, dropout=5), "`dropout`: expected a probability"),
    (lambda: nn.GraphClassifier(F, 16, 3, dropout=5), "`dropout`: expected a probability"),
    (lambda: nn.SequenceClassifier(F, 16, 3, dropout=5), "`dropout`: expected a probability"),
    (lambda: nn.NodeClassifier(F, 16, 3, conv="appnp"), "`conv`: .* constructed from two widths; APPNP is none"),
    (lambda: nn.NodeClassifier(F, 16, 3, conv="gine"), "`conv`: .* two widths alone; GINEConv also needs edge_attr"),
    (lambda: nn.Stack([nn.GCNConv(F, F)], norm="pair"), "`norm`: expected a module, such as nn.PairNorm"),
    (lambda: nn.Stack([nn.DropEdge(0.5), nn.GCNConv(F, F)]), r"`layers\[0\]`: .*got DropEdge, whose call takes one"),
    (lambda: nn.Stack([nn.GINEConv(spread(F))])(X, RING, E), "`edge_weight`: .* .* pass features as edge_attr="),
    (lambda: nn.Stack([nn.GCNConv(F, 4)])(X, RING, edge_attr=E), "`edge_attr`: expected None, since no layer takes"),
    (lambda: nn.MPNN(spread(5), spread(4))(X, RING), "`message`: expected a first layer of 16 inputs"),
    (lambda: nn.MPNN(spread(16), spread(4))(X, RING), "`update`: expected a first layer of 12 inputs"),
    (lambda: nn.MPNN(spread(16), spread(12), rounds=2)(X, RING), r"`update`: .*shape \[4, 8\].*several rounds"),
    (lambda: nn.MPNN(spread(16), spread(12), spread(5))(X, RING), "`readout`: expected a first layer of 4 inputs"),
    (lambda: nn.MPNN(spread(16), nn.GRUCell(5, F))(X, RING), "`update`: expected a cell whose .* sum to 12.* 5 and 8"),
    (lambda: nn.InteractionNetwork(spread(5), spread(4))(X, RING), "`relation`: expected a first layer of 16 inputs"),
    (lambda: nn.InteractionNetwork(spread(16), spread(4))(X, RING), "`object`: expected a first layer of 12 inputs"),
    (lambda: nn.DeepSets(spread(5), spread(4))(X), "`phi`: expected a first layer of 8 inputs"),
    (lambda: nn.DeepSets(spread(F), spread(5))(X), "`rho`: expected a first layer of 4 inputs"),
    (lambda: nn.RelationNetwork(spread(5), spread(4))(X), "`relation`: expected a first layer of 16 inputs"),
    (lambda: nn.RelationNetwork(spread(16), spread(5))(X), "`output`: expected a first layer of 4 inputs"),
    (lambda: nn.EncodeProcessDecode(nn.GraphIndependent(None, spread(F)), nn.GraphNetwork(None, torch_nn.Linear(8, 5)),
                                    nn.GraphIndependent(), steps=2)(X, RING),
     "`core`: expected a block that returns nodes 4 wide, as the encoder does"),
    (lambda: nn.GraphIndependent(spread(3))(X, RING), "`edge_attr`: expected features, since the block has a model"),
])  # fmt: skip
def test_what_a_newcomer_may_write(call, message):
    with pytest.raises(gs.GraphError, match=message):
        call()


def test_tensors_outlive_the_library_as_the_interpreter_exits():
    script = """
import sys, torch
from graphseq import nn
edges = torch.tensor([[0, 1], [1, 0]])
nn.GCNConv(3, 4)(torch.zeros(2, 3), edges)
module = vars(sys.modules["graphseq.topology.remembered"])
module.update({name: None for name in module if not name.startswith("__")})  # as the interpreter does at its end
del edges
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert not done.stderr
