"""How often the 95 % interval of a result holds the truth, by simulation: python -m tests.tools.coverage

A line for each number of passes; in it, for each number of results in the run, the share of intervals that
hold it, of results and of ratios between two runs. Passes scatter by 4 %, rounds by 1 %, and in half of the
rounds the machine is 1.4 times slower, which its meter shows. The second table is of a machine on which half
of the results scatter by 1 % and half by 5 %.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.simulated import Machine, covered

PASSES = (3, 4, 5, 6)
RESULTS = (6, 12, 30, 100, 200)
LEAST = 8000
MACHINES = {
    "passes 4 %, rounds 1 %, speed 40 %": Machine(),
    "passes 1 % and 5 % by turns, rounds 1 %, speed 40 %": Machine(passes=(0.01, 0.05)),
}


def lines() -> Iterator[str]:
    """The tables."""
    for what, machine in MACHINES.items():
        yield what
        yield "passes  " + "".join(f"{count:>6} results" for count in RESULTS)
        for passes in PASSES:
            cells = (covered(machine, count, passes, LEAST) for count in RESULTS)
            yield f"{passes:>6}  " + "".join(f"{of:>7.1%} {ratio:>6.1%}" for of, ratio in cells)


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
