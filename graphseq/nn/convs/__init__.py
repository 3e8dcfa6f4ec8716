"""Graph convolutions: one file per layer."""

from .gat import GATConv
from .gated import GatedGraphConv
from .gatv2 import GATv2Conv
from .gcn import GCNConv
from .gin import GINConv
from .graph_network import GraphNetwork
from .sparse import SparseFeatures
from .transformer import TransformerConv

__all__ = [
    "GATConv",
    "GATv2Conv",
    "GCNConv",
    "GINConv",
    "GatedGraphConv",
    "GraphNetwork",
    "SparseFeatures",
    "TransformerConv",
]
