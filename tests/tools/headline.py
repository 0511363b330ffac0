"""The headline of README.md: a table and a plot of the newest published run of each machine, GPUs first."""

from __future__ import annotations

import io
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pandas as pd

from suite.analysis import comparison, frame, outcomes
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.records.record import Environment
from suite.report import plots, sentences
from suite.report.page import html
from suite.report.panels import SERIES
from suite.text import markdown_cell
from suite.units import count, digits
from tests.tools import page_picture

PICTURE = "results/headline.svg"
MODELS = "torch_embedding"
"""What models call; the fastest is compared with it."""
BINS = (1, 2, 100, 1000, 10_000, 100_000)
"""Batches from one of these up to the next share a line."""
INK = "#797979"
"""Of equal contrast with white and black, so that the picture can be read in either theme."""
STYLE = {
    "svg.hashsalt": "headline",
    "svg.fonttype": "none",
    "font.size": 9,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}
MEANING = "Medians, with the range where values differ. A case counts for its fastest backend and all tied."
NOTHING = "No run is published yet."


@dataclass(frozen=True)
class Place:
    """A device of a published run, and its outcomes."""

    folder: Path
    device: str
    environment: Environment
    outcomes: tuple[Outcome, ...]

    def contests(self) -> Iterator[tuple[list[Outcome], set[outcomes.Key]]]:
        groups: dict[object, list[Outcome]] = defaultdict(list)
        for one in self.outcomes:
            groups[one.case].append(one)
        for group in groups.values():
            ranked, best = comparison.rank(group, comparison.noise_floor(self.environment))
            if ranked[0].completed:
                yield [one for one in ranked if one.completed], best


def places(root: Path) -> list[Place]:
    """The newest run of each device of each machine: GPUs first, then the newest first.

    A CPU beside a GPU in one run is its reference, not a place of its own. Runs of tables that lie elsewhere
    than in memory have sentences of their own (``placed``), and runs of other operations none.
    """
    found: dict[tuple[str, str], Place] = {}
    folders = [path.parent for path in root.glob("results/*/environment.json")]
    runs = [(folder, outcomes.read([folder])) for folder in folders]
    for folder, results in sorted(runs, key=lambda run: _environment(run[1]).created):
        if any(one.case.placement != "memory" for one in results.outcomes):
            continue
        where = _environment(results)
        devices = dict.fromkeys(one.device for one in results.outcomes if one.completed)
        gpus = [device for device in devices if not device.startswith("cpu")]
        for device in gpus or devices:
            here = tuple(
                one for one in results.outcomes if one.device == device and one.case.operation == "lookup"
            )
            if here:
                found[where.machine, device] = Place(folder, device, where, here)
    newest = sorted(found.values(), key=lambda place: place.environment.created, reverse=True)
    return sorted(newest, key=lambda place: place.device.startswith("cpu"))


def _environment(results: Results) -> Environment:
    return next(iter(results.environments.values()))


def text(root: Path) -> str:
    """The headline as Markdown."""
    found = places(root)
    if not found:
        return NOTHING
    lead = found[0]
    first, *_ = sentences.sentences(Results({lead.folder.name: lead.environment}, lead.outcomes, ()), None)
    heads = ("machine", "ids in a lookup", "fastest", "GB/s", "of a copy's speed", f"`{MODELS}` takes")
    rows = [row for place in found for row in _rows(place)]
    lines = [
        f"**{first[:1].upper()}{markdown_cell(first[1:])}.**",
        "",
        f"| {' | '.join(heads)} |",
        "|" + " --- |" * len(heads),
    ]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += [
        "",
        f"![{_alt(lead)}]({PICTURE})" + _page(lead, root),
        "",
        MEANING,
        "",
        *(_provenance(place, root) for place in found),
    ]
    return "\n".join(lines)


def _machine(place: Place) -> str:
    return html.machine(place.device, place.environment).split(" · ")[0]


def _rows(place: Place) -> Iterator[tuple[str, ...]]:
    """A line for each range of batches: the fastest, how fast, and how far from a copy."""
    bins: dict[int, list[tuple[list[Outcome], set[outcomes.Key]]]] = defaultdict(list)
    for ranked, best in place.contests():
        batch = ranked[0].case.batch
        bins[max(start for start in BINS if start <= batch)].append((ranked, best))
    name = markdown_cell(_machine(place))
    for number, (_, contests) in enumerate(sorted(bins.items())):
        batches = [ranked[0].case.batch for ranked, _ in contests]
        wins = Counter(one.backend for ranked, best in contests for one in ranked if one.key in best)
        first = [ranked[0] for ranked, _ in contests]
        speeds = [one.case.payload_bytes / comparison.median(one).value / 1e9 for one in first]
        shares = [share.value for one in first if (share := comparison.fraction_of_ceiling(one))]
        yield (
            f"**{name}**" if not number else "",
            _span(batches, "{:,}".format),
            ", ".join(f"`{backend}` {n}" for backend, n in wins.most_common(3)) + f" of {len(contests)}",
            _middle(speeds, digits),
            _middle(shares, "{:.0%}".format),
            _middle(
                [ratio for ranked, _ in contests for ratio in _against(ranked)], lambda x: f"{digits(x)}x"
            ),
        )


def _against(ranked: Sequence[Outcome]) -> list[float]:
    """How many times longer what models call takes than the fastest of a case; empty if it failed."""
    return [comparison.slowdown(one, ranked[0]).value for one in ranked if one.backend == MODELS]


def _middle(values: Sequence[float], show: Callable[[float], str]) -> str:
    """The median, and the ends where they differ."""
    if not values:
        return ""
    ends = _span(values, show)
    middle = show(statistics.median(values))
    return middle if ends == middle else f"{middle} ({ends})"


def _span(values: Sequence[float], show: Callable[[float], str]) -> str:
    low, high = show(min(values)), show(max(values))
    return low if low == high else f"{low}–{high}"


def _provenance(place: Place, root: Path) -> str:
    """Where, when, by which code, and below which noise floor differences mean nothing."""
    where, floor = place.environment, comparison.noise_floor(place.environment)
    known = "measured" if where.noise_floor is not None else "assumed"
    folder = place.folder.relative_to(root).as_posix()
    links = [f"[records]({folder})"]
    if (place.folder / "page.html").is_file():
        links.append(f"[page]({folder}/page.html)")
    facts = (
        markdown_cell(html.machine(place.device, where)),
        where.created[:10],
        f"commit `{where.commit[:7]}`{_how_known(where)}",
        count(len({one.case for one in place.outcomes}), "case"),
        f"noise floor {floor:.1%} ({known})",
        ", ".join(links),
    )
    return f"- {'; '.join(facts)}"


def _how_known(where: Environment) -> str:
    """What is to be said beside a commit."""
    if where.system.get("commit_given_by"):
        return " as given"
    return " with changes" if where.dirty else ""


def _page(lead: Place, root: Path) -> str:
    """A picture of its page that leads to it; nothing where the picture is of another run's."""
    if page_picture.run_of(root / page_picture.PICTURE) != lead.folder.name:
        return ""
    alt = "The page of that run: which backend is the fastest for a table and a batch, and by how much"
    return f" [![{alt}]({page_picture.PICTURE})]({lead.folder.relative_to(root).as_posix()}/page.html)"


def _alt(place: Place) -> str:
    return (
        f"Bandwidth of each backend over bytes moved, {_named(_drawn(place))}, beside a copy of the same rows"
    )


def _named(table: pd.DataFrame) -> str:
    case = table.iloc[0]
    return f"{case['vocab']}x{case['dim']} {case['dtype']}, ids {case['distribution']}, {case['cache']}"


def _drawn(place: Place) -> pd.DataFrame:
    """The rows of one table: the one with most batches, the largest of several."""
    table = frame.frame(Results({place.folder.name: place.environment}, place.outcomes, ()))
    table = table[table["status"] == "ok"]
    size = table["vocab"] * table["dim"]
    batches = table.groupby(SERIES)["batch"].transform("nunique")
    best = table.iloc[(batches * (size.max() + 1) + size).to_numpy().argmax()]
    return table[(table[SERIES] == best[SERIES]).all(axis=1)]


def picture(root: Path) -> bytes:
    """The plot of the first place as SVG; empty where no run is published."""
    found = places(root)
    if not found:
        return b""
    lead, file = found[0], io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        figure = plots.plot(_drawn(lead), kind="bandwidth")
        figure.set_size_inches(8.2, 3.6)
        title = f"{_machine(lead)}: {_named(_drawn(lead))}"
        figure.axes[0].set_title(title, fontsize="medium", loc="left", parse_math=False)
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    return file.getvalue()


def words(svg: bytes) -> list[str]:
    """The texts of a picture, for where another matplotlib places them otherwise."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode("utf-8"))
