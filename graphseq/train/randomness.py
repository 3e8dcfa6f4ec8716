"""Seeds and states of the random generators that a model may draw from."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["derived_seed", "random_states", "seed_all", "set_random_states"]


def derived_seed(seed: int, number: int) -> int:
    """Return a seed below 2**32 for an epoch or a process of a run; another one for each pair.

    PyTorch's generator on the CPU reads the low 32 bits of a seed alone, so numbers can't be put into the high ones.
    """
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def seed_all(seed: int) -> None:
    """Seed the generators of PyTorch, NumPy and Python."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global one, which models may draw from


def random_states() -> dict[str, Tensor]:
    """Return the generators' states as tensors."""
    version, words, gauss = random.getstate()
    state: Any = np.random.get_state()  # noqa: NPY002
    _, keys, position, has_gauss, value = state
    states = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python_gauss": torch.tensor([float("nan") if gauss is None else gauss], dtype=torch.float64),
        "numpy": torch.tensor([*keys.tolist(), position, has_gauss], dtype=torch.int64),
        "numpy_gauss": torch.tensor([value], dtype=torch.float64),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_random_states(states: Mapping[str, Tensor]) -> None:
    """Restore them.

    >>> states = random_states()
    >>> first = torch.rand(1), random.gauss(0, 1), np.random.normal()
    >>> set_random_states(states)
    >>> (torch.rand(1), random.gauss(0, 1), np.random.normal()) == first
    True
    """
    torch.set_rng_state(states["torch"])
    version, *words = states["python"].tolist()
    gauss = states["python_gauss"].item()
    random.setstate((version, tuple(words), None if gauss != gauss else gauss))
    *keys, position, has_gauss = states["numpy"].tolist()
    numpy_state = ("MT19937", np.array(keys, np.uint32), position, has_gauss, states["numpy_gauss"].item())
    np.random.set_state(numpy_state)  # noqa: NPY002
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
