"""python -m suite.claims: what it is asked, what it writes, what becomes of a claim that fails, its page."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import pytest

from suite.claims import __main__ as command
from suite.claims import finding, stages, task, task_main, terminal
from suite.claims.finding import VERDICTS, Finding, Mark, Plot, Point, Series, Table, plotted
from suite.claims.meaning import stage as meaning
from suite.claims.options import parse
from suite.claims.page import html
from suite.claims.stages import Stage
from suite.claims.target import Target, Unmeasured
from suite.command import say_wait
from suite.machine import lock
from suite.records import strict
from suite.records.device import CPU
from tests.support import fabricate
from tests.support.browser import Browser

ROOT = Path(__file__).resolve().parents[2]

T = TypeVar("T")
EVIL = "<script>window.evil=1</script>\"><img src=x onerror='window.evil=2'>{{ 7 * 7 }}\x1b[31m"
PLOT = Plot(
    "Speed",
    "batch",
    "GB/s",
    (
        Series("one", tuple(Point(4.0**k, 2.0**k, 1.9**k, 2.1**k) for k in range(1, 9))),
        Series("two", tuple(Point(4.0**k, 2.0**k + 0.01) for k in range(1, 9))),
    ),
    (Mark("half", "y", 20.0), Mark("from here", "x", 300.0)),
    log_x=True,
    log_y=True,
)
FINDING = Finding(
    name="bandwidth",
    group="cost",
    claim="A lookup is bound by bandwidth.",
    verdict="IT DEPENDS",
    number="from 37 ids on",
    why="Below it is not.",
    rule="TRUE if so.",
    tables=(Table("Figures", ("batch", "GB/s", "who"), ((1, 2.5, "a"), (4096, None, "b"))),),
    plots=(PLOT,),
    notes=("A note.",),
)


def claims(*argv: str, cwd: Path = ROOT, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "suite.claims", *argv]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=timeout)


def test_they_wait_for_whoever_measures_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def waits(program: str, who: str) -> None:
        say_wait(program, who)
        raise KeyboardInterrupt

    def measured(*_: object) -> list[Finding]:
        with pytest.raises(lock.Busy), lock.held(None, None):
            pass
        return [FINDING]

    monkeypatch.setattr(command, "say_wait", waits)
    monkeypatch.setattr(command, "_findings", measured)
    argv = ["--only", "bandwidth", "--out", str(tmp_path / "out")]
    with lock.held(None, None):
        assert command.main(argv) == 130
    said = capsys.readouterr().err
    assert re.match(
        rf"claims: waits for process {os.getpid()} of .*, which is measuring on this host\n", said
    )
    assert command.main(argv) == 0 and "bandwidth" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("--only speed", "claim 'speed' is unknown; there are cost, meaning"),
        ("--only bandwith", "did you mean bandwidth?"),
        ("--model llama-3-71b", "did you mean llama-3-70b?"),
        ("--time-budget 5s", "time '5s' is too short; give 10s or more"),
        ("--time-budget soon", "write 90s, 8m or 2h"),
        ("--gpu x", "gpu 'x' is no whole number"),
        ("--threads 0", "threads '0' is no whole number from 1"),
        ("--html x", "unrecognized arguments: --html x"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(argv: str, said: str) -> None:
    done = claims(*argv.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_and_mistakes_are_answered_without_anything_heavy() -> None:
    code = (
        "import sys, atexit\natexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr))\n"
        "sys.argv[1:] = ['--only', 'x']\nimport runpy\nrunpy.run_module('suite.claims', run_name='__main__')"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()[1:]}
    assert "suite" in loaded
    assert not loaded & {"torch", "numpy", "pandas", "numba", "jinja2", "matplotlib", "psutil"}


def test_an_out_that_is_no_folder_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = claims("--only", "size", "--out", "taken", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "taken: File exists; give a folder that can be written to with --out\n"
    (tmp_path / "full" / "claims.json").mkdir(parents=True)
    done = claims("--only", "size", "--out", "full", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "is a folder" in done.stderr


def test_only_takes_groups_and_names() -> None:
    known = (*finding.GROUPS, *finding.CLAIMS)
    assert parse(["--only", "cost"], known).wants("size", "cost")
    assert not parse(["--only", "cost"], known).wants("king-queen", "meaning")
    asked = parse(["--only", "size,meaning"], known)
    assert [asked.wants(n, "cost") for n in ("size", "index")] == [True, False]
    assert parse([], known).wants("anything", "cost")


def test_every_claim_has_its_stage_and_no_stage_claims_of_two_groups() -> None:
    assert [name for stage in stages.STAGES for name in stage.names] == list(finding.CLAIMS)
    assert sum(stage.seconds for stage in stages.STAGES) <= 360
    assert {stage.group for stage in stages.STAGES} == set(finding.GROUPS)
    for stage in stages.STAGES:
        assert {finding.group_of(name) for name in stage.names} == {stage.group}


def test_a_meaning_stage_asks_its_task_and_reads_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[tuple[object, ...]] = []

    def ask(*order: object) -> task.Answer:
        orders.append(order)
        trees = meaning.answers(lambda *_: [FINDING], {"seconds": 1.0, "seed": 0})
        return task.Answer(tuple(json.loads(json.dumps(tree)) for tree in trees))

    monkeypatch.setattr(meaning, "ask", ask)
    target = Target.fitting(CPU, "qwen3-0.6b", 10**9, 1, threads=3, seed=5)
    for stage in stages.STAGES[-3:]:
        assert stage.judge(target, 1.0) == [FINDING]
    assert [(order[0], order[-1]) for order in orders] == [("geometry", 3), ("learned", 1), ("contextual", 1)]
    assert all(task_main.task_of(str(order[0])) for order in orders)
    monkeypatch.setattr(meaning, "ask", lambda *_: task.Answer((), "ended by SIGKILL"))
    with pytest.raises(Unmeasured, match="ended by SIGKILL"):
        stages.STAGES[-1].judge(target, 1.0)


def test_a_budget_is_shared_in_proportion() -> None:
    given = stages.shares(stages.STAGES, 60.0)
    assert sum(given) == pytest.approx(60.0)
    assert given[1] / given[0] == pytest.approx(stages.STAGES[1].seconds / stages.STAGES[0].seconds)
    assert stages.shares(stages.STAGES[:2], None) == [s.seconds for s in stages.STAGES[:2]]


@pytest.mark.parametrize(
    ("error", "said"),
    [(Unmeasured("no room; free some"), "no room; free some"), (KeyError("step"), "a fault of the suite")],
)
def test_a_stage_that_fails_is_not_measured_and_nobody_else_s_loss(error: Exception, said: str) -> None:
    def judge(place: Target, seconds: float) -> list[Finding]:
        raise error

    found = stages.findings_of(Stage(("index", "bandwidth"), 1.0, judge), None, 1.0)  # type: ignore[arg-type]
    assert [(f.name, f.verdict, f.number) for f in found] == [
        ("index", "NOT MEASURED", ""),
        ("bandwidth", "NOT MEASURED", ""),
    ]
    assert all(said in f.why for f in found)
    assert found[0].claim == finding.COST["index"]


def test_a_claim_that_a_stage_forgot_or_gave_no_number_for_is_not_measured() -> None:
    def judge(place: Target, seconds: float) -> list[Finding]:
        table = Table("t", ("x",), ((math.nan if place else 1.0,),))
        return [replace(FINDING, name="size", tables=(table,))]

    stage = Stage(("size", "index"), 1.0, judge)
    assert [f.verdict for f in stages.findings_of(stage, None, 1.0)] == ["IT DEPENDS", "NOT MEASURED"]  # type: ignore[arg-type]
    broken = stages.findings_of(stage, Target.fitting(CPU, "qwen3-0.6b", 10**9, 1, 1, 0), 1.0)
    assert [f.verdict for f in broken] == ["NOT MEASURED", "NOT MEASURED"]
    assert "fault of the suite" in broken[0].why


def test_an_interrupt_is_not_a_stage_s_failure() -> None:
    def judge(place: Target, seconds: float) -> list[Finding]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.findings_of(Stage(("size",), 1.0, judge), None, 1.0)  # type: ignore[arg-type]


def test_where_memory_is_short_the_table_has_fewer_rows_and_says_so() -> None:
    enough = Target.fitting(CPU, "llama-3-70b", 9 * 10**9, 2**25, 2, 0)
    assert (enough.vocab, enough.notes) == (128256, ())
    short = Target.fitting(CPU, "llama-3-70b", 5 * 10**9, 2**25, 2, 0)
    assert short.vocab == 64128
    assert "128,256 rows" in short.notes[0] and "64,128" in short.notes[0]
    assert 4 * short.table_bytes <= 5 * 10**9


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of the cheapest claim of all, in a folder of its own."""
    folder = tmp_path_factory.mktemp("claims")
    argv = ["--only", "size", "--model", "qwen3-0.6b", "--time-budget", "10s", "--threads", "1"]
    done = claims(*argv, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "[1/1 0s] size\n"
    (folder / "said").write_text(done.stdout)
    return folder


def test_the_terminal_says_verdict_number_reason_machine_and_where_the_page_is(made: Path) -> None:
    lines = (made / "said").read_text().splitlines()
    assert lines[0].startswith("TRUE          size: The table is one matrix")
    assert lines[1].strip().startswith("311 MB. ")
    assert lines[-1] == "claims/claims.html"
    assert "threads" in lines[-2]


def test_the_findings_are_kept_as_json(made: Path) -> None:
    kept = json.loads((made / "claims/claims.json").read_text())
    found = [strict.build(Finding, tree) for tree in kept["findings"]]
    assert [(f.name, f.verdict) for f in found] == [("size", "TRUE")]
    assert kept["environment"]["settings"]["model"] == "qwen3-0.6b"
    assert sorted(path.name for path in (made / "claims").iterdir()) == ["claims.html", "claims.json"]


def test_ctrl_c_ends_it_with_130_and_leaves_no_process(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "suite.claims",
        "--only",
        "cheapest",
        "--model",
        "qwen3-0.6b",
        "--threads",
        "1",
    ]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert running.stderr.readline().endswith("cheapest\n")
        working = _soon(
            lambda: [pid for pid in _children(running.pid) if "suite.claims.task_main" in _command(pid)]
        )
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
        assert running.stderr.read() == "claims: interrupted; nothing is written\n"
    assert _soon(lambda: not any(map(_command, working)))
    assert list((tmp_path / "claims").iterdir()) == []


def _soon(what: Callable[[], T]) -> T:
    """What is true at last."""
    until = time.monotonic() + 30
    while not (found := what()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def _children(parent: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _command(pid: int) -> str:
    """Its words; none of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_findings_survive_json() -> None:
    assert strict.build(Finding, json.loads(json.dumps(asdict(FINDING)))) == FINDING


def test_lines_on_a_terminal_are_folded_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show(
        [replace(FINDING, why=f"{EVIL} and on and on, word after word after word")], "here", sys.stdout, 70
    )
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) <= 70 or EVIL.split(maxsplit=1)[0] in said
    assert said.splitlines()[-1] == "here"


def page(*findings: Finding) -> str:
    return html(findings, "cpu", fabricate.ENVIRONMENT)


def test_the_page_has_every_verdict_figure_rule_and_note() -> None:
    text = page(*(replace(FINDING, name=f"n{k}", verdict=v) for k, v in enumerate(VERDICTS)))
    for word in (*VERDICTS, "from 37 ids on", "TRUE if so.", "A note.", "4,096", "2.50", "–", "Speed"):
        assert word in text
    assert text.count("<article") == 4
    assert "<script" not in text


@pytest.mark.parametrize(("width", "phone"), [(1280, False), (390, True)])
def test_the_page_is_quiet_fits_and_runs_nothing(
    browser: Browser, tmp_path: Path, width: int, phone: bool
) -> None:
    evil = replace(
        FINDING, claim=EVIL, number=EVIL, why=EVIL, rule=EVIL, notes=(EVIL,),
        tables=(Table(EVIL, (EVIL,), ((EVIL,),)),), plots=(replace(PLOT, title=EVIL, x_label=EVIL),),
    )  # fmt: skip
    file = tmp_path / "page.html"
    file.write_text(page(FINDING, replace(evil, name="odd")), encoding="utf-8")
    browser.open(file.as_uri(), width=width, phone=phone)
    assert browser.said == []
    assert browser.asked == [file.as_uri()]
    assert browser.run("window.evil === undefined && document.querySelectorAll('script, img').length === 0")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    shown = "[...document.querySelectorAll('svg[role=img]')].filter(s => s.getBoundingClientRect().width > 0)"
    assert browser.run(f"{shown}.length") == 2
    boxes = browser.run(f"{shown}[0].querySelectorAll('text').length")
    assert boxes > 8
    inside = (
        f"(() => {{ const svg = {shown}[0], box = svg.getBoundingClientRect();"
        "const within = r => r.left >= box.left - 1 && r.right <= box.right + 1"
        " && r.top >= box.top - 1 && r.bottom <= box.bottom + 1;"
        "return [...svg.querySelectorAll('text')].every(t => within(t.getBoundingClientRect())); })()"
    )
    assert browser.run(inside)
    assert browser.run("getComputedStyle(document.querySelector('svg text')).fill") != "none"


def test_on_a_phone_tables_are_folded_and_words_stay_whole(browser: Browser, tmp_path: Path) -> None:
    rows = (
        ("torch_embedding", 1, "±0.8%"),
        ("a sentence of several words, of which none is split", 2, "±1%"),
    )
    long = replace(FINDING, tables=(Table("t", ("name", "n", "±"), rows),))
    file = tmp_path / "page.html"
    file.write_text(page(long), encoding="utf-8")
    browser.open(file.as_uri(), width=390, phone=True)
    folds = "[...document.querySelectorAll('article table')].map(t => !t.closest('details').open)"
    assert browser.run(folds) == [True]
    browser.run("document.querySelectorAll('article details').forEach(d => { d.open = true; })")
    lines = "c => c.getClientRects().length && c.getBoundingClientRect().height"
    cells = browser.run(f"[...document.querySelectorAll('article td')].map({lines})")
    assert max(cells[:3]) < 40, "a name, a number and a spread have a line each"
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert browser.run("document.querySelector('article a[href=\"#top\"]').textContent") == "All claims"


def test_a_plot_s_table_has_every_point() -> None:
    plot = replace(PLOT, series=(Series("a", (Point(1, 2.5), Point(8, 3.0))), Series("b", (Point(8, 4.0),))))
    assert plotted(plot) == Table("Speed (GB/s)", ("batch", "a", "b"), ((1, 2.5, None), (8, 3.0, 4.0)))
