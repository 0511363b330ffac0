"""The report as text."""

from __future__ import annotations

import io

from suite.report import terminal


def printed(*paths, baseline=None):
    file = io.StringIO()
    terminal.print_summary(paths, file, baseline)
    return file.getvalue()


def pipes(line):
    """How many bars of a line of Markdown end a cell."""
    return line.replace("\\\\", "").replace("\\|", "").count("|")
