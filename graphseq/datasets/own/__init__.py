"""User-provided data: tables, JSON lines, GraphML, SMILES, folders of graphs."""

from .examples import LABELS, PARTS, Columns, Examples, number_of
from .features import feature_names, learn, make_features
from .graphs import Graph, graph_of, molecule, node_examples, read_graphs, read_nodes
from .records import Record, json_records, read_records
from .texts import SEQUENCES, TEXTS, read_sequences, read_texts, sequence_of
from .trees import Tree, read_forest, tree_of, trees_of

__all__ = [
    "LABELS",
    "PARTS",
    "SEQUENCES",
    "TEXTS",
    "Columns",
    "Examples",
    "Graph",
    "Record",
    "Tree",
    "feature_names",
    "graph_of",
    "json_records",
    "learn",
    "make_features",
    "molecule",
    "node_examples",
    "number_of",
    "read_forest",
    "read_graphs",
    "read_nodes",
    "read_records",
    "read_sequences",
    "read_texts",
    "sequence_of",
    "tree_of",
    "trees_of",
]
