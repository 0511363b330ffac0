"""Nobody's name in a result, and a digest that knows the machine again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from suite.machine import environment
from suite.machine.cuda_device import CudaDevice
from suite.machine.privacy import machine_digest, private_names, without_paths
from suite.telemetry import nvidia, observer
from suite.telemetry.reading import Reading
from tests.support.machines import GIB, MIB, collected, machine

HOST, IDENTITY = "athena-7.lab.example", "0123456789abcdef0123456789abcdef"
WHO = {"USER": "mallory", "HOME": "/home/mallory", "LOGNAME": "mallory"}
SECRET = ("athena", "lab.example", IDENTITY, "mallory", "eve", "GPU-1234")


def named(root: Path) -> Path:
    return machine(
        root,
        {
            "proc/sys/kernel/hostname": HOST + "\n",
            "etc/machine-id": IDENTITY + "\n",
            "proc/sys/kernel/osrelease": "6.8.0-athena-7-mallory\n",
            "proc/self/cgroup": "0::/user.slice/mallory.service\n",
            "sys/class/dmi/id/product_name": "the box of Mallory\n",
            "proc/meminfo": f"MemTotal: {31 * MIB} kB\n",
        },
    )


def test_no_name_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = (
        "/home/mallory/venv/bin/python",
        "--out=/home/mallory/my runs/athena-7",
        "--out",
        "~mallory/x",
        "/home/eve",
        "--backend=file:///home/eve/take.py",
        "runs/of-mallory/athena-7",
        "../home/eve/x",
        "a:/home/mallory:b,/home/eve/z",
        "--resume=athena-7.lab.example",
    )
    identity = {
        "name": Reading("H100 of mallory"),
        "uuid": Reading("GPU-1234"),
        "gpu_uuid": Reading("GPU-1234"),
        "pci_bus_id": Reading("0000:17:00.0"),
        "power_limit_w": Reading(700.0),
        "mig_enabled": Reading(None, "not supported"),
    }
    gpu = SimpleNamespace(identity=lambda: identity, close=lambda: None)
    monkeypatch.setattr(nvidia.Gpu, "open", lambda uuid: gpu)
    monkeypatch.setattr(nvidia, "missing", lambda gpu: None)
    facts = observer.gpu_facts(CudaDevice("H100 of mallory", "GPU-1234", 2**20, 2**36))
    environ = WHO | {"LD_PRELOAD": "/home/mallory/lib/libjemalloc.so", "OMP_PLACES": "{0:4}:4:1"}
    settings = {"ids": "/home/mallory/ids.npy", "limit_s": 8.0}
    line = collected(named(tmp_path), argv, environ, gpu=facts, settings=settings)
    for secret in SECRET:
        assert secret.lower() not in line.lower(), secret
    found = json.loads(line)
    assert found["argv"][:3] == [".../python", "--out=.../***", "--out"]
    assert found["settings"] == {"ids": ".../ids.npy", "limit_s": 8.0}
    assert found["system"]["LD_PRELOAD"] == ".../libjemalloc.so"
    assert found["system"]["OMP_PLACES"] == "{0:4}:4:1"
    assert found["gpu"]["power_limit_w"] == 700.0
    assert (found["gpu"]["mig_enabled"], found["gpu"]["mig_enabled_missing"]) == (None, "not supported")


def test_what_is_no_name_stays() -> None:
    names = frozenset({"gpu", "torch"})
    for word in (
        "--gpu",
        "0",
        "1%",
        "8m",
        "torch_embedding",
        "zipf-1.2",
        "--precision=1%",
        "-m",
        "results/x",
        ".",
    ):
        assert without_paths(word, names) == word
    assert without_paths("/", names) == "/"


def test_names_that_tell_nobody_are_not_looked_for(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/sys/kernel/hostname": "localhost"})
    names = private_names(root, {"USER": "ubuntu", "HOME": "/root", "LOGNAME": "a"})
    assert not names & {"localhost", "ubuntu", "root", "a"}


@pytest.mark.parametrize("name", ["USER", "LOGNAME", "SUDO_USER"])
def test_every_name_of_a_user_is_looked_for(tmp_path: Path, name: str) -> None:
    assert "mallory" not in collected(tmp_path, ("runs/mallory",), {name: "mallory", "HOME": "/srv/other"})
    assert "lab.example" not in collected(named(tmp_path), ("on athena-7.", "x/ATHENA-7.lab.example/y"))


def test_control_characters_and_half_characters_of_arguments_are_replaced(tmp_path: Path) -> None:
    line = collected(tmp_path, ("\x1b[31m", "a\nb", "\udcff", ""), {"OMP_NUM_THREADS": "4\udc80"})
    assert line.isprintable() and len(json.loads(line)["argv"]) == 4


def test_the_digest_knows_a_machine_again(tmp_path: Path) -> None:
    root = named(tmp_path)
    here = machine_digest("Test CPU", 31 * GIB, root)
    assert len(here) == 16 and int(here, 16) >= 0
    assert machine_digest("Test CPU", 31 * GIB - 40 * MIB, root) == here, (
        "a kernel update takes a little memory"
    )
    assert machine_digest("Test CPU", 62 * GIB, root) != here
    assert machine_digest("Other CPU", 31 * GIB, root) != here
    machine(root, {"etc/machine-id": IDENTITY[::-1]})
    assert machine_digest("Test CPU", 31 * GIB, root) != here
    machine(root, {"etc/machine-id": IDENTITY, "proc/sys/kernel/hostname": "athena-8"})
    assert machine_digest("Test CPU", 31 * GIB, root) != here


@pytest.mark.parametrize("installed", [2**k for k in range(2, 12)] + [12, 24, 48, 96, 192, 384, 768, 1536])
def test_the_digest_does_not_hang_on_the_last_percents_of_memory(tmp_path: Path, installed: int) -> None:
    usable = [int(installed * GIB * share) for share in (0.95, 0.965, 0.98, 0.995)]
    assert len({machine_digest("m", size, tmp_path) for size in usable}) == 1


def test_two_runs_here_share_the_machine() -> None:
    first, second = (environment.collect((), 0, "", (), {}) for _ in range(2))
    assert first.machine == second.machine
    assert first.cpu == second.cpu
