"""The steps of a forward pass, timed on a toy model: all there, cut where they must be."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest

from suite import stats
from suite.claims import target, task, timed
from suite.claims.cost import cheapest, steps
from suite.claims.cost.cheapest import Steps, parts_of
from suite.claims.target import MODELS, Model, Target, target_of
from suite.records.device import CPU

TOY = Model("toy", 600, 64, "bfloat16", 3, 4, 2, 16, 96)
TARGET = Target(CPU, TOY, 600, 2**33, 2**20, 1, 0)
NAMES = ["lookup", "copy", "RMSNorm", "residual add", "RoPE", "KV-cache write", "matrix products", "LM head"]


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="the steps are torch's")


def test_a_place_survives_the_way_to_a_child() -> None:
    assert target_of(TARGET.spec(seconds=1.0)) == TARGET


@pytest.mark.parametrize("name", MODELS)
def test_models_have_the_table_of_their_name(name: str) -> None:
    model = MODELS[name]
    assert model.dtype == "bfloat16"
    # What is published of its size: the layers and both tables, within a tenth of the billions in its name.
    said = {"llama-3.1-405b": 405, "mistral-nemo": 12, "qwen3-0.6b": 0.75}.get(name)
    billions = said or float(name.rpartition("-")[2].rstrip("b"))
    layer = sum(columns * inputs for columns, inputs in model.products)
    weights = model.layers * layer + 2 * model.vocab * model.dim
    assert weights / 1e9 == pytest.approx(billions, rel=0.12)


def test_all_steps_are_timed_at_every_number_of_tokens(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "TOKENS", (1, 40))
    monkeypatch.setattr(steps, "SHARES", {1: 0.5, 40: 0.5})
    monkeypatch.setattr(timed, "MAX_ROUNDS", 2)
    lines = list(steps.measure(TARGET.spec(seconds=60.0)))
    for tokens in (1, 40):
        told = [line for line in lines if line["tokens"] == tokens]
        assert told[0] == {"tokens": tokens, "begun": True}
        assert [line["step"] for line in told[1:]] == NAMES
        assert all(line["cut"] == 1 and all(t > 0 for t in line["rounds"]) for line in told[1:])


def test_steps_compute_what_they_say(torch: Any) -> None:
    with torch.inference_mode():
        bench = steps.Bench(torch, TARGET)
        made, cuts = bench.steps(5, 60.0)
        results = {step.name: step.calls[0]() for step in made}
        assert [tuple(r.shape) for r in results["matrix products"]] == [(5, 128), (5, 64), (5, 192), (5, 64)]
        assert tuple(results["LM head"].shape) == (5, 600)
        assert tuple(results["lookup"].shape) == (5, 64)
        queries, keys = results["RoPE"]
        assert (tuple(queries.shape), tuple(keys.shape)) == ((5, 4, 16), (5, 2, 16))
        assert set(cuts.values()) == {1}
        assert len({id(step.calls[0]) for step in made}) == len(made)


def test_lookups_rotate_until_rows_are_cold_and_weights_that_fit_a_cache_are_held_several_times(
    torch: Any,
) -> None:
    with torch.inference_mode():
        bench = steps.Bench(torch, TARGET)
        assert len(bench.lookups(4)) == math.ceil(2 * 2**20 / (4 * 128)) + 1
        assert len(bench.layers) == 16
        layer_bytes = 2 * sum(columns * inputs for columns, inputs in TOY.products)
        whole = steps.Bench(torch, replace(TARGET, cache_bytes=layer_bytes // 3))
        assert len(whole.layers) == 1


def test_where_memory_or_time_is_short_fewer_columns_are_timed(torch: Any) -> None:
    with torch.inference_mode():
        weights = 2 * (sum(c * i for c, i in TOY.products) + TOY.vocab * TOY.dim)
        small = replace(TARGET, memory_bytes=int((TARGET.table_bytes + weights) / steps.MEMORY_SHARE))
        bench = steps.Bench(torch, small)
        assert bench.weights_cut == 2
        made, cuts = bench.steps(5, 60.0)
        assert cuts == {"matrix products": 2, "LM head": 2}
        assert tuple(made[-1].calls[0]().shape) == (5, 300)
        _, cuts = steps.Bench(torch, TARGET).steps(5, 0.0)
        assert min(cuts.values()) >= 128


def known(**cuts: int) -> Steps:
    time = stats.Estimate(1.0, 0.9, 1.1)
    times = {tokens: dict.fromkeys(NAMES, time) for tokens in (1, 32, 512)}
    times[1] = {**times[1], "LM head": stats.Estimate(7.0, 6.0, 8.0)}
    return Steps(times, {(n, name): cuts.get(f"at{n}", 1) for n in times for name in NAMES}, "")


def test_a_pass_counts_every_layer_and_a_prompt_s_last_token_only() -> None:
    calls = {part.name: part.calls for part in parts_of(TOY, 32, known())}
    assert calls == {
        "RMSNorm": 7, "residual add": 6, "RoPE": 3, "KV-cache write": 3, "matrix products": 3, "LM head": 1,
    }  # fmt: skip
    assert parts_of(TOY, 32, known())[-1].time.value == 1.0
    assert parts_of(TOY, 512, known())[-1].time.value == 7.0


def test_a_cut_step_makes_its_pass_a_bound() -> None:
    assert all(part.whole for part in parts_of(TOY, 512, known(at32=4)))
    assert not any(part.whole for part in parts_of(TOY, 32, known(at32=4)))


def test_what_a_lost_process_had_timed_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    line = {"rounds": [1.0] * 6, "cut": 1}
    whole = [{"tokens": 1, "begun": True}, *({**line, "tokens": 1, "step": n} for n in NAMES)]
    part = [{"tokens": 32, "begun": True}, {**line, "tokens": 32, "step": "lookup"}]
    answer = task.ask("steps", {}, 0.0, 1)  # no time at all: ended at once
    assert answer.timed_out
    monkeypatch.setattr(cheapest, "ask", lambda *_: replace(answer, lines=(*whole, *part)))
    found = cheapest.measure(TARGET, 1.0)
    assert list(found.times) == [1]
    assert found.lost.startswith("the process that timed the steps ended at 32 tokens: not done after 0 s")
    monkeypatch.setattr(cheapest, "ask", lambda *_: answer)
    with pytest.raises(target.Unmeasured, match="not done after 0 s; free memory"):
        cheapest.measure(TARGET, 1.0)


def test_turns_are_shuffled_rounds_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    made = [timed.Timed(name, [lambda name=name: order.append(name)], CPU) for name in "ab"]
    monkeypatch.setattr(timed, "MAX_ROUNDS", 7)
    timed.in_turns(made, 60.0, 0)
    assert [len(step.rounds) for step in made] == [7, 7]
    # Were each round a, then b, the two would change over 16 times, the warm-up's change among them.
    assert sum(1 for _ in itertools.groupby(order)) < 16
    once = [timed.Timed("c", [lambda: None], CPU)]
    timed.in_turns(once, 0.0, 0)
    assert len(once[0].rounds) == 1
