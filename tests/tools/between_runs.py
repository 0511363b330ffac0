"""How often equal things are called different between runs: all pairs of runs of one commit, of 12 cases.

    python -m tests.tools.between_runs --out FOLDER [--runs 10] [--minutes 30] [--hog]
    python -m tests.tools.between_runs read FOLDER

Ten runs of 150 s take 25 minutes. A folder is gone on with. After each run stands how it is called against
those before it. With --hog, during every second run another process keeps the last processor busy for 2 to
20 s, off and on, by a seed. The last lines are over all rounds of the same runs, at whatever speed, as
results were before method 4: for contrast.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from suite import stats
from suite.analysis import outcomes
from suite.stats import ASSUMED_NOISE_FLOOR
from tests.stand_ins import hogs
from tests.tools import trials
from tests.tools.trials import Seen

BASE = "numpy_take"
"""The backend that the other one is read against."""
CASES = (
    *("--vocab", "50257,1000000", "--dim", "64", "--batch", "17,512,8192", "--cache", "cold,hot"),
    *("--backend", BASE, "torch_index_select", "--sustain", "0"),
)
MOST_LISTED = 20
FLOORS = (0.0, 0.005, 0.01, 0.02, 0.03)
HOG = "hog.json"


@contextlib.contextmanager
def hogged(file: Path, seed: int) -> Iterator[None]:
    """A hog on and off, in whose file stands when."""
    with hogs.hog("spin", hogs.sibling()) as hog, hogs.on_and_off(hog, seed):
        yield
        file.write_text(json.dumps({"seconds_on": hog.seconds_on(), "states": hog.states}))


def measure(out: Path, runs: int, minutes: float, budget: str, hog: bool) -> None:
    end = time.monotonic() + 60 * minutes
    for number in range(1, runs + 1):
        folder = out / f"run-{number:02}"
        if time.monotonic() > end:
            print(f"time is up after {number - 1} of {runs} runs", flush=True)
            return
        known = (folder / trials.FINISHED).exists()
        with contextlib.ExitStack() as stack:
            if hog and number % 2 == 0 and not known:
                file = out / f"run-{number:02}.{HOG}"
                out.mkdir(parents=True, exist_ok=True)
                stack.enter_context(hogged(file, number))
            trials.run(folder, [*CASES, "--time-budget", budget])
        if not known:
            before = [other for other in trials.finished(out) if other.name < folder.name]
            found = [one for other in before for one in trials.seen(other, folder)]
            print(trials.verdicts(f"{folder.name} against {len(before)} before it", found), flush=True)


def read(out: Path) -> Iterator[str]:
    """The lines to print of the runs in a folder."""
    folders = trials.finished(out)
    for folder in folders:
        yield _of_a_run(folder)
    pairs = {(a, b): trials.seen(a, b) for a, b in itertools.combinations(folders, 2)}
    found = [one for some in pairs.values() for one in some]
    yield ""
    yield trials.verdicts(f"{len(pairs)} pairs of runs", found)
    for kind, some in trials.by_kind(found):
        yield trials.verdicts(f"  {kind}", some)
    if len({_hogged(folder) for folder in folders}) > 1:
        mixed = [one for (a, b), some in pairs.items() if _hogged(a) != _hogged(b) for one in some]
        yield trials.verdicts("  one of them with a hog", mixed)
    against = [one for a, b in pairs for one in trials.seen(a, b, relative_to=BASE)]
    yield trials.verdicts(f"  relative to {BASE}", against)
    beside = [one for a, b in pairs for one in trials.seen(a, b, relative_to="unchanged")]
    yield trials.verdicts("  relative to what is unchanged", beside)
    wrong = sorted((s for s in found if s.different), key=lambda s: -abs(s.ratio.value - 1))
    yield from (f"    {one}" for one in wrong[:MOST_LISTED])
    for floor in FLOORS:
        called = [s for s in found if s.full_speed and stats.verdict(s.ratio, floor) in trials.DIFFERENT]
        yield f"  with a noise floor of {floor:.1%}: {trials.share(len(called), found)} called different"
    yield trials.spread("at full speed", [s.ratio.value for s in found if s.full_speed])
    yield trials.spread("all results", [s.ratio.value for s in found])
    yield trials.spread("relative to what is unchanged", [s.ratio.value for s in beside if s.full_speed])
    yield ""
    plain = [_plain(one) for one in found]
    yield trials.verdicts("over all rounds, at whatever speed", plain)
    yield trials.spread("over all rounds, at whatever speed", [s.ratio.value for s in plain])


def _of_a_run(folder: Path) -> str:
    results = outcomes.read([folder])
    done = [o for o in results.outcomes if o.completed]
    slow = sum(not o.decides for o in done)
    shares = [o.full_speed_share for o in done if o.full_speed_share is not None]
    fast = f"{sum(shares) / len(shares):.0%} of rounds at full speed" if shares else "no meter"
    (where,) = results.environments.values()
    floor = "none" if where.noise_floor is None else f"{where.noise_floor:.1%}"
    passes = sorted(len(o.passes) for o in done)
    hog = ""
    if _hogged(folder):
        hog = f", hog on for {json.loads(_hog_file(folder).read_text())['seconds_on']:.0f} s"
    return (
        f"{folder.name}: {len(done)} results of {passes[0]} to {passes[-1]} passes, {fast}, {slow} not at "
        f"full speed, {sum(o.converged is False for o in done)} not converged, noise floor {floor}{hog}"
    )


def _hog_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.{HOG}")


def _hogged(folder: Path) -> bool:
    return _hog_file(folder).exists()


def _plain(one: Seen) -> Seen:
    """The same comparison by the medians of all rounds, and the noise floor that is assumed."""
    a, b = (stats.order_statistics(outcome.rounds) for outcome in (one.a, one.b))
    ratio = stats.quotient(b, a)
    return Seen(one.a, one.b, ratio, stats.verdict(ratio, ASSUMED_NOISE_FLOOR))


def main(argv: Sequence[str]) -> None:
    folder = trials.folder_to_read(argv)
    if folder is None:
        parser = trials.parser(str(__doc__), runs=10, minutes=30, budget="150s")
        parser.add_argument("--hog", action="store_true", help="in every second run")
        given = parser.parse_args(argv)
        measure(given.out, given.runs, given.minutes, given.budget, given.hog)
        folder = given.out
    print(*read(folder), sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
