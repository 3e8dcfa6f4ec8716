"""Check a model, and check the machine: what ``graphseq doctor`` runs."""

from .find import find
from .finding import Finding
from .machine import Device, devices, self_test, versions
from .model import check, check_model

__all__ = ["Device", "Finding", "check", "check_model", "devices", "find", "self_test", "versions"]
