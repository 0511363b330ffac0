"""GitHub Actions: a workflow with a matrix of shards, whose artifacts a last job merges."""

from __future__ import annotations

from suite.command import BadRequest
from suite.fleet.work import Work
from suite.fleet.yaml import Tree, text_of

FILE = "sweep.yml"
INSTALL = "python -m pip install -c .ci/constraints.txt -e ."
MINUTES = 350
"""A job of GitHub's own machines may take six hours."""


def files(work: Work, runner: str, python: str = "3.13") -> dict[str, str]:
    """The workflow, by name; it belongs into .github/workflows of a repository that holds the suite.

    Args:
        runner: label of the machines.

    Raises:
        BadRequest: an option holds what GitHub would put something else for.
    """
    for word in (*work.options, *work.setup, runner):
        if "${{" in word:
            raise BadRequest(f"{word}: GitHub reads ${{{{ as its own; leave it out")
    begin: list[Tree] = [
        {"uses": "actions/checkout@v4"},
        {"uses": "actions/setup-python@v5", "with": {"python-version": python}},
    ]
    jobs: dict[str, Tree] = {"shard": _shard(work, runner, begin), "merge": _merge(work, runner, begin)}
    permissions: dict[str, Tree] = {"contents": "read"}
    workflow: dict[str, Tree] = {"name": work.name, "on": {"workflow_dispatch": {}}}
    return {FILE: text_of({**workflow, "permissions": permissions, "jobs": jobs})}


def _shard(work: Work, runner: str, begin: list[Tree]) -> dict[str, Tree]:
    own, shards = "shard-${{ matrix.shard }}", str(work.folder / "shards")
    before: Tree = {
        "name": "What an earlier attempt has",
        "uses": "actions/download-artifact@v4",
        "continue-on-error": True,
        "with": {"name": own, "path": shards},
    }
    keep: Tree = {
        "if": "always()",
        "uses": "actions/upload-artifact@v4",
        "with": {"name": own, "path": shards, "overwrite": True},
    }
    measure = _run(work.shard_lines("$SHARD"), SHARD="${{ matrix.shard }}")
    return {
        "runs-on": runner,
        "timeout-minutes": MINUTES,
        "strategy": {"fail-fast": False, "matrix": {"shard": list(range(1, work.shards + 1))}},
        "steps": [*begin, before, measure, keep],
    }


def _merge(work: Work, runner: str, begin: list[Tree]) -> dict[str, Tree]:
    gather: Tree = {
        "uses": "actions/download-artifact@v4",
        "with": {"pattern": "shard-*", "path": str(work.folder / "shards"), "merge-multiple": True},
    }
    result: Tree = {
        "if": "always()",
        "uses": "actions/upload-artifact@v4",
        "with": {"name": "merged", "path": str(work.folder / "merged"), "overwrite": True},
    }
    steps: list[Tree] = [*begin, gather, _run(work.last_lines()), result]
    return {"needs": "shard", "if": "always()", "runs-on": runner, "steps": steps}


def _run(lines: list[str], **variables: str) -> dict[str, Tree]:
    step: dict[str, Tree] = {"shell": "bash", "run": "\n".join(lines) + "\n"}
    return {**step, "env": dict(variables)} if variables else step
