"""Shards become one run: each record once, none contradicted, machines apart, what is missing named."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import suite
from suite.compare.__main__ import main as compare
from suite.merge.__main__ import main
from suite.records.store import Run
from suite.report.__main__ import main as report
from suite.run.options import parse
from suite.run.schedule import tasks_of
from tests.merge.conftest import PLAN, Made, environment, records
from tests.support import fabricate

Said = pytest.CaptureFixture[str]
FOUR = (1, 2, 3, 4)


def four(shard: Made, **more: Any) -> list[str]:
    return [str(shard(f"s{number}", number, **more).path) for number in FOUR]


def merged(tmp_path: Path, *runs: Any, code: int = 0, out: str = "out") -> Path:
    assert main([*map(str, runs), "--out", str(tmp_path / out)]) == code
    return tmp_path / out


def test_shards_become_a_run_like_any_other(tmp_path: Path, shard: Made, capsys: Said) -> None:
    whole = Run.create(tmp_path / "whole", environment())
    for number in (1, 2):
        for task in tasks_of(parse(PLAN)):
            whole.append(records(task, number))
    out = merged(tmp_path, *four(shard))
    said = capsys.readouterr()
    assert said.out == f"{out}  a processor: 1/4, 2/4, 3/4, 4/4 of 4 runs; 8 cases\n" and said.err == ""
    found = Run.open(out)
    assert sorted(map(str, found.records()[0])) == sorted(map(str, whole.records()[0]))
    assert not list(tmp_path.glob(".merge*"))
    columns = ["backend", "vocab", "batch", "median_us", "ci_low_us", "fraction_of_ceiling"]
    tables = [suite.load(path)[columns].sort_values(columns[:3]) for path in (out, whole.path)]
    assert tables[0].to_csv(index=False) == tables[1].to_csv(index=False)
    assert (out / "records.csv").read_text().startswith("run,backend")
    assert report([str(out)]) == 0 and compare([str(out), str(whole.path)]) == 0


def test_a_merged_run_says_what_of_and_can_go_on(tmp_path: Path, shard: Made) -> None:
    parts = four(shard)
    Run.open(parts[2]).amended(system={"runs_at_once": 3}, full_speed_s={"1": 1.2e-5})
    Run.open(parts[3]).amended(created="2026-11-20T00:00:00+00:00", full_speed_s={"1": 1.4e-5})
    where = Run.open(merged(tmp_path, *parts)).environment
    assert where.settings["merged_from"] == "1/4, 2/4, 3/4, 4/4" and "shard" not in where.settings
    assert where.system["runs_at_once"] == 3, "the most"
    assert where.created == "2026-11-20T00:00:00+00:00", "the first"
    assert where.full_speed_s == {"1": 1.2e-5} or not where.full_speed_s
    assert list(where.argv) == list(PLAN), "of the whole plan, so that --resume measures what is missing"
    assert where.noise_floor is None or where.noise_floor >= 0


def test_what_stands_twice_is_taken_once(tmp_path: Path, shard: Made, capsys: Said) -> None:
    parts = four(shard)
    half = shard("half", 2, keep=lambda r: r.pass_number == 1)  # a copy from before it went on
    out = merged(tmp_path, half.path, *parts, parts[0], Path(parts[1]).parent / "s2")
    assert len(Run.open(out).records()[0]) == sum(len(Run.open(p).records()[0]) for p in parts)
    assert f"; {len(half.records()[0])} records twice, taken once" in capsys.readouterr().out


def test_of_a_run_and_its_copy_the_one_that_went_on_is_taken(tmp_path: Path, shard: Made) -> None:
    """As where what was left out at first was insisted on later."""
    parts = four(shard)
    copy, run = shard("copy", 1, keep=lambda _: False), Run.open(parts[0])
    case = run.records()[0][0].case
    left_out = fabricate.failure("late", case, "m", status="left_out")
    copy.append([left_out])
    run.append([left_out, replace(run.records()[0][1], backend="late")])
    found = Run.open(merged(tmp_path, copy.path, *parts)).records()[0]
    assert [r.status for r in found if r.backend == "late"] == ["left_out", "ok"]


def test_records_that_contradict_each_other_are_refused_with_their_places(
    tmp_path: Path, shard: Made, capsys: Said
) -> None:
    parts = four(shard)
    again = shard("again", 2, seed="again")
    assert main([*parts, str(again.path), "--out", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    first = f"{tmp_path}/again/records.jsonl:2 and {parts[1]}/records.jsonl:2: torch_index_select on cpu 70x8"
    assert lines[0].startswith(first) and lines[0].endswith(", pass 1, differs; leave one of the runs out")
    assert len(lines) == 7 and "6 more records" in lines[-1]
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".merge*"))


def test_machines_are_kept_apart(tmp_path: Path, shard: Made, capsys: Said) -> None:
    parts = [shard(f"s{n}", n, machine="b" * 16 if n == 2 else "a" * 16).path for n in FOUR]
    gpu = shard("gpu", 3, machine="a" * 16, gpu={"uuid": "GPU-77", "name": "A card"}, seed="gpu")
    out = merged(tmp_path, *parts, gpu.path)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{out}/machine-1  a processor: 1/4, 3/4, 4/4 of 3 runs; 6 cases",
        f"{out}/machine-2  a processor: 2/4 of 1 run; 2 cases",
        f"{out}/machine-3  A card: 3/4 of 1 run; 2 cases",
    ]
    with pytest.warns(UserWarning, match="mix 2 machines"):
        assert set(suite.load(out).run) == {"machine-1", "machine-2", "machine-3"}
    assert report([str(out)]) == 0


def test_what_is_missing_is_listed_with_its_command(tmp_path: Path, shard: Made, capsys: Said) -> None:
    def kept(record: Any) -> bool:
        return record.case.batch == 1 or record.backend != "numba_cpu"

    parts = [shard(f"s{n}", n, keep=kept if n == 2 else None).path for n in (1, 2, 4)]
    out = merged(tmp_path, *parts, code=1)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines[0] == f"missing: {parts[1]}: 2 results; python -m suite.run --resume {parts[1]}"
    assert lines[1].startswith("  cpu 70x8 float32 batch 2 ") and lines[1].endswith("  numba_cpu")
    assert len({lines[1], lines[2]}) == 1, "in both passes"
    what, _, command = lines[3].partition("; ")
    assert what == "missing: shard 3/4: 6 results" and len(lines) == 4 + 6
    request = parse(shlex.split(command)[3:])
    assert str(request.shard) == "3/4" and request.cases == parse(PLAN).cases and out.exists()


def test_a_pass_that_was_begun_is_to_be_ended(tmp_path: Path, shard: Made, capsys: Said) -> None:
    parts = [shard(f"s{n}", n, keep=lambda r: r.pass_number == 1).path for n in FOUR]
    merged(tmp_path, *parts)  # there was no time for a second
    run = Run.open(parts[0])
    task = next(t for t in tasks_of(parse(PLAN)) if t.case in {r.case for r in run.records()[0]})
    run.append(records(task, 2))
    assert "missing: " not in capsys.readouterr().out
    merged(tmp_path, *parts, code=1, out="more")
    assert f"missing: {parts[0]}: 3 results; " in capsys.readouterr().out


def test_what_another_machine_has_is_not_missing(tmp_path: Path, shard: Made) -> None:
    """As where a node died, and the shard was begun anew on another."""
    parts = four(shard)
    died = shard("died", 2, keep=lambda r: r.case.batch == 1, machine="b" * 16, seed="died")
    merged(tmp_path, *parts, died.path)


def test_a_failure_is_a_result(tmp_path: Path, shard: Made) -> None:
    parts = [shard(f"s{n}", n, keep=lambda r: r.backend != "numba_cpu").path for n in FOUR]
    for path in parts:
        run = Run.open(path)
        for case in {r.case for r in run.records()[0]}:
            run.append([fabricate.failure("numba_cpu", case, "m", reason="bytes \udcff of a message")])
    merged(tmp_path, *parts)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"plan": "f" * 16},
            "planned otherwise (other cases or backends); measure all with the same options",
        ),
        ({"plan": "f" * 16, "settings": {"threads": 4}}, "planned otherwise (threads 2, 4)"),
        ({"method": 3}, " and 3; measure both with one version"),
        ({"commit": "2" * 40}, "of one machine, but commit 111111111111, now 222222222222; measure all"),
        ({"packages": {"numpy": "2.3.0"}}, "of one machine, but numpy 2.4.0, now 2.3.0"),
        ({"environments": {"a": {"numpy": "1"}}}, "of one machine, but a numpy None, now 1"),
        ({"settings": {"shard": "9/4"}}, "shard '9/4': is none"),
    ],
)
def test_what_is_not_of_one_plan_is_refused(
    tmp_path: Path, shard: Made, capsys: Said, changes: dict[str, Any], says: str
) -> None:
    parts = [shard("s1", 1).path, shard("s2", 2, **changes).path]
    assert main([*map(str, parts), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line and "; " in line and not (tmp_path / "out").exists()


def test_where_the_plan_is_not_known_here_absent_shards_are(
    tmp_path: Path, shard: Made, capsys: Said
) -> None:
    parts = [shard(f"s{n}", n).path for n in (1, 4)]
    for path in parts:
        run = Run.open(path)
        run.amended(argv=(*run.environment.argv, "--backend", ".../mine.py"))
    merged(tmp_path, *parts, code=1)
    said = capsys.readouterr()
    assert "can't say which cases are missing, its options do not do here" in said.err
    starts = [f"missing: shard {number}/4: no run; python -m suite.run " for number in (2, 3)]
    assert all(map(str.startswith, said.out.splitlines()[1:], starts))


def _torn(run: Run) -> None:
    data = (run.path / "records.jsonl").read_bytes()
    (run.path / "records.jsonl").write_bytes(data[:-40])


def _foreign(run: Run) -> None:
    with (run.path / "records.jsonl").open("a") as file:
        file.write('backend,median_us\n{"schema":1}\n' + "[" * 5000 + "\n")


@pytest.mark.parametrize(("spoil", "code"), [(_torn, 1), (_foreign, 0)])
def test_lines_that_are_no_records_are_left_out_and_named(
    tmp_path: Path, shard: Made, capsys: Said, spoil: Any, code: int
) -> None:
    parts = four(shard)
    spoil(Run.open(parts[3]))
    merged(tmp_path, *parts, code=code)
    said = capsys.readouterr()
    assert said.err.startswith(f"{parts[3]}/records.jsonl:") and "the line is left out" in said.err
    assert ("missing: " in said.out) == bool(code)


def test_what_is_no_run_is_refused_all_at_once(tmp_path: Path, shard: Made, capsys: Said) -> None:
    good, older, empty = (
        shard("s1", 1),
        shard("s2", 2),
        shard("s3", 3, keep=lambda _: False, machine="c" * 16),
    )
    text = (older.path / "environment.json").read_text()
    (older.path / "environment.json").write_text(text.replace('"schema": 1', '"schema": 0'))
    argv = [str(good.path), str(older.path), str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]
    assert main(argv) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert main([str(good.path), str(empty.path), *argv[3:]]) == 2
    assert capsys.readouterr().err.startswith(f"{empty.path}: no records")
    (good.path / "keep").write_text("me")
    assert main([str(good.path), "--out", str(good.path)]) == 2
    assert "is there already; give a new folder with --out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_that_went_on_elsewhere_is_refused(tmp_path: Path, shard: Made, capsys: Said) -> None:
    run = shard("s1", 1)
    run.gone_on(environment(commit="2" * 40))
    assert main([str(run.path), "--out", str(tmp_path / "out")]) == 2
    assert "went on in another environment" in capsys.readouterr().err


def test_nothing_of_an_environment_is_a_path_or_a_command(tmp_path: Path, shard: Made, capsys: Said) -> None:
    """A machine by the name of a folder, and options that ask for help or hold a shell's words."""
    evil = {"machine": "../../evil", "settings": {"passes": 2}}
    parts = [shard("s1", 1).path, shard("s 2; x", 2, **evil).path]
    for path, words in zip(parts, (("--help",), ("--seed", "$(reboot)")), strict=True):
        run = Run.open(path)
        run.amended(argv=(*run.environment.argv, *words))
        lines = (path / "records.jsonl").read_text().splitlines(keepends=True)
        (path / "records.jsonl").write_text("".join(lines[:3]))
    out = merged(tmp_path, *parts, code=1)
    assert sorted(p.name for p in out.iterdir()) == ["machine-1", "machine-2"]
    said = capsys.readouterr()
    assert "its options ask for help" in said.err and "usage" not in said.out
    merged(tmp_path, parts[1], code=1, out="other")
    assert "'$(reboot)'" in capsys.readouterr().out


def test_a_disk_that_is_full_leaves_nothing(
    tmp_path: Path, shard: Made, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = four(shard)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("suite.records.store._write_all", full)
    assert main([*parts, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/out: disk full; see to it, then merge again\n"
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".merge*"))


def test_a_merge_of_a_merge_changes_nothing(tmp_path: Path, shard: Made) -> None:
    parts = four(shard)
    out = merged(tmp_path, *parts)
    again = merged(tmp_path, out, parts[0], out="again")
    assert (again / "records.jsonl").read_bytes() == (out / "records.jsonl").read_bytes()
    where = [json.loads((path / "environment.json").read_text()) for path in (out, again)]
    assert {k for k in where[0] if where[0][k] != where[1][k]} <= {"settings"}
    assert replace(Run.open(out).environment, settings={}) == replace(
        Run.open(again).environment, settings={}
    )
