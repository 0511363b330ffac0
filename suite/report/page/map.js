"use strict";
/* The fastest of each case: a cell a case, and for each place the score of its backends. */

const MAP_LINES = 40;
let mapLines = MAP_LINES;

const inPart = contests => contests.some(({part}) => part);
const fastestOf = contests => inPart(contests) ? "fastest shown" : "fastest";

/* How far the fastest stays from the limit, in one sentence. */
function distance(here) {
  const shares = here.filter(({best}) => best.length).map(({best}) => shareOf(best[0])).filter(share => share !== null).sort((a, b) => a - b);
  if (!shares.length) return null;
  const ends = percent(shares[0], 0) !== percent(shares[shares.length - 1], 0) ? ` (${percent(shares[0], 0)} to ${percent(shares[shares.length - 1], 0)})` : "";
  return el("p", {}, `The ${fastestOf(here)} reaches `, el("b", {}, percent(median(shares), 0)), ` of a copy's speed at the median over ${many(shares.length, "case")}${ends}.`);
}

function drawScores(contests) {
  for (const card of document.querySelectorAll("[data-place]")) {
    const place = Number(card.dataset.place), box = card.querySelector(".score");
    const here = contests.filter(one => placeOf[one.items[0]] === place);
    const items = here.flatMap(one => one.items), scores = new Map();
    for (const backend of new Set(items.map(i => rows.backend[i]))) scores.set(backend, {backend, won: 0, tied: 0, failed: 0, shares: [], ratios: []});
    for (const i of items) {
      const score = scores.get(rows.backend[i]);
      if (!done(i)) score.failed++;
      else if (shareOf(i) !== null) score.shares.push(shareOf(i));
    }
    for (const {items, best: [first]} of here) {
      for (const i of items) if (done(i) && clockOf(i) === clockOf(first)) scores.get(rows.backend[i]).ratios.push(ratioTo(i, first));
    }
    const times = (ratios, of, kind = "") => el("td", {class: "number" + kind}, ratios.length ? digits(of(ratios)) + "x" : "");
    const part = inPart(here);
    for (const one of here) for (const i of one.alone ? [] : part ? one.best.slice(0, 1) : one.best) scores.get(rows.backend[i])[part || isWon(one) ? "won" : "tied"]++;
    const share = ({shares}) => shares.length ? median(shares) : 0;
    const order = [...scores.values()].sort((a, b) => b.won - a.won || b.tied - a.tied || share(b) - share(a) || byLook(a.backend, b.backend));
    const failed = order.some(score => score.failed);
    const all = here.length, few = order.slice(0, 12);
    if (!all) { box.replaceChildren(el("p", {class: "note"}, "No record shown.")); continue; }
    const bar = ({backend, won, tied}) => {
      const bars = el("div", {class: "bar " + colour(backend), title: part ? `fastest shown in ${won} of ${all}` : `${won} won, ${tied} unclear of ${all}`}, el("i"), el("i", {class: "tied"}));
      bars.children[0].style.width = 100 * won / all + "%";
      bars.children[1].style.width = 100 * tied / all + "%";
      return bars;
    };
    const line = score => el("tr", {}, el("td", {}, named(score.backend)), el("td", {class: "wide"}, bar(score)), el("td", {class: "number"}, String(score.won)),
      part ? null : el("td", {class: "number"}, String(score.tied)), times(score.ratios, median), times(score.ratios, all => Math.max(...all), " wide"), el("td", {class: "number"}, score.shares.length ? percent(median(score.shares), 0) : ""),
      failed ? el("td", {class: "number" + (score.failed ? " bad" : "")}, String(score.failed)) : null);
    const head = [["backend"], [`of ${many(all, "case")}`, "wide"], ...(part ? [["fastest shown", "number"]] : [["won", "number"], ["unclear", "number"]]), ["x", "number"], ["at most", "number wide"], ["of copy", "number"], ...(failed ? [["failed", "number"]] : [])];
    box.replaceChildren(...[distance(here), byBatch(here), forAll(here)].filter(Boolean), el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Score of the backends"}, el("table", {},
      el("thead", {}, el("tr", {}, head.map(([text, kind]) => el("th", {scope: "col", class: ("plain " + (kind || "")).trim()}, text)))),
      el("tbody", {}, few.map(line)))),
      el("p", {class: "note"}, `x: the median over the cases of how many times the ${fastestOf(here)}'s time, and the most in one; of copy: the median of its speeds as shares of a contiguous copy's` + (order.length > few.length ? `; ${order.length - few.length} more backends in the table of all records` : "") + "."));
  }
}

const isWon = ({best, likely}) => best.length === 1 && !likely;
function cellOf(one) {
  if (!one) return el("td", {class: "soft", title: "not measured"}, "–");
  const cell = cellWith(one);
  cell.addEventListener("click", () => openCase(one.items[0]));
  return cell;
}
function cellWith(one) {
  const {items, best, next, part, likely} = one;
  if (!best.length) {
    const why = items.map(i => `${word("backend", i)}: ${word("status", i)}: ${word("reason", i)}`);
    return el("td", {class: "bad", title: why.join("\n")}, "× none", el("small", {}, items.length === 1 ? word("status", items[0]) : `${items.length} failed`));
  }
  const first = best[0], share = shareOf(first);
  const failed = items.filter(i => !done(i)).length;
  const about = [next && best.length === 1 ? `next ${digits(next)}x` : "", share === null ? "" : `${percent(share, 0)} of copy`, failed ? `${failed} failed` : ""].filter(Boolean);
  const title = items.map(i => textOf(i)).join("\n\n");
  if (one.alone || part) return el("td", {title}, named(rows.backend[first]), [one.alone ? "alone" : "fastest shown", ...about].map(text => el("small", {}, text)));
  if (isWon(one)) {
    return el("td", {class: "won " + colour(rows.backend[first]), title}, named(rows.backend[first]), about.map(text => el("small", {}, text)));
  }
  return el("td", {class: "unclear", title}, el("b", {}, likely ? "likely" : "unclear"), best.slice(0, 3).map(i => el("small", {class: "ink"}, named(rows.backend[i]))), best.length > 3 ? el("small", {}, `and ${best.length - 3} more`) : null,
    about.map(text => el("small", {}, text)));
}

function totalOf(all) {
  const wins = new Map(), some = all.filter(one => !one.alone);
  if (!some.length) return {text: "one backend only", about: many(all.length, "case")};
  if (inPart(some)) return totalShown(some);
  for (const {best} of some.filter(isWon)) wins.set(rows.backend[best[0]], (wins.get(rows.backend[best[0]]) || 0) + 1);
  const most = Math.max(0, ...wins.values()), first = [...wins].filter(([, n]) => n === most).map(([backend]) => backend);
  if (some.every(({best}) => !best.length)) return {text: "none completed", about: many(some.length, "case")};
  const unbeaten = [...new Set(some.flatMap(({best}) => best))].map(i => rows.backend[i]);
  const never = [...new Set(unbeaten)].filter(b => some.every(({best}) => best.some(i => rows.backend[i] === b))).sort(byLook);
  if (2 * most <= some.length) {  /* no backend wins most of them */
    const unclear = some.filter(one => one.best.length && !isWon(one)).length;
    if (never.length === 1) return {never, text: "not beaten", about: `wins ${wins.get(never[0]) || 0} of ${some.length}, ${unclear} unclear`};
    if (2 * unclear > some.length) return {never, text: "unclear", about: `${unclear} of ${many(some.length, "case")}`};
    const leaders = [...grouped(some.flatMap(({best}) => best), i => rows.backend[i])].sort((a, b) => b[1].length - a[1].length || byLook(a[0], b[0]));
    return {never: leaders.slice(0, 2).map(([backend]) => backend), text: "divided", about: `at most ${most} of ${some.length} each`};
  }
  return {backend: first[0], about: `wins ${most} of ${some.length}`};
}
/* The backend that is the fastest shown in more than half of the cases; no verdict. */
function totalShown(some) {
  const first = [...grouped(some.filter(({best}) => best.length), ({best}) => rows.backend[best[0]])].sort((a, b) => b[1].length - a[1].length || byLook(a[0], b[0]));
  if (!first.length) return {text: "none completed", about: many(some.length, "case")};
  const [backend, cases] = first[0], of = `${cases.length} of ${some.length}`;
  return 2 * cases.length > some.length ? {backend, about: "fastest shown in " + of, part: true}
    : {never: first.slice(0, 2).map(([one]) => one), text: "divided", about: "fastest shown in at most " + of};
}
function totalCell(some) {
  const {backend, text, about, never, part} = totalOf(some), small = el("small", {}, about);
  if (backend !== undefined) return el("td", part ? {} : {class: "won " + colour(backend)}, named(backend), small);
  return el("td", {class: "unclear"}, text, (never || []).slice(0, 3).map(one => el("small", {class: "ink"}, named(one))), small);
}

/* The shortest answer: the fastest at each batch, over all tables of a place. */
function byBatch(here) {
  if (here.every(one => one.alone)) return null;
  const batches = [...grouped(here, ({items}) => axis("batch", items[0]))].sort((a, b) => a[0] - b[0]), spans = [];
  for (const [batch, some] of batches) {
    const total = totalOf(some), before = spans[spans.length - 1];
    if (before && before.backend === total.backend && before.text === total.text && String(before.never) === String(total.never)) before.to = batch;
    else spans.push({...total, from: batch, to: batch});
  }
  const number = value => value.toLocaleString("en-US");
  return el("p", {class: "answer"}, inPart(here) ? "Fastest shown by batch:" : "Fastest by batch:", spans.slice(0, 12).map(({backend, text, about, never, from, to}) =>
    el("span", {title: from === to ? about : null}, el("b", {}, number(from) + (from === to ? "" : "–" + number(to))), " ",
      backend === undefined ? [(never || []).slice(0, 3).map(one => el("span", {class: "one"}, named(one))), el("i", {}, text)] : named(backend))));
}

/* The best single backend for all cases: the one whose largest factor over the fastest is the smallest. */
function forAll(here) {
  const some = here.filter(({best, alone}) => best.length && !alone), worst = new Map();
  for (const {items, best} of some) {
    for (const i of ofOneClock(ranked(items.filter(done)))) {
      const {most, cases} = worst.get(rows.backend[i]) || {most: 1, cases: 0};
      worst.set(rows.backend[i], {most: Math.max(most, ratioTo(i, best[0])), cases: cases + 1});
    }
  }
  const complete = [...worst].filter(([, {cases}]) => cases === some.length).sort((a, b) => a[1].most - b[1].most || byLook(a[0], b[0]));
  if (!complete.length || complete[0][1].most === 1) return null;  /* it is the fastest everywhere, as the line above says */
  const [backend, {most}] = complete[0];
  return el("p", {class: "answer"}, "One for all cases:", el("span", {}, named(backend)), `at most ${digits(most)}x the time of the ${fastestOf(here)}`);
}

function drawMap() {
  const figure = document.getElementById("figure-map");
  const contests = contestsOf(drawn);
  drawScores(contests);
  const size = i => axis("table_bytes", i);
  let left = 0;
  const one = (place, some) => {
    const batches = [...new Set(some.map(({items}) => axis("batch", items[0])))].sort((a, b) => a - b);
    const lines = [...grouped(some, ({items}) => seriesOf(items[0]))].sort((a, b) => size(a[1][0].items[0]) - size(b[1][0].items[0]));
    left += Math.max(0, lines.length - mapLines);
    const of = (list, batch) => list.filter(({items}) => axis("batch", items[0]) === batch);
    const label = batch => `batch ${batch.toLocaleString("en-US")}`;
    const labelled = (cell, batch) => { cell.dataset.label = label(batch); return cell; };  /* shown where there is no room for headings */
    const about = i => [tableName(i) + ofModels(i), el("small", {}, idsName(i) + ", " + bytes(size(i)))];
    const head = el("tr", {}, el("th", {scope: "col", class: "plain"}, "table"), batches.map(batch => el("th", {scope: "col", class: "plain"}, label(batch))));
    const total = el("tr", {class: "total"}, el("th", {scope: "row"}, "all tables", el("small", {}, "most often fastest")), batches.map(batch => labelled(totalCell(of(some, batch)), batch)));
    const body = lines.slice(0, mapLines).map(([, list]) => el("tr", {}, el("th", {scope: "row"}, about(list[0].items[0])), batches.map(batch => labelled(cellOf(of(list, batch)[0]), batch))));
    return el("div", {class: "map"}, el("h4", {}, places.length > 1 ? places[place].name : ""),
      el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Winner of each case"}, el("table", {}, el("thead", {}, head), el("tbody", {}, lines.length > 1 && !some.every(({alone}) => alone) ? total : null, body))));
  };
  const maps = [...grouped(contests, ({items}) => placeOf[items[0]])], few = maps.slice(0, MOST_PANELS).map(([place, some]) => one(place, some));
  const notes = [maps.length > MOST_PANELS ? el("p", {class: "note"}, `${maps.length - MOST_PANELS} more runs or devices not drawn; choose them above.`) : null,
    left ? el("p", {}, el("button", {type: "button", onclick: () => { mapLines += 5 * MAP_LINES; drawMap(); }}, `${many(left, "more line")}: show ${5 * MAP_LINES} more of each`)) : null];
  show("map", drawn, [key(drawn), ...few, ...notes], "Winners in numbers", [...CASE, "time", "precision", "speed", "share", "shareSpan", "remark"]);
}
