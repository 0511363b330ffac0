"""A report of tuning: sections with a table each, shown as they grow, kept in results/tuning/<device>.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "results" / "tuning"


class Section:
    """A heading, what the table below it shows, the table."""

    def __init__(self, heading: str, about: str, columns: Sequence[str]) -> None:
        self.heading = heading
        self.lines = [about, "", _cells(columns), _cells(["---:"] * len(columns))]
        print("\n".join(["", f"## {heading}", "", *self.lines]), flush=True)

    def add(self, *figures: float | str) -> None:
        """A row of the table."""
        self.lines.append(_cells([f if isinstance(f, str) else digits(f) for f in figures]))
        print(self.lines[-1], flush=True)

    def say(self, text: str) -> None:
        """A sentence below the table."""
        self.lines += ["", text]
        print(f"\n{text}", flush=True)


def _cells(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def digits(figure: float) -> str:
    """Three of them, or all before the point."""
    return f"{figure:.3g}" if abs(figure) < 100 else f"{figure:.0f}"


def report_of(device: str) -> Path:
    """The report of a device by its name: "AMD EPYC Processor" has amd-epyc.md."""
    words = re.sub(r"\(.*?\)|processor|cpu", " ", device.lower())
    name = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:40]
    return FOLDER / f"{name or 'device'}.md"


def write(path: Path, made_by: str, section: Section, facts: str, order: Sequence[str]) -> None:
    """Put a section into a report in place of that of the same name; the others stay as they are.

    Args:
        made_by: the command. facts: what it was measured with. order: of all headings there are.
    """
    known: dict[str, str] = {}
    if path.exists():
        for text in re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            known[text.partition("\n")[0]] = text.rstrip() + "\n"
    known[section.heading] = "\n".join([section.heading, "", f"*{facts}*", "", *section.lines]) + "\n"
    head = f"# {path.stem}\n\nMade by `{made_by}`, which says what each section is about.\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [f"## {known[name]}" for name in order if name in known]
    path.write_text("\n".join([head, *parts]), encoding="utf-8")
