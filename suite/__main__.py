"""The commands of the suite.  python -m suite"""

from __future__ import annotations

from suite.command import DONE, execute

COMMANDS = {
    "run": "measure this machine: the CPU, or a GPU with --gpu 0",
    "report": "show runs as tables, as a page, as CSV and more",
    "compare": "compare two runs, environments or backends, case by case",
    "best": "say which backend to use for one table, and what to expect",
    "merge": "put runs of one machine together, as the shards of a plan",
    "fleet": "write what measures a plan in shards on many machines",
    "ranks": "measure the lookup of a table that is split over processes",
    "doctor": "say what on this machine makes measurements noisy",
    "claims": "measure what people say of embedding lookup",
}


def main() -> int:
    """Print the commands; returns the exit code."""
    for name, what in COMMANDS.items():
        print(f"python -m suite.{name:9}{what}")
    print("each has --help; README.md says how to begin")
    return DONE


if __name__ == "__main__":
    execute(main)
