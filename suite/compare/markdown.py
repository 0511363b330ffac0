"""The comparison as Markdown, fit for a comment on a change: what to know first, then the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from suite.compare.listing import HEADINGS, Listing, Row
from suite.text import markdown_cell

MOST_ROWS = 250
"""A comment holds 65,536 characters."""


def markdown(listing: Listing) -> str:
    """GitHub-flavoured Markdown."""
    lines = [line for one in listing.overall for line in (f"**{markdown_cell(one)}**", "")]
    lines += [f"- {markdown_cell(line)}" for line in (*listing.broken, *listing.totals)]
    lines += _table("", listing.rows)
    lines += _table("Not measured at full speed, nothing is decided:", listing.slow)
    lines += ["", *(f"- {markdown_cell(line)}" for line in listing.rests_on)]
    return "\n".join([*lines, ""])


def _table(title: str, rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield from ("", title, "") if title else ("",)
    yield _line(HEADINGS)
    yield "| --- |" + " ---: |" * (len(HEADINGS) - 2) + " --- |"
    for row in rows[:MOST_ROWS]:
        *cells, verdict = map(markdown_cell, row.cells)
        yield _line([*cells, f"**{verdict}**" if row.verdict in ("SLOWER", "FASTER") else verdict])
    if len(rows) > MOST_ROWS:
        yield from ("", f"and {len(rows) - MOST_ROWS} more, further from the top; --only shows some alone")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
