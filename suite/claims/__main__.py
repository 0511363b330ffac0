"""What people say of embedding lookup, measured on this machine: python -m suite.claims"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from suite.claims.finding import CLAIMS, GROUPS
from suite.claims.options import Request, parse
from suite.command import execute
from suite.text import plain

if TYPE_CHECKING:
    from suite.claims.finding import Finding
    from suite.claims.target import Place
    from suite.machine.cuda_device import CudaDevice
    from suite.records.record import Environment, Fact


SCHEMA = 1
"""Version of claims.json: of the fields of a finding."""
INTERRUPTED = 130


class BadRequest(Exception):
    """What the user asked can't be done; one line."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    request = parse(argv, (*GROUPS, *CLAIMS))
    try:
        return _carry_out(request, argv)
    except BadRequest as error:
        print(plain(str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("claims: interrupted; nothing is written", file=sys.stderr)
        return INTERRUPTED


def _carry_out(request: Request, argv: Sequence[str]) -> int:
    from suite.claims import page, terminal
    from suite.report.page import html

    gpu = _gpu(request)
    folder = _folder(request.out)
    place = _place(request, gpu)
    environment = _environment(request, argv, place, gpu)
    found = _judged(request, place)
    _write(folder / "claims.json", _json(found, place, environment))
    _write(folder / "claims.html", page.html(found, place.device, environment))
    columns = shutil.get_terminal_size((100, 24)).columns
    terminal.show(found, html.machine(place.device, environment), sys.stdout, columns)
    print(folder / "claims.html")
    return 0


def _judged(request: Request, place: Place) -> list[Finding]:
    """What the claims asked for came to, in order."""
    from suite.claims.stages import STAGES, judged, shares

    stages = [s for s in STAGES if any(request.wants(name, s.group) for name in s.names)]
    found: list[Finding] = []
    began = time.monotonic()
    for number, seconds in enumerate(shares(stages, request.time_budget_s)):
        stage = stages[number]
        names = ", ".join(name for name in stage.names if request.wants(name, stage.group))
        said = f"[{number + 1}/{len(stages)} {time.monotonic() - began:.0f}s] {names}"
        print(said, file=sys.stderr, flush=True)
        found += judged(stage, place, seconds)
    return [finding for finding in found if request.wants(finding.name, finding.group)]


def _folder(out: str) -> Path:
    """The folder, made now: to find after minutes that it can't be written to would be late."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("claims.html", "claims.json"):
            if (folder / name).is_dir():
                raise BadRequest(f"{folder / name}: is a folder; give another --out")
        _write(folder / ".claims", "")
        (folder / ".claims").unlink()
    except OSError as error:
        raise BadRequest(
            f"{out}: {error.strerror}; give a folder that can be written to with --out"
        ) from None
    return folder


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}; give another --out") from None


def _gpu(request: Request) -> CudaDevice | None:
    if request.gpu is None:
        return None
    from suite.machine.cuda_device import probe

    found = probe(request.gpu)
    if isinstance(found, str):
        raise BadRequest(f"gpu {request.gpu}: not there, {found}; leave out --gpu to measure the CPU")
    return found


def _place(request: Request, gpu: CudaDevice | None) -> Place:
    from suite.claims.target import settle
    from suite.machine.cpu import cache_bytes
    from suite.machine.environment import available_bytes
    from suite.worker.supervisor import MEMORY_SHARE

    if gpu is None:
        memory, cache, device = int(MEMORY_SHARE * available_bytes()), cache_bytes(), "cpu"
    else:
        memory, cache, device = int(MEMORY_SHARE * gpu.memory_bytes), gpu.l2_bytes, f"cuda:{request.gpu}"
    return settle(device, request.model, memory, cache, request.threads, request.seed)


def _environment(request: Request, argv: Sequence[str], place: Place, gpu: CudaDevice | None) -> Environment:
    from backends import describe, names
    from suite.machine.environment import collect
    from suite.telemetry.observer import gpu_facts

    kind = place.device.partition(":")[0]
    packages = [p for name in names() if kind in (one := describe(name)).devices for p in one.packages]
    settings: dict[str, Fact] = {
        "model": request.model,
        "rows": place.vocab,
        "threads": request.threads,
        "time_budget_s": request.time_budget_s,
    }
    facts = gpu_facts(gpu) if gpu else None
    return collect(argv, request.seed, "", (place.device,), settings, packages=packages, gpu=facts)


def _json(found: Sequence[Finding], place: Place, environment: Environment) -> str:
    tree = {
        "schema": SCHEMA,
        "device": place.device,
        "findings": [asdict(finding) for finding in found],
        "environment": asdict(environment),
    }
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


if __name__ == "__main__":
    execute(main)
