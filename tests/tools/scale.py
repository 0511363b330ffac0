"""Time and memory to read and report 100,000 records: python -m tests.tools.scale [RECORDS] [RUN]

The records are copies of fabricated ones (12 rounds of 5 samples), or of those of RUN, each copy of another
case, in ten runs. Each step is a process of its own; printed are its CPU time and its largest memory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import fabricate

ROOT = Path(__file__).resolve().parents[2]

RUNS = 10
BACKENDS = {f"backend_{k}": 1 + k / 10 for k in range(9)}
LOAD = "import sys, suite; assert len(suite.load(*sys.argv[1:])) > 0"


def main(argv: list[str]) -> None:
    count = int(argv[0]) if argv else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = Path(argv[1]) if len(argv) > 1 else fabricate.run(folder / "source", speed=BACKENDS).path
        made = list(multiplied(source, folder, count))
        runs = [str(path) for path, _ in made]
        size = sum(path.stat().st_size for path in folder.glob("run-*/records.jsonl"))
        print(
            f"{sum(records for _, records in made):,} records in {RUNS} runs, {size / 1e6:,.0f} MB",
            flush=True,
        )
        report = [sys.executable, "-m", "suite.report", *runs]
        step("suite.load", [sys.executable, "-c", LOAD, *runs])
        step("suite.report --csv", [*report, "--csv", f"{name}/table.csv"])
        step("suite.report --html", [*report, "--html", f"{name}/page.html"])
        print(f"the page has {(folder / 'page.html').stat().st_size / 1e6:.1f} MB")


def multiplied(source: Path, folder: Path, count: int) -> Iterator[tuple[Path, int]]:
    """Runs made of copies of a run, each copy's tables a row longer; and how many records each has."""
    lines = (source / "records.jsonl").read_text(encoding="utf-8").splitlines()
    trees = [json.loads(line) for line in lines]
    copies = -(-count // (RUNS * len(trees)))
    for number in range(RUNS):
        path = folder / f"run-{number}"
        path.mkdir()
        shutil.copy(source / "environment.json", path)
        with (path / "records.jsonl").open("w", encoding="utf-8") as file:
            for copy in range(copies):
                for tree in trees:
                    case = {**tree["case"], "vocab": tree["case"]["vocab"] + copy}
                    other = {**tree, "case": case, "measurement": f"{tree['measurement']}-{copy}"}
                    file.write(json.dumps(other, ensure_ascii=False, separators=(",", ":")) + "\n")
        yield path, copies * len(trees)


def step(what: str, command: list[str]) -> None:
    """Run a command and print what it took."""
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{what}: exit code {child.returncode}")
    seconds, memory = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
    print(f"{what}: {seconds:.1f} s of CPU, {memory / 1e9:.2f} GB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
