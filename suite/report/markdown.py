"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from suite.analysis.outcomes import Results
from suite.report import sentences, tables
from suite.report.tables import is_wide
from suite.text import markdown_cell


def markdown(results: Results, baseline: str | None = None) -> str:
    """The report as GitHub-flavoured Markdown."""
    table = tables.table(results)
    lines: list[str] = []
    for section in table.sections:
        lines += [f"#### {markdown_cell(section.title)}", "", _markdown_row(table.headings)]
        lines += ["|" + " --- |" * len(table.headings), *map(_markdown_row, section.rows), ""]
    lines += [f"- {markdown_cell(line)}" for line in sentences.sentences(results, baseline)]
    lines += [f"- {markdown_cell(line)}" for line in sentences.origins(results)]
    lines += [f"- {markdown_cell(note)}" for note in results.notes]
    return "\n".join([*lines, "", markdown_cell(tables.LEGEND), ""])


def _markdown_row(cells: Sequence[str]) -> str:
    weighed = (f"**{markdown_cell(one)}**" if is_wide(one) else markdown_cell(one) for one in cells)
    return f"| {' | '.join(weighed)} |"
