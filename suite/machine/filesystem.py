"""File system that holds a folder: its kind, its device, its free bytes, whether its pages can be evicted."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from suite.machine.procfs import ROOT, integer, text, unescaped

IN_MEMORY = ("tmpfs", "ramfs", "hugetlbfs", "devtmpfs")
"""Kinds whose files are memory and nothing else."""
ELSEWHERE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "lustre", "gpfs", "beegfs", "virtiofs")
"""Kinds whose files lie on another machine, which has a cache of its own; so do all that begin with fuse."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """Where a folder lies.

    Attributes:
        kind: such as ``ext4``. device: the block device's name, such as ``nvme0n1``; null without one.
        free_bytes: what a user may still write there.
        read_ahead_bytes: how much the kernel reads around a page that is missing; null where unknown.
    """

    kind: str
    device: str | None
    free_bytes: int
    read_ahead_bytes: int | None = None

    def why_not_cold(self) -> str | None:
        """Why pages read from it can't be made cold, or None."""
        if self.kind in IN_MEMORY:
            return f"{self.kind} keeps its files in memory, so that none of their pages can be evicted"
        if self.kind in ELSEWHERE or self.kind.startswith("fuse"):
            return f"{self.kind} is served from elsewhere, whose cache can't be emptied from here"
        return None

    def __str__(self) -> str:
        return f"{self.kind} on {self.device}" if self.device else self.kind


def filesystem(folder: str | os.PathLike[str], root: Path = ROOT) -> FileSystem:
    """The file system of an existing folder or file, as the kernel's table of mounts has it.

    Raises:
        OSError: there is none of that name.
    """
    place, number, free = Path(folder).resolve(), Path(folder).stat().st_dev, os.statvfs(folder)
    kind, longest = "unknown", -1
    for row in (text(root, "proc/self/mountinfo") or "").splitlines():
        before, _, after = row.partition(" - ")
        mount = Path(unescaped((before.split(" ") + [""] * 5)[4]))
        if place.is_relative_to(mount) and len(mount.parts) >= longest:
            kind, longest = after.partition(" ")[0] or "unknown", len(mount.parts)
    device = f"{os.major(number)}:{os.minor(number)}"
    uevent = text(root, f"sys/dev/block/{device}/uevent") or ""
    found = re.search(r"^DEVNAME=([A-Za-z0-9._-]{1,40})$", uevent, re.MULTILINE)
    ahead = integer(root, f"sys/class/bdi/{device}/read_ahead_kb")
    ahead = None if ahead is None else 1024 * ahead
    return FileSystem(kind, found[1] if found else None, free.f_bavail * free.f_frsize, ahead)
