"""The page in a real browser: it loads, sorts, filters, remembers, and no text of a record does anything."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from suite.analysis import outcomes
from suite.cases.case import AXES
from suite.report import sentences, tables
from tests.support import fabricate
from tests.support.browser import Browser
from tests.support.pages import CASES, EVIL, FAILURES


def column(browser: Browser, heading: str, grid: str = "#grid-records") -> list[str]:
    """The cells under a heading, as they are read."""
    return browser.run(
        f"""(() => {{
          const grid = document.querySelector('{grid}');
          const k = [...grid.querySelectorAll('thead th')].findIndex(th => th.textContent === '{heading}');
          return [...grid.querySelectorAll('tbody tr')].map(tr => tr.children[k].textContent);
        }})()"""
    )


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def unfold(browser: Browser, selector: str) -> None:
    """Open what is folded, and wait until the page has answered."""
    each = f"document.querySelectorAll('{selector}').forEach(d => {{ d.open = true; }})"
    browser.run(f"{each}; new Promise(requestAnimationFrame)")


def chip(text: str) -> str:
    """The expression of the filter's button whose text begins so."""
    buttons = "[...document.querySelectorAll('.chip')]"
    return f"{buttons}.find(c => c.textContent.startsWith({json.dumps(text)}))"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["host", "two", "evil", "slow", "environments"])
def test_it_loads_in_both_themes(at: Any, name: str, theme: str) -> None:
    browser = at(name, theme=theme)
    light = sum(
        map(int, re.findall(r"\d+", browser.run("getComputedStyle(document.body).backgroundColor"))[:3])
    )
    assert (light > 600) if theme == "light" else (light < 150)
    assert browser.run("document.querySelectorAll('.plot svg path').length") > 20
    assert browser.picture()[:4] == b"\x89PNG"


def test_the_button_changes_the_theme_and_the_address_keeps_it(at: Any) -> None:
    browser = at("host", theme="dark")
    browser.click("#theme")
    assert browser.run("[location.hash, getComputedStyle(document.body).backgroundColor]") == [
        "#theme=light",
        "rgb(255, 255, 255)",
    ]


def test_records_are_sorted_by_mouse_and_by_keyboard(at: Any) -> None:
    browser = at("host")
    unsorted = column(browser, "µs")
    browser.click("#grid-records [data-name=time]")
    assert list(map(number, column(browser, "µs"))) == sorted(map(number, unsorted))
    browser.press("Enter")  # the focus stayed on the heading, though the table is new
    assert list(map(number, column(browser, "µs"))) == sorted(map(number, unsorted), reverse=True)
    sort = "document.querySelector('#grid-records [data-name=time]').parentNode.getAttribute('aria-sort')"
    assert browser.run(sort) == "descending"
    browser.press(" ")
    assert (browser.run(sort), column(browser, "µs")) == ("none", unsorted)
    assert column(browser, "backend")[:3] == ["numba_cpu", "torch_index_select", "numpy_take"]


def test_failures_come_last_however_it_is_sorted(at: Any) -> None:
    browser = at("two", "#sort=time")
    browser.run("state.page = 1e9; drawRecords()")
    assert column(browser, "µs")[-1] == ""
    browser.run("state.sort = '-time'; drawRecords()")
    assert column(browser, "µs")[-1] == ""


def test_filters_narrow_and_dim_what_has_no_data_and_the_address_restores_it(at: Any) -> None:
    browser = at("two")
    browser.run(f"{chip('cupy_rawkernel')}.click()")
    assert set(column(browser, "backend")) == {"cupy_rawkernel"}
    assert len(column(browser, "backend")) == len(CASES)
    for gone in ("cpu", "wrong"):
        assert browser.run(f"{chip(gone)}.classList.contains('empty')")
    assert not browser.run(f"{chip('zipf')}.classList.contains('empty')")
    browser.run(f"{chip('hot')}.click()")
    browser.click("#grid-records [data-name=speed]")
    seen = (
        "[document.getElementById('shown').textContent, document.getElementById('grid-records').textContent]"
    )
    before, address = browser.run(seen), browser.run("location.hash")
    assert "backend=cupy_rawkernel" in address
    at("two", address)
    assert browser.run(seen) == before
    browser.click("#clear")
    assert browser.run("shown.length") == browser.run("data.count")


def test_an_address_of_nonsense_is_harmless(at: Any) -> None:
    browser = at("host", "#sort=<b>&page=-7&theme=x&backend=none&table=%00&a=b")
    assert browser.run("shown.length") == 0
    assert "nothing to show" in browser.run("document.getElementById('grid-records').textContent")


def test_every_failure_is_a_cross_and_a_line_with_its_reason(at: Any) -> None:
    browser = at("two", "#device=cuda:0&limit=all tables")
    assert sorted(set(column(browser, "status", "#grid-failures"))) == sorted(FAILURES)
    assert column(browser, "cases", "#grid-failures") == [str(len(CASES))] * len(FAILURES)
    crosses = (
        "[...document.querySelectorAll('#figure-limit .cross')]"
        ".map(c => c.getAttribute('d').match(/M/g).length)"
    )
    assert browser.run(crosses) == [len(CASES)] * (len(FAILURES) - 1)  # but of what is not there at all


def test_what_is_not_available_is_told_once_and_drawn_when_asked_for(at: Any) -> None:
    name = f"odd_{FAILURES.index('unavailable')}"
    browser = at("two", "#device=cuda:0")
    for figure in ("map", "limit", "share", "batch", "cost"):
        assert name not in browser.run(f"document.querySelector('#figure-{figure} .key').textContent")
    card = "document.querySelector('[data-place=\"1\"]').textContent"
    assert f"not available: {name} (unavailable on purpose)" in browser.run(card)
    assert "1 backend not available" in browser.run(card)
    assert name in column(browser, "backend", "#grid-failures")
    browser.run("state.page = 1e9; drawRecords()")
    assert column(browser, "backend")[-1] == name
    browser = at("two", "#status=unavailable")
    assert browser.run("document.querySelectorAll('#figure-limit .cross').length") == 1


def test_the_arrow_keys_tell_of_each_mark(at: Any) -> None:
    browser = at("two", "#device=cuda:0&status=crashed&status=ok")
    browser.run("document.querySelector('#figure-limit svg[tabindex]').focus()")
    told = set()
    for _ in range(50):
        browser.press("ArrowRight")
        told.add(browser.run("document.querySelector('#figure-limit .tip').textContent"))
    assert any("crashed: crashed on purpose" in text for text in told)
    assert any("ceiling: the copy" in text for text in told)
    assert any("GB/s" in text and "of the copy" in text for text in told)


def test_clocks_stand_apart_and_devices_side_by_side(at: Any) -> None:
    browser = at("two")
    titles = browser.run("[...document.querySelectorAll('#figure-batch h4')].map(h => h.textContent)")
    assert titles == [
        "host · cpu · call time",
        *(f"gpu · cuda:0 · {clock} time" for clock in ("kernel", "enqueue", "call")),
    ]
    assert browser.run("document.querySelectorAll('.card').length") == 3
    assert browser.run("document.querySelectorAll('#figure-map .map').length") == 2


def test_the_reader_ranks_by_call_times_and_the_address_keeps_it(at: Any, folder: Path) -> None:
    browser = at("clocks")
    pressed = "[...document.querySelectorAll('#clock [aria-pressed=true]')].map(b => b.dataset.clock)"
    assert browser.run(pressed) == [""]
    assert column(browser, "backend")[:3] == ["x", "y", "z"]
    press = "document.querySelector('[data-clock=call]').click()"
    assert browser.run(f"({press}, location.hash)") == "#clock=call"
    browser.open((folder / "clocks.html").as_uri() + "#clock=call")
    assert browser.run(pressed) == ["call"]
    by_call = outcomes.read([folder / "clocks"], clock="call")
    (first, *_) = tables.table(by_call).sections
    assert column(browser, "backend")[:3] == [row[1] for row in first.rows] == ["z", "y", "x"]
    assert column(browser, "x")[:3] == [row[5] for row in first.rows]
    lines = browser.run("[...document.querySelectorAll('.card .verdict')].map(p => p.textContent)")
    assert lines[0] == sentences.sentences(by_call, None)[0]
    assert lines[0].startswith("fastest of all: z in 6 of 6")
    assert browser.run("document.querySelector('#box .told').textContent").startswith("fastest of all: z")
    assert at("host").run("document.querySelectorAll('[data-clock]').length") == 0


@pytest.mark.parametrize("name", ["limit", "share"])
def test_what_only_the_host_timed_is_named_and_not_drawn_beside_kernel_times(at: Any, name: str) -> None:
    browser = at("clocks", "#limit=all tables")
    key = f"[...document.querySelectorAll('#figure-{name} .key > span')].map(s => s.textContent)"
    assert browser.run(key) == ["x", "y"]
    note = f"document.querySelector('#figure-{name} .apart')"
    assert browser.run(f"{note}.textContent") == "Not drawn, timed by the host: z"
    k = browser.run("words.backend.indexOf('z')")
    assert browser.run(f"document.querySelectorAll('#figure-{name} .plot .k{k}').length") == 0
    browser = at("clocks", "#limit=all tables&backend=z")
    assert browser.run(f"[{key}, {note}]") == [["z"], None], "nothing stands beside it"


def test_the_reference_beside_a_gpu_has_one_line_until_its_device_is_chosen(at: Any) -> None:
    lines = (
        "[...document.querySelectorAll('.card.beside')].map(c => c.innerText.replace(/\\s+/g, ' ').trim())"
    )
    browser = at("two")
    (line,) = browser.run(lines)
    assert line.startswith("Reference on the CPU beside it: numpy_take ")
    assert line.endswith(" GB/s on average over 6 cases")
    assert "cpu" not in {text for text in column(browser, "run · device") if text.startswith("gpu")}
    browser = at("two", "#device=cpu&run=gpu")
    assert browser.run(lines) == []
    assert browser.run("document.querySelectorAll('#figure-map .map').length") == 1
    assert set(column(browser, "backend")) == {"numpy_take"}


def test_the_map_says_who_wins_and_what_is_unclear(at: Any) -> None:
    browser = at("host")
    assert browser.run("document.querySelectorAll('#figure-map tbody td.won').length") >= len(CASES)
    assert "numba_cpu" in browser.run("document.querySelector('.answer').textContent")
    browser = at("two", "#device=cuda:0")
    cell = browser.run("document.querySelector('#figure-map tr:not(.total) td.unclear').textContent")
    assert "cupy_rawkernel" in cell
    assert "triton_gather" in cell


def test_a_filter_that_hides_a_backend_is_judged_by_what_is_left(at: Any) -> None:
    """Of three tables ``a`` wins two against ``b`` alone, and ``b`` one."""
    cells = "[...document.querySelectorAll('#figure-map tbody td')].map(td => td.className + td.textContent)"
    browser = at("divided", "#backend=a&backend=b")
    won = [re.match(r"won b\d k\d([ab])", text)[1] for text in browser.run(cells)]
    assert won == ["a"] * 4 + ["b"] * 2 + ["a"] * 2
    assert browser.run("document.querySelector('.answer').textContent") == "Fastest by batch:16–512 a"
    assert "fastest of all: a in 4 of 6 cases" in browser.run(
        "document.querySelector('.verdict').textContent"
    )


def test_the_page_is_given_the_bytes_of_the_one_byte_model(at: Any, folder: Path) -> None:
    from suite.analysis import frame

    results = outcomes.read([folder / "host"])
    table = frame.frame(results)
    browser = at("host")
    for name in ("payload_bytes", "compulsory_bytes"):
        assert browser.run(f"all().map(i => whole(i).{name})") == table[name].tolist()
    assert browser.run("data.axes") == list(AXES)
    names = [str(o.case).replace("x", "×", 1) for o in results.outcomes]
    assert browser.run("all().map(caseName)") == names


def test_where_most_is_unclear_nobody_is_called_the_fastest(at: Any) -> None:
    """Of three tables ``a`` wins one; on the others nothing tells it from ``b``."""
    browser = at("tied")
    cells = (
        "[...document.querySelectorAll('#figure-map tr.total td')].map(td => td.className + td.textContent)"
    )
    assert browser.run(cells) == ["unclearnot beatenawins 1 of 3, 2 unclear"]
    assert browser.run("document.querySelectorAll('#figure-map tbody td.won').length") == 1
    assert browser.run("document.querySelector('.answer').textContent") == "Fastest by batch:512 anot beaten"


def test_where_the_wins_are_divided_the_top_still_says_what_to_use(at: Any) -> None:
    """``a`` takes 2 times the fastest's time at worst, ``b`` 3 times, the long one 1.4 times."""
    browser = at("divided")
    answers = browser.run("[...document.querySelectorAll('.answer')].map(p => p.textContent)")
    assert answers[0] == "Fastest by batch:16–512 abdivided"
    head, _, factor = answers[1].partition("at most ")
    assert head == "One for all cases:long_name_of_a_backend_x"
    assert float(factor.partition("x")[0]) == pytest.approx(1.4, rel=0.02)
    assert "6 of 6 decided" in browser.run("document.querySelector('.facts').textContent")
    assert "One for all" not in at("host").run("document.querySelector('.card').textContent")


@pytest.mark.parametrize("width", [390, 700, 1280])
def test_no_name_is_cut_off_and_no_mark_covers_a_label(at: Any, width: int) -> None:
    for name in ("divided", "two", "counted"):
        browser = at(name, width=width)
        cut = browser.run(
            """[...document.querySelectorAll('.plot svg text')].filter(t => {
              const own = t.getBoundingClientRect(), all = t.closest('svg').getBoundingClientRect();
              return own.left < all.left - 1 || own.right > all.right + 1;
            }).map(t => t.textContent)"""
        )
        assert cut == []
        covered = browser.run(
            """[...document.querySelectorAll('.plot svg text.guided')].filter(t => {
              const marks = [...t.parentNode.querySelectorAll('.dot, .whisker, .join, .limit')];
              return marks.some(m => t.compareDocumentPosition(m) & Node.DOCUMENT_POSITION_FOLLOWING);
            }).length"""
        )
        assert covered == 0
    seen = "[...document.querySelectorAll('#figure-limit .guided')].map(t => t.textContent)"
    guides = at("counted", width=1280).run(seen)
    assert guides == ["theoretical peak 3,350 GB/s", "floor 10.0 µs"]


def test_ticks_beside_each_other_differ(at: Any) -> None:
    """Also where all values are nearly the same."""
    ticks = """(values => {
      const x = scale(values, {log: true});
      return ticks(x, 4).map(tick);
    })"""
    browser = at("counted")
    for values in ([1.03, 1.0301, 1.0302], [1.0], [0.99, 1.01], [1.0, 1.03], [5e-3, 5e3]):
        found = browser.run(f"{ticks}({values})")
        assert 2 <= len(found) == len(set(found)), values


def test_everything_is_reached_by_the_keyboard_alone(at: Any) -> None:
    browser = at("two", width=1280)
    reached = set()
    for _ in range(200):
        browser.press("Tab")
        reached.add(
            browser.run(
                "(e => e.id || e.dataset.to || e.dataset.name || e.getAttribute('aria-label') || e.tagName)"
                "(document.activeElement)"
            )
        )
    assert {"theme", "map", "limit", "raw", "series", "time", "share", "csv-shown", "json-all"} <= reached
    assert {"Winner of each case", "Score of the backends", "All records", "SUMMARY"} <= reached
    assert sum(name.startswith("chip-") for name in reached) == browser.run(
        "document.querySelectorAll('.chip').length"
    )
    assert sum("arrow keys go from mark to mark" in name for name in reached) >= 5


def test_declared_bytes_stand_beside_those_the_counters_saw(at: Any) -> None:
    browser = at("counted")
    titles = browser.run("[...document.querySelectorAll('#figure-cost h4')].map(h => h.textContent)")
    assert titles == ["energy", "memory traffic by the counters"]
    said = "document.querySelector('#figure-cost .side p').textContent"
    assert browser.run(said) == "extra memory of a lookup (outputs from 1 MB): none, of any backend."
    text = browser.run("document.getElementById('figure-cost').textContent")
    assert "cupy_rawkernel: median 0.1 J/GB" in text and "cupy_rawkernel: median 0.5x" in text
    assert "GB/s of DRAM traffic" in browser.run("document.querySelector('.card').textContent")
    unfold(browser, "#figure-cost details")
    grid = "#figure-cost-numbers"
    declared, seen = (column(browser, heading, grid) for heading in ("declared GB/s", "DRAM GB/s"))
    assert [number(a) / number(b) for a, b in zip(declared, seen, strict=True)] == pytest.approx(
        [2.0] * len(CASES), rel=0.01
    )
    assert column(browser, "DRAM / declared", grid) == ["0.500x"] * len(CASES)


def test_the_speed_of_the_machine_is_drawn_beside_its_numbers(at: Any) -> None:
    browser = at("slow")
    assert browser.run("document.querySelectorAll('.strip svg').length") == 1
    caption = browser.run("document.querySelector('#speed figcaption').textContent")
    assert caption == "82 % of the time at full speed · 864 turns in 17.3 s"
    assert caption.partition(" of the")[0] + " of the time" in browser.run(
        "document.querySelector('.card').textContent"
    )
    areas = (
        "[...document.querySelectorAll('.strip .fast, .strip .slowed')].map(p => getComputedStyle(p).fill)"
    )
    assert len(set(browser.run(areas))) == 2
    unfold(browser, "#speed details")
    full = browser.run(
        "[...document.querySelectorAll('#speed tbody tr')].map(r => r.children[2].textContent)"
    )
    assert len(full) == 10 and full[0] == "45 %"
    assert "the numbers are in the table" in browser.run(
        "document.querySelector('.strip svg').getAttribute('aria-label')"
    )


def test_a_page_without_a_meter_says_nothing_of_the_speed(at: Any) -> None:
    browser = at("host")
    assert browser.run("document.querySelectorAll('#speed, [data-to=speed], .strip').length") == 0
    assert "measured slow" not in browser.run("document.querySelector('.facts').textContent")


def test_a_case_measured_slow_is_marked_and_not_won(at: Any) -> None:
    browser = at("slow")
    remarks, times = column(browser, "remark"), column(browser, "µs")
    lines = "[...document.querySelectorAll('#grid-records tbody tr')]"
    marks = browser.run(f"{lines}.map(r => r.querySelectorAll('b.bad').length)")
    assert remarks[:3] == ["not at full speed: 0 of 36 rounds"] * 3 and "fastest" in remarks[3:]
    assert marks == [2] * 3 + [0] * (len(marks) - 3) and all(times)
    assert "3 measured slow" in browser.run("document.querySelector('.facts').textContent")
    first = "document.querySelector('#figure-map tbody tr:not(.total) td')"
    assert browser.run(f"[{first}.className, {first}.textContent.startsWith('likelynumba_cpu')]") == [
        "unclear",
        True,
    ]
    tip = browser.run("textOf(0)")
    assert "not at full speed: 0 of 36 rounds" in tip


def test_a_wide_interval_is_shown_in_weight_and_a_narrow_one_is_not(at: Any) -> None:
    browser = at("host")
    weighed = "[...document.querySelectorAll('#grid-records tbody td b:not(.bad)')].map(b => b.textContent)"
    assert browser.run(weighed) == []
    browser.run("rows.call_below[0] = 620; rows.call_above[0] = 620; drawRecords()")
    assert browser.run(weighed) == ["±6.2%"]


def test_environments_are_in_the_names_and_can_be_filtered(at: Any) -> None:
    browser = at("environments")
    assert set(column(browser, "backend")) == {f"{b} @{e}" for b in fabricate.SPEED for e in ("base", "head")}
    browser.run(f"{chip('head')}.click()")
    assert set(column(browser, "backend")) == {f"{b} @head" for b in fabricate.SPEED}
    assert "environment=head" in browser.run("location.hash")
    rows = list(csv.DictReader(io.StringIO(browser.run("csv(all())"))))
    assert {(row["backend"], row["environment"]) for row in rows} == {
        (backend, name) for backend in fabricate.SPEED for name in ("base", "head")
    }
    titles = browser.run("[...document.querySelectorAll('#environment h3')].map(h => h.textContent)")
    assert titles[-2:] == ["environment base", "environment head"]
    assert "Environment" not in at("host").run("document.getElementById('chips').textContent")


def test_a_backend_looks_the_same_on_every_page(at: Any) -> None:
    """In its own colour and mark, whoever else is there."""
    look = "(name => looks[words.backend.indexOf(name)])('numpy_take')"
    first, second = at("host").run(look), at("two").run(look)
    assert (first["colour"], first["shape"]) == (second["colour"], second["shape"]) == (6, 6)


def test_names_and_headings_say_what_they_are_and_links_lead_out(at: Any) -> None:
    browser = at("host")
    titles = browser.run(f"{chip('numba_cpu')}.title")
    assert titles.startswith("numba_cpu\na kernel of this suite\nNumba on the CPU")
    assert browser.run(f"{chip('numpy_take')}.title").startswith("numpy_take\nNumPy take into a given array")
    heads = "[...document.querySelectorAll('#grid-records th button')]"
    assert browser.run(f"{heads}.filter(b => !b.title).map(b => b.textContent)") == []
    assert browser.run("document.querySelectorAll('a[href^=https]').length") >= 4
    own = "getComputedStyle(document.querySelector('#grid-records .own'), '::after').content"
    assert browser.run(own) == '"suite"'


def test_one_table_is_drawn_at_a_time_unless_all_are_asked_for(at: Any) -> None:
    browser = at("host")
    drawn = "[...new Set([...document.querySelectorAll('#table option')].map(o => o.value))]"
    assert browser.run(drawn) == ["50257×768 float32", "128256×4096 bfloat16", "all tables"]
    marks = "document.querySelectorAll('#figure-limit .join').length"
    one = browser.run(marks)
    browser.run("state.limit = ALL; drawLimit()")
    assert browser.run(marks) == 2 * one
    hover = (
        "document.querySelector('#figure-limit .key span').dispatchEvent(new PointerEvent('pointerenter'))"
    )
    browser.run(hover)
    faint = browser.run("document.querySelectorAll('#figure-limit .faint').length")
    assert (
        0
        < faint
        < browser.run("document.querySelectorAll('#figure-limit :is(.dot, .join, .whisker)').length")
    )


def test_heads_stay_in_sight_and_paper_has_every_record(at: Any) -> None:
    browser = at("two")
    rows = "document.querySelectorAll('#grid-records tbody tr').length"
    assert browser.run(rows) == 50
    box = "document.querySelector('#grid-records .scroll')"
    browser.run(f"{box}.scrollTop = 400")
    top = "document.querySelector('#grid-records th').getBoundingClientRect().top"
    assert 0 <= browser.run(f"{top} - {box}.getBoundingClientRect().top") < 3
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(rows) > 70
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run(rows) == 50


def test_at_1400_pixels_no_table_is_cut_off(at: Any) -> None:
    for name in ("host", "counted", "gpu", "two", "clocks"):
        boxes = "[...document.querySelectorAll('main .scroll')].filter(b => b.offsetParent)"
        wide = "b => b.scrollWidth > b.clientWidth + 2"
        browser = at(name, width=1400)
        assert browser.run(f"{boxes}.filter({wide}).map(b => b.getAttribute('aria-label'))") == []


def test_a_record_says_how_many_times_the_fastest_s_time_it_took(at: Any) -> None:
    """As the terminal's table does, whatever is hidden; by another clock it does not say."""
    browser = at("clocks", "#backend=y&backend=z")
    assert column(browser, "backend") == ["y", "z"] * len(CASES), "by one clock, then by the other"
    assert column(browser, "x") == ["3.00x", ""] * len(CASES)


def test_the_score_says_how_far_each_is_from_the_fastest(at: Any) -> None:
    """Each of three wins one of three tables; the last lacks one."""
    lines = at("divided").run(
        """(() => {
          const table = document.querySelector('.score table');
          const heads = [...table.querySelectorAll('th')].map(h => h.textContent);
          const shown = ['backend', 'x', 'at most'].map(head => heads.indexOf(head));
          const lines = [...table.querySelectorAll('tbody tr')];
          return lines.map(tr => shown.map(k => tr.children[k].textContent));
        })()"""
    )
    assert {name: (middle, most) for name, middle, most in lines} == {
        "a": ("2.00x", "2.00x"),
        "b": ("2.00x", "3.00x"),
        "long_name_of_a_backend_x": ("1.20x", "1.40x"),
        "absent": ("1.10x", "1.10x"),
    }


def test_a_phone_shows_the_batches_that_a_table_has(at: Any) -> None:
    browser = at("host", width=390, height=844, phone=True)
    wide = "document.querySelector('#figure-map .scroll').scrollWidth"
    assert browser.run(wide) <= 390
    seen = "getComputedStyle(document.querySelector('#figure-map td.won'), '::before').content"
    assert browser.run(seen) == '"batch 1"'


def test_a_phone_shows_the_answer_of_a_record_first(at: Any) -> None:
    headings = "[...document.querySelectorAll('#grid-records th')].map(h => h.textContent)"
    phone = at("two", width=390, height=844, phone=True).run(headings)
    assert phone[:3] == ["backend", "µs", "of copy"]
    assert sorted(phone) == sorted(at("two").run(headings))


def test_each_plot_has_its_numbers(at: Any) -> None:
    browser = at("two")
    for name in ("map", "limit", "share", "batch", "cost"):
        unfold(browser, f"#figure-{name} details")
        assert browser.run(f"document.querySelectorAll('#figure-{name} details tbody tr').length") > 3


@pytest.mark.parametrize("name", ["host", "two", "evil", "slow", "environments"])
def test_a_phone_needs_no_sideways_scrolling(at: Any, name: str) -> None:
    browser = at(name, width=390, height=844, phone=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_hostile_text_is_text(at: Any) -> None:
    browser = at("evil")
    unfold(browser, "details")
    assert browser.run("window.evil") is None
    assert (
        browser.run("document.querySelectorAll('.evil, img, iframe, [onerror], a[href^=javascript]').length")
        == 0
    )
    text = browser.run("document.body.innerText")
    assert "<script>window.evil=1</script>" in text
    assert "{{ 7 * 7 }}" in text
    assert not [c for c in text if c in "\u2028\u2029\x1b\x00"]


def test_data_taken_away_are_whole_and_no_formula(at: Any) -> None:
    browser = at("evil")
    rows = list(csv.DictReader(io.StringIO(browser.run("csv(all())"))))
    assert len(rows) == 2 * len(EVIL)
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "@"))]
    assert len(browser.run("all().map(whole)")) == len(rows)
    (row,) = [row for row in rows if row["backend"] == EVIL[0] and row["status"] == "ok"]
    assert float(row["call_low_us"]) <= float(row["call_us"]) <= float(row["call_high_us"])
    assert float(row["payload_bytes"]) == CASES[0].payload_bytes


def test_crowded_plots_say_that_they_stand_for_more(at: Any) -> None:
    note = at("host").run(
        """(() => {
          const mark = k => ({i: 0, x: 1 + k, y: 1 + k % 7, low: null, high: null, backend: 0});
          const axis = {label: '', log: true, show: String};
          const marks = [...Array(3000).keys()].map(mark);
          return drawChart({about: '', marks, x: axis, y: axis}).textContent;
        })()"""
    )
    assert "3,000 points here" in note


def test_the_policy_holds(browser: Browser, folder: Path) -> None:
    browser.open((folder / "host.html").as_uri())
    assert browser.run("fetch('data:text/plain,x').then(() => 'came', () => 'refused')") == "refused"
    script = (
        "(() => { try { document.body.innerHTML = '<b>'; return 'made'; } catch (e) { return e.name; } })()"
    )
    assert browser.run(script) == "TypeError"
    assert any("Content Security Policy" in line for line in browser.said)
