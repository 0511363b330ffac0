"""The doctor watches what others do."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple

import pytest

from suite.telemetry import activity
from suite.telemetry.activity import watch


def test_a_busy_neighbour_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            seen = watch()
        finally:
            busy.kill()
    assert seen.elapsed_s >= 0.5
    assert seen.other_processors is not None and seen.other_processors > 0.1
    assert busy.pid in [other.pid for other in seen.offenders if other.processors > 0.1]
    assert [o.processors for o in seen.offenders] == sorted(
        (o.processors for o in seen.offenders), reverse=True
    )


def test_our_own_work_is_not_others() -> None:
    import os
    import time

    def work(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

    seen = watch(wait=work)
    assert os.getpid() not in [other.pid for other in seen.offenders]


def test_waiting_for_a_disk_is_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    times = namedtuple("times", "user idle iowait steal guest")

    def moment(**since: float) -> activity._Moment:
        found = times(**{name: 100 + since.get(name, 0.0) for name in times._fields})
        monkeypatch.setattr(activity.psutil, "cpu_times", lambda: found)
        made = activity._Moment()
        made.own_s = 0.0
        return made

    before = moment()
    assert activity._activity(before, moment(idle=1.0, iowait=5.0), 1.0).other_processors == 0
    assert activity._activity(before, moment(user=2.0, iowait=5.0), 1.0).other_processors == 2
    stolen = activity._activity(before, moment(steal=1.0, idle=3.0), 1.0)
    assert (stolen.other_processors, stolen.stolen) == (0, 0.25)


def test_a_loaded_machine_is_disturbed_and_a_quiet_one_is_not() -> None:
    busy = activity.Activity(0.25, 1.4, 0.2, (activity.Offender(7, "python", 1.1),), throttled=3)
    assert activity.disturbances(busy, 2) == [
        "others keep 1.4 of 2 processors busy, most by python (pid 7)",
        "the hypervisor took 20.0% of the processors' time",
        "heat holds the processors' clocks down",
    ]
    assert activity.disturbances(busy, 4) == activity.disturbances(busy, 2)[1:]
    assert activity.disturbances(activity.Activity(0.25, 0.9, 0.004, throttled=0), 2) == []
    assert activity.disturbances(activity.Activity(0.25), 2) == [], "what is unknown is not said"
