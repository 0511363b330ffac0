"""The generated parts of the READMEs.

``python -m tests.tools.generated`` writes them anew; the picture of the page needs a browser.
"""

from __future__ import annotations

from pathlib import Path

from backends import DTYPES, describe, names
from suite.cases.case import plan
from suite.cases.presets import PRESETS
from tests.support.browser import executable
from tests.tools import claimed, headline, page_picture, placed, schema

ROOT = Path(__file__).resolve().parents[2]


def backends() -> str:
    rows = ["| backend | runs on | what it is |", "| --- | --- | --- |"]
    for one in map(describe, names()):
        limits = "" if one.dtypes == DTYPES else f" ({', '.join(one.dtypes)})"
        where = f"{', '.join(one.devices)}{f', {one.placements[0]}' if one.placements else ''}"
        where += "" if one.operation == "lookup" else f", {one.operation}"
        rows.append(f"| `{one.name}` | {where} | {one.summary}{limits} |")
    return "\n".join(rows)


def presets() -> str:
    rows = ["| preset | cases | tables | batches | distributions |", "| --- | --- | --- | --- | --- |"]
    for name, sweeps in PRESETS.items():
        cases = plan(sweeps)
        tables = {(case.vocab, case.dim, case.dtype, case.offset) for case in cases}
        batches = sorted({case.batch for case in cases})
        distributions = sorted({case.distribution for case in cases})
        sizes = [case.table_bytes for case in cases]
        ends = dict.fromkeys((_size(min(sizes)), _size(max(sizes))))
        span = f"{len(tables)}, of {' to '.join(ends)}"
        cells = (f"`{name}`", len(cases), span, ", ".join(map(str, batches)), ", ".join(distributions))
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def _size(count: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} B"


GENERATED = {
    "README.md": {
        "headline": lambda: headline.text(ROOT),
        "claims": lambda: claimed.text(ROOT),
        "placements": lambda: placed.text(ROOT),
        "presets": presets,
    },
    "backends/README.md": {"backends": backends},
    "results/README.md": {"record fields": schema.record_fields, "columns": schema.columns},
}


def renewed(path: str, text: str) -> str:
    """A page with its generated parts as they should be."""
    for name, made in GENERATED[path].items():
        start, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        before, _, rest = text.partition(start)
        assert rest, name
        text = before + start + made() + "\n" + end + rest.partition(end)[2]
    return text


def picture_page() -> None:
    """Take the picture of the newest run's page anew, where there is a browser and a page."""
    page = headline.places(ROOT)[0].folder / "page.html"
    if executable() and page.is_file():
        (ROOT / page_picture.PICTURE).write_bytes(page_picture.picture(page))


if __name__ == "__main__":
    picture_page()
    for page in GENERATED:
        file = ROOT / page
        file.write_text(renewed(page, file.read_text(encoding="utf-8")), encoding="utf-8")
    (ROOT / headline.PICTURE).write_bytes(headline.picture(ROOT))
