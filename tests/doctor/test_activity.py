"""The doctor watches what others do."""

from __future__ import annotations

import subprocess
import sys

from suite.doctor.activity import watch


def test_a_busy_neighbour_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            activity = watch()
        finally:
            busy.kill()
    assert activity.elapsed_s >= 0.5
    assert activity.other_processors is not None and activity.other_processors > 0.1
    assert busy.pid in [other.pid for other in activity.offenders if other.processors > 0.1]
    assert [o.processors for o in activity.offenders] == sorted(
        (o.processors for o in activity.offenders), reverse=True
    )


def test_our_own_work_is_not_others() -> None:
    import os
    import time

    def work(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

    activity = watch(wait=work)
    assert os.getpid() not in [other.pid for other in activity.offenders]
