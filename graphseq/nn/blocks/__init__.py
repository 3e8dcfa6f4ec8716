"""Networks that are blocks of a graph network, and networks made of such blocks: one file per network."""

from .comm_net import CommNet
from .deep_sets import DeepSets
from .encode import EncodeProcessDecode, GraphIndependent
from .interaction import InteractionNetwork
from .mpnn import MPNN
from .non_local import NonLocalNetwork
from .recurrent import RecurrentGraphNetwork
from .relation import RelationNetwork
from .residual import ResidualGraphNetwork
from .structure2vec import Structure2Vec

__all__ = [
    "MPNN", "CommNet", "DeepSets", "EncodeProcessDecode", "GraphIndependent", "InteractionNetwork", "NonLocalNetwork",
    "RecurrentGraphNetwork", "RelationNetwork", "ResidualGraphNetwork", "Structure2Vec",
]  # fmt: skip
