"""Threads for the tests of kernels that run on several."""

import numba
import pytest
import torch


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own kernels run on two threads; PyTorch's keep to what they have, for workers share the cores."""
    before = torch.get_num_threads()
    numba.get_num_threads()  # starts the threads, which may change PyTorch's number
    torch.set_num_threads(before)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
