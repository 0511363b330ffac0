"""A run to append to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suite.records.store import Run
from tests.support import fabricate


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return Run.create(tmp_path / "a run", fabricate.ENVIRONMENT)
