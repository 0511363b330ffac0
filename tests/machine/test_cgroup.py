"""Limits of control groups, on made-up machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.machine import environment
from suite.machine.cgroup import Throttled, limits, throttled
from tests.support.machines import GIB, MIB, machine


def test_version_2_limits_are_the_tightest_of_the_hierarchy(tmp_path: Path) -> None:
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


def test_version_1_limits_are_those_of_the_mounted_group(tmp_path: Path) -> None:
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


def test_nonsense_is_no_quota(tmp_path: Path) -> None:
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


def test_of_two_quotas_the_tighter_holds_wherever_it_stands(tmp_path: Path) -> None:
    for name, outer, inner in (("out", 150_000, 300_000), ("in", 300_000, 150_000)):
        files = {
            "proc/self/cgroup": "0::/outer/inner\n",
            "sys/fs/cgroup/outer/cpu.max": f"{outer} 100000\n",
            "sys/fs/cgroup/outer/inner/cpu.max": f"{inner} 100000\n",
        }
        assert limits(machine(tmp_path / name, files)).processors == 1.5


STAT_2 = "usage_usec 1\nnr_periods 9\nnr_throttled {}\nthrottled_usec {}\n"


def test_every_level_with_a_quota_holds_up(tmp_path: Path) -> None:
    top = "sys/fs/cgroup"
    files = {
        "proc/self/cgroup": "0::/outer/inner\n",
        f"{top}/cpu.stat": STAT_2.format(500, 500),
        f"{top}/outer/cpu.max": "150000 100000\n",
        f"{top}/outer/cpu.stat": STAT_2.format(3, 1_500_000),
        f"{top}/outer/inner/cpu.max": "100000 100000\n",
        f"{top}/outer/inner/cpu.stat": STAT_2.format(4, 250_000),
    }
    assert throttled(machine(tmp_path, files)) == Throttled(7, 1.75)


def test_version_1_counts_in_nanoseconds(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:cpu,cpuacct:/job\n",
        "proc/self/mountinfo": mounted(where="/sys/fs/cgroup/cpu", controllers="cpu"),
        "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "250000",
        "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu/job/cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_time 3000000000\n",
    }
    assert throttled(machine(tmp_path, files)) == Throttled(2, 3.0)


@pytest.mark.parametrize(("quota", "stat"), [("max 100000", STAT_2.format(1, 1)), ("1 1", "nr_periods x\n")])
def test_without_a_quota_or_its_counts_nothing_is_known(tmp_path: Path, quota: str, stat: str) -> None:
    files = {"sys/fs/cgroup/cpu.max": quota, "sys/fs/cgroup/cpu.stat": stat}
    assert throttled(machine(tmp_path, files)) is None
