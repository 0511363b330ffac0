"""The page: one HTML file that shows runs side by side and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import starmap
from pathlib import Path

from suite.analysis.comparison import checks_only, noise_floor
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.records.record import Environment, Fact
from suite.report import sentences, tables, verdict
from suite.report.page import data, gpu
from suite.report.page.strip import strip
from suite.report.tables import LEGEND, Place
from suite.stats import ASSUMED_NOISE_FLOOR
from suite.text import plain, shown
from suite.units import count, time_of

_HERE = Path(__file__).parent
STYLE = "style.css"
SCRIPTS = (
    *("elements.js", "base.js", "filters.js", "grid.js", "chart.js", "plots.js", "verdict.js", "map.js"),
    *("matrix.js", "box.js", "theme.js", "main.js"),
)
"""In the order in which the page runs them."""


def html(
    results: Results, baseline: str | None = None, by_call: Results | None = None, home: str | None = None
) -> str:
    """The report as one HTML page, the same for the same runs.

    Args:
        baseline: the backend that others are compared with in the sentences.
        by_call: the same runs read by call times, where the reader is to have the choice.
        home: where the page of all machines is, if this one is of a site.
    """
    import jinja2

    scripts = [part(name) for name in SCRIPTS]
    baseline, unknown = sentences.known(results, baseline)
    baselines = sentences.by_operation(results, baseline)
    loader = jinja2.FileSystemLoader(_HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("page.html").render(
        policy=policy(scripts, part(STYLE)),
        style=part(STYLE),
        scripts=scripts,
        data=data.embedded(results, baseline, by_call),
        home=home,
        places=[_card(results, *place, baselines) for place in tables.places(results).items()],
        by_call=by_call is not None,
        several=len(tables.places(results)) > 1,
        operations=[one for one in data.counts(results) if one != "lookup"],
        strips=list(filter(None, starmap(strip, results.speeds.items()))),
        environments=[_environment(name, e) for name, e in results.environments.items()],
        methods=sorted({e.method for e in results.environments.values()}),
        notes=[*unknown, *(plain(note) for note in results.notes)],
        legend=LEGEND.partition(" · ")[2],
    )


@cache
def part(name: str) -> str:
    """The text of one of the page's own files."""
    return (_HERE / name).read_text(encoding="utf-8")


def policy(scripts: Iterable[str], style: str) -> str:
    """A page's content security policy: it runs and loads only these texts, and no text becomes markup."""
    hashes = " ".join(map(_hash, scripts))
    rules = (
        "default-src 'none'",
        *([f"script-src {hashes}"] if hashes else []),
        f"style-src {_hash(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _card(
    results: Results, place: Place, here: tuple[Outcome, ...], baselines: Mapping[str, str]
) -> dict[str, object]:
    """The card of one operation on one device of one run, above the plots."""
    run, device, operation = place
    environment = results.environments[run]
    lines = [shown(line) for line in sentences.of_backends(here, environment, baselines.get(operation))]
    of_the_run = sentences.of_the_run(here, environment, results.speeds.get(run, ()))
    first = 2 if lines[1:2] and lines[1].startswith(verdict.PHRASES["library"]) else 1
    return {
        "run": plain(run),
        "device": plain(device),
        "operation": plain(operation),
        "machine": machine(device, environment),
        "created": plain(f"{environment.created[:10]} · {version(environment)}"),
        "facts": _facts(here, environment),
        "verdict": lines[:first],
        "lines": lines[first:],
        "of_the_run": [shown(line) for line in of_the_run],
        "gpu": gpu.part(here, environment),
        "reference": gpu.reference(here, environment),
    }


def version(environment: Environment) -> str:
    """The commit and the method of a run in words."""
    edited = {True: " and changes", False: "", None: " (changes unknown)"}[environment.dirty]
    return f"commit {environment.commit[:8]}{edited} · method {environment.method}"


def _facts(here: Sequence[Outcome], environment: Environment) -> list[tuple[str, str, str, str]]:
    """Of each fact the page's name for it, its value, and the words for one and for many."""
    absent = {o.name for o in here} - {o.name for o in here if o.status != "unavailable"}
    failed = sum(not o.completed and o.name not in absent for o in here)
    known, unknown = verdict.decided(here, noise_floor(environment))
    slow = [o.slow_note is not None for o in here if o.full_speed is not None]
    decided = f"{len(known)} of {len(known) + len(unknown)}"
    facts = [
        ("cases", f"{len({o.case for o in here}):,}", "case", "cases"),
        ("records", f"{len(here):,}", "record", "records"),
        ("failed", f"{failed:,}", "failed", "failed"),
        ("absent", f"{len(absent):,}", "backend not available", "backends not available"),
        ("decided", decided, "decided", "decided"),
        ("slow", f"{sum(slow):,}", "measured slow", "measured slow"),
        ("floor", _floor(environment), "noise floor", "noise floor"),
    ]
    lacking = {"absent": not absent, "decided": checks_only(environment), "slow": not slow}
    return [fact for fact in facts if not lacking.get(fact[0])]


def _floor(environment: Environment) -> str:
    if environment.noise_floor is None:
        return f"not measured; {ASSUMED_NOISE_FLOOR:.1%} assumed"
    return f"{environment.noise_floor:.1%}"


def machine(device: str, environment: Environment) -> str:
    """The hardware and the operating system in a few words."""
    facts, cpu, system = environment.gpu, environment.cpu, environment.system
    if device.startswith("cpu"):
        cores = cpu.get("physical_cores")
        words = [_fact(cpu.get("model")), f"{_fact(cores)} cores" if cores else ""]
        threads = environment.settings.get("threads")
        words += [f"{_fact(threads)} threads" if threads else ""]
        words += ["virtual machine" if cpu.get("hypervisor") is True else ""]
    else:
        driver = facts.get("driver_version")
        words = [_fact(facts.get("name")), f"driver {_fact(driver)}" if driver else ""]
    return " · ".join(filter(None, [*words, _fact(system.get("distribution"))]))


def _environment(name: str, environment: Environment) -> dict[str, object]:
    """The environment of a run as groups of names and values."""
    dirty = {True: " and changes not committed", False: "", None: " (changes unknown)"}[environment.dirty]
    if by := environment.system.get("commit_given_by"):
        dirty = f" (as {by} gives it; changes unknown)"
    run: dict[str, Fact] = {
        "created": environment.created,
        "arguments": " ".join(environment.argv),
        "seed": environment.seed,
        "commit": environment.commit + dirty,
        "plan": environment.plan,
        "machine": environment.machine,
        "devices": ", ".join(environment.devices),
        "noise floor": environment.noise_floor,
        "schema": environment.schema,
        "method": environment.method,
    }
    groups: tuple[tuple[str, Mapping[str, Fact]], ...] = (
        ("run", run),
        ("settings", environment.settings),
        ("processor", environment.cpu),
        ("GPU", environment.gpu),
        ("system", environment.system),
        ("packages", environment.packages),
        ("meter at full speed", _meter(environment.full_speed_s)),
        *((f"environment {name}", facts) for name, facts in environment.environments.items()),
    )
    shown = [
        (plain(title), [(plain(k), _fact(v)) for k, v in facts.items()]) for title, facts in groups if facts
    ]
    return {"name": plain(name), "groups": shown, "size": count(sum(len(f) for _, f in shown), "fact")}


def _meter(full_speed_s: Mapping[str, Fact]) -> dict[str, Fact]:
    return {
        f"{threads} thread{'' if threads == '1' else 's'}": time_of(one) if isinstance(one, float) else one
        for threads, one in full_speed_s.items()
    }


def _fact(fact: Fact) -> str:
    if fact is None:
        return "–"
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, float):
        return f"{fact:.6g}"
    return f"{fact:,}" if isinstance(fact, int) and abs(fact) >= 10_000 else plain(str(fact))
