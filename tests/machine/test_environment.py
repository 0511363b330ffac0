"""suite.machine on made-up machines: readings, limits, and that nobody can be told from a result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from suite.machine import cpu, environment
from suite.machine.cgroup import limits
from suite.machine.cpu import FALLBACK_CACHE_BYTES, cache_bytes, cache_levels, cpu_facts, frequencies_hz
from suite.machine.cuda_device import CudaDevice
from suite.machine.privacy import machine_digest, private_names, without_paths
from suite.machine.procfs import integer, printable, processors, table, text
from suite.machine.software import checkout, versions
from suite.records.record import Environment, from_json, to_json
from suite.telemetry import nvidia
from suite.telemetry.reading import Reading

CPU = "sys/devices/system/cpu"
KIB, MIB, GIB = 2**10, 2**20, 2**30


def machine(root: Path, files: dict[str, str | bytes | None]) -> Path:
    """A made-up root with these files; None makes a directory of that name."""
    for name, content in files.items():
        place = root / name
        if content is None:
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def cache(number: int, index: int, level: int, kind: str, size: str, **known_by: str) -> dict[str, str]:
    place = f"{CPU}/cpu{number}/cache/index{index}"
    return {
        f"{place}/level": f"{level}\n",
        f"{place}/type": f"{kind}\n",
        f"{place}/size": f"{size}\n",
        **{f"{place}/{name}": f"{value}\n" for name, value in known_by.items()},
    }


def eight_processors(**files: str) -> dict[str, Any]:
    """Four cores of two threads; an L2 each, an L3 for every two cores; two memory nodes."""
    found: dict[str, Any] = {
        f"{CPU}/online": "0-7\n",
        f"{CPU}/smt/active": "1\n",
        f"{CPU}/intel_pstate/no_turbo": "0\n",
        "sys/devices/system/node/node0/cpulist": "0-3\n",
        "sys/devices/system/node/node1/cpulist": "4-7\n",
        "proc/cpuinfo": "\n\n".join(
            f"processor\t: {n}\nmodel name\t: Test  CPU @ 2.0GHz\nmicrocode\t: 0xb1\n"
            f"flags\t\t: fpu hypervisor avx2\ncpu MHz\t\t: {2000 + n}.500"
            for n in range(8)
        ),
    }
    for n in range(8):
        core, half = f"{n // 2 * 2}-{n // 2 * 2 + 1}", "0-3" if n < 4 else "4-7"
        found |= cache(n, 0, 1, "Data", "48K", shared_cpu_list=core, id=str(n // 2))
        found |= cache(n, 1, 1, "Instruction", "32K", shared_cpu_list=core, id=str(n // 2))
        found |= cache(n, 2, 2, "Unified", "2048K", shared_cpu_list=core, id=str(n // 2))
        found |= cache(n, 3, 3, "Unified", "36864K", shared_cpu_list=half, id=str(n // 4))
        found[f"{CPU}/cpu{n}/topology/thread_siblings_list"] = core + "\n"
        found[f"{CPU}/cpu{n}/cpufreq/scaling_governor"] = "powersave\n"
        found[f"{CPU}/cpu{n}/cpufreq/scaling_driver"] = "intel_pstate\n"
        found[f"{CPU}/cpu{n}/cpufreq/cpuinfo_max_freq"] = "3500000\n"
        found[f"{CPU}/cpu{n}/cpufreq/cpuinfo_min_freq"] = "800000\n"
    return found | files


# --- the processor


def test_processor(tmp_path: Path) -> None:
    facts = cpu_facts(machine(tmp_path, eight_processors()), frozenset(range(8)))
    told = {
        "model": "Test CPU @ 2.0GHz",
        "microcode": "0xb1",
        "hypervisor": True,
        "logical_cores": 8,
        "physical_cores": 4,
        "allowed_processors": 8,
        "allowed_cores": 4,
        "smt": True,
        "numa_nodes": 2,
        "allowed_numa_nodes": 2,
        "l1d_cache_bytes": 4 * 48 * KIB,
        "l2_cache_bytes": 4 * 2 * MIB,
        "l3_cache_bytes": 2 * 36 * MIB,
        "cache_bytes": 80 * MIB,
        "cache_bytes_known": True,
        "governor": "powersave",
        "frequency_driver": "intel_pstate",
        "turbo": True,
        "min_frequency_hz": 800_000_000,
        "max_frequency_hz": 3_500_000_000,
    }
    assert {key: facts[key] for key in told} == told


def test_only_the_allowed_processors_count(tmp_path: Path) -> None:
    root = machine(tmp_path, eight_processors())
    assert cache_levels(root, frozenset({2})) == {1: 48 * KIB, 2: 2 * MIB, 3: 36 * MIB}
    assert cache_levels(root, frozenset({0, 1, 6})) == {1: 96 * KIB, 2: 4 * MIB, 3: 72 * MIB}
    facts = cpu_facts(root, frozenset({0, 1}))
    assert (facts["allowed_cores"], facts["allowed_numa_nodes"], facts["physical_cores"]) == (1, 1, 4)


def test_caches_known_by_id_alone_or_by_nothing(tmp_path: Path) -> None:
    by_id = cache(0, 0, 2, "Unified", "1M", id="0") | cache(1, 0, 2, "Unified", "1M", id="0")
    assert cache_levels(machine(tmp_path / "id", by_id), frozenset({0, 1})) == {2: MIB}
    bare = cache(0, 0, 2, "Unified", "1M") | cache(1, 0, 2, "Unified", "1M")
    assert cache_levels(machine(tmp_path / "bare", bare), frozenset({0, 1})) == {2: 2 * MIB}


@pytest.mark.parametrize("size", ["", "K", "-4K", "0K", "1e9", "99999999999999K", "12T", "٣K", "1" * 5000])
def test_a_size_no_cache_can_have_is_no_cache(tmp_path: Path, size: str) -> None:
    root = machine(tmp_path, cache(0, 0, 3, "Unified", size))
    assert cache_levels(root, frozenset({0})) == {}
    assert cache_bytes(root, frozenset({0})) == FALLBACK_CACHE_BYTES == 32 * MIB


def test_a_last_level_of_two_takes_the_first_along(tmp_path: Path) -> None:
    arm = (
        cache(0, 0, 1, "Data", "64K") | cache(0, 1, 1, "Instruction", "64K") | cache(0, 2, 2, "Unified", "1M")
    )
    assert cache_bytes(machine(tmp_path, arm), frozenset({0})) == MIB + 64 * KIB


def test_a_first_level_alone_is_not_believed(tmp_path: Path) -> None:
    root = machine(tmp_path, cache(0, 0, 1, "Data", "64K"))
    assert cache_bytes(root, frozenset({0})) == FALLBACK_CACHE_BYTES
    assert cpu_facts(root, frozenset({0}))["cache_bytes_known"] is False


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({"intel_pstate/no_turbo": "1"}, False),
        ({"intel_pstate/no_turbo": "0", "cpufreq/boost": "0"}, True),
        ({"cpufreq/boost": "1"}, True),
        ({"cpufreq/boost": "0"}, False),
        ({"cpu1/cpufreq/boost": "1", "cpu0/cpufreq/boost": "0"}, True),
        ({"cpu0/cpufreq/boost": "0"}, False),
        ({"cpufreq/boost": "2"}, None),
        ({}, None),
    ],
)
def test_turbo(tmp_path: Path, files: dict[str, str], state: bool | None) -> None:
    root = machine(tmp_path, {f"{CPU}/{name}": content for name, content in files.items()})
    assert cpu_facts(root, frozenset({0, 1}))["turbo"] is state


def test_mixed_governors_are_both_named(tmp_path: Path) -> None:
    files = eight_processors(**{f"{CPU}/cpu3/cpufreq/scaling_governor": "performance"})
    root = machine(tmp_path, files)
    assert cpu_facts(root, frozenset(range(8)))["governor"] == "performance,powersave"
    assert cpu_facts(root, frozenset({3}))["governor"] == "performance"


def test_clocks_come_from_cpufreq_or_else_from_cpuinfo(tmp_path: Path) -> None:
    root = machine(tmp_path, eight_processors())
    assert frequencies_hz(root, frozenset({1, 4})) == (2_001_500_000, 2_004_500_000)
    machine(tmp_path, {f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "1200000"})
    assert frequencies_hz(root, frozenset({1, 4})) == (1_200_000_000,)


def test_arm_has_numbers_for_a_model(tmp_path: Path) -> None:
    arm = "processor\t: 0\nBogoMIPS\t: 50\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    facts = cpu_facts(machine(tmp_path, {"proc/cpuinfo": arm}), frozenset({0}))
    assert (facts["model"], facts["hypervisor"]) == ("implementer 0x41 part 0xd40", None)


# --- control groups


def test_version_2_the_tightest_of_the_hierarchy(tmp_path: Path) -> None:
    top = "sys/fs/cgroup"
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            f"{top}/outer/cpu.max": "150000 100000\n",
            f"{top}/outer/inner/cpu.max": "max 100000\n",
            f"{top}/outer/memory.max": f"{6 * GIB}\n",
            f"{top}/outer/memory.current": f"{5 * GIB}\n",
            f"{top}/outer/memory.stat": f"anon 1\ninactive_file {2 * GIB}\nfile 7\n",
            f"{top}/outer/inner/memory.max": f"{4 * GIB}\n",
            f"{top}/outer/inner/memory.current": f"{GIB // 2}\n",
        },
    )
    found = limits(root)
    assert (found.version, found.processors, found.memory_bytes) == (2, 1.5, 4 * GIB)
    assert found.free_bytes == 3 * GIB  # of the outer one: 6 - (5 - 2), less than the inner one's 3.5


def test_version_2_slowing_down_counts_as_a_limit(tmp_path: Path) -> None:
    files = {"memory.max": "max", "memory.high": f"{GIB}", "memory.current": "1024", "cpu.max": "max 100000"}
    root = machine(tmp_path, {f"sys/fs/cgroup/{name}": content for name, content in files.items()})
    assert limits(root).memory_bytes == GIB
    assert limits(root).free_bytes == GIB - 1024
    assert limits(root).processors is None


def mounted(shown: str = "/", where: str = "/sys/fs/cgroup/memory", controllers: str = "memory") -> str:
    return f"36 31 0:33 {shown} {where} rw,relatime shared:9 - cgroup cgroup rw,{controllers}\n"


def test_version_1(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/job\n4:memory:/job/step\n0::/\n",
            "proc/self/mountinfo": mounted() + mounted("/", "/odd\\040place/cpu", "cpu,cpuacct"),
            "odd place/cpu/cpu.cfs_quota_us": "-1",
            "odd place/cpu/cpu.cfs_period_us": "100000",
            "odd place/cpu/job/cpu.cfs_quota_us": "250000",
            "odd place/cpu/job/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{8 * GIB}",
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": f"{3 * GIB}",
            "sys/fs/cgroup/memory/job/memory.stat": f"cache 5\ntotal_inactive_file {GIB}\n",
            "sys/fs/cgroup/memory/job/step/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    found = limits(root)
    assert (found.version, found.processors) == (1, 2.5)
    assert (found.memory_bytes, found.free_bytes) == (8 * GIB, 6 * GIB)


def test_version_1_says_unlimited_by_a_number(tmp_path: Path) -> None:
    top = "sys/fs/cgroup/memory"
    files = {f"{top}/memory.limit_in_bytes": "9223372036854771712", f"{top}/memory.usage_in_bytes": "1"}
    found = limits(machine(tmp_path, files))
    assert (found.version, found.memory_bytes, found.free_bytes) == (1, None, None)


def test_a_container_that_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/abc/sub\n",
            "proc/self/mountinfo": mounted("/docker/abc"),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}",
            "sys/fs/cgroup/memory/sub/memory.limit_in_bytes": f"{GIB}",
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "4096",
        },
    )
    assert limits(root).memory_bytes == GIB
    assert limits(root).free_bytes is None  # no usage is told


@pytest.mark.parametrize("group", ["/../../elsewhere", "/unrelated", "", "relative", "/a\0b"])
def test_a_group_that_is_not_shown_leaves_the_mount_itself(tmp_path: Path, group: str) -> None:
    root = machine(
        tmp_path,
        {
            "proc/self/cgroup": f"0::{group}\n",
            "sys/fs/cgroup/memory.max": f"{GIB}",
            "elsewhere/memory.max": "1",
            "sys/elsewhere/memory.max": "1",
        },
    )
    assert limits(root).memory_bytes == GIB


def test_no_quota_from_nonsense(tmp_path: Path) -> None:
    for k, words in enumerate(
        ["0 100000", "100000 0", "max", "", "-5 100000", "1 2 3 4", "x y", "9" * 30 + " 1"]
    ):
        found = limits(machine(tmp_path / str(k), {"sys/fs/cgroup/cpu.max": words}))
        assert found.processors is None or words == "1 2 3 4"


def test_available_is_what_the_group_leaves(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/meminfo": f"MemTotal: {32 * MIB} kB\nMemAvailable:   {16 * MIB} kB\n"})
    assert environment.available_bytes(root) == 16 * GIB
    machine(root, {"sys/fs/cgroup/memory.max": f"{3 * GIB}", "sys/fs/cgroup/memory.current": f"{GIB}"})
    assert environment.available_bytes(root) == 2 * GIB
    machine(root, {"sys/fs/cgroup/memory.current": f"{9 * GIB}"})
    assert environment.available_bytes(root) == 0


# --- the system


def test_system(tmp_path: Path) -> None:
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
def test_which_variables_are_noted(tmp_path: Path, name: str, noted: bool) -> None:
    assert (name in environment.system_facts(tmp_path, {name: "1"})) is noted


def test_kind_of_container(tmp_path: Path) -> None:
    assert environment.system_facts(tmp_path, {})["container"] is None
    assert (
        environment.system_facts(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})["container"]
        == "kubernetes"
    )
    root = machine(tmp_path, {"proc/self/cgroup": "0::/system.slice/docker-0123.scope\n"})
    assert environment.system_facts(root, {})["container"] == "docker"


# --- nothing there, or nothing good


def collected(
    root: Path, argv: tuple[str, ...] = (), environ: dict[str, str] | None = None, **more: Any
) -> str:
    settings = more.pop("settings", {})
    found = environment.collect(argv, 7, "plan", ("cpu",), settings, root=root, environ=environ or {}, **more)
    line = to_json(found)
    assert from_json(Environment, line.encode()) == found
    line.encode("utf-8")
    return line


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
def test_hostile_contents(tmp_path: Path, content: bytes | None) -> None:
    names = [*eight_processors(), "proc/self/cgroup", "proc/self/mountinfo", "proc/meminfo", "proc/loadavg"]
    names += [f"sys/fs/cgroup/{name}" for name in ("cpu.max", "memory.max", "memory.current", "memory.stat")]
    names += ["sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/cpu/cpu.cfs_quota_us"]
    names += ["etc/machine-id", "etc/os-release", "proc/sys/kernel/hostname", "proc/sys/kernel/osrelease"]
    names += ["sys/kernel/mm/transparent_hugepage/enabled", "sys/class/dmi/id/product_name"]
    line = collected(machine(tmp_path, dict.fromkeys(names, content)))
    assert "\\u001b" not in line and line.isprintable()
    assert cpu.cache_bytes(tmp_path) > 0
    assert environment.available_bytes(tmp_path) >= 0


def test_a_pipe_does_not_make_us_wait_nor_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    os.mkfifo(tmp_path / "proc/cpuinfo")
    (tmp_path / "proc/meminfo").symlink_to("meminfo")
    assert text(tmp_path, "proc/cpuinfo") is None
    assert text(tmp_path, "proc/meminfo") is None
    assert text(tmp_path, "proc/nul\0l") is None


def test_real_files_of_proc_sys_can_be_read() -> None:
    """The kernel refuses to read them in one large piece."""
    release = Path("/proc/sys/kernel/osrelease")
    if not release.exists():
        pytest.skip("no /proc/sys here")
    assert text(Path("/"), "proc/sys/kernel/osrelease") == release.read_text()


def test_a_file_is_not_read_without_end(tmp_path: Path) -> None:
    machine(tmp_path, {"big": b"x" * (5 * MIB)})
    assert len(text(tmp_path, "big") or "") == 4 * MIB


def test_one_bad_byte_does_not_hide_a_file(tmp_path: Path) -> None:
    machine(tmp_path, {"proc/cpuinfo": b"vendor\t: \xff\nmodel name\t: Test\n"})
    assert cpu_facts(tmp_path, frozenset({0}))["model"] == "Test"


def test_small_readers(tmp_path: Path) -> None:
    root = machine(tmp_path, {"n": " 12 \n", "u": "1_2", "arabic": "٣"})
    assert [integer(root, name) for name in ("n", "u", "arabic", "none")] == [12, None, None, None]
    assert processors("0-2,5") == {0, 1, 2, 5}
    assert [processors(words) for words in ("", None, "3-1", "0-", "a", "0-999999")] == [None] * 6
    assert table("a: 1\na: 2\nb=3=4\nc") == {"a": "1", "b": "3=4"}
    assert printable("a\x1b[0m\tb\u202ec") == "a [0m b c"
    assert printable("\n\0") is None
    assert len(printable("é" * 999) or "") == 200


# --- nobody's name

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
    facts = nvidia.gpu_facts(CudaDevice("H100 of mallory", "GPU-1234", 2**20, 2**36))
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


def test_control_characters_and_half_characters_of_arguments(tmp_path: Path) -> None:
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


# --- versions


def test_versions_of_either_name_and_of_none() -> None:
    found = versions(["numba_cuda|NumPy", "no-such-thing", "../..", "", "a b", "a\0b"])
    import numpy as np

    assert found["numpy"] == np.__version__
    assert found["no-such-thing"] is None and found["../.." if "../.." in found else "-/-"] is None
    assert {"numpy", "torch", "cupy-cuda12x", "cupy-cuda13x", "psutil", "jax"} <= found.keys()
    assert "NumPy" not in found and "numba_cuda" not in found


def git(place: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True)


def test_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path.resolve() / "c"
    machine(place, {"suite/a.py": "", "backends/b.py": "", "results/r": ""})
    assert checkout(place) == ("unknown", None)
    git(place, "init", "-q")
    assert checkout(place) == ("unknown", None), "no commit yet"
    git(place, "add", ".")
    git(place, "commit", "-qm", "x")
    commit, dirty = checkout(place)
    assert len(commit) == 40 and dirty is False
    machine(place, {"results/new/records.jsonl": "{}"})
    assert checkout(place) == (commit, False), "results are no code"
    assert checkout(place / "suite") == ("unknown", None), "installed inside somebody else's checkout"
    machine(place, {"backends/new.py": ""})
    assert checkout(place) == (commit, True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert checkout(place) == (commit, True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout(place) == ("unknown", None), "no git here"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from suite.machine.environment import collect"
        "; collect((), 0, '', (), {}, packages=('torch',));"
        "print({'torch', 'numpy', 'pandas', 'numba', 'rich', 'pynvml', 'triton'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
