"""Layers with the library's lowerings switched off: everything by the cells' equations."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import graphseq as gs
from graphseq import lowering, nn


class Recurrent(nn.Recurrent):
    """`fast=False` keeps to the equations."""

    def __init__(self, cell: gs.Cell, schedule: gs.Schedule | None = None, *, fast: bool = True) -> None:
        super().__init__(cell, schedule)
        self.fast = fast

    def forward(self, *given: Any, **options: Any) -> Any:
        with nullcontext() if self.fast else lowering.disabled():
            return super().forward(*given, **options)
