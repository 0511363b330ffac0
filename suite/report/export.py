"""Results in the formats of services that track speed: Bencher, github-action-benchmark, asv."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Sequence

from suite.analysis import comparison
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.command import BadRequest
from suite.records.device import CPU
from suite.records.record import Environment, Fact
from suite.stats import Estimate
from suite.units import digits

FORMATS = {
    "bmf": "a file in Bencher's metric format",
    "gha": "a file for github-action-benchmark, tool customSmallerIsBetter",
    "asv": "a folder of results for airspeed velocity",
}
NAME = "embedding-lookup-suite"
LONGEST_NAME = 190
"""Of a part of a name; five parts and their digests, and a clock, fit the 1,024 that Bencher allows."""
ASV_CONFIDENCE = 0.99
"""Confidence of the interval that asv keeps."""
ASV_COLUMNS = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile"),
)
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._:/+-]")
_COMMIT = re.compile(r"[0-9a-f]{8,64}")


def texts(results: Results, format_name: str) -> dict[str, str]:
    """The texts of an export by relative path; where the format is one file, one text under "".

    Failures are left out, or null where the format has a place for them. Names keep only letters, digits,
    spaces and ``._:/+-``; one that loses characters gets a digest of the original.

    Args:
        format_name: one of ``FORMATS``.

    Raises:
        BadRequest: no backend completed a case, or asv is asked for and a run knows no commit.
    """
    if not any(o.completed for o in results.outcomes):
        raise BadRequest(f"--export {format_name}: no backend completed a case; there is nothing to export")
    if format_name == "asv":
        return {path: _json(tree) for path, tree in _asv(results).items()}
    return {"": _json(_bmf(results) if format_name == "bmf" else _gha(results))}


def _json(tree: object) -> str:
    return json.dumps(tree, indent=1, allow_nan=False, ensure_ascii=True) + "\n"


def _bmf(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """https://bencher.dev/docs/reference/bencher-metric-format; its measure ``latency`` is in ns."""
    tree = {}
    for outcome in _done(results):
        metrics = {"latency": _metric(comparison.median(outcome), 1e9)}
        share = comparison.fraction_of_ceiling(outcome)
        if share:
            metrics["fraction-of-ceiling"] = _metric(share, 1.0)
        tree[_label(results, outcome)] = metrics
    return tree


def _metric(estimate: Estimate, unit: float) -> dict[str, float]:
    metric = {"value": _rounded(estimate.value * unit)}
    if estimate.bounded:
        metric |= {
            "lower_value": _rounded(estimate.low * unit),
            "upper_value": _rounded(estimate.high * unit),
        }
    return metric


def _gha(results: Results) -> list[dict[str, object]]:
    """https://github.com/benchmark-action/github-action-benchmark, its custom benchmarks."""
    return [_entry(_label(results, outcome), outcome) for outcome in _done(results)]


def _entry(label: str, outcome: Outcome) -> dict[str, object]:
    time, share = comparison.median(outcome), comparison.fraction_of_ceiling(outcome)
    entry: dict[str, object] = {"name": label, "unit": "us", "value": _rounded(time.value * 1e6)}
    if time.bounded:
        entry["range"] = f"\N{PLUS-MINUS SIGN} {_rounded((time.high - time.low) / 2 * 1e6):g}"
    extra = [f"{digits(outcome.case.payload_bytes / time.value / 1e9)} GB/s"]
    extra += [f"{share.value:.1%} of a contiguous copy"] if share else []
    doubt = outcome.slow_note or ("not converged" if outcome.converged is False else None)
    extra += [doubt] if doubt else []
    return {**entry, "extra": "\n".join(extra)}


def _asv(results: Results) -> dict[str, object]:
    """Files of asv's results folder: result files of version 2, machine files of version 1."""
    benchmarks: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in _done(results):
        benchmarks[_benchmark(outcome)].append(outcome)
    described = {name: _described(name, of) for name, of in benchmarks.items()}
    tree: dict[str, object] = {"benchmarks.json": {**described, "version": 2}}
    groups: dict[tuple[str, str | None], list[Outcome]] = defaultdict(list)
    for outcome in _done(results):
        groups[outcome.run, outcome.environment].append(outcome)
    for (run, python), here in groups.items():
        environment = results.environments[run]
        if not _COMMIT.fullmatch(environment.commit):
            raise BadRequest(f"{run}: its commit is unknown, and asv keeps results by commit; leave it out")
        machine, head = _machine(environment), environment.commit[:8]
        name = NAME if python is None else f"{NAME}-{_file(python)}"
        if f"{machine['machine']}/{head}-{name}.json" in tree:
            name += f"-{_file(run)}"
        tree[f"{machine['machine']}/machine.json"] = {**machine, "version": 1}
        tree[f"{machine['machine']}/{head}-{name}.json"] = _result(here, environment, machine, name)
    return tree


def _described(name: str, of: Sequence[Outcome]) -> dict[str, object]:
    return {
        "name": name,
        "type": "time",
        "unit": "seconds",
        "version": str(of[0].method),
        "param_names": ["case"],
        "params": [list(dict.fromkeys(_cases(of)))],
        "code": "",
        "timeout": 60,
    }


def _result(
    here: Sequence[Outcome], environment: Environment, machine: dict[str, str], name: str
) -> dict[str, object]:
    benchmarks: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in here:
        benchmarks[_benchmark(outcome)].append(outcome)
    created = _milliseconds(environment)
    of = here[0].environment
    known = (
        {"version": environment.system.get("python")} if of is None else environment.environments.get(of, {})
    )
    version = known.get("version")
    return {
        "commit_hash": environment.commit,
        "env_name": name,
        "date": created,
        "params": {**machine, "python": _fact(version)},
        "python": _fact(version),
        "requirements": {},
        "env_vars": {},
        "result_columns": list(ASV_COLUMNS),
        "results": {benchmark: _row(of, created) for benchmark, of in benchmarks.items()},
        "durations": {},
        "version": 2,
    }


def _row(of: Sequence[Outcome], created: int) -> list[object]:
    """One benchmark's results, in the order of ASV_COLUMNS; each a list with a place for each case."""
    value, *spread, samples = map(list, zip(*map(_figures, of), strict=True))
    return [value, [_cases(of)], str(of[0].method), created, None, *spread, samples, None]


def _figures(outcome: Outcome) -> tuple[object, ...]:
    """Time in seconds, ends of its interval, quartiles, calls a sample, number and medians of its rounds.

    The rounds are those that its result is of.
    """
    medians = [outcome.rounds[k] for k in outcome.counted if not math.isnan(outcome.rounds[k])]
    time, calls = comparison.median(outcome, ASV_CONFIDENCE), outcome.calls_per_sample
    if not time.bounded:
        return (time.value, *(None,) * 6, medians)
    low, _, high = statistics.quantiles(medians, method="inclusive")
    return time.value, time.low, time.high, low, high, calls, len(medians), medians


def _done(results: Results) -> list[Outcome]:
    return [outcome for outcome in results.outcomes if outcome.completed]


def _cases(of: Sequence[Outcome]) -> list[str]:
    """The values of the parameter as asv keeps them: as Python's ``repr``."""
    return [repr(_safe(str(outcome.case))) for outcome in of]


def _benchmark(outcome: Outcome) -> str:
    clock = "" if outcome.device == str(CPU) else f"_{outcome.clock}"
    operation = "" if outcome.case.operation == "lookup" else f".{_file(outcome.case.operation)}"
    return f"{_file(outcome.device.replace(':', ''))}{clock}{operation}.time_{_file(outcome.backend)}"


def _machine(environment: Environment) -> dict[str, str]:
    cpu, system = environment.cpu, environment.system
    return {
        "machine": _file(environment.machine),
        "os": _fact(system.get("distribution")),
        "arch": _fact(cpu.get("architecture")),
        "cpu": _fact(cpu.get("model")),
        "num_cpu": _fact(cpu.get("logical_cores")),
        "ram": _fact(system.get("memory_total_bytes")),
    }


def _fact(fact: Fact) -> str:
    return "unknown" if fact is None else _safe(str(fact))


def _milliseconds(environment: Environment) -> int:
    """When the run was made, in milliseconds since 1970; 0 if that can't be read."""
    try:
        created = datetime.datetime.fromisoformat(environment.created)
    except ValueError:
        return 0
    return int((created if created.tzinfo else created.replace(tzinfo=datetime.UTC)).timestamp() * 1000)


def _label(results: Results, outcome: Outcome) -> str:
    """A name that is the same in every run; where there are several runs, it begins with the run."""
    where = () if outcome.environment is None else (outcome.environment,)
    parts = (outcome.backend, *where, outcome.device, str(outcome.clock), str(outcome.case))
    return "/".join(map(_safe, (outcome.run, *parts) if len(results.environments) > 1 else parts))


def _safe(text: str) -> str:
    """A name without markup, path or command in it, and unlike that of any other text."""
    return _distinct(_UNSAFE.sub("_", text)[:LONGEST_NAME], text)


def _file(text: str) -> str:
    """The same for a part of a path, or of a Python name."""
    return _distinct(re.sub(r"[^A-Za-z0-9_-]", "_", text)[: LONGEST_NAME // 2], text)


def _distinct(kept: str, text: str) -> str:
    if kept == text and text:
        return text
    return f"{kept}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _rounded(value: float) -> float:
    """Seven digits, as in the CSV."""
    return float(f"{value:.7g}")
