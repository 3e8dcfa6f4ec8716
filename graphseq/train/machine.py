"""Device, precision and processes, through Lightning Fabric."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from pydantic import Field, model_validator

from ..errors import GraphError, Words, expected, ignore_deprecations
from .options import Options

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Machine", "first_of_all", "launch"]


class Machine(Options):
    """Device, precision and processes of a run; none of it changes the result, beyond rounding.

    ``processes`` above 1 trains data-parallel: each process has a copy of the model and a share of each batch
    (``DistributedDataParallel``; gloo on the CPU, NCCL on CUDA). Under ``torchrun``, also on several machines, the
    processes are torchrun's, and ``processes`` is their number on each machine.

    >>> Machine(processes=2).processes
    2
    """

    device: str = Field(default="auto", description="device: auto, cpu, cuda, cuda:1 or mps")
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = Field(default="32-true", description="precision")
    processes: int = Field(default=1, ge=1, description="processes that train together, on each machine")
    threads: int = Field(
        default=0, ge=0, description="threads of each process; 0 for one with small networks, else PyTorch's default"
    )
    workers: int = Field(
        default=0, ge=0, description="processes that prepare batches; 0 prepares them between the steps"
    )

    @model_validator(mode="after")
    def _exists(self) -> Self:
        kind, _, index = self.device.partition(":")
        if kind not in ("auto", "cpu", "cuda", "mps") or (index and not (kind == "cuda" and index.isdecimal())):
            raise expected("device", "auto, cpu, cuda, cuda:N or mps", self.device)
        if kind == "cuda" and not torch.cuda.is_available():
            raise expected("device", "a device that PyTorch sees", Words("'cuda'; this PyTorch sees no CUDA device"))
        if index and int(index) >= torch.cuda.device_count():
            raise expected("device", f"a number below {torch.cuda.device_count()} behind cuda:", self.device)
        if index and self.processes > 1:
            raise expected("device", "cuda without a number where processes is above 1", self.device)
        if kind == "mps" and not torch.backends.mps.is_available():
            raise expected("device", "a device that PyTorch sees", Words("'mps'"))
        return self

    @property
    def chosen(self) -> str:
        """The device's name in PyTorch; that of "auto" is "cuda" if there is one, else "cpu"."""
        if self.device != "auto":
            return self.device
        return "cuda" if torch.cuda.is_available() else "cpu"

    def fabric(self) -> Fabric:
        """Return the Fabric, not yet launched."""
        from lightning_fabric import Fabric

        _hush()
        kind, _, index = self.chosen.partition(":")
        if kind == "cuda":  # the same seed gives the same result
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        together = _under_torchrun() or self.processes > 1
        strategy = ("ddp" if _under_torchrun() else "ddp_spawn") if together else "auto"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Fabric(
                accelerator=kind,
                devices=[int(index)] if index else self.processes,
                num_nodes=_machines(self.processes),
                strategy=strategy,
                precision=self.precision,
            )


def first_of_all() -> bool:
    """Return whether this process checks folders before they are written to: torchrun starts several."""
    return os.environ.get("RANK", "0") == "0" or not _under_torchrun()


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def _machines(processes: int) -> int:
    if not _under_torchrun():
        return 1
    here, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if here != processes:
        raise expected("processes", f"the {here} that torchrun starts on each machine", processes)
    return world // here


def launch(machine: Machine, function: Callable[..., Any], *args: Any) -> Any:
    """Call ``function(fabric, *args)`` in each process and return what the first of them returns.

    With several processes the function and its arguments must be picklable, and the
    calling script must guard its entry point by ``if __name__ == "__main__"``.

    Raises:
        GraphError: the function raised one, in any process.
    """
    fabric = machine.fabric()
    if machine.processes == 1 or _under_torchrun():
        fabric.launch()
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(machine.threads or threads)
            return function(fabric, *args)
        finally:
            torch.set_num_threads(threads)
    # Ctrl-C reaches all processes; those that train save what they have, and this one waits for them.
    main = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        result = fabric.launch(_Guarded(function, args, machine.threads))
    finally:
        if main:
            signal.signal(signal.SIGINT, previous)
    if isinstance(result, BaseException):
        raise result
    return result


class _Guarded:
    """Calls the function in a child process and cleans up."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], threads: int) -> None:
        self.state = function, args, threads

    def __setstate__(self, content: dict[str, Any]) -> None:
        """Enter the child process, before anything is printed there."""
        self.__dict__ |= content
        _hush()
        ignore_deprecations()

    def __call__(self, fabric: Fabric) -> Any:
        """Return what the function returns or, to be raised in the parent, the GraphError that it raises."""
        function, args, threads = self.state
        if threads:
            torch.set_num_threads(threads)
        result: Any
        try:
            result = function(fabric, *args)
        except GraphError as error:
            return error
        fabric.barrier()
        gc.collect()  # the wrapped model must be freed before the process group, and that before Python exits
        torch.distributed.destroy_process_group()
        return result


def _hush() -> None:
    """Keep Fabric from logging its rendezvous."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
