"""Training: one loop for every model, with checkpoints, metrics, devices and several processes."""

from .files import read_json, read_tensors, write_bytes, write_json, write_tensors
from .folder import Log, RunFolder, environment
from .loop import Outcome, Stopped, fit
from .machine import Machine, first_of_all, launch
from .metrics import METRICS, Metric, measure, metric
from .options import Option, Options, nearest
from .randomness import seed_all
from .session import MAX_SEED, Session
from .settings import LRSchedule, Optimizer, Training, may_go_on
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
    "Stopped",
    "Task",
    "Training",
    "class_loss",
    "environment",
    "first_of_all",
    "fit",
    "launch",
    "may_go_on",
    "measure",
    "metric",
    "nearest",
    "read_json",
    "read_tensors",
    "seed_all",
    "write_bytes",
    "write_json",
    "write_tensors",
]
