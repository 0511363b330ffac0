"""What README.md says of tables in files: sentences of the newest published runs of ``placements``."""

from __future__ import annotations

from pathlib import Path

from suite.analysis import comparison, outcomes
from suite.report import placements

NOTHING = "No run of placements is published yet."
SAID = ("a mapped file, cached", "cold, rows of")
"""How the sentences begin that are said there; the page has all."""


def text(root: Path) -> str:
    """Each from the newest ``results/*-placements``, by its name, that says it, a line each."""
    found: dict[str, list[str]] = {}
    for file in sorted(root.glob("results/*-placements/environment.json"), reverse=True):
        results = outcomes.read([file.parent])
        (where,) = results.environments.values()
        page = file.with_name("page.html").relative_to(root)
        said = placements.sentences(results.outcomes, comparison.noise_floor(where))
        for start in SAID:
            lines = [line for line in said if line.startswith(start)]
            if lines and start not in found:
                found[start] = [f"- {line[:1].upper()}{line[1:]} ([page]({page}))." for line in lines]
    return "\n".join(line for start in SAID for line in found.get(start, [])) or NOTHING
