"use strict";
/* Actions of the reader: filter, sort, look at failures, download the data, change the theme. */

/* A column with one value everywhere is left out; the reference beside a GPU does not count. */
const loud = [...Array(data.count).keys()].filter(i => !beside[placeOf[i]]);
const clocksRun = new Set(loud.filter(done).map(clockOf));
const RECORDS = columns(...CASE, "clock", "time", "ratio", "precision", "speed", "share", ...TIMINGS, "extra", "energy", "remark")
  .filter(one => !TIMINGS.includes(one.key) || loud.some(i => timeOf(i, one.key) !== null && clockOf(i) !== one.key))
  .filter(one => one.key !== "index" || new Set(data.cases.index_dtype).size > 1)
  .filter(one => one.key !== "clock" || clocksRun.size > 1)
  .filter(one => one.key !== "energy" || rows.joules_per_gb.some(value => value !== null))
  .map(one => TIMINGS.includes(one.key) ? {...one, show: i => digits(rows[one.key + "_us"][i])} : one)
  .map(one => one.key === "time" && clocksRun.size === 1 && known("kernel_us") ? {...one, label: `${[...clocksRun][0]} µs`} : one);

/* Of each case the fastest first, what failed after it; then the backends that are not there. */
function inOrder(items) {
  const last = i => done(i) ? spots.get(i).rank : Infinity;  /* by one clock, then the other */
  return [...items].sort((a, b) => placeOf[a] - placeOf[b] || rows.case[a] - rows.case[b] || last(a) - last(b) || a - b);
}
function drawRecords() {
  const of = shown.filter(i => state.case === "" ? !quiet(i) : rows.case[i] === Number(state.case));
  const items = inOrder(of), box = document.getElementById("case-shown");
  const all = () => { state.case = ""; state.page = 0; writeState(); drawRecords(); };
  box.replaceChildren(...(state.case === "" ? [] : ["Only ", el("b", {}, of.length ? caseName(of[0]) : "a case that the filters hide"), " ", el("button", {type: "button", onclick: all}, "all cases")]));
  drawGrid(document.getElementById("grid-records"), "All records", RECORDS, [...items.filter(present), ...items.filter(i => !present(i))], state, () => { writeState(); drawRecords(); });
}

const failuresSort = {sort: "", page: 0};
function drawFailures() {
  const box = document.getElementById("grid-failures"), failed = shown.filter(i => !done(i));
  if (!failed.length) { box.replaceChildren(el("p", {}, "None of the records shown failed.")); return; }
  const kinds = [...grouped(failed, i => [placeOf[i], rows.backend[i], rows.status[i], rows.reason[i]].join(" ")).values()];
  const of = (key, label, value, more) => ({key, label, value, ...more});
  const own = [
    of("place", COLUMNS.place.label, some => places[placeOf[some[0]]].name),
    of("backend", "backend", some => word("backend", some[0]), {show: some => named(rows.backend[some[0]])}),
    of("status", "status", some => word("status", some[0])),
    of("reason", "reason", some => word("reason", some[0]), {long: true}),
    of("cases", "cases", some => some.length, {number: true}),
    of("which", "such as", some => caseName(some[0]), {long: true}),
  ].filter(one => one.key !== "place" || places.length > 1);
  drawGrid(box, "What failed", own, kinds, failuresSort, drawFailures);
}

const LARGE = 20000;
let turn = 0;
/* A large run is drawn part by part, so that the page answers in between. */
function drawAll() {
  const mine = ++turn, left = [drawBox, drawVerdicts, drawRecords, drawMap, drawMatrix, drawLimit, drawShare, drawBatch, drawCost, drawFailures];
  const next = () => {
    if (mine !== turn) return;
    left.shift()();
    if (!left.length) document.documentElement.dataset.ready = "yes";
    else if (data.count > LARGE) setTimeout(next);
    else next();
  };
  document.documentElement.dataset.ready = "";
  choose();
  drawFilters(() => { writeState(); drawAll(); });
  next();
}

/* The data as files; no cell can be read as a formula. */
const TEXTS = ["run", "backend", "whose", "environment", "status", "reason", "device", "clock"];
const FIGURES = Object.keys(rows).filter(name => ![...TEXTS, "case", "whose", "share", "slow", "compulsory_bytes"].includes(name) && !/^no_|_below$|_above$/.test(name));
const SPANS = [...TIMINGS.map(clock => [clock, "_us", i => spanOf(i, clock)]), ["fraction_of_ceiling", "", shareSpan]];
const whole = i => ({
  ...Object.fromEntries(TEXTS.map(name => [name, rows[name][i] === null ? null : word(name, i)])),
  backend: words.alone[rows.backend[i]],
  ...Object.fromEntries(data.axes.map(name => [name, axis(name, i)])),
  gb_per_s: done(i) ? Number(speedOf(i).toPrecision(4)) : null, payload_bytes: payloadBytes(i), compulsory_bytes: rows.compulsory_bytes[i] === null ? null : words.compulsory_bytes[rows.compulsory_bytes[i]],
  fraction_of_ceiling: shareOf(i), ...Object.fromEntries(SPANS.flatMap(([name, unit, span]) => {
    const [low, high] = span(i) || [null, null], short = value => value === null ? null : Number(value.toPrecision(4));
    return [[name + "_low" + unit, short(low)], [name + "_high" + unit, short(high)]];
  })),
  ...Object.fromEntries(FIGURES.map(name => [name, rows[name][i]])),
  no_memory: word("no_memory", i) || null, no_energy: word("no_energy", i) || null,
});
function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" && /^[=+\-@\t\r＝＋－＠]/.test(value) ? "'" + value : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}
function csv(items) {
  const heads = Object.keys(whole(0)), lines = [heads.join(",")];
  for (const i of items) { const one = whole(i); lines.push(heads.map(name => csvCell(one[name])).join(",")); }
  return lines.join("\n") + "\n";
}
function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], {type}));
  el("a", {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
document.getElementById("csv-shown").onclick = () => save("records-shown.csv", "text/csv", csv(shown));
document.getElementById("csv-all").onclick = () => save("records.csv", "text/csv", csv(all()));
document.getElementById("json-all").onclick = () => save("records.json", "application/json", JSON.stringify(all().map(whole)) + "\n");

for (const link of document.querySelectorAll("[data-to]")) {
  link.onclick = event => {  /* the address keeps what was chosen */
    event.preventDefault();
    document.getElementById(link.dataset.to).scrollIntoView();
  };
}
for (const button of document.querySelectorAll("[data-clock]")) {
  button.setAttribute("aria-pressed", String((button.dataset.clock === "call") === byCall));
  button.onclick = () => { state.clock = button.dataset.clock; writeState(); location.reload(); };
}
function restore() {
  readState(DIMENSIONS);
  if (data.call && (state.clock === "call") !== byCall) { location.reload(); return; }
  showTheme();
  drawAll();
}
window.addEventListener("hashchange", restore);
for (const [when, now] of [["beforeprint", true], ["afterprint", false]]) {
  window.addEventListener(when, () => { printing = now; drawRecords(); });  /* on paper no page can be turned */
}
let lastWidth = innerWidth;
window.addEventListener("resize", () => {
  if (innerWidth === lastWidth) return;
  lastWidth = innerWidth;
  for (const plot of document.querySelectorAll(".plot")) if (plot.redraw) plot.redraw();
});
if (matchMedia("(max-width: 640px)").matches) document.getElementById("filters").open = false;
restore();
