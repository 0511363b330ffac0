"""The hogs hog, pause, and end with who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from tests.stand_ins import hogs
from tests.support import ROOT

pytestmark = pytest.mark.long

SOON_S = 20.0


def soon(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + SOON_S
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def used_s(hog: hogs.Hog) -> float:
    times = psutil.Process(hog.process.pid).cpu_times()
    return float(times.user + times.system)


@pytest.mark.parametrize("kind", ["spin", "stream"])
def test_a_hog_works_on_its_processor_until_it_is_paused_and_ends_even_so(kind: str) -> None:
    with hogs.hog(kind, hogs.sibling()) as hog:
        assert psutil.Process(hog.process.pid).cpu_affinity() == [hogs.sibling()]
        assert soon(lambda: used_s(hog) > 0.2)
        hog.turn(on=False)
        assert soon(lambda: psutil.Process(hog.process.pid).status() == psutil.STATUS_STOPPED)
        before = used_s(hog)
        time.sleep(0.3)
        assert used_s(hog) == before
    assert hog.process.returncode == -signal.SIGKILL


def test_a_hog_on_a_processor_that_is_not_there_is_none() -> None:
    with pytest.raises(hogs.NotHere, match="hog: no spin on processor 4095"), hogs.hog("spin", 4095):
        pass


def test_it_is_turned_off_and_on_by_its_seed() -> None:
    def states(seed: int) -> list[bool]:
        with hogs.hog("spin", hogs.sibling()) as hog, hogs.on_and_off(hog, seed, 0.05, 0.1):
            assert soon(lambda: len(hog.states) > 4)
        assert 0 < hog.seconds_on() < time.time() - hog.states[0][0]
        return [on for _, on in hog.states[1:5]]

    first = states(1)
    assert first in ([True, False, True, False], [False, True, False, True])
    assert states(1) == first and states(2) != first


def test_it_ends_with_a_user_that_is_killed() -> None:
    code = (
        "import time\nfrom tests.stand_ins import hogs\n"
        "with hogs.hog('spin', hogs.sibling()) as hog:\n"
        "  hog.turn(on=False)\n  print(hog.process.pid, flush=True)\n  time.sleep(60)\n"
    )
    user = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    hog = int(user.stdout.readline())
    user.kill()
    user.communicate()
    assert soon(lambda: not psutil.pid_exists(hog) or psutil.Process(hog).status() == psutil.STATUS_ZOMBIE)


def test_confined_is_where_it_was_afterwards() -> None:
    before = os.sched_getaffinity(0)
    with hogs.confined([hogs.sibling()]):
        assert os.sched_getaffinity(0) == {hogs.sibling()}
    assert os.sched_getaffinity(0) == before


def test_a_quota_holds_and_its_group_is_gone_afterwards() -> None:
    with hogs.hog("spin", hogs.sibling()) as hog:
        try:
            with hogs.throttled(0.2) as members:
                members.write_text(str(hog.process.pid))
                before = used_s(hog)
                time.sleep(1.0)
                assert used_s(hog) - before < 0.5
        except hogs.NotHere as why:
            pytest.skip(str(why))
        assert not members.parent.exists()
        assert hog.process.wait(SOON_S) == -signal.SIGKILL
