"""A run to append to."""

from __future__ import annotations

import pytest

from suite.records.store import Run
from tests.support import fabricate


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "a run", fabricate.ENVIRONMENT)
