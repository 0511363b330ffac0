"""Libraries of the GPU's backends: which are installed, what each needs, and whether it fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from backends import Description, VersionOf, describe, distributions, installed, missing_packages, names

MOST_NAMED = 3


class Library(NamedTuple):
    """One library, and the backends that need it.

    Attributes:
        needed: as a backend says it: alternatives, and the oldest version that works of each.
        there: name and version of what is installed of it; null if nothing.
        fits: whether that will do.
    """

    needed: str
    there: tuple[str, str] | None
    fits: bool
    backends: tuple[str, ...]

    def __str__(self) -> str:
        which = (
            ", ".join(self.backends) if len(self.backends) <= MOST_NAMED else f"{len(self.backends)} backends"
        )
        if self.there is None:
            return f"not there  {self.needed.replace('|', ' or ')}: {which}"
        name, version = self.there
        least = next((w for w in self.needed.split("|") if w.startswith(f"{name}>=")), "").partition(">=")[2]
        state, least = "ok" if self.fits else "too old", f", needs {least} or later" if least else ""
        return f"{state:<9}  {name} {version}{least}: {which}"


def libraries(version_of: VersionOf = installed) -> list[Library]:
    """Those of all backends that run on a GPU, what is there first; imports none of them."""
    found: dict[str, list[str]] = {}
    for backend in _on_gpus():
        for needed in backend.packages:
            found.setdefault(needed, []).append(backend.name)
    known = [_library(needed, tuple(who), version_of) for needed, who in found.items()]
    return sorted(known, key=lambda one: one.there is None)


def _on_gpus() -> Iterator[Description]:
    return (one for one in map(describe, names()) if "cuda" in one.devices)


def _library(needed: str, who: tuple[str, ...], version_of: VersionOf) -> Library:
    versions = ((name, version_of(name)) for name in distributions([needed]))
    there = next(((name, version) for name, version in versions if version is not None), None)
    return Library(needed, there, not missing_packages([needed], version_of), who)
