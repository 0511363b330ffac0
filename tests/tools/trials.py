"""What trials of whole runs share: command line, runs into a folder, pairs as suite.compare sees them."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from suite.analysis.outcome import Outcome
from suite.compare import pairs, sides
from suite.compare.pairs import Basis
from suite.stats import Estimate, Verdict

ROOT = Path(__file__).resolve().parents[2]
FINISHED = "records.csv"
"""What suite.run writes last."""


DIFFERENT: tuple[Verdict, ...] = ("SLOWER", "FASTER")


class Seen(NamedTuple):
    """One comparison: whether it is called different, and by how much."""

    a: Outcome
    b: Outcome
    ratio: Estimate
    verdict: Verdict

    @property
    def different(self) -> bool:
        return self.verdict in DIFFERENT

    @property
    def full_speed(self) -> bool:
        """Whether both were measured at full speed."""
        return self.a.decides and self.b.decides

    def __str__(self) -> str:
        ends = f"{self.ratio.value:.3f} [{self.ratio.low:.3f} {self.ratio.high:.3f}]"
        return f"{self.verdict} {ends}  {self.b.name}  {self.b.case}  {self.a.run} {self.b.run}"


def parser(doc: str, runs: int, minutes: float, budget: str | None = None) -> argparse.ArgumentParser:
    """The options that such tools have; ``read FOLDER`` is taken care of by ``folder_to_read``.

    Args:
        budget: of one run, where there are runs of the suite.
    """
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="raw runs; gone on with")
    made.add_argument("--runs", type=int, default=runs, metavar="K", help=f"(default: {runs})")
    limit = f"begin nothing after these (default: {minutes:g})"
    made.add_argument("--minutes", type=float, default=minutes, metavar="M", help=limit)
    if budget:
        made.add_argument("--budget", default=budget, metavar="T", help=f"of a run (default: {budget})")
    return made


def folder_to_read(argv: Sequence[str]) -> Path | None:
    """The folder of ``read FOLDER``; null if it is to be measured."""
    return Path(argv[1]) if len(argv) == 2 and argv[0] == "read" else None


def run(folder: Path, words: Iterable[str]) -> bool:
    """suite.run into a folder, unless it is finished there; an unfinished one is begun anew.

    Returns:
        Whether there is a finished run.
    """
    if (folder / FINISHED).exists():
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    command = [sys.executable, "-m", "suite.run", *words, "--out", str(folder.absolute())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        print(f"{folder.name}: exit code {done.returncode}: {done.stderr.strip()[-300:]}", flush=True)
    else:
        print(f"{folder.name}: {time.monotonic() - began:.0f} s", flush=True)
    return (folder / FINISHED).exists()


def finished(folder: Path) -> list[Path]:
    """The finished runs in a folder, in order."""
    return sorted(path.parent for path in folder.glob(f"*/{FINISHED}"))


def seen(a: Path, b: Path, relative_to: str | None = None) -> list[Seen]:
    """What suite.compare says of two runs, of every case that both completed."""
    side_a, side_b, results = sides.sides(str(a), str(b))
    floor, origin = pairs.noise_floor(side_a.where, side_b.where)
    listed = pairs.pairs(side_a, side_b, results, Basis(floor, origin, relative_to=relative_to))
    return [Seen(p.a, p.b, p.ratio, p.verdict) for p in listed if p.a and p.b and p.ratio and p.verdict]


def verdicts(title: str, found: Sequence[Seen]) -> str:
    """How many are SLOWER, FASTER, SAME and UNCLEAR, and the share of the first two."""
    number = Counter(one.verdict for one in found)
    each = ", ".join(f"{number[v]} {v}" for v in (*DIFFERENT, "SAME", "UNCLEAR"))
    different = share(sum(one.different for one in found), found)
    return f"{title}: {len(found)} verdicts, {different} called different: {each}"


def share(number: int, of: Sequence[object]) -> str:
    """A number as a share; nothing of none."""
    return f"{number / len(of):.1%}" if of else "none"


def spread(title: str, ratios: Iterable[float]) -> str:
    """How many ratios of equal things are within 2 and 5 % of 1, and the worst."""
    apart = sorted(max(r, 1 / r) - 1 for r in ratios)
    if not apart:
        return f"{title}: no pairs"
    within = (f"{share(sum(a <= most for a in apart), apart)} within {most:.0%}" for most in (0.02, 0.05))
    middle, wide = apart[len(apart) // 2], apart[int(0.9 * len(apart))]
    ends = f"half within {middle:.1%}, 90 % within {wide:.1%}, worst {apart[-1]:.1%} apart"
    return f"{title}: {len(apart)} pairs of medians, {', '.join(within)}; {ends}"


def by_kind(found: Iterable[Seen]) -> Iterator[tuple[str, list[Seen]]]:
    """Comparisons by backend and state of the caches."""
    groups: dict[str, list[Seen]] = {}
    for one in found:
        groups.setdefault(f"{one.b.name} {one.b.case.cache}", []).append(one)
    return iter(sorted(groups.items()))
