"""Training: one loop for every model, with checkpoints, metrics, devices and several processes."""

from .files import read_json, read_tensors, write_bytes, write_json, write_tensors
from .folder import Log, RunFolder, environment
from .loop import Outcome, Stopped, fit
from .machine import Machine, launch
from .metrics import METRICS, Metric, measure, metric
from .options import Option, describe_options, from_text, nearest, option, validate
from .randomness import seed_all
from .session import Session
from .settings import Training
from .task import Batch, Split, Task, class_loss

__all__ = [
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
    "fit",
    "from_text",
    "launch",
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
