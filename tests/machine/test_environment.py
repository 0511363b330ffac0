"""The facts of a run, on made-up machines: the system, nothing there, hostile contents."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from suite.machine import cpu, environment
from suite.machine.cgroup import limits
from suite.machine.cpu import FALLBACK_CACHE_BYTES, frequencies_hz
from suite.report.page import html
from tests.support.machines import collected, eight_processors, machine


def test_the_system_is_read_whole(tmp_path: Path) -> None:
    pages = "sys/kernel/mm/transparent_hugepage"
    root = machine(
        tmp_path,
        {
            "proc/sys/kernel/osrelease": "6.8.0-test\n",
            "etc/os-release": 'ID=x\nPRETTY_NAME="Some Linux 3: the (third)"\n',
            "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 600 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n",
            f"{pages}/enabled": "always [madvise] never\n",
            f"{pages}/defrag": "always defer [defer+madvise] madvise never\n",
            f"{pages}/shmem_enabled": "always within_size advise [never] deny force\n",
            "proc/loadavg": "1.50 0.75 0.25 2/300 4242\n",
            "run/.containerenv": "",
            "sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
            "sys/class/dmi/id/product_name": "p5.48xlarge\n",
        },
    )
    facts = environment.system_facts(root, {"OMP_NUM_THREADS": "4", "AWS_SECRET_ACCESS_KEY": "s3cret"})
    told = {
        "kernel": "6.8.0-test",
        "distribution": "Some Linux 3: the (third)",
        "memory_total_bytes": 1_024_000,
        "memory_available_bytes": 614_400,
        "swap_total_bytes": 51_200,
        "swap_used_bytes": 30_720,
        "transparent_hugepage": "madvise",
        "transparent_hugepage_defrag": "defer+madvise",
        "transparent_hugepage_shmem": "never",
        "load_1_min": 1.5,
        "load_15_min": 0.25,
        "container": "podman",
        "product": "Amazon EC2 p5.48xlarge",
        "OMP_NUM_THREADS": "4",
    }
    assert {key: facts[key] for key in told} == told
    assert "s3cret" not in json.dumps(facts)


@pytest.mark.parametrize(
    ("name", "noted"),
    [
        ("OMP_NUM_THREADS", True),
        ("OMP_PROC_BIND", True),
        ("GOMP_CPU_AFFINITY", True),
        ("MKL_DYNAMIC", True),
        ("NUMBA_THREADING_LAYER", True),
        ("LD_PRELOAD", True),
        ("MKL_LICENSE_KEY", False),
        ("NUMBA_CACHE_DIR", False),
        ("MY_OMP_NUM_THREADS", False),
        ("PATH", False),
    ],
)
def test_variables_that_change_a_measurement_are_noted(tmp_path: Path, name: str, noted: bool) -> None:
    assert (name in environment.system_facts(tmp_path, {name: "1"})) is noted


def test_the_kind_of_container_is_recognised(tmp_path: Path) -> None:
    assert environment.system_facts(tmp_path, {})["container"] is None
    assert (
        environment.system_facts(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})["container"]
        == "kubernetes"
    )
    root = machine(tmp_path, {"proc/self/cgroup": "0::/system.slice/docker-0123.scope\n"})
    assert environment.system_facts(root, {})["container"] == "docker"


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    found = json.loads(collected(tmp_path))
    here = {"architecture", "allowed_processors", "cache_bytes", "cache_bytes_known"}
    assert {key for key, fact in found["cpu"].items() if fact is not None} <= here
    here = {"python", "python_implementation", "python_build", "libc"}
    assert {key for key, fact in found["system"].items() if fact is not None} == here
    assert cpu.cache_bytes(tmp_path) == FALLBACK_CACHE_BYTES
    assert environment.available_bytes(tmp_path) > 0
    assert frequencies_hz(tmp_path) == ()
    assert limits(tmp_path) == type(limits(tmp_path))(None, None, None, None)


@pytest.mark.parametrize(("known", "said"), [("unknown", "a" * 40), ("b" * 40, "b" * 40)])
def test_a_given_commit_is_marked_so_and_counts_where_git_says_nothing(
    known: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "checkout", lambda: (known, None))
    here = environment.collect((), 0, "", (), {}, environ={"EMBEDDING_LOOKUP_COMMIT": "a" * 40})
    assert here.commit == said
    by = here.system.get("commit_given_by")
    assert by == ("EMBEDDING_LOOKUP_COMMIT" if known == "unknown" else None)
    shown = dict(html._environment("run", here)["groups"][0][1])["commit"]  # type: ignore[index]
    assert ("as EMBEDDING_LOOKUP_COMMIT gives it" in shown) == (known == "unknown")


HOSTILE = [
    b"",
    b"\n\n",
    b"\xff\xfe\x00\x01" * 100,
    b"\x1b[31mred\x1b[0m\x07\r\n",
    b"-1\n",
    b"9" * 10_000,
    b"NaN nan inf",
    b"[" * 5000,
    b":::::\n=====\n - - -\n",
    b"0-99999999999,5-3",
    "٣٣ \u202ekB".encode(),
    b"a b c d e f - cgroup x memory\n" * 50,
]


@pytest.mark.parametrize("content", [*HOSTILE, None], ids=range(len(HOSTILE) + 1))
def test_hostile_contents_are_harmless(tmp_path: Path, content: bytes | None) -> None:
    names = [*eight_processors(), "proc/self/cgroup", "proc/self/mountinfo", "proc/meminfo", "proc/loadavg"]
    names += [f"sys/fs/cgroup/{name}" for name in ("cpu.max", "memory.max", "memory.current", "memory.stat")]
    names += ["sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/cpu/cpu.cfs_quota_us"]
    names += ["etc/machine-id", "etc/os-release", "proc/sys/kernel/hostname", "proc/sys/kernel/osrelease"]
    names += ["sys/kernel/mm/transparent_hugepage/enabled", "sys/class/dmi/id/product_name"]
    line = collected(machine(tmp_path, dict.fromkeys(names, content)))
    assert "\\u001b" not in line and line.isprintable()
    assert cpu.cache_bytes(tmp_path) > 0
    assert environment.available_bytes(tmp_path) >= 0


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from suite.machine.environment import collect"
        "; collect((), 0, '', (), {}, packages=('torch',));"
        "print({'torch', 'numpy', 'pandas', 'numba', 'rich', 'pynvml', 'triton'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
