"""Whatever is asked gets an answer: a request, or one line that says what is wrong and what to do."""

from __future__ import annotations

import json
import os
import re
import string
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from suite.cases import ids
from suite.cases.case import Case, Sweep, plan
from suite.command import BadRequest
from suite.run.__main__ import main
from suite.run.options import SUSTAIN_S, Request, parse
from suite.run.schedule import tasks_of

ROOT = Path(__file__).resolve().parents[2]


# <subject>: <what is>; <what to do>
COMPLAINT = re.compile(r"\S[^\n]*: \S[^\n]*; \S[^\n]*\n")
SMALL = ("--vocab", "100", "--dim", "8", "--batch", "4", "--backend", "numpy_take")


def complaint(text: str) -> str:
    """The one line of a refusal, held to its form."""
    assert text.count("\n") == 1, text
    assert COMPLAINT.fullmatch(text), text
    assert text.rstrip("\n").isprintable()
    return text


def refused(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """What the command says of a request that can't be carried out."""
    assert main(argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return complaint(said.err)


def command(*argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "suite.run", *argv],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for each test; a refusal must leave nothing there."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def nothing_left(folder: Path) -> bool:
    return not list(folder.iterdir())


# --- any words at all ---------------------------------------------------------------------------------

NAMES = (
    "gpu backend preset model vocab dim batch dtype index-dtype distribution cache offset indices out resume "
    "precision time-budget timeout threads seed dry-run list help"
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
def test_any_value_of_any_option(option: str, word: str) -> None:
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
def test_precision(text: str, value: float) -> None:
    assert parse(["--precision", text]).precision == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("90", 90), ("8m", 480), ("2h", 7200), ("1.5m", 90)]
)
def test_times(text: str, seconds: float) -> None:
    request = parse(["--time-budget", text, "--timeout", text])
    assert (request.time_budget_s, request.timeout_s) == (seconds, seconds)


def test_lists_lose_what_is_said_twice() -> None:
    request = parse(["--vocab", "10,20,10", "--dim", "4", "--backend", "numpy_take", "numpy_take"])
    assert [case.vocab for case in request.cases] == [10, 20]
    assert request.backends == ("numpy_take",)


# --- values nobody can use ----------------------------------------------------------------------------

VALUES = {
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


@pytest.mark.parametrize(
    "argv", [["--backend", "numpy_tak"], ["--vocab", "0"], ["--precision", "1"], ["--frobnicate"]]
)
def test_the_real_command_refuses_in_one_line(argv: list[str], elsewhere: Path) -> None:
    done = command(*argv, cwd=elsewhere)
    assert done.returncode == 2
    assert done.stdout == ""
    complaint(done.stderr)
    assert nothing_left(elsewhere)


def test_what_runs_on_the_gpu_that_was_asked_for_is_not_measured_on_the_cpu_too() -> None:
    both = ["--backend", "torch_index_select", "numba_cpu"]
    request = parse(["--gpu", "1", *both])
    assert request.backends_on("cuda:1") == ("torch_index_select",)
    assert request.backends_on("cpu") == ("numba_cpu",)
    assert parse(both).backends_on("cpu") == ("torch_index_select", "numba_cpu")


def test_a_gpu_that_is_not_there(capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    from suite.machine.cuda_device import probe

    if not isinstance(probe(1023), str):
        pytest.skip("a machine with 1024 GPUs")
    said = refused(capsys, ["--gpu", "1023", *SMALL])
    assert said.startswith("gpu 1023: not there, ")
    assert "leave out --gpu" in said
    assert nothing_left(elsewhere)


# --- backends of the user's own -----------------------------------------------------------------------

FILES = {
    "syntax error": ("def f(:\n", "not a Python file"),
    "not text": ("\xff\0", "not a Python file"),
    "deep": ("x = " + "-" * 50_000 + "1\n", "not a backend's file"),
    "long": ("x = " + "1 + " * 50_000 + "1\n", "not a Python file"),
    "a number for devices": ("class A:\n    devices = 5\n", "not a backend's file"),
    "numbers among the dtypes": (
        "class A:\n    devices = ('cpu',)\n    dtypes = (1, 2)\n",
        "not a backend's file",
    ),
    "a literal that is none": ("class A:\n    devices = {[]: 1}\n", "not a backend's file"),
}


@pytest.mark.parametrize("which", FILES)
@pytest.mark.parametrize("question", ["--list", "--dry-run"])
def test_a_file_that_is_no_backend(
    which: str, question: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, says = FILES[which]
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="latin-1")
    assert says in refused(capsys, ["--backend", str(path), question])


def test_two_backends_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their records could not be told apart."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text("class A:\n    devices = ('cpu',)\n")
    paths = [str(tmp_path / folder / "mine.py") for folder in ("a", "b")]
    assert "another backend named mine" in refused(capsys, ["--backend", *paths, "--dry-run"])


def test_a_folder_for_a_backend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").mkdir()
    for which in (str(tmp_path), str(tmp_path / "mine.py")):
        assert "no such file" in refused(capsys, ["--backend", which, "--dry-run"])


# --- ids of the user's own ----------------------------------------------------------------------------


def test_a_sweep_just_small_enough_is_planned_at_once() -> None:
    many = ["--vocab", ",".join(map(str, range(1, 317))), "--dim", ",".join(map(str, range(1, 317)))]
    began = time.perf_counter()
    tasks = tasks_of(parse([*many, "--backend", "numpy_take"]))
    assert len(tasks) == 316 * 316
    assert time.perf_counter() - began < 20, "a table a case, each looked for among all would take minutes"


def test_what_the_axes_come_to_is_known_without_a_case() -> None:
    wide = tuple(range(1, 20_001))
    assert Sweep(wide, wide, batch=wide).size == 20_000**3
    with pytest.raises(ValueError, match="8,000,000,000,000 cases"):
        plan([Sweep((1,), (1,))], vocab=wide, dim=wide, batch=wide)


def test_a_phase_is_shorter_than_a_step_may_be() -> None:
    assert parse([]).sustain_s == SUSTAIN_S
    assert parse(["--timeout", "1s"]).sustain_s == 0.5
    assert parse(["--timeout", "1s", "--sustain", "0.9"]).sustain_s == 0.9


def npy_header(shape: str) -> bytes:
    """The start of an .npy file that promises more than it holds."""
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 16


IDS: dict[str, tuple[str, bytes, str]] = {
    "empty": ("ids.txt", b"", "empty"),
    "only spaces": ("ids.txt", b" \n\t ", "empty"),
    "words": ("ids.txt", b"one two", "not ids"),
    "floats": ("ids.txt", b"1.5 2", "not ids"),
    "scientific": ("ids.txt", b"1e3", "not ids"),
    "commas": ("ids.txt", b"1,2,3", "not ids"),
    "binary": ("ids.txt", bytes(range(256)), "not ids"),
    "utf-16": ("ids.txt", "1 2".encode("utf-16"), "not ids"),
    "very long number": ("ids.txt", b"9" * 5000, "not ids"),
    "a word without an end": ("ids.txt", b"1 " + b"9" * 2**21, "not ids"),
    "over 64 bits": ("ids.txt", b"9" * 30, "not ids"),
    "out of range": ("ids.txt", b"0 99 100", "reach from 0 to 100, the table has rows 0 to 99"),
    "negative": ("ids.txt", b"-1 3", "reach from -1"),
    "not an npy": ("ids.npy", b"1 2 3", "not ids"),
    "half a header": ("ids.npy", b"\x93NUMPY\x01\x00", "not ids"),
    "empty npy": ("ids.npy", b"", "not ids"),
    "less than promised": ("ids.npy", npy_header("(1000,)"), "not ids"),
    "much less than promised": ("ids.npy", npy_header("(1000000000000000,)"), "not ids"),
    "code in the header": ("ids.npy", npy_header("(__import__('os').getpid(),)"), "not ids"),
}


def saved(path: Path, values: object, **more: bool) -> str:
    with path.open("wb") as file:
        np.save(file, values, **more)  # type: ignore[arg-type]
    return str(path)


@pytest.mark.parametrize("which", IDS)
def test_a_file_that_holds_no_ids(
    which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    name, content, says = IDS[which]
    path = tmp_path / name
    path.write_bytes(content)
    said = refused(capsys, [*SMALL, "--indices", str(path)])
    assert says in said
    assert said.startswith(str(path))
    assert nothing_left(elsewhere)


class Bomb:
    """A pickle that would leave a mark if it were loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def test_arrays_that_hold_no_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    pickled = np.empty(1, object)
    pickled[0] = Bomb()
    arrays = {
        "floats": (np.arange(3.0), "not integers"),
        "bools": (np.array([True]), "not integers"),
        "words": (np.array(["1"]), "not integers"),
        "fields": (np.zeros(2, [("id", "i4")]), "not integers"),
        "none": (np.zeros(0, np.int64), "empty"),
        "too large": (np.array([2**63], np.uint64), "do not fit 64 bits"),
        "pickle": (pickled, "not ids"),
    }
    for name, (values, says) in arrays.items():
        path = saved(tmp_path / f"{name}.npy", values, allow_pickle=True)
        assert says in refused(capsys, [*SMALL, "--indices", path]), name
    archive = tmp_path / "archive.npy"
    with archive.open("wb") as file:
        np.savez(file, a=np.arange(3))
    assert "not integers" in refused(capsys, [*SMALL, "--indices", str(archive)])
    assert nothing_left(elsewhere), "the pickle was not loaded"


def test_more_ids_than_are_held(tmp_path: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    path = tmp_path / "ids.npy"
    np.lib.format.open_memmap(path, "w+", np.int8, (ids.MAX_IDS + 1,))
    assert "more than 134,217,728 ids; give a part of it" in refused(capsys, [*SMALL, "--indices", str(path)])
    assert nothing_left(elsewhere)


@pytest.mark.parametrize("block", [1, 2, 7, 2**20])
def test_text_is_read_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(ids, "_BLOCK", block)
    monkeypatch.setattr(ids, "MAX_IDS", 300)
    path, numbers = tmp_path / "ids.txt", [*range(0, 30000, 100)]
    for between in (" ", "\n", " \r\n\t "):
        for end in ("", between):
            path.write_text(between.join(map(str, numbers)) + end)
            assert ids.read_file(str(path)).tolist() == numbers
    path.write_text(f"{path.read_text()} 5")
    with pytest.raises(ValueError, match="more than 300 ids"):
        ids.read_file(str(path))


def test_paths_that_are_no_file_of_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(ids.MAX_FILE_BYTES + 1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    paths = {
        str(tmp_path / "missing"): "No such file",
        str(tmp_path / "ids.npy" / "deeper"): "No such file",
        str(huge / "deeper"): "Not a directory",
        str(huge): "larger than 2 GiB",
        str(tmp_path): "not a regular file",
        str(pipe): "not a regular file",
        "/dev/zero": "not a regular file",
        "a" * 5000: "File name too long",
    }
    for path, says in paths.items():
        assert says in refused(capsys, [*SMALL, "--indices", path])
    assert nothing_left(elsewhere)


def test_ids_must_fit_every_table_of_the_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("5 150")
    argv = ["--vocab", "200,100", "--dim", "8", "--indices", str(path), "--backend", "numpy_take"]
    assert "rows 0 to 99" in refused(capsys, argv)


# --- where a run goes ---------------------------------------------------------------------------------


def test_an_out_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter.txt").write_text("keep me")
    file = tmp_path / "file"
    file.write_text("keep me")
    for out, says in {
        full: "not empty",
        file: "give ",
        file / "below": "can't be written",
        Path("/proc/nowhere/run"): "can't be written",
    }.items():
        said = refused(capsys, [*SMALL, "--out", str(out)])
        assert said.startswith(str(out))
        assert says in said
        assert "--out" in said
    assert [path.name for path in full.iterdir()] == ["letter.txt"]
    assert file.read_text() == "keep me"


def test_an_out_that_may_not_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    try:
        if os.access(locked, os.W_OK):
            pytest.skip("this user may write everywhere")
        assert "can't be written" in refused(capsys, [*SMALL, "--out", str(locked / "run")])
    finally:
        locked.chmod(0o755)


def test_a_resume_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.write_text("")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "environment.json").write_text('{"schema": 1, "created": NaN}')
    (broken / "records.jsonl").write_text("")
    for folder in (tmp_path / "nowhere", empty, file, broken):
        said = refused(capsys, [*SMALL, "--resume", str(folder)])
        assert said.startswith(str(folder))
    assert nothing_left(empty)


# --- the whole way ------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_a_table_larger_than_memory_is_recorded_and_the_run_goes_on(elsewhere: Path) -> None:
    out = elsewhere / "run with spaces é"
    argv = ["--vocab", "4000000000,100", "--dim", "4096", "--batch", "4", "--backend", "numpy_take"]
    done = command(*argv, "--time-budget", "2s", "--precision", "20%", "--out", str(out), cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert str(out) in done.stdout
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    found = {(r["case"]["vocab"], r["role"]): r for r in records}
    large = found[4_000_000_000, "backend"]
    assert large["status"] == "out_of_memory"
    assert large["samples"] is None
    assert re.search(r"needs \d+\.\d GB on cpu, \d+\.\d GB are free", large["reason"])
    assert float(large["reason"].split()[1]) > 65_000, "4e9 rows of 16 KiB"
    assert found[100, "backend"]["status"] == "ok"
    assert found[100, "ceiling"]["status"] == "ok"


@pytest.mark.timeout(120)
def test_paths_with_spaces_and_letters_of_all_kinds(elsewhere: Path) -> None:
    given_ids = elsewhere / "meine ids 漢字.txt"
    given_ids.write_text("1 2 3 4 5")
    plugin = elsewhere / "ein Ordner" / "mine.py"
    plugin.parent.mkdir()
    plugin.write_text((ROOT / "backends" / "numpy_take.py").read_text())
    out = elsewhere / "läufe" / "a b"
    argv = ["--vocab", "100", "--dim", "8", "--batch", "4", "--backend", str(plugin), "--time-budget", "1s"]
    argv += ["--precision", "20%", "--indices", given_ids.name, "--out", str(out)]
    done = command(*argv, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert {r["backend"] for r in records if r["role"] == "backend"} == {"mine"}
    assert all(r["status"] == "ok" for r in records)
    assert all(r["case"]["distribution"].startswith("file:meine_ids_") for r in records)
