"""Nobody's name in what is published: a digest that knows a machine again, texts without names and paths."""

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

# Names that a great many machines share and that tell nobody who it was.
_COMMON = frozenset(
    {"root", "user", "admin", "ubuntu", "debian", "ec2-user", "docker", "localhost", "runner"}
)
_PATH = re.compile(r"(?<![\w.\-])[/~][^=:,;'\"\s]*(?: +[^=:,;'\"\s/\-]*/[^=:,;'\"\s]*)*")
_HOME = re.compile(r"\b(home|Users)/[^/\s=:,;'\"]+")


def machine_digest(model: str | None, memory_bytes: int | None, root: Path = ROOT) -> str:
    """16 hexadecimal digits that runs of one machine share and from which its name can't be told.

    Made of host name, machine-id, processor model and size of memory, all of which a reboot leaves as they
    are; the memory in steps of a fifth, since kernels keep a varying bit for themselves. A container with a
    host name of its own counts as a machine of its own: to tell one machine apart from itself is the
    harmless mistake.
    """
    identity = line(root, "etc/machine-id") or line(root, "var/lib/dbus/machine-id") or ""
    size = round(4 * math.log2(memory_bytes)) if memory_bytes and memory_bytes > 0 else 0
    parts = (_digest(host_name(root)), _digest(identity), model or "", str(size))
    return _digest("\0".join(parts))[:16]


def _digest(words: str) -> str:
    # Keyed by purpose, as machine-id(5) asks, so that it matches no digest made of it elsewhere.
    return hashlib.blake2b(words.encode(), digest_size=16, person=b"embedding-lookup").hexdigest()


def host_name(root: Path = ROOT) -> str:
    """The name of this host, to be digested or looked for; never to be written down."""
    return line(root, "proc/sys/kernel/hostname") or (platform.node() if root == ROOT else "")


def private_names(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Names of this host and of who runs here, longest forms and short ones."""
    host = host_name(root)
    names = {
        host,
        host.partition(".")[0],
        *(environ.get(key, "") for key in ("USER", "LOGNAME", "SUDO_USER")),
    }
    names.add(Path(environ.get("HOME", "")).name)
    with contextlib.suppress(KeyError):  # a container may run as a user that has no name
        names.add(pwd.getpwuid(os.getuid()).pw_name)
    return frozenset(name for name in names if len(name) > 1 and name.lower() not in _COMMON)


def without_names(words: str, names: Iterable[str]) -> str | None:
    """Text on one line with ``***`` for each of the names where it stands as a word."""
    for name in sorted(names, key=len, reverse=True):
        words = re.sub(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", "***", words, flags=re.I)
    return printable(words)


def without_paths(words: str, names: Iterable[str]) -> str:
    """A command's argument with absolute paths cut to their last part and without names.

    Option names stay as they are, whatever a host is called.
    """
    option, separator, value = words.partition("=") if words.startswith("-") else ("", "", words)
    if words.startswith("-") and not separator:
        return printable(words) or ""
    value = _HOME.sub(r"\1/***", _PATH.sub(_last_part, value))
    return printable(option + separator + (without_names(value, names) or "")) or ""


def _last_part(found: re.Match[str]) -> str:
    path = _HOME.sub(r"\1/***", found[0])
    return ".../" + path.rstrip("/").rpartition("/")[2].lstrip("~") if path.strip("/") else path
