"""What README.md says of the claims: the newest published answer, as a table."""

from __future__ import annotations

import json
from pathlib import Path

from suite.text import markdown_cell

NOTHING = "No answer is published yet."


def text(root: Path) -> str:
    """The newest ``results/*/claims.json`` by the date it was made, a line a claim."""
    found = [
        (path, json.loads(path.read_text(encoding="utf-8"))) for path in root.glob("results/*/claims.json")
    ]
    if not found:
        return NOTHING
    path, tree = max(found, key=lambda one: (one[1]["environment"]["created"], one[0].name))
    environment = tree["environment"]
    rows = ["| claim | here | figure |", "| --- | --- | --- |"]
    for one in tree["findings"]:
        rows.append(f"| {' | '.join(markdown_cell(one[key]) for key in ('claim', 'verdict', 'number'))} |")
    where = f"{environment['cpu'].get('model')}, {environment['settings'].get('threads')} threads"
    if tree["device"] != "cpu":
        where = str(environment["gpu"].get("name"))
    page = path.with_name("claims.html").relative_to(root)
    made = f"{environment['created'][:10]}; commit `{environment['commit'][:8]}`"
    return "\n".join([*rows, "", f"{where}; {made}; [the page]({page}) says why, with plots and rules."])
