"""What is written for each engine: its form, what the shell does with it, and what is refused."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from suite.fleet.__main__ import main
from suite.fleet.yaml import text_of
from suite.run.options import parse
from tests.support.commands import complaint

PLAN = ("--preset", "smoke", "--threads", "2", "--backend", "numpy_take")
ENGINES = {
    "slurm": ("--directive=--partition=short",),
    "kubernetes": ("--image", "registry/suite:1", "--claim", "shared", "--memory", "16Gi"),
    "github": ("--runner", "self-hosted"),
    "ssh": ("--host", "a", "--host", "me@b.example"),
}
ON_GPU = {**ENGINES, "ssh": ("--host", "a:0", "--host", "a:1")}
Said = pytest.CaptureFixture[str]


def made(folder: Path, engine: str, *more: str, options: tuple[str, ...] = PLAN, shards: int = 4) -> Path:
    own = (ON_GPU if "--gpu" in options else ENGINES)[engine]
    assert main([engine, str(folder), "--shards", str(shards), *own, *more, "--", *options]) == 0
    return folder


def scripts_of(folder: Path) -> list[str]:
    """All that a shell is to read."""
    found = [path.read_text() for path in folder.iterdir() if path.suffix in (".sh", ".sbatch", ".txt")]
    for path in folder.glob("sweep.y*ml"):
        lines = path.read_text().splitlines()
        for at, line in enumerate(lines):
            if line.endswith("|"):
                deep = len(lines[at + 1]) - len(lines[at + 1].lstrip())
                block = lines[at + 1 :]
                end = next((k for k, of in enumerate(block) if of[:deep].strip()), len(block))
                found.append("\n".join(of[deep:] for of in block[:end]))
    return found


@pytest.mark.parametrize("gpu", [(), ("--gpu", "0")])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_script_is_one_and_says_all_that_a_shard_needs(
    tmp_path: Path, engine: str, gpu: tuple[str, ...]
) -> None:
    folder = made(tmp_path / "sw eep's", engine, "--setup", "module load 'python 3'", options=(*PLAN, *gpu))
    scripts = scripts_of(folder)
    assert scripts
    for script in scripts:
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", script
    every = "\n".join(scripts)
    for needed in ("module load 'python 3'", shlex.join((*PLAN, *gpu)), '--shard "$number/4"', "--resume"):
        assert needed in every
    assert "-m suite.merge" in every and "-m suite.report" in every
    assert ("CUDA_VISIBLE_DEVICES" in every and "uuid" in every) == bool(gpu)


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python that notes its words and makes what a run makes; a GPU's tool; told by TRACE and FAIL."""
    place = tmp_path / "bin"
    place.mkdir()
    scripts = {
        "python9": 'echo "${CUDA_VISIBLE_DEVICES:-} $*" >>"$TRACE"\n'
        "for word; do last=$word; done\n"
        '[ "${FAIL:-}" = early ] && { mkdir "$last"; touch "$last/records.jsonl"; exit 9; }\n'
        '[ -e "$last/records.jsonl" ] && exit 2\n'
        '[ "$2" = suite.run ] && { mkdir -p "$last"; touch "$last/environment.json"; }\n'
        'exit "${FAIL:-0}"',
        "nvidia-smi": 'echo "GPU-0000-$2"',
    }
    for name, script in scripts.items():
        (place / name).write_text(f"#!/bin/bash\n{script}\n")
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    return tmp_path / "trace"


def shell(script: str, *words: str, **variables: str) -> int:
    return subprocess.run(["bash", "-c", script, "x", *words], env={**os.environ, **variables}).returncode


def test_a_shard_begins_once_and_then_goes_on(tmp_path: Path, stubs: Path) -> None:
    folder = made(tmp_path / "a b", "slurm", "--python", "python9")
    script = (folder / "shard.sbatch").read_text()
    assert shell(script, SLURM_ARRAY_TASK_ID="3", FAIL="early") == 9, "before it was a run"
    for _ in range(2):
        assert shell(script, SLURM_ARRAY_TASK_ID="3") == 0
    assert shell(script, SLURM_ARRAY_TASK_ID="3", FAIL="1") == 1
    first, *more = stubs.read_text().splitlines()
    run = f"{folder}/shards/3-of-4-on-{os.uname().nodename}"
    assert first.strip() == f"-m suite.run {' '.join(PLAN)} --shard 3/4 --out {run}"
    assert [line.split("--shard 3/4 ")[1] for line in more] == [f"--out {run}", *[f"--resume {run}"] * 2]
    assert shell((folder / "merge.sbatch").read_text(), FAIL="1") == 1
    merge, report = stubs.read_text().splitlines()[-2:]
    assert merge.strip() == f"-m suite.merge {folder}/shards --out {folder}/merged"
    assert f"-m suite.report {folder}/merged --html {folder}/merged/page.html" in report
    (folder / "merged").mkdir()
    assert shell((folder / "merge.sbatch").read_text(), FAIL="2") == 2
    last = stubs.read_text().splitlines()[-1]
    assert f"--out {folder}/merged-20" in last, (
        "what was merged before is kept, and of nothing there is no report"
    )


@pytest.mark.parametrize(
    ("seen", "gpu"),
    [("2", "GPU-0000-2"), ("GPU-9999-1,GPU-8", "GPU-9999-1"), ("MIG-77", "MIG-77"), ("", "GPU-0000-0")],
)
def test_a_shard_has_one_gpu_by_its_uuid(tmp_path: Path, stubs: Path, seen: str, gpu: str) -> None:
    folder = made(tmp_path / "f", "slurm", "--python", "python9", options=(*PLAN[:4], "--gpu", "0"))
    script = (folder / "shard.sbatch").read_text()
    assert shell(script, SLURM_ARRAY_TASK_ID="1", CUDA_VISIBLE_DEVICES=seen) == 0
    said = stubs.read_text().strip()
    assert said.startswith(f"{gpu} -m suite.run") and said.endswith(f"-{gpu[:12]}"), "a folder for each GPU"
    assert "#SBATCH --gres=gpu:1" in script and "--exclusive" not in script


def test_sbatch_is_told_what_each_script_needs(tmp_path: Path, capsys: Said) -> None:
    folder = made(tmp_path / "it's", "slurm")
    shard, merge = ((folder / name).read_text().splitlines() for name in ("shard.sbatch", "merge.sbatch"))
    for directive in ("--array=1-4", "--requeue", "--exclusive", "--cpus-per-task=2", "--partition=short"):
        assert f"#SBATCH {directive}" in shard
    assert "#SBATCH --partition=short" in merge and "#SBATCH --exclusive" not in merge
    assert all(
        (folder / "logs").is_dir() and f'--output="{folder}/logs/' in "".join(s) for s in (shard, merge)
    )
    *written, after = capsys.readouterr().out.splitlines()
    assert written == [f"{folder}/shard.sbatch", f"{folder}/merge.sbatch"] and "afterany" in after


def test_submit_hands_both_to_sbatch(tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv(
        "PATH", f"{place}:/bin:/usr/bin" if not Path("/usr/bin/sbatch").exists() else str(place)
    )
    argv = ["--shards", "4", "--submit", "--", *PLAN]
    assert main(["slurm", str(tmp_path / "none"), *argv]) == 2
    assert "sbatch: not found; submit from a machine" in complaint(capsys.readouterr().err)
    sbatch = place / "sbatch"
    sbatch.write_text(
        '#!/bin/sh\necho "$*" >>"$0.log"\ncase "$*" in *$REFUSE) echo no >&2; exit 1;; esac\necho "7;c"\n'
    )
    sbatch.chmod(0o755)
    monkeypatch.setenv("REFUSE", "nothing")
    capsys.readouterr()
    assert main(["slurm", str(tmp_path / "yes"), *argv]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["job 7: shard.sbatch", "job 7: merge.sbatch"]
    first, second = Path(f"{sbatch}.log").read_text().splitlines()
    assert first.endswith("/shard.sbatch") and "--dependency=afterany:7 " in second
    monkeypatch.setenv("REFUSE", "merge.sbatch")
    assert main(["slurm", str(tmp_path / "half"), *argv]) == 2
    assert "refused by sbatch (no); job 7 of the shards is submitted" in capsys.readouterr().err


def test_each_host_has_a_line_and_all_shards_are_in_one(tmp_path: Path) -> None:
    lines = (made(tmp_path / "f", "ssh") / "hosts.txt").read_text().splitlines()
    assert ["for number in 1 3;" in lines[0], "for number in 2 4;" in lines[1]] == [True, True]
    assert [shlex.split(line)[3] for line in lines] == ["a", "me@b.example"]
    lines = (made(tmp_path / "g", "ssh", options=("--gpu", "0")) / "hosts.txt").read_text().splitlines()
    assert [f"CUDA_VISIBLE_DEVICES={k} bash " in line for k, line in enumerate(lines)] == [True, True]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["slurm", "F", "--shards", "4", "--", "--out", "x"], "--out: is each shard's own"),
        (["slurm", "F", "--shards", "4", "--", "--resume=x"], "--resume: is each shard's own"),
        (["slurm", "F", "--shards", "4", "--", "--backend", "nump"], "nump"),
        (["slurm", "F", "--shards", "9"], "9 shards: the plan has 6 tables"),
        (["slurm", "F", "--shards", "2", "--", "--gpu", "1"], "--gpu 1: each shard sees one GPU only"),
        (["slurm", "a%b", "--shards", "2"], "sbatch reads %"),
        (["slurm", "F", "--shards", "2", "--setup", "a\nb"], "holds what no script can"),
        (["slurm", "/proc/x/y", "--shards", "2"], "can't be written"),
        (["kubernetes", "F", "--shards", "2", "--image", "i", "--claim", "c", "--name", "A_b"], "no Job's"),
        (["github", "F", "--shards", "2", "--setup", "echo ${{ secrets.X }}"], "GitHub reads ${{ as its own"),
        (
            ["ssh", "F", "--shards", "2", "--host", "-oProxyCommand=x"],
            "argument --host: expected one argument",
        ),
        (["ssh", "F", "--shards", "2", "--host", "a;b"], "--host a;b: is none"),
        (["ssh", "F", "--shards", "2", "--host", "a:0"], "names a GPU, but none is measured"),
        (["ssh", "F", "--shards", "2", "--host", "a", "--", "--gpu", "0"], "names no GPU"),
        (["ssh", "F", "--shards", "2", "--host", "a", "--host", "a"], "given twice"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch, argv: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(argv)
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2
    assert says in complaint(capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: Said) -> None:
    made(tmp_path / "f", "slurm")
    capsys.readouterr()
    assert main(["slurm", str(tmp_path / "f"), "--shards", "2"]) == 2
    assert "is there already; give a new folder" in complaint(capsys.readouterr().err)


def test_the_manifest_is_what_kubernetes_publishes(tmp_path: Path) -> None:
    why = "kubernetes-validate is not installed; the extra dev has it"
    validate: Any = pytest.importorskip("kubernetes_validate", reason=why)
    yaml: Any = pytest.importorskip("yaml", reason=why)
    for name, gpu in (("cpu", ()), ("gpu", ("--gpu", "0"))):
        text = (made(tmp_path / name, "kubernetes", options=(*PLAN, *gpu)) / "sweep.yaml").read_text()
        shards, merge = yaml.safe_load_all(text)
        for document in (shards, merge):
            validate.validate(document, validate.latest_version(), strict=True)
        spec = shards["spec"]
        assert (spec["completionMode"], spec["completions"]) == ("Indexed", 4)
        (container,) = spec["template"]["spec"]["containers"]
        assert container["resources"]["limits"].get("nvidia.com/gpu") == ("1" if gpu else None)
        assert ("affinity" in spec["template"]["spec"]) != bool(gpu)
        assert "number=$((JOB_COMPLETION_INDEX + 1))" in container["command"][-1].splitlines()
        assert merge["spec"]["template"]["spec"]["containers"][0]["command"][-1].count("done\n") == 1


def test_the_workflow_is_what_github_publishes(tmp_path: Path) -> None:
    why = "check-jsonschema is not installed; the extra dev has it"
    pytest.importorskip("check_jsonschema", reason=why)
    file = made(tmp_path / "f", "github") / "sweep.yml"
    argv = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(file)]
    done = subprocess.run([*_python_m(argv)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    yaml: Any = pytest.importorskip("yaml", reason=why)
    jobs = yaml.safe_load(file.read_text())["jobs"]
    assert (
        jobs["shard"]["strategy"]["matrix"] == {"shard": [1, 2, 3, 4]} and jobs["merge"]["needs"] == "shard"
    )
    file.write_text(file.read_text().replace("runs-on", "runs_on"))
    assert subprocess.run([*_python_m(argv)], capture_output=True).returncode == 1, "so it would be seen"


def _python_m(argv: list[str]) -> list[str]:
    import sys

    return [sys.executable, "-m", argv[0].replace("-", "_"), *argv[1:]]


def test_a_tree_comes_back_from_yaml() -> None:
    yaml: Any = pytest.importorskip("yaml", reason="PyYAML is not installed; the extra dev has it")
    tree: Any = {
        "on": {"empty": {}, "none": []},
        "text": ["no", "1.5", "", "a: b", "- x", "# y", "é\t'\"\\", "trailing ", "null", "plain-word_1"],
        "lines": ["first\n  deeper\n\nlast\n", {"run": "a\nb\n", "then": [[1, 2], [True]]}],
    }
    assert yaml.safe_load(text_of(tree)) == tree


def test_options_of_a_plan_come_back_from_the_shell(tmp_path: Path) -> None:
    plan = ("--vocab", "50,60", "--dim", "8", "--distribution", "zipf-1.2", "--precision", "2%")
    script = (made(tmp_path / "f", "slurm", options=plan, shards=2) / "shard.sbatch").read_text()
    line = next(line for line in script.splitlines() if "-m suite.run" in line)
    words = shlex.split(line.replace("$number", "1"))
    assert parse(words[words.index("suite.run") + 1 : -3]).cases == parse(plan).cases
