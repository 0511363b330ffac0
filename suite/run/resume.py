"""Going on with a run: only with what it began with."""

from __future__ import annotations

from collections.abc import Iterator

from suite.records.record import Environment, Fact


def changed(was: Environment, now: Environment) -> Iterator[str]:
    """What a run began with and what is there now, where times or their meaning may be others by it."""
    sides = []
    for each in (was, now):
        variables = {name: fact for name, fact in each.system.items() if name.isupper()}
        own: dict[str, Fact] = {"commit": each.commit[:12], "dirty": each.dirty, "method": each.method}
        own["shard"] = each.settings.get("shard")
        sides.append({**own, **each.packages, **variables})
    before, after = sides
    for name in sorted({*before, *after}, key=[*before, *after].index):
        if before.get(name) != after.get(name):
            yield f"{name} {before.get(name)}, now {after.get(name)}"
