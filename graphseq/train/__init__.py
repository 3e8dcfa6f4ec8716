"""Training: one loop for every model, with checkpoints, metrics, devices and several processes."""

from .collate import chain_split, graph_split, node_split, tree_split
from .files import read_json, read_tensors, write_bytes, write_json, write_tensors
from .folder import Log, RunFolder, environment
from .loop import Outcome, Stopped, fit
from .machine import Machine, first_of_all, launch
from .metrics import METRICS, Metric, chosen_labels, measure, metric
from .options import Option, Options, nearest
from .randomness import seed_all
from .session import MAX_SEED, Session
from .settings import LRSchedule, Optimizer, Training, may_change
from .splits import (
    Splits,
    class_names,
    class_weights,
    deal,
    graph_splits,
    node_splits,
    sequence_splits,
    text_splits,
    tree_splits,
)
from .task import Batch, Split, Task, class_loss

__all__ = [
    "MAX_SEED",
    "METRICS",
    "Batch",
    "LRSchedule",
    "Log",
    "Machine",
    "Metric",
    "Optimizer",
    "Option",
    "Options",
    "Outcome",
    "RunFolder",
    "Session",
    "Split",
    "Splits",
    "Stopped",
    "Task",
    "Training",
    "chain_split",
    "chosen_labels",
    "class_loss",
    "class_names",
    "class_weights",
    "deal",
    "environment",
    "first_of_all",
    "fit",
    "graph_split",
    "graph_splits",
    "launch",
    "may_change",
    "measure",
    "metric",
    "nearest",
    "node_split",
    "node_splits",
    "read_json",
    "read_tensors",
    "seed_all",
    "sequence_splits",
    "text_splits",
    "tree_split",
    "tree_splits",
    "write_bytes",
    "write_json",
    "write_tensors",
]
