"""Graph convolutions: one file per layer."""

from .gated import GatedGraphConv
from .gcn import GCNConv
from .gin import GINConv
from .sparse import SparseFeatures

__all__ = ["GCNConv", "GINConv", "GatedGraphConv", "SparseFeatures"]
