"use strict";
/* Every backend in every case: rows are cases, columns backends, a cell is darker the longer it takes than the
   fastest of its row. */

const MATRIX_LINES = 60;
const matrixOwn = {sort: "", lines: MATRIX_LINES};

/* How many times as long as the fastest of its row a record took. */
function ratioTo(i, first) {
  const pair = i === first ? {log: 0} : against(i, first);
  return pair ? Math.exp(pair.log / 1e6) : timeOf(i) / timeOf(first);
}
const heatOf = ratio => judged.steps.filter(step => ratio > step).length;  /* 0 for the fastest and what is as good */
const spanOfHeat = k => k === 0 ? `up to ${judged.steps[0]}x` : k === judged.steps.length ? `over ${judged.steps[k - 1]}x` : `to ${judged.steps[k]}x`;

/* Show the records of one case only, in the table of all records. */
function openCase(i) {
  state.case = String(rows.case[i]);
  state.page = 0;
  writeState();
  drawRecords();
  document.getElementById("records").scrollIntoView();
}
const modelsOf = i => words.models[axis("models", i)];
const ofModels = i => modelsOf(i) ? " · " + modelsOf(i) : "";

/* The rows of one place in reading order: small tables before large ones, of each its batches and ids in order. */
function linesOfMatrix(items) {
  const by = (a, b) => axis("table_bytes", a[0]) - axis("table_bytes", b[0]) || axis("table", a[0]) - axis("table", b[0])
    || axis("batch", a[0]) - axis("batch", b[0]) || (idsName(a[0]) < idsName(b[0]) ? -1 : 1);
  return [...grouped(items, i => rows.case[i]).values()].sort(by).map(some => {
    const order = ofOneClock(ranked(some.filter(done))), of = new Map(some.map(i => [rows.backend[i], i]));
    return {i: some[0], of, ratios: new Map(order.map(i => [rows.backend[i], ratioTo(i, order[0])]))};
  });
}
function matrixCell(line, backend) {
  const i = line.of.get(backend);
  if (i === undefined) return el("td", {class: "soft"}, "–");
  if (!done(i)) return el("td", {class: "bad", title: textOf(i), onclick: () => openCase(i)}, "×");
  if (!line.ratios.has(backend)) return el("td", {class: "number soft", title: `${judged.host_timed}\n${textOf(i)}`, onclick: () => openCase(i)}, digits(timeOf(i)));
  const ratio = line.ratios.get(backend), heat = heatOf(ratio);
  return el("td", {class: `number heat heat${heat}`, title: `${digits(ratio)}x as long as the fastest\n${textOf(i)}`, onclick: () => openCase(i)},
    ratio === 1 ? el("b", {}, digits(timeOf(i))) : digits(timeOf(i)));
}
function matrixOf(place, items) {
  const lines = linesOfMatrix(items), each = backend => lines.map(({ratios}) => ratios.get(backend)).filter(ratio => ratio !== undefined);
  const middle = backend => each(backend).length ? median(each(backend)) : Infinity;
  const backends = [...new Set(items.map(i => rows.backend[i]))].sort((a, b) => middle(a) - middle(b) || byLook(a, b));
  const down = matrixOwn.sort.startsWith("-"), sort = words.backend.indexOf(matrixOwn.sort.replace(/^-/, ""));
  const time = line => line.ratios.has(sort) ? timeOf(line.of.get(sort)) : null;
  const order = backends.includes(sort) ? sorted(lines, {value: time}, down) : lines, shownLines = order.slice(0, matrixOwn.lines);
  const head = backend => {
    const name = words.backend[backend], way = sort === backend ? (down ? "descending" : "ascending") : "none";
    const press = () => { matrixOwn.sort = way === "none" ? name : way === "ascending" ? "-" + name : ""; drawMatrix(); focusOn(`m-${place}-${backend}`); };
    return el("th", {scope: "col", class: "number", "aria-sort": way}, el("button", {type: "button", class: suites.has(backend) ? "own" : null, id: `m-${place}-${backend}`, title: aboutBackend(backend), onclick: press},
      mark(backend), name.split("_").map((part, k) => [k ? [el("wbr"), "_"] : null, part])));
  };
  const named = line => el("th", {scope: "row"}, el("button", {type: "button", class: "link", title: "the records of this case", onclick: () => openCase(line.i)},
    (order === lines ? "" : tableName(line.i) + ofModels(line.i) + " ") + `batch ${axis("batch", line.i).toLocaleString("en-US")} `, el("small", {}, idsName(line.i))));
  const body = shownLines.flatMap((line, k) => [
    order === lines && (!k || tableName(line.i) !== tableName(shownLines[k - 1].i)) ? el("tr", {class: "group"}, el("th", {colspan: backends.length + 1, scope: "rowgroup"}, tableName(line.i) + ofModels(line.i))) : null,
    el("tr", {}, named(line), backends.map(backend => matrixCell(line, backend))),
  ]);
  const left = order.length - shownLines.length;
  return el("div", {class: "matrix"}, el("h4", {}, places.length > 1 ? places[place].name : ""),
    el("div", {class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Time of each backend in each case"},
      el("table", {}, el("thead", {}, el("tr", {}, el("th", {scope: "col", class: "plain"}, "µs"), backends.map(head))), el("tbody", {}, body.filter(Boolean)))),
    left > 0 ? el("p", {}, el("button", {type: "button", onclick: () => { matrixOwn.lines += 5 * MATRIX_LINES; drawMatrix(); }}, `${many(left, "more case")}: show ${5 * MATRIX_LINES} more`)) : null);
}
const focusOn = id => { const target = document.getElementById(id); if (target) target.focus({preventScroll: true}); };

function drawMatrix() {
  const figure = document.getElementById("figure-matrix");
  if (!drawn.length) { figure.replaceChildren(el("p", {}, NOTHING)); return; }
  const all = [...grouped(drawn, i => placeOf[i])], few = all.slice(0, MOST_PANELS);
  const key = el("p", {class: "note heats"}, "as long as the fastest of the row:", [...Array(judged.steps.length + 1).keys()].flatMap(k => [" ", el("span", {class: `heat heat${k}`}, spanOfHeat(k))]));
  figure.replaceChildren(key, ...few.map(([place, items]) => matrixOf(place, items)));
  if (all.length > few.length) figure.append(el("p", {class: "note"}, `${all.length - few.length} more runs or devices not drawn; choose them above.`));
}
