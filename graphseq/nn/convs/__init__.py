"""Graph convolutions: one file per layer."""

from .appnp import APPNP
from .arma import ARMAConv
from .cheb import ChebConv
from .edge import EdgeConv
from .gat import GATConv
from .gated import GatedGraphConv
from .gatv2 import GATv2Conv
from .gcn import GCNConv
from .gcn2 import GCN2Conv
from .gin import GINConv
from .gine import GINEConv
from .graph import GraphConv
from .graph_network import GraphNetwork
from .nnconv import NNConv
from .pna import PNAConv
from .rgcn import RGCNConv
from .sage import SAGEConv
from .sg import SGConv
from .sparse import SparseFeatures
from .spectral import SpectralConv
from .tag import TAGConv
from .transformer import TransformerConv

__all__ = [
    "APPNP", "ARMAConv", "ChebConv", "EdgeConv", "GATConv", "GATv2Conv", "GCN2Conv", "GCNConv", "GINConv", "GINEConv",
    "GatedGraphConv", "GraphConv", "GraphNetwork", "NNConv", "PNAConv", "RGCNConv", "SAGEConv", "SGConv",
    "SparseFeatures", "SpectralConv", "TAGConv", "TransformerConv",
]  # fmt: skip
