"""The report as text."""

from __future__ import annotations

import io
from typing import Any

from suite.analysis import outcomes
from suite.report import terminal


def printed(*paths: Any, baseline: Any = None) -> Any:
    file = io.StringIO()
    terminal.show(outcomes.read(paths), file, baseline)
    return file.getvalue()


def pipes(line: Any) -> Any:
    """How many bars of a line of Markdown end a cell."""
    return line.replace("\\\\", "").replace("\\|", "").count("|")
