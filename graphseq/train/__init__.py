"""Training: one loop for every model, with checkpoints, metrics, devices and several processes."""

from .files import read_json, read_tensors, write_bytes, write_json, write_tensors
from .folder import Log, RunFolder, environment
from .loop import Outcome, Stopped, fit
from .machine import Machine, first_of_all, launch
from .metrics import METRICS, Metric, measure, metric
from .options import Option, describe_options, from_text, nearest, option, validate
from .randomness import seed_all
from .session import MAX_SEED, Session
from .settings import Training, may_go_on
from .task import Batch, Split, Task, class_loss

__all__ = [
    "MAX_SEED",
    "METRICS",
    "Batch",
    "Log",
    "Machine",
    "Metric",
    "Option",
    "Outcome",
    "RunFolder",
    "Session",
    "Split",
    "Stopped",
    "Task",
    "Training",
    "class_loss",
    "describe_options",
    "environment",
    "first_of_all",
    "fit",
    "from_text",
    "launch",
    "may_go_on",
    "measure",
    "metric",
    "nearest",
    "option",
    "read_json",
    "read_tensors",
    "seed_all",
    "validate",
    "write_bytes",
    "write_json",
    "write_tensors",
]
