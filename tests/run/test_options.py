"""Any words give a request, or one line that says what is wrong and what to do."""

from __future__ import annotations

import os
import shutil
import string
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backends import choose
from suite.cases.case import Case
from suite.command import BadRequest
from suite.records.device import CPU, Device
from suite.run.options import SUSTAIN_S, Request, parse
from tests.support import ROOT
from tests.support.commands import SMALL, complaint, nothing_left, refused


@pytest.fixture(autouse=True)
def apart(elsewhere: Path) -> None:
    """Each test in a folder of its own; hypothesis takes no such fixture that is asked for by a mark."""


NAMES = (
    "gpu backend preset model vocab dim batch dtype index-dtype distribution cache offset placement indices "
    "out resume tables keep-tables "
    "precision time-budget timeout threads seed passes environment dry-run list help"
)
OPTIONS = NAMES.split()
SOUND = (
    "smoke full llama-3-70b,gpt2 1,2,3 4_096 float32 int8,bfloat16 int32 zipf-1.05 uniform,text cold,hot "
    "1% 0.05 8m 90s numpy_take torch_embedding 0 1 4294967295"
)
GOOD = SOUND.split()
printable = st.text(st.characters(exclude_categories=("C", "Z")) | st.sampled_from(" -=,.:/%"), max_size=30)
words = st.one_of(
    st.sampled_from([f"--{option}" for option in OPTIONS]),
    st.sampled_from(GOOD),
    st.builds("--{}={}".format, st.sampled_from(OPTIONS), printable | st.sampled_from(GOOD)),
    st.from_regex(r"-?[0-9_.,]{1,40}[%smh]?", fullmatch=True),
    printable,
    st.text(string.printable, max_size=12),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(words, max_size=8))
@example(["--vocab", "9" * 5000])
@example(["--backend", "a" * 5000 + ".py"])
@example(["--backend", "a\0b.py"])
@example(["--backend", ".", "..", "/", "~"])
@example(["--"])
@example(["--", "--list"])
@example(["-h"])
@example(["--vocab", "1", "--dim"])
@example(["--distribution", "file:x"])
@example(["--vocab", "²", "--dim", "٣"])
@example(["--time-budget", "999999.999h"])
def test_any_words_give_a_request_or_one_line(argv: list[str]) -> None:
    try:
        request = parse(argv)
    except BadRequest as error:
        assert str(error)
    except SystemExit as ended:
        assert ended.code == 0
        assert any(word in argv for word in ("--help", "-h"))
    else:
        assert isinstance(request, Request)
        assert all(isinstance(case, Case) for case in request.cases)
        assert request.cases
        assert 0.0001 <= request.precision <= 0.5
        assert request.timeout_s >= 1
        assert request.threads >= 1


@settings(max_examples=150, deadline=None)
@given(option=st.sampled_from(OPTIONS[:-3]), word=printable | st.text(max_size=20))
def test_any_value_of_any_option_is_taken_or_refused_in_a_line(option: str, word: str) -> None:
    try:
        parse([f"--{option}={word}"])
    except BadRequest as error:
        said = str(error)
        if said.isprintable() and option not in ("backend",):
            complaint(said + "\n")


@given(st.integers(0, 2**40 + 5))
def test_sizes_are_taken_exactly(size: int) -> None:
    if 1 <= size <= 2**40:
        assert parse(["--vocab", str(size), "--dim", "4"]).cases[0].vocab == size
        assert parse(["--vocab", f"{size:_}", "--dim", "4"]).cases[0].vocab == size
    else:
        with pytest.raises(BadRequest):
            parse(["--vocab", str(size), "--dim", "4"])


@pytest.mark.parametrize(
    ("text", "value"), [("1%", 0.01), ("0.01", 0.01), ("50%", 0.5), ("0.01%", 0.0001), ("2.5%", 0.025)]
)
def test_precision_is_a_share_or_a_percentage(text: str, value: float) -> None:
    assert parse(["--precision", text]).precision == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("90", 90), ("8m", 480), ("2h", 7200), ("1.5m", 90)]
)
def test_times_have_units(text: str, seconds: float) -> None:
    request = parse(["--time-budget", text, "--timeout", text])
    assert (request.time_budget_s, request.timeout_s) == (seconds, seconds)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--batch", "1", "16", "17"], "--batch 1 16 17: several values take commas; write --batch 1,16,17"),
        (["--device", "cuda"], "--device: no such option; give --gpu 0"),
        (["--btch=3"], "--btch=3: no such option; did you mean --batch=3?"),
        (["smoke"], "smoke: a preset; write --preset smoke"),
        (["gpt2"], "gpt2: a model; write --model gpt2"),
        (["--gpu", "0", "numpy_take"], "numpy_take: a backend; write --backend numpy_take"),
        (["--backend", "torch"], "torch: no such backend; there are torch_"),
        (["--batch", "1k5"], "no whole number"),
        (["--vocab", "32k"], "no whole number"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(argv: list[str], words: str) -> None:
    with pytest.raises(BadRequest) as error:
        parse(argv)
    assert words in str(error.value)


def test_what_others_write_is_understood() -> None:
    table = ["--vocab", "7", "--dim", "3"]
    request = parse([*table, "--dtype", "fp16,BF16", "--batch", "1k,8K", "--index-dtype", "i32"])
    assert {(c.dtype, c.batch, c.index_dtype) for c in request.cases} == {
        (dtype, batch, "int32") for dtype in ("float16", "bfloat16") for batch in (1024, 8192)
    }
    assert parse([*table, "--time-budget", "8min"]).time_budget_s == 480
    two = parse([*table, "--backend", "numpy_take,torch_index"]).backends
    assert two == (choose("numpy_take"), choose("torch_index"))


def test_lists_lose_what_is_said_twice() -> None:
    request = parse(["--vocab", "10,20,10", "--dim", "4", "--backend", "numpy_take", "numpy_take"])
    assert [case.vocab for case in request.cases] == [10, 20]
    assert request.backends == (choose("numpy_take"),)


def test_the_placement_of_a_device_is_its_memory() -> None:
    request = parse(["--vocab", "10", "--dim", "4", "--gpu", "0", "--placement", "device,pinned,managed"])
    assert [case.placement for case in request.cases] == ["memory", "pinned", "managed"]
    assert request.tables == "tables" and not request.keep_tables
    assert parse(["--preset", "engram"]).scaled != "", "what was left out is in the run's settings"


VALUES = {
    "unknown placement": (["--placement", "fil"], "did you mean file?"),
    "a placement of a GPU": (["--placement", "managed"], "give --gpu N"),
    "unknown backend": (["--backend", "numpy_tak"], "did you mean numpy_take?"),
    "a backend far from any": (["--backend", "qqq"], "there are "),
    "no backend": (["--backend"], "expected at least one"),
    "empty backend": (["--backend", ""], "a name is needed"),
    "unknown dtype": (["--dtype", "float31"], "did you mean float32?"),
    "empty dtype": (["--dtype", ""], "unknown"),
    "one bad dtype of two": (["--dtype", "int8,fp4"], "'fp4' is unknown"),
    "unknown preset": (["--preset", "smok"], "did you mean smoke?"),
    "unknown model": (["--model", "llama-3-80b"], "did you mean llama-3-"),
    "unknown cache": (["--cache", "lukewarm"], "cold, hot"),
    "unknown index dtype": (["--index-dtype", "int16"], "int"),
    "unknown law": (["--distribution", "gauss"], "uniform, zipf"),
    "a file as a law": (["--distribution", "file:x"], "give it with --indices FILE"),
    "zero": (["--vocab", "0"], "'0' is no whole number from 1"),
    "negative": (["--batch", "-5"], "'-5' is no whole number"),
    "fraction": (["--dim", "1.5"], "'1.5' is no whole number"),
    "scientific": (["--dim", "1e3"], "no whole number"),
    "a word for a size": (["--dim", "many"], "'many' is no whole number"),
    "huge": (["--vocab", "9999999999999"], "no whole number from 1 to 1099511627776"),
    "very huge": (["--vocab", "9" * 5000], "no whole number"),
    "an empty one in a list": (["--batch", "1,,2"], "'' is no whole number"),
    "digits of another script": (["--batch", "٣"], "no whole number"),
    "int32 ids too small": (
        ["--vocab", "3000000000", "--dim", "1", "--index-dtype", "int32"],
        "--index-dtype int64",
    ),
    "precision zero": (["--precision", "0"], "not between 0.01% and 50%"),
    "precision not a number": (["--precision", "nan"], "not between"),
    "precision negative": (["--precision=-1%"], "not between"),
    "precision too large": (["--precision", "80%"], "not between"),
    "time without sense": (["--time-budget", "1d"], "write 90s, 8m or 2h"),
    "no time": (["--timeout", "0s"], "not between 1s"),
    "too much time": (["--timeout", "999h"], "not between 1s and 168h"),
    "infinite time": (["--time-budget", "inf"], "not between"),
    "no threads": (["--threads", "0"], "no whole number from 1"),
    "seed": (["--seed", "-1"], "no whole number from 0"),
    "gpu": (["--gpu", "first"], "no whole number from 0 to 1023"),
    "unknown option": (["--vocabulary", "5"], "--vocabulary"),
    "an option cut short": (["--voc", "5"], "--voc"),
    "a stray word": (["smoke"], "smoke"),
    "a sweep of millions": (
        ["--batch", ",".join(map(str, range(1, 5001))), "--dim", ",".join(map(str, range(1, 101)))],
        "cases; give fewer values, at most 100,000 cases",
    ),
    "no passes": (["--passes", "0"], "no whole number from 1 to 10"),
    "one environment": (["--environment", f"a={sys.executable}"], "give two or more"),
    "an environment twice": (
        ["--environment", f"a={sys.executable}", "--environment", f"a={sys.executable}"],
        "given twice; give each a name",
    ),
    "no interpreter": (["--environment", "a=/nowhere/python"], "is no interpreter; give the path"),
    "a file that can't be run": (["--environment", f"a={__file__}"], "is no interpreter; give the path"),
    "no name": (["--environment", sys.executable], "not NAME=PYTHON"),
    "a name that is none": (["--environment", f"a b={sys.executable}"], "not NAME=PYTHON"),
    "an empty interpreter": (["--environment", "a="], "not NAME=PYTHON"),
    "a named file that is not there": (["--backend", "new=nowhere.py"], "new=nowhere.py: no such file"),
    "a name for a name": (["--backend", "new=numpy_take"], "new=numpy_take: no such backend"),
    "a phase as long as a step may be": (["--sustain", "60"], "give a longer --timeout"),
    "model and preset": (["--model", "gpt2", "--preset", "smoke"], "give one of them"),
    "ids and law": (["--indices", "x", "--distribution", "zipf"], "give one of them"),
    "resume and out": (["--resume", "x", "--out", "y"], "give one of them"),
    "empty out": (["--out", ""], "a name is needed"),
    "a new line in a word": (["--backend", "numpy\ntake"], "no such backend"),
    "an escape sequence": (["--backend", "\x1b[31mred"], "no such backend"),
    "a backend for a GPU, without one": (["--backend", "cupy_rawkernel"], "give --gpu N"),
    "a path too long": (["--backend", "a" * 5000 + ".py"], "not a backend's file"),
    "an out too long": ([*SMALL, "--out", "a" * 5000], "can't be written"),
    "a resume too long": ([*SMALL, "--resume", "a" * 5000], "can't be read"),
}


@pytest.mark.parametrize("which", VALUES)
def test_a_bad_value_is_one_line(which: str, capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    argv, says = VALUES[which]
    assert says in refused(capsys, argv)
    assert nothing_left(elsewhere)


def test_what_runs_on_the_gpu_that_was_asked_for_is_not_measured_on_the_cpu_too() -> None:
    both = ["--backend", "torch_index_select", "numba_cpu"]
    request = parse(["--gpu", "1", *both])
    assert request.backends_on(Device("cuda", 1), Case(8, 8)) == (choose("torch_index_select"),)
    assert request.backends_on(CPU, Case(8, 8)) == (choose("numba_cpu"),)
    assert parse(both).backends_on(CPU, Case(8, 8)) == (choose("torch_index_select"), choose("numba_cpu"))


def test_a_gpu_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    from suite.machine.cuda_device import probe

    if not isinstance(probe(1023), str):
        pytest.skip("a machine with 1024 GPUs")
    said = refused(capsys, ["--gpu", "1023", *SMALL])
    assert said.startswith("gpu 1023: not there, ")
    assert "leave out --gpu" in said
    assert nothing_left(elsewhere)


def test_a_phase_is_shorter_than_a_step_may_be() -> None:
    assert parse([]).sustain_s == SUSTAIN_S
    assert parse(["--timeout", "1s"]).sustain_s == 0.5
    assert parse(["--timeout", "1s", "--sustain", "0.9"]).sustain_s == 0.9


def test_a_library_has_as_many_threads_as_processors_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert parse([]).threads == 1


def test_every_path_may_begin_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(ROOT / "backends/numpy_take.py", tmp_path / "a=mine.py")
    for name in ("base", "head"):
        (tmp_path / name).symlink_to(sys.executable)
    turns = [w for name in ("base", "head") for w in ("--environment", f"{name}=~/{name}")]
    request = parse(["--out=~/x", "--indices=~/ids.txt", "--backend", "new=~/a=mine.py", *turns])
    assert (request.out, request.ids_file) == (f"{tmp_path}/x", f"{tmp_path}/ids.txt")
    assert [backend.source for backend in request.backends] == [f"{tmp_path}/a=mine.py"]
    assert dict(request.environments) == {name: f"{tmp_path}/{name}" for name in ("base", "head")}
    assert parse(["--resume", "~/x"]).resume == f"{tmp_path}/x"
    assert "write ./~nobody-here/x for a file of that name" in refused(capsys, ["--out=~nobody-here/x"])
    assert parse(["--out=./~"]).out == "./~"
    assert nothing_left(elsewhere)
