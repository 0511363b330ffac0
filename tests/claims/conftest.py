"""What tests of the claims leave as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def threads_of_torch() -> Iterator[None]:
    """A task sets how many there are, as it has its process to itself; here it has not."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    yield
    torch = sys.modules.get("torch")
    if torch and before:
        torch.set_num_threads(before)
