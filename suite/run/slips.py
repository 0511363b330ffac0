"""Slips of the keyboard: words that no option takes, and what was meant by them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from backends import names
from suite.cases.presets import MODELS, PRESETS

KNOWN = {
    "--device": "give --gpu 0 for a GPU; without it the CPU is measured",
    "--cpu": "leave it out; the CPU is measured unless --gpu is given",
    "--cuda": "give --gpu 0",
    "--output": "give --out DIR",
    "--models": "give --model NAME,…",
    "--backends": "give --backend NAME …",
    "--quick": "give --preset smoke",
}
"""Options of other tools, and what stands for them here."""


def meant(left: Sequence[str], argv: Sequence[str], options: Collection[str], lists: Collection[str]) -> str:
    """What is wrong with the words that were left, and what to do, in one line.

    Args:
        left: words of argv that no option took. options: all there are. lists: those of values and commas.
    """
    first = left[0]
    option, _, value = first.partition("=")
    if option in KNOWN:
        return f"{first}: no such option; {KNOWN[option]}"
    if first.startswith("-"):
        near = difflib.get_close_matches(option, options, n=1)
        hint = f"did you mean {near[0]}{'=' + value if value else ''}?" if near else "see --help"
        return f"{first}: no such option; {hint}"
    before = _option_before(argv, first)
    if before in lists:
        at = argv.index(before)
        values = [argv[at + 1]] if at + 1 < len(argv) else []
        values += [word for word in left if not word.startswith("-")]
        return f"{before} {' '.join(values)}: several values take commas; write {before} {','.join(values)}"
    for of, known in (("preset", PRESETS), ("model", MODELS), ("backend", names())):
        if first in known:
            return f"{first}: a {of}; write --{of} {first}"
    return f"{first}: no option takes it; see --help"


def _option_before(argv: Sequence[str], word: str) -> str | None:
    """The nearest option before a word."""
    before = [one for one in argv[: argv.index(word)] if one.startswith("--")] if word in argv else []
    return before[-1] if before and "=" not in before[-1] else None
