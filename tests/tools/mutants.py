"""Which slips no test sees: a sample of small changes to the modules that measure nothing, by cosmic-ray.

    python -m tests.tools.mutants [--number 200] [--seed 1] [--jobs 2] [--python PYTHON] [PART OF A PATH …]

Needs the package cosmic-ray, in an environment of its own if need be: ``--python`` is then the one with the
suite's. One number, comparison, boolean or operator of arithmetic is changed at a time, in a copy of the
tree, and the tests of that module are run, then those of its room, then a few that import it. A sample of
places at random, the same for the same seed: all changes would take days. It prints what no test noticed;
some changes nothing that shows.
"""

from __future__ import annotations

import argparse
import difflib
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("stats.py", "units.py", "text.py", "cases", "records", "analysis", "compare")
"""Of suite/: what measures nothing."""
OPERATORS = re.compile(
    r"core/(ReplaceComparisonOperator|ReplaceBinaryOperator|ReplaceUnaryOperator|NumberReplacer|AddNot"
    r"|Replace(True|False|And|Or)With)\w*"
)
SENSELESS = re.compile("BitOr|BitAnd|BitXor|Shift|_Is")
"""A | of types is never run; shifts of floats, and numbers compared by identity, are nobody's slips."""
ELSEWHERE = {
    "suite/cases/formats.py": ["tests/run/test_ids_files.py"],
    "suite/cases/ids.py": ["tests/run/test_ids_files.py"],
    "suite/cases/presets.py": ["tests/house/test_readme.py"],
    "suite/analysis/outcomes.py": ["tests/report/test_command.py"],
    "suite/records/store.py": ["tests/run/test_resume.py"],
    "suite/compare/sides.py": ["tests/run/test_resume.py"],
}
"""Tests in other rooms that see a module and do not import it."""
ASSERTED = ("strict=True", "slots=True")
"""Of zip: two are as long as each other, which is asserted, not decided. Of a dataclass: memory alone."""
MOST_ELSEWHERE = 6
"""Files of tests in other rooms, the shortest of those that import the module."""
TIMEOUT_S = 300.0
PASS = set[tuple[str, ...]]()
"""Tests that were seen to pass as things are."""


class Mutant(NamedTuple):
    """A change: the module, the operator of cosmic-ray and which of its occurrences, and the changed text."""

    module: Path
    operator: str
    occurrence: int
    text: str

    def __str__(self) -> str:
        before = (ROOT / self.module).read_text().splitlines()
        diff = list(difflib.unified_diff(before, self.text.splitlines(), n=0, lineterm=""))[3:]
        line = next(
            k for k, (a, b) in enumerate(zip(before, self.text.splitlines(), strict=False), 1) if a != b
        )
        return f"{self.module}:{line}  " + "  ->  ".join(one[1:].strip() for one in diff)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("python -m tests.tools.mutants")
    parser.add_argument("parts", nargs="*", help="only modules whose path holds one of these")
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--python", default=sys.executable, help="of the environment with the suite's packages"
    )
    given = parser.parse_args(argv)
    chosen = sample(given.number, given.seed, given.parts)
    unseen = list(survivors(chosen, given.jobs, given.python))
    print(f"{len(chosen) - len(unseen)} of {len(chosen)} noticed; not noticed:")
    print(*sorted(map(str, unseen)), sep="\n")


def sample(number: int, seed: int, parts: Sequence[str]) -> list[Mutant]:
    """So many places at random, and at each one of the changes that can be made there."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    draw = random.Random(seed)
    places = sorted(changes().items())
    kept = [(place, of) for place, of in places if not parts or any(part in place[0] for part in parts)]
    found = []
    for (module, _), of in draw.sample(kept, min(number, len(kept))):
        operator, occurrence = draw.choice(of)
        before = (ROOT / module).read_text()
        text = mutate_code(before, get_operator(operator)(), occurrence)
        if all(text.count(one) == before.count(one) for one in ASSERTED):
            found.append(Mutant(Path(module), operator, occurrence, text))
    return found


def changes() -> dict[tuple[str, tuple[int, int]], list[tuple[str, int]]]:
    """By module and place the operators that can be applied there, each with the number of its occurrence."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.plugins import get_operator, operator_names

    names = [n for n in operator_names() if OPERATORS.fullmatch(n) and not SENSELESS.search(n)]
    found: dict[tuple[str, tuple[int, int]], list[tuple[str, int]]] = defaultdict(list)
    for room in ROOMS:
        top = ROOT / "suite" / room
        for path in sorted(top.rglob("*.py")) if top.is_dir() else [top]:
            tree: Any = get_ast_from_path(path)
            for name in names:
                operator = get_operator(name)()
                positions = (at for node in ast_nodes(tree) for at in operator.mutation_positions(node))
                for occurrence, (start, _) in enumerate(positions):
                    found[str(path.relative_to(ROOT)), start].append((name, occurrence))
    return found


def survivors(chosen: Sequence[Mutant], jobs: int, python: str) -> Iterator[Mutant]:
    """The changes that no test notices; each job has a copy of the tree."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            copy = Path(folder, str(number))
            skipped = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".venv")
            shutil.copytree(ROOT, copy, ignore=skipped)
            copies.put(copy)
        noticed = pool.map(lambda mutant: is_noticed(mutant, copies, python), chosen)
        for number, (mutant, seen) in enumerate(zip(chosen, noticed, strict=True), 1):
            print(
                f"{number}/{len(chosen)} {'' if seen else 'NOT NOTICED '}{mutant}",
                file=sys.stderr,
                flush=True,
            )
            if not seen:
                yield mutant


def is_noticed(mutant: Mutant, copies: SimpleQueue[Path], python: str) -> bool:
    copy = copies.get()
    path = copy / mutant.module
    original = path.read_text()
    try:
        path.write_text(mutant.text)
        failing = next((tests for tests in tests_of(mutant.module) if fails(copy, tests, python)), None)
        path.write_text(original)
        if failing is not None and failing not in PASS:
            if fails(copy, failing, python):
                raise SystemExit(f"{' '.join(failing)}: fails as it is; mend it first")
            PASS.add(failing)
        return failing is not None
    finally:
        path.write_text(original)
        copies.put(copy)


def tests_of(module: Path) -> list[tuple[str, ...]]:
    """The tests of a module, then those of its room, then those in other rooms that import it."""
    within = Path("tests", *module.parts[1:-1])
    own, room = within / f"test_{module.name}", within if within != Path("tests") else None
    above = re.escape(".".join(module.parts[:-1]))
    named = re.compile(
        rf"(from|import) {above}\.{module.stem}\b|from {above} import (\(?[\w, \n]*\b){module.stem}\b"
    )
    importing = [
        path.relative_to(ROOT)
        for path in sorted((ROOT / "tests").rglob("test_*.py"), key=lambda path: path.stat().st_size)
        if named.search(path.read_text())
    ]
    apart = [one for one in importing if one != own and (room is None or room not in one.parents)]
    apart = [*apart[:MOST_ELSEWHERE], *map(Path, ELSEWHERE.get(str(module), ()))]
    groups = [[own] if (ROOT / own).exists() else [], [room] if room else [], apart]
    return [tuple(map(str, group)) for group in groups if group]


def fails(copy: Path, tests: Sequence[str], python: str) -> bool:
    line = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(line, cwd=copy, capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


if __name__ == "__main__":
    main(sys.argv[1:])
