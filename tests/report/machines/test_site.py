"""Which page is made, and a site: its bytes, its links, what it says of each run, what it refuses."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from suite.report.__main__ import main
from suite.report.machines.site import again
from tests.support import fabricate
from tests.support.pages import evil_run

TITLE = "<title>Embedding lookup on many machines</title>"


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def written(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_one_machine_has_the_page_of_all_figures_and_several_the_one_of_many(
    folder: Path, tmp_path: Path
) -> None:
    for runs, many in ((["fast", "fast-before"], False), (["fast", "slow"], True)):
        page = tmp_path / "page.html"
        assert main([*(str(folder / run) for run in runs), "--html", str(page)]) == 0
        assert (TITLE in page.read_text(encoding="utf-8")) == many
    text = page.read_text(encoding="utf-8")
    before = text.partition("<script")[0]
    assert before.count('<article class="seat"') == 2, "what each came to needs no script"
    assert before.count("fastest of all: numba_cpu in 6 of 6 cases") == 2
    assert not re.search(r'href="(?!https://github.com/embedding-lookup-suite/|data:,)', text)


def test_a_site_is_the_same_every_time_and_its_links_lead_to_its_pages(folder: Path, tmp_path: Path) -> None:
    runs = [str(folder / run) for run in ("fast", "fast-before", "slow", "gpu")]
    for name in ("a", "b"):
        assert main([*runs, "--site", str(tmp_path / name)]) == 0
    pages = written(tmp_path / "a")
    assert pages == written(tmp_path / "b")
    assert set(pages) == {
        *("index.html", "overview.html", "machines/a-gpu-bbbbbbbbbbbbbbbb.html"),
        *(
            "machines/fast-chip-96-core-processor-cccccccccccccccc.html",
            "machines/slow-cpu-1-dddddddddddddddd.html",
        ),
    }
    reached = set()
    for name, text in pages.items():
        for link in re.findall(r'href="([^"]*)"', text.decode()):
            if not link.startswith(("https://github.com/embedding-lookup-suite/", "data:,", "#")):
                target = (tmp_path / "a" / name).parent / link
                reached.add(target.resolve().relative_to((tmp_path / "a").resolve()).as_posix())
    assert reached == set(pages)
    index = pages["index.html"].decode()
    assert index.count('<article class="seat"') == 3, "a machine once"
    assert index.count(f"git checkout {'1' * 40}\npython -m suite.run --preset full</code>") == 3
    assert "CONTRIBUTING.md#publish-a-run" in index
    choice = {name for name, text in pages.items() if b"data-clock" in text.partition(b"<script")[0]}
    assert choice == {"machines/a-gpu-bbbbbbbbbbbbbbbb.html"}, (
        "the clock to rank by is chosen where there are two"
    )
    fast = pages["machines/fast-chip-96-core-processor-cccccccccccccccc.html"].decode()
    assert 'href="../index.html"' in fast and "fast-before" in fast and "run slow" not in fast


def test_what_is_amiss_in_a_run_is_said_on_its_own_page(folder: Path, tmp_path: Path) -> None:
    for run in ("fast", "slow"):
        shutil.copytree(folder / run, tmp_path / run)
    with (tmp_path / "slow" / "records.jsonl").open("a") as file:
        file.write("hello\n")
    assert main([str(tmp_path / "fast"), str(tmp_path / "slow"), "--site", str(tmp_path / "site")]) == 0
    told = {name for name, text in written(tmp_path / "site").items() if b"records.jsonl:25: " in text}
    assert told == {"overview.html", "machines/slow-cpu-1-dddddddddddddddd.html"}
    assert [name for name, text in written(tmp_path / "site").items() if b"rows mix" in text] == [
        "overview.html"
    ]


def test_an_earlier_site_is_replaced_and_other_things_are_left_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    assert main([str(folder / "fast"), str(folder / "slow"), "--site", str(site)]) == 0
    assert main([str(folder / "slow"), "--site", str(site)]) == 0
    assert [name for name in written(site) if "fast" in name] == []
    for name in ("notes.txt", "machines/notes.html", "CNAME"):
        (site / name).write_text("mine")
        before = written(site)
        capsys.readouterr()
        assert main([str(folder / "fast"), "--site", str(site)]) == 2
        out, error = capsys.readouterr()
        assert (out, error) == ("", f"{site}: holds {name}, which is of no site; give an empty folder\n")
        assert written(site) == before
        (site / name).unlink()
    (tmp_path / "file").write_text("mine")
    for given, word in (("-", "is a folder of files"), (str(tmp_path / "file"), "can't be written")):
        assert main([str(folder / "fast"), "--site", given]) == 2
        assert word in capsys.readouterr().err


def test_no_name_of_a_run_or_a_machine_reaches_a_path_or_becomes_markup(tmp_path: Path) -> None:
    evil_run(tmp_path / "evil <b class=evil>")
    assert main([str(tmp_path / "evil <b class=evil>"), "--site", str(tmp_path / "site")]) == 0
    for name, text in written(tmp_path / "site").items():
        assert re.fullmatch(r"(machines/)?[a-z0-9-]+\.html", name)
        seen = Elements()
        seen.feed(text.decode())
        assert not {"img", "iframe"} & {tag for tag, _ in seen.found}
        for _, known in seen.found:
            assert not [key for key in known if key.startswith("on")] and known.get("class") != "evil"
            assert not (known.get("href") or "").startswith("javascript")
    assert "&lt;script&gt;window.evil=1&lt;/script&gt;" in (tmp_path / "site" / "index.html").read_text()


CHECKOUT = f"git checkout {'1' * 40}"


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"argv": ("--gpu", "0", "--out=/x", "--resume", "/y")}, [CHECKOUT, "… --gpu 0"]),
        ({"argv": ("--indices", "a b; rm -rf /")}, [CHECKOUT, "… --indices 'a b; rm -rf /'"]),
        ({"argv": (), "commit": "unknown"}, ["# its commit is unknown", "…"]),
        ({"argv": (), "dirty": True}, [CHECKOUT, "# with changes that are not there", "…"]),
        ({"argv": ("a\nb",)}, [CHECKOUT, "… 'a b'"]),
    ],
)
def test_a_run_is_made_again_by_its_commit_and_its_command(changes: Any, lines: list[str]) -> None:
    known = [line.replace("…", "python -m suite.run") for line in lines]
    assert again(replace(fabricate.ENVIRONMENT, **changes)) == known
