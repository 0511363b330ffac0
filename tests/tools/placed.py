"""What README.md says of tables in files: sentences of the newest published run of ``placements``."""

from __future__ import annotations

from pathlib import Path

from suite.analysis import comparison, outcomes
from suite.report import placements

NOTHING = "No run of placements is published yet."
SAID = ("a mapped file, cached", "uniform ids overstate")
"""How the sentences begin that are said there; the page has all."""


def text(root: Path) -> str:
    """Those of the newest ``results/*-placements`` by its name, a line each."""
    folders = sorted(path.parent for path in root.glob("results/*-placements/environment.json"))
    if not folders:
        return NOTHING
    folder = folders[-1]
    results = outcomes.read([folder])
    (where,) = results.environments.values()
    said = placements.sentences(results.outcomes, comparison.noise_floor(where))
    found = [line for start in SAID for line in said if line.startswith(start)]
    page = (folder / "page.html").relative_to(root)
    found[-1] += f" ([page]({page}))"
    return "\n".join(f"- {line[:1].upper()}{line[1:]}." for line in found)
