import networkx
import pytest
import torch
from torch_geometric.utils import to_networkx

from graphseq.datasets import karate
from graphseq.errors import GraphError


def test_is_zacharys_graph():
    data = karate()
    graph = networkx.karate_club_graph()
    assert set(to_networkx(data, to_undirected=True).edges) == set(graph.edges)
    assert data.num_edges == 2 * 78 and data.is_undirected() and data.is_coalesced()
    assert torch.equal(data.x, torch.eye(34))
    assert [int(y) for y in data.y] == [int(graph.nodes[v]["club"] == "Officer") for v in range(34)]
    assert data.y.dtype == data.edge_index.dtype == torch.int64


def test_splits():
    data = karate(seed=3, train_per_class=4, val_per_class=6)
    masks = torch.stack([data.train_mask, data.val_mask, data.test_mask])
    assert masks.dtype == torch.bool and bool((masks.sum(0) == 1).all())
    assert [torch.bincount(data.y[mask]).tolist() for mask in masks] == [[4, 4], [6, 6], [7, 7]]
    assert torch.equal(karate(seed=3, train_per_class=4, val_per_class=6).train_mask, data.train_mask)
    seeds = {tuple(karate(seed=seed).train_mask.tolist()) for seed in range(5)}
    assert len(seeds) == 5


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"train_per_class": -1}, "train_per_class"),
        ({"val_per_class": -1}, "val_per_class"),
        ({"train_per_class": 10, "val_per_class": 7}, "val_per_class"),
    ],
)
def test_bad_arguments(options, argument):
    with pytest.raises(GraphError, match=f"`{argument}`: expected"):
        karate(**options)
