"""Anonymity of what is published: a stable machine id, and texts without host, user or path names."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import platform
import pwd
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from suite.machine.procfs import ROOT, line, printable

# Names that many machines share, so that they identify nobody.
_COMMON = frozenset(
    {"root", "user", "admin", "ubuntu", "debian", "ec2-user", "docker", "localhost", "runner"}
)
_PATH = re.compile(r"(?<![\w.\-])[/~][^=:,;'\"\s]*(?: +[^=:,;'\"\s/\-]*/[^=:,;'\"\s]*)*")
_HOME = re.compile(r"\b(home|Users)/[^/\s=:,;'\"]+")


def machine_digest(model: str | None, memory_bytes: int | None, root: Path = ROOT) -> str:
    """16 hexadecimal digits, the same for all runs of one machine, from which its name can't be recovered.

    A digest of host name, machine-id, processor model and memory size, none of which a reboot changes; the
    memory in steps of a fifth, since kernels reserve a varying part. A container with its own host name
    counts as another machine: taking one machine for two is the harmless mistake.
    """
    identity = line(root, "etc/machine-id") or line(root, "var/lib/dbus/machine-id") or ""
    size = round(4 * math.log2(memory_bytes)) if memory_bytes and memory_bytes > 0 else 0
    parts = (_digest(host_name(root)), _digest(identity), model or "", str(size))
    return _digest("\0".join(parts))[:16]


def _digest(words: str) -> str:
    # Keyed by purpose, as machine-id(5) asks, so that no other program's digest of it is the same.
    return hashlib.blake2b(words.encode(), digest_size=16, person=b"embedding-lookup").hexdigest()


def host_name(root: Path = ROOT) -> str:
    """The name of this host, to be digested or removed; never to be written to a file."""
    return line(root, "proc/sys/kernel/hostname") or (platform.node() if root == ROOT else "")


def private_names(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Names of this host and its user, in long and short forms."""
    host = host_name(root)
    names = {
        host,
        host.partition(".")[0],
        *(environ.get(key, "") for key in ("USER", "LOGNAME", "SUDO_USER")),
    }
    names.add(Path(environ.get("HOME", "")).name)
    with contextlib.suppress(KeyError):  # a container may run as a user without a name
        names.add(pwd.getpwuid(os.getuid()).pw_name)
    return frozenset(name for name in names if len(name) > 1 and name.lower() not in _COMMON)


def without_names(words: str, names: Iterable[str]) -> str | None:
    """Text on one line with ``***`` in place of each of the names where it is a word."""
    return printable(_nameless(words, names))


def _nameless(words: str, names: Iterable[str]) -> str:
    for name in sorted(names, key=len, reverse=True):
        words = re.sub(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", "***", words, flags=re.I)
    return words


def anonymous(words: str, names: Iterable[str]) -> str:
    """A line of any text, whole, without names and without whose home a path is in."""
    seen = "".join(c if c.isprintable() else " " for c in words)
    return _nameless(_HOME.sub(r"\1/***", seen), names)


def without_paths(words: str, names: Iterable[str]) -> str:
    """A command's argument without names, its absolute paths cut to their last part.

    Option names stay, even if the host has the same name.
    """
    option, separator, value = words.partition("=") if words.startswith("-") else ("", "", words)
    if words.startswith("-") and not separator:
        return printable(words) or ""
    value = _HOME.sub(r"\1/***", _PATH.sub(_last_part, value))
    return printable(option + separator + (without_names(value, names) or "")) or ""


def _last_part(match: re.Match[str]) -> str:
    path = _HOME.sub(r"\1/***", match[0])
    return ".../" + path.rstrip("/").rpartition("/")[2].lstrip("~") if path.strip("/") else path
