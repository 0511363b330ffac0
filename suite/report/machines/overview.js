"use strict";
/* Cases by machines or by backends: a cell is darker the longer it takes than the fastest of its row. */

const LINES = 60, MOST_PRINTED = 2000, MOST_TABLES = 4, PRINTED_ACROSS = 6, ALL = "all tables", FASTEST = "";
const page = {chosen: new Set(), columns: "", operation: "", table: "", backend: "", sort: "", lines: LINES, printing: false};
const state = {theme: ""};
let tree, numbers, rowsOf, backendsOf;
/* Read when they are unpacked. rowsOf: of each seat where a case's outcomes begin; backendsOf: of each operation the
   backends that any seat has of it. */

async function inflated(text) {
  const short = atob(text), bytes = new Uint8Array(short.length);
  for (let k = 0; k < short.length; k++) bytes[k] = short.charCodeAt(k);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}
async function unpack() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [text, buffer] = await Promise.all([inflated(data.tree), inflated(data.numbers)]);
  tree = JSON.parse(new TextDecoder().decode(text));
  const count = buffer.byteLength / tree.columns.reduce((sum, [, bytes]) => sum + bytes, 0);
  numbers = {};
  let start = 0;
  for (const [name, bytes] of tree.columns) {
    numbers[name] = bytes === 2 ? new Uint16Array(buffer, start, count) : new Uint8Array(buffer, start, count);
    start += bytes * count;
  }
  let first = 0;
  rowsOf = tree.seats.map(({cases, backends}) => {
    const own = new Map(cases.map((place, k) => [place, first + k * backends.length]));
    first += cases.length * backends.length;
    return own;
  });
  backendsOf = new Map(tree.operations.map(name => [name, new Set()]));
  for (const [k, {backends}] of tree.seats.entries()) {
    for (const [place, start] of rowsOf[k]) backends.forEach((backend, n) => { if (numbers.code[start + n]) backendsOf.get(operationOf(place)).add(backend); });
  }
}

/* The outcome of a backend on a case at a seat: its place among the numbers, or null where it was not measured. */
function at(seat, place, backend) {
  const start = rowsOf[seat].get(place), k = tree.seats[seat].backends.indexOf(backend);
  return start === undefined || k < 0 || !numbers.code[start + k] ? null : start + k;
}
const has = (i, flag) => (numbers.code[i] & tree.flags[flag]) !== 0;
const statusOf = i => tree.statuses[(numbers.code[i] & 15) - 1];
const done = i => i !== null && statusOf(i) === "ok";
const usOf = i => Number(`${numbers.digits[i]}e${numbers.power[i] - tree.scale.power - 3}`);
const bounded = i => numbers.below[i] !== tree.unbounded && numbers.below[i] * tree.scale.spread < 1;
const lowOf = i => usOf(i) * (1 - numbers.below[i] * tree.scale.spread), highOf = i => usOf(i) * (1 + numbers.above[i] * tree.scale.spread);
const withinOf = i => Math.exp((numbers.ratio[i] - tree.scale.zero) * tree.scale.step);  /* to the fastest of its case there */
const textOf = i => !done(i) ? `failed: ${statusOf(i)}` : [`${digits(usOf(i))} µs${bounded(i) ? `, ${digits(lowOf(i))} to ${digits(highOf(i))}` : ""}`,
  has(i, "slow") ? "not at full speed" : ""].filter(Boolean).join("\n");
const tableOf = place => tree.tables[tree.cases.tables[place]];
const operationOf = place => tree.operations[tree.cases.operations[place]];
const caseName = place => `batch ${tree.cases.batch[place].toLocaleString("en-US")} ${tree.ids[tree.cases.ids[place]]}`;
const heatOf = ratio => tree.steps.filter(step => ratio > step).length;
const spanOfHeat = k => k === 0 ? `up to ${tree.steps[0]}x` : k === tree.steps.length ? `over ${tree.steps[k - 1]}x` : `to ${tree.steps[k]}x`;

/* The cases of the chosen seats that the choices leave, in reading order. */
const chosenSeats = () => [...tree.seats.keys()].filter(k => page.chosen.has(k));
function casesShown(some = chosenSeats()) {
  const wanted = new Set(some.flatMap(seat => tree.seats[seat].cases));
  return [...wanted].sort((a, b) => a - b).filter(place => operationOf(place) === page.operation
    && (page.table === ALL || tableOf(place) === page.table));
}

/* A cell: {us, ratio?, best?, note?, text()} of one that completed, {bad, text()} of one that failed, null of none. */
function cellWithin(seat, place, backend) {
  const i = at(seat, place, backend);
  if (i === null) return null;
  if (!done(i)) return {bad: true, text: () => textOf(i)};
  if (has(i, "unranked") || !tree.seats[seat].ranks) return {us: usOf(i), text: () => `${has(i, "unranked") ? "timed by the host" : "of a run that checks"}: not ranked\n${textOf(i)}`};
  const ratio = withinOf(i), best = has(i, "first") || has(i, "tied");
  return {us: usOf(i), ratio, best, text: () => `${has(i, "first") ? "the fastest here" : `${digits(ratio)}x as long as the fastest here${best ? ", tied with it" : ""}`}\n${textOf(i)}`};
}
function fastestOf(seat, place) {
  const start = rowsOf[seat].get(place), {backends} = tree.seats[seat];
  if (start === undefined) return null;
  const k = backends.findIndex((_, n) => done(start + n) && has(start + n, "first"));
  return k < 0 ? null : k;
}
/* Of several machines: each by one backend, or by its fastest; what is timed by another clock has a best of its own. */
function cellsAcross(some, place) {
  const cells = some.map(seat => {
    const k = page.backend === FASTEST ? fastestOf(seat, place) : tree.seats[seat].backends.indexOf(Number(page.backend));
    const backend = k === null || k < 0 ? null : tree.seats[seat].backends[k], i = backend === null ? null : at(seat, place, backend);
    if (i === null) return null;
    if (!done(i)) return {bad: true, text: () => textOf(i)};
    const one = {i, us: usOf(i), text: () => textOf(i), clock: has(i, "unranked") ? "call" : tree.seats[seat].clock, floor: tree.seats[seat].floor, ranks: tree.seats[seat].ranks};
    return page.backend === FASTEST ? {...one, note: tree.backends[backend]} : one;
  });
  for (const same of grouped(cells.filter(one => one && one.ranks), one => one.clock).values()) {
    const best = same.reduce((a, b) => b.us < a.us ? b : a);
    for (const one of same) {
      one.ratio = one.us / best.us;
      one.best = one === best || mayBeAsFast(one, best);
      one.text = () => `${one === best ? "the fastest of the row" : `${digits(one.ratio)}x as long as the fastest of the row${one.best ? ", tied with it" : ""}`}\n${textOf(one.i)}`;
    }
  }
  return cells;
}
/* Whether the interval of their ratio reaches the noise floor; they share no rounds. */
function mayBeAsFast(one, best) {
  if (has(one.i, "slow") || has(best.i, "slow") || !bounded(one.i) || !bounded(best.i)) return true;
  const below = Math.hypot(Math.log(one.us / lowOf(one.i)), Math.log(highOf(best.i) / best.us));
  return one.ratio * Math.exp(-below) <= 1 + Math.max(one.floor, best.floor);
}

function drawn(cell) {
  if (!cell) return el("td", {class: "soft"}, "–");
  if (cell.bad) return el("td", {class: "bad", title: cell.text()}, "×");
  const ranked = cell.ratio !== undefined;
  return el("td", {class: ranked ? `number heat${heatOf(cell.ratio)}` : "number soft", title: cell.text()},
    ranked && cell.best ? el("b", {}, digits(cell.us)) : digits(cell.us), cell.note ? el("small", {}, cell.note) : null);
}

/* A table: rows are cases, columns {key, head, small?, about?}; cellsOf: of a case its cells, one a column. */
function grid(id, title, columns, places, cellsOf) {
  const lines = places.map(place => ({place, cells: cellsOf(place)}));
  const each = k => lines.map(line => line.cells[k]).filter(cell => cell && cell.ratio !== undefined).map(cell => cell.ratio);
  const middles = columns.map((_, k) => each(k).length ? median(each(k)) : Infinity);
  const order = [...columns.keys()].filter(k => lines.some(line => line.cells[k])).sort((a, b) => middles[a] - middles[b] || a - b);
  const down = page.sort.startsWith("-"), by = columns.findIndex(one => one.key === page.sort.replace(/^-/, ""));
  const value = line => line.cells[by] && line.cells[by].us !== undefined ? line.cells[by].us * (down ? -1 : 1) : Infinity;
  if (by >= 0) lines.sort((a, b) => value(a) - value(b) || a.place - b.place);
  const shown = lines.slice(0, page.printing ? MOST_PRINTED : page.lines), left = lines.length - shown.length;
  const head = k => {
    const one = columns[k], way = k === by ? (down ? "descending" : "ascending") : "none";
    const press = () => { page.sort = way === "none" ? one.key : way === "ascending" ? "-" + one.key : ""; changed(); focusOn(`h-${id}-${one.key}`); };
    return el("th", {scope: "col", class: "number", "aria-sort": way}, el("button", {type: "button", id: `h-${id}-${one.key}`, title: one.about || null, onclick: press},
      one.head, one.small ? el("small", {}, one.small) : null));
  };
  const parted = by < 0 && page.table === ALL;
  const body = some => shown.flatMap(({place, cells}, k) => [
    parted && (!k || tableOf(place) !== tableOf(shown[k - 1].place)) ? el("tr", {class: "group"}, el("th", {colspan: some.length + 1, scope: "rowgroup"}, tableOf(place))) : null,
    el("tr", {}, el("th", {scope: "row", title: `${tableOf(place)} ${caseName(place)}`}, page.table === ALL && !parted ? tableOf(place) + " " : "", caseName(place)), some.map(n => drawn(cells[n]))),
  ]);
  const table = some => el("div", {class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Time of each case"},
    el("table", {}, el("thead", {}, el("tr", {}, el("th", {scope: "col", class: "plain"}, "µs", tree.common ? el("small", {}, `ids ${tree.common}`) : null), some.map(head))), el("tbody", {}, body(some).filter(Boolean))));
  const across = page.printing ? PRINTED_ACROSS : Math.max(1, order.length);  /* a sheet of paper can't be scrolled */
  const tables = [...Array(Math.ceil(order.length / across) || 1).keys()].map(k => table(order.slice(k * across, (k + 1) * across)));
  const without = columns.length - order.length;
  return el("div", {class: "matrix"}, title ? el("h4", {}, title) : null,
    tables,
    left > 0 ? el("p", {}, el("button", {type: "button", onclick: () => { page.lines += 5 * LINES; draw(); }}, `${many(left, "more case")}: show ${Math.min(left, 5 * LINES)} more`)) : null,
    without ? el("p", {class: "note"}, `${many(without, "column")} without a result or a failure here, not drawn.`) : null);
}
const focusOn = id => { const target = document.getElementById(id); if (target) target.focus({preventScroll: true}); };

/* A name breaks where it has a hyphen or an underscore of its own. */
const broken = name => name.split("_").map((part, k) => [k ? [el("wbr"), "_"] : null, part]);
function byMachines(some) {
  const clocks = new Set(some.map(seat => tree.seats[seat].clock)), methods = new Set(some.map(seat => tree.seats[seat].method));
  const times = grouped(some, seat => tree.seats[seat].name);  /* where a name does not say which, its run does */
  const columns = some.map(seat => {
    const {name, run, device, clock, method} = tree.seats[seat], unlike = times.get(name).length === 1;
    const more = [device === "cpu" || unlike ? "" : device, unlike ? "" : run, clocks.size > 1 ? `${clock} time` : "", methods.size > 1 ? `method ${method}` : ""];
    return {key: `s${seat}`, head: name, small: broken(more.filter(Boolean).join(" · ")), about: `${name}\n${device}, run ${run}\n${clock} time, method ${method}`};
  });
  return [grid("all", "", columns, casesShown(some), place => cellsAcross(some, place))];
}
function byBackends(some) {
  return some.slice(0, MOST_TABLES).map(seat => {
    const {name, run, device, backends} = tree.seats[seat];
    const own = backends.filter(backend => backendsOf.get(page.operation).has(backend));
    const columns = own.map(backend => ({key: `b${backend}`, head: broken(tree.backends[backend])}));
    return grid(seat, [name, device === "cpu" ? "" : device, run].filter(Boolean).join(" · "), columns, casesShown([seat]), place => own.map(backend => cellWithin(seat, place, backend)));
  });
}
const LEGENDS = {
  machines: "Microseconds, in bold the fastest of the row and what is tied with it: the interval of their ratio reaches the noise floor. The darker, the longer a machine takes than the fastest of the row by the same clock. Machines did not take turns: a ratio is that of two runs.",
  backends: "Microseconds, in bold the fastest of the row and what is tied with it. The darker, the longer a backend takes than the fastest on that machine, from within the rounds in which they took turns; grey: timed by another clock, or in too few rounds to rank. A backend that is not available there at all has no column.",
};

function draw() {
  const some = chosenSeats(), figure = document.getElementById("figure-times");
  const tables = !some.length ? [] : page.columns === "backends" ? byBackends(some) : byMachines(some);
  const key = el("p", {class: "note heats"}, "as long as the fastest of the row:", [...Array(tree.steps.length + 1).keys()].flatMap(k => [" ", el("span", {class: `heat${k}`}, spanOfHeat(k))]));
  figure.replaceChildren(...(tables.length ? [key, ...tables] : [el("p", {}, "Choose a machine above.")]));
  if (page.columns === "backends" && some.length > MOST_TABLES) figure.append(el("p", {class: "note"}, `${some.length - MOST_TABLES} more machines are not drawn; choose fewer above.`));
  document.getElementById("legend").textContent = `${LEGENDS[page.columns]} ×: failed; –: not measured. Rows in reading order unless sorted by a heading, columns from the fastest on average over the rows.`;
}
