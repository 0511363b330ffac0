"""Two hosts made of network namespaces: ranks that meet as under SLURM, and what interfaces count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ("suite-a", "suite-b")
PORT = "29511"
SLURM = {
    "SLURM_NTASKS": "2",
    "SLURM_LOCALID": "0",
    "MASTER_ADDR": "10.99.0.1",
    "MASTER_PORT": PORT,
    "GLOO_SOCKET_IFNAME": "suite0",
    "OMP_NUM_THREADS": "1",
}
WORDS = ("--vocab", "20011", "--dim", "256", "--batch", "512", "--limit", "1s", "--timeout", "60s")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def hosts() -> Iterator[None]:
    """Two namespaces with a cable between them."""
    try:
        for host in HOSTS:
            ip("netns", "add", host)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces may be made here ({error}); be root")
    try:
        ip("link", "add", "suite0", "netns", HOSTS[0], "type", "veth", "peer", "suite0", "netns", HOSTS[1])
        for number, host in enumerate(HOSTS, start=1):
            ip("-n", host, "addr", "add", f"10.99.0.{number}/24", "dev", "suite0")
            for link in ("lo", "suite0"):
                ip("-n", host, "link", "set", link, "up")
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "delete", host], check=False)


def measured(folder: Path) -> list[Any]:
    out = folder / "results.json"
    ranks = [
        subprocess.Popen(
            ["ip", "netns", "exec", host, sys.executable, "-m", "suite.ranks", *WORDS, "--out", str(out)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **SLURM, "SLURM_PROCID": str(rank)},
        )
        for rank, host in enumerate(HOSTS)
    ]
    said = [rank.communicate(timeout=240)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    results: list[Any] = json.loads(out.read_text())["results"]
    return results


@pytest.mark.long
def test_the_interface_counts_what_the_model_of_each_way_says(hosts: None, tmp_path: Path) -> None:
    """Within 5 %, headers of packets among it."""
    results = [result for result in measured(tmp_path) if result["status"] != "unavailable"]
    assert {r["status"] for r in results} == {"ok"}
    for result in results:
        counted = [rank["sent_bytes"] for rank in result["of_ranks"]]
        share = sum(counted) / len(counted) / result["wire_bytes"]
        print(
            f"{result['way']['name']}: {result['wire_bytes']:,.0f} B by its model, counted {share:.3f} of it"
        )
        assert share == pytest.approx(1, abs=0.05), result["way"]["name"]
