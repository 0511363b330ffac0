"""What the tests share: the GPU marker's skip, folders for plugin backends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a bare checkout runs its tests without being installed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU, with the reason, where there is none."""
    wanted = [item for item in items if item.get_closest_marker("gpu")]
    if not wanted:
        return
    from suite.gpu_probe import probe

    found = probe(0)
    if isinstance(found, str):
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason=f"no GPU: {found}"))
