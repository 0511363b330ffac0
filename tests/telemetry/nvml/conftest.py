"""A process that reads the stand-in for NVML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nvml import (
    Child,
)


@pytest.fixture(scope="module")
def child(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    child = Child(tmp_path_factory.mktemp("child"), nvml_library)
    yield child
    child.close()
