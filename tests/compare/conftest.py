"""The command as tests call it."""

from __future__ import annotations

from typing import Any

import pytest

from suite.compare.__main__ import main


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command: exit code, standard output, standard error."""

    def run(*arguments: Any) -> Any:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as exit_:
            code = exit_.code
        return code, *capsys.readouterr()

    return run
