"""A SLURM of one node on this host, its controller and its daemon started for the tests."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NEEDS = ("slurmctld", "slurmd", "sbatch", "scontrol", "squeue")
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=5
SlurmdParameters=config_overrides
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/daemon
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/daemon.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/daemon.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""No munge, no cgroups, no database. A requeued job waits for its credential to expire: not two minutes."""
START_S = 60


def missing() -> str | None:
    """Why there can be none here."""
    lacking = [name for name in NEEDS if shutil.which(name) is None]
    if lacking:
        return f"no {', '.join(lacking)}; Debian's packages slurmctld, slurmd and slurm-client have them"
    return None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """The variables by which its commands find it, while it runs."""
    for name in ("controller", "daemon"):
        (folder / name).mkdir()
    host = platform.node().partition(".")[0]
    processors = len(os.sched_getaffinity(0))
    known = {"host": host, "ports": _free_ports(), "user": getpass.getuser(), "processors": processors}
    settings = folder / "slurm.conf"
    settings.write_text(SETTINGS.format(folder=folder, **known))
    variables = {**os.environ, "SLURM_CONF": str(settings)}
    commands = (["slurmctld", "-D", "-f", str(settings)], ["slurmd", "-D", "-f", str(settings), "-N", host])
    with (folder / "said").open("wb") as said:
        daemons = [subprocess.Popen(c, env=variables, stdout=said, stderr=said) for c in commands]
    try:
        waits_for(lambda: "idle" in asked(variables, "sinfo", "-h", "-o", "%T"), START_S, folder)
        yield variables
    finally:
        subprocess.run(["scancel", "--user", getpass.getuser()], env=variables, capture_output=True)
        for daemon in reversed(daemons):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()
            daemon.wait()


def asked(variables: dict[str, str], *words: str) -> str:
    """What a command of SLURM answers."""
    return subprocess.run(words, env=variables, capture_output=True, text=True, timeout=60).stdout.strip()


def waits_for(done: Callable[[], bool], limit_s: float, folder: Path, pause_s: float = 0.1) -> None:
    """Wait until something is so; what the controller logged is in the complaint that it never is."""
    end = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > end:
            logs = [path.read_text(errors="replace")[-3000:] for path in folder.glob("*.log")]
            raise AssertionError("\n".join(["not within the time", *logs]))
        time.sleep(pause_s)


def _free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (one, other)]
