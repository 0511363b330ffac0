"""A run to report."""

from __future__ import annotations

import pytest

from tests.support import fabricate


@pytest.fixture
def folder(tmp_path):
    return fabricate.run(tmp_path / "run one").path
