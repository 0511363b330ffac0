"""Write what a scheduler takes for a plan in shards: python -m suite.fleet ENGINE FOLDER --shards N -- …"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from suite.command import DONE, BadRequest, Parser, execute, path_of, refuse, whole_of
from suite.fleet import github, kubernetes, slurm, ssh
from suite.fleet.work import Work, request_of
from suite.run.shard import MOST

Given = argparse.Namespace


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    own, options = (
        (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    )
    given = _parser().parse_args(own)
    folder = Path(given.folder).absolute()
    try:
        texts, after = ENGINES[given.engine](given, folder, options)
        _write(folder, texts)
        for name in texts:
            print(folder / name)
        if given.engine == "slurm" and given.submit:
            for name, job in slurm.submit(folder).items():
                print(f"job {job}: {name}")
        else:
            print(f"next: {after}")
    except BadRequest as error:
        return refuse(error)
    return DONE


def _slurm(given: Given, folder: Path, options: Sequence[str]) -> tuple[dict[str, str], str]:
    work = _work(given, options, folder, sys.executable, Path.cwd())
    return slurm.files(work, given.directive), slurm.commands(folder)


def _kubernetes(given: Given, folder: Path, options: Sequence[str]) -> tuple[dict[str, str], str]:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?", given.name):
        raise BadRequest(f"--name {given.name}: no Job's; give small letters, digits and dashes")
    work = _work(given, options, PurePosixPath(kubernetes.MOUNT, given.name), "python3")
    texts = kubernetes.files(work, given.image, given.claim, given.memory)
    return texts, f"kubectl apply -f {shlex.quote(str(folder / kubernetes.FILE))}"


def _github(given: Given, folder: Path, options: Sequence[str]) -> tuple[dict[str, str], str]:
    given.setup = given.setup or [github.INSTALL]
    work = _work(given, options, PurePosixPath("results", given.name), "python")
    file = shlex.quote(str(folder / github.FILE))
    return github.files(work, given.runner), f"put {file} into .github/workflows, and start it there"


def _ssh(given: Given, folder: Path, options: Sequence[str]) -> tuple[dict[str, str], str]:
    work = _work(given, options, folder, sys.executable, Path.cwd())
    return ssh.files(work, given.host), f"bash {shlex.quote(str(folder / ssh.ALL))}"


ENGINES: dict[str, Callable[[Given, Path, Sequence[str]], tuple[dict[str, str], str]]] = {
    "slurm": _slurm,
    "kubernetes": _kubernetes,
    "github": _github,
    "ssh": _ssh,
}


def _work(
    given: Given, options: Sequence[str], folder: Path | PurePosixPath, python: str, start: Path | None = None
) -> Work:
    for line in (*given.setup, given.name, str(folder)):
        if not line.isprintable():
            raise BadRequest(f"{line!r}: holds what no script can; give text that can be printed")
    request = request_of(options, given.shards)
    return Work(
        given.name,
        folder,
        given.shards,
        tuple(options),
        request,
        given.python or python,
        tuple(given.setup),
        start,
    )


def _write(folder: Path, texts: dict[str, str]) -> None:
    """Write the files into a folder of their own.

    Raises:
        BadRequest: something is there, or it can't be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadRequest(f"{folder}: is there already; give a new folder")
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        why = str(error.strerror or error).lower()
        raise BadRequest(f"{folder}: can't be written ({why}); give another folder") from None


def _parser() -> Parser:
    parser = Parser(
        "python -m suite.fleet",
        description="Write what a scheduler takes to measure a plan in shards on a fleet of machines, and to "
        "merge and show them. After -- follow the options of suite.run, for the whole plan.",
    )
    engines = parser.add_subparsers(dest="engine", required=True, parser_class=Parser)
    of = {name: engines.add_parser(name, help=text) for name, text in HELP.items()}
    for name, one in of.items():
        one.prog = f"python -m suite.fleet {name}"
        _add_common(one)
    directive = "more options of sbatch: --directive=--partition=short"
    of["slurm"].add_argument("--directive", action="append", default=[], metavar="OPTION", help=directive)
    of["slurm"].add_argument("--submit", action="store_true", help="hand it to sbatch")
    of["kubernetes"].add_argument("--image", required=True, help="has bash and the suite")
    claim = "name of a PersistentVolumeClaim that all pods may write to"
    of["kubernetes"].add_argument("--claim", required=True, help=claim)
    of["kubernetes"].add_argument("--memory", metavar="SIZE", help="that each shard requests: 16Gi")
    of["github"].add_argument("--runner", default="ubuntu-latest", help="label (default: ubuntu-latest)")
    host = "[USER@]HOST, with :GPU for each GPU there"
    of["ssh"].add_argument("--host", action="append", required=True, help=host)
    return parser


def _add_common(parser: Parser) -> None:
    add = parser.add_argument
    add("folder", type=path_of, help="a new folder for what is written; slurm and ssh keep the results there")
    shards = "of whole tables, measured where there is room"
    add("--shards", type=whole_of("shards", 1, MOST), required=True, metavar="N", help=shards)
    add("--name", default="embedding-lookup", help="of the sweep (default: embedding-lookup)")
    add("--python", metavar="PATH", help="the Python that has the suite")
    add("--setup", action="append", default=[], metavar="LINE", help="a line of the shell that comes first")


HELP = {
    "slurm": "an array of sbatch, and the merge that depends on it",
    "kubernetes": "an indexed Job, and one that merges",
    "github": "a workflow of GitHub Actions with a matrix",
    "ssh": "lines for GNU parallel",
}


if __name__ == "__main__":
    execute(main)
