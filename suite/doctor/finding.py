"""Finding: one thing that can make measurements noisy, and the facts it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from suite.records.record import Fact

Grade = Literal["ok", "warn", "unknown"]

UNREPORTED = "not reported"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that can make measurements noisy.

    Attributes:
        state: how it is on this machine.
        advice: what to do, an exact command where there is one; empty if nothing.
        why: how it makes measurements noisy; empty where it does not.
    """

    subject: str
    state: str
    advice: str
    grade: Grade
    why: str = ""


def word(facts: dict[str, Fact], key: str) -> str | None:
    """The fact if it is a text."""
    fact = facts.get(key)
    return fact if isinstance(fact, str) else None


def number(facts: dict[str, Fact], key: str) -> float | None:
    """The fact if it is a number."""
    fact = facts.get(key)
    return fact if isinstance(fact, (int, float)) and not isinstance(fact, bool) else None
