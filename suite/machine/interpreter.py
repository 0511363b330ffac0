"""Another Python interpreter: whether it can measure, and what is installed for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from suite.machine import variables
from suite.machine.privacy import private_names, without_paths
from suite.records.record import Fact

LIMIT_S = 120.0
"""Importing what a worker needs from a cold disk takes long."""
_ROOT = Path(__file__).resolve().parents[2]
_QUESTION = """
import json, platform, sys
import numpy
import suite.worker.serve
from suite.machine.software import versions
known = {"version": platform.python_version(), **versions(sys.argv[1:])}
sys.stdout.write("\\n" + json.dumps(known))
"""


def facts(python: str, packages: Sequence[str]) -> dict[str, Fact] | str:
    """The interpreter as given, its version and those of packages; or why it can't run a worker.

    The suite it imports is this one, whatever is installed for it.

    Args:
        packages: distributions; null for those not installed.
    """
    try:
        done = subprocess.run(
            [python, *options_of(python), "-c", _QUESTION, *packages],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=LIMIT_S,
            env=stated(),
        )
    except subprocess.TimeoutExpired:
        return f"took longer than {LIMIT_S:g} s to start"
    except OSError as error:
        return str(error.strerror or error).lower()
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return said[-1] if said else f"exited with code {done.returncode}"
    try:
        known: dict[str, Fact] = json.loads(done.stdout.splitlines()[-1])
        return {"python": without_paths(python, private_names()), **known}
    except (ValueError, IndexError, TypeError):
        return "answers as no Python does"


def stated() -> dict[str, str]:
    """The variables of every child that is a Python, and under which it finds this suite first."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**variables.passed_on(os.environ), "PYTHONPATH": path}


def options_of(python: str) -> list[str]:
    """The interpreter's options: those of this one, for itself, and never the current folder for modules.

    Those that slow Python, -X dev and -X tracemalloc, are left out.
    """
    if python != sys.executable:
        return ["-P"]
    flags = {"-I": sys.flags.isolated, "-E": sys.flags.ignore_environment, "-s": sys.flags.no_user_site}
    chosen = ["-P", *(option for option, on in flags.items() if on), *["-O"] * sys.flags.optimize]
    kept = {k: v for k, v in sys._xoptions.items() if k not in ("dev", "tracemalloc", "importtime")}
    return chosen + [w for k, v in kept.items() for w in ("-X", k if v is True else f"{k}={v}")]
