"""A run of many cases, and the command as tests call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suite.best.__main__ import main
from suite.cases.case import Case
from tests.support import fabricate

SPEED = {"torch_embedding": 1.5, "numba_cpu": 0.5, "torch_index_select": 1.0}
GRID = tuple(
    Case(vocab, dim, "float32", batch)
    for vocab, dim in ((8_000_000, 16), (1_000_000, 128), (128_000, 1024))
    for batch in (16, 128, 1024, 8192)
)


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """Twelve cases, in which a time is proportional to the payload."""
    return fabricate.run(tmp_path / "grid", GRID, speed=SPEED).path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs the command: exit code, standard output, standard error."""

    def run(*arguments: Any) -> Any:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as exit_:
            code = exit_.code
        return code, *capsys.readouterr()

    return run
