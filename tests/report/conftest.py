"""A run to report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import fabricate


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    return fabricate.run(tmp_path / "run one").path
