"""The report as text."""

from __future__ import annotations

import io

from suite.analysis import outcomes
from suite.report import terminal


def printed(*paths, baseline=None):
    file = io.StringIO()
    terminal.show(outcomes.read(paths), file, baseline)
    return file.getvalue()


def pipes(line):
    """How many bars of a line of Markdown end a cell."""
    return line.replace("\\\\", "").replace("\\|", "").count("|")
