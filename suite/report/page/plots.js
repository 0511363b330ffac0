"use strict";
/* The plots of the records shown, each with its numbers. */

const MOST_PANELS = 8;
const NOTHING = "No record has all that was chosen; take a choice back, or show all.";

function textOf(i, more = []) {
  const head = `${word("backend", i)}${places.length > 1 ? " · " + places[placeOf[i]].name : ""}\n${caseName(i)}`;
  if (!done(i)) return `${head}\n${word("status", i)}: ${word("reason", i)}`;
  const span = spanOf(i);
  return [head, `${clockOf(i)} ${digits(timeOf(i))} µs` + (span ? ` (${digits(span[0])} to ${digits(span[1])})` : " (too few rounds for an interval)"),
    `${digits(speedOf(i))} GB/s` + (shareOf(i) === null ? "" : `, ${percent(shareOf(i))} of the copy`),
    ...more, remark(i)].filter(Boolean).join("\n");
}

function key(items) {
  const some = [...new Set(items.map(i => rows.backend[i]))].sort(byLook);
  return el("div", {class: "key"}, some.map(backend => el("span", {onpointerenter: event => stress(event, backend), onpointerleave: event => stress(event, null)}, named(backend))));
}

/* While a name of the key is pointed at, the other marks of its figure are faint. */
function stress(event, backend) {
  for (const one of event.target.closest("figure").querySelectorAll(".plot :is(.dot, .join, .whisker, .cross)")) {
    one.classList.toggle("faint", backend !== null && !one.classList.contains("k" + backend));
  }
}

/* Panels side by side, one for each place; those that are too many are counted below. */
function panels(items, draw) {
  const all = [...grouped(items, i => placeOf[i])], few = all.slice(0, MOST_PANELS);
  const made = few.flatMap(([place, some]) => draw(some, all.length > 1 ? places[place].name : ""));
  const left = all.length - few.length;
  return [el("div", {class: "side"}, made), left ? el("p", {class: "note"}, `${left} more not drawn; choose runs or devices above.`) : null];
}

function show(id, items, parts, label, names) {
  const figure = document.getElementById("figure-" + id);
  if (!items.length) { figure.replaceChildren(el("p", {}, NOTHING)); return; }
  const numbers = numbersOf(figure, label, columns(...names), items);
  figure.replaceChildren(...parts.filter(Boolean), numbers);
  for (const plot of figure.querySelectorAll(".plot")) if (plot.redraw) plot.redraw();
}

const joinKey = i => [rows.backend[i], axis("table", i), axis("ids", i)].join(" ");
function joined(items, marks) {
  const of = new Map(marks.map(one => [one.i, one]));
  return [...grouped(items.filter(i => of.has(i)), joinKey).values()].filter(some => some.length > 1)
    .map(some => some.map(i => of.get(i)).sort((a, b) => a.x - b.x));
}
const marked = (items, x, y, span, more) => items.filter(i => done(i) && y(i) !== null).map(i => {
  const [low, high] = span(i) || [null, null];
  return {i, x: x(i), y: y(i), low, high, backend: rows.backend[i], hollow: axis("cache", i) === "hot", text: () => textOf(i, more ? more(i) : [])};
});
const crossed = (items, x) => items.filter(i => !done(i)).map(i => ({i, x: x(i), backend: rows.backend[i], text: () => textOf(i)}));

/* Of one clock, and what only the host timed on a device of which others have kernel times. */
function byClock(items) {
  const kernels = new Set(items.filter(i => clockOf(i) === "kernel").map(i => placeOf[i]));
  const apart = items.filter(i => done(i) && clockOf(i) !== "kernel" && kernels.has(placeOf[i])), left = new Set(apart);
  const names = [...new Set(apart.map(i => word("backend", i)))].sort();
  const note = names.length ? el("p", {class: "note apart"}, `Not drawn, timed by the host: ${names.join(", ")}`) : null;
  return [items.filter(i => !left.has(i)), note];
}

const ALL = "all tables";
function drawLimit() {
  const speedSpan = i => spanOf(i) ? spanOf(i).map(time => payloadBytes(i) / time / 1e3).reverse() : null;
  const draw = (items, title) => {
    const marks = marked(items, payloadBytes, speedOf, speedSpan), limits = [], drawnLimits = new Set();
    for (const i of items) {
      const at = rows.case[i] + " " + rows.ceiling_gb_per_s[i];
      if (rows.ceiling_gb_per_s[i] === null || drawnLimits.has(at)) continue;
      drawnLimits.add(at);
      limits.push({x: payloadBytes(i), y: rows.ceiling_gb_per_s[i], i, text: () => `ceiling: the copy of ${bytes(axis("ceiling_bytes", i))} at ${digits(rows.ceiling_gb_per_s[i])} GB/s\n${caseName(i)}`});
    }
    return drawChart({
      title, about: "Bandwidth over bytes moved, with the ceiling of each case", marks, limits, joins: joined(items, marks), dodge: 3,
      failed: crossed(items, payloadBytes), guides: guidesOf(items, limits),
      x: {label: "payload of one " + callOf(items), log: true, show: bytes}, y: {label: "GB/s of payload", log: true, show: tick},
    });
  };
  const tables = [...new Set(drawn.map(tableName))], most = name => drawn.filter(i => tableName(i) === name).length;
  const order = tables.sort((a, b) => most(b) - most(a)), one = state.limit === ALL || order.length < 2 ? ALL : order.includes(state.limit) ? state.limit : order[0];
  const select = el("select", {id: "table", onchange: () => { state.limit = select.value; writeState(); drawLimit(); document.getElementById("table").focus(); }},
    [...order, ALL].map(name => el("option", {value: name, selected: name === one}, name)));
  const chooser = order.length < 2 ? null : el("p", {}, el("label", {for: "table"}, "Table: "), select), items = drawn.filter(i => one === ALL || tableName(i) === one);
  const [here, apart] = byClock(items), legend = el("p", {class: "note"}, "▬ ceiling of the case · ● cold ○ hot · × failed · ┄ limits of the machine");
  show("limit", items, [chooser, key(here), legend, apart, ...panels(here, draw)], "Bandwidth in numbers",
    [...CASE, "payload", "time", "precision", "speed", "ceiling", "share", "shareSpan", "peak", "remark"]);
}

/* The memory's peak by its data sheet, and the least time of the smallest copy. */
function guidesOf(items, limits) {
  if (!limits.length) return [];
  const guides = [], xs = items.map(payloadBytes), low = xs.reduce((a, b) => Math.min(a, b)), high = xs.reduce((a, b) => Math.max(a, b));
  const peaks = items.filter(i => rows.fraction_of_peak[i]).map(i => speedOf(i) / rows.fraction_of_peak[i]);
  if (peaks.length) {
    const peak = Number(median(peaks).toPrecision(4));  /* of figures of four digits each */
    guides.push({label: `theoretical peak ${digits(peak)} GB/s`, from: [low, peak], to: [high, peak], fit: true, note: true});
  }
  const took = ({i, y}) => axis("ceiling_bytes", i) / y / 1e3;
  const least = limits.map(took).reduce((a, b) => Math.min(a, b));
  guides.push({label: `floor ${digits(least)} µs`, from: [low, low / least / 1e3], to: [high, high / least / 1e3], note: true});
  return guides;
}

/* The sizes that occur as ticks; null, for decades, where they are too many. */
const few = sizes => sizes.length > 12 ? null : sizes.sort((a, b) => a - b);

function drawShare() {
  const draw = (items, title) => {
    const marks = marked(items, rowBytes, shareOf, shareSpan), xs = [...marks, ...crossed(items, rowBytes)].map(one => one.x);
    return drawChart({
      title, about: "Share of the ceiling over the bytes of a row", marks, dodge: 7, failed: crossed(items, rowBytes),
      guides: xs.length ? [{label: "the ceiling", fit: true, last: true, from: [xs.reduce((a, b) => Math.min(a, b)), 1], to: [xs.reduce((a, b) => Math.max(a, b)), 1]}] : [],
      x: {label: "bytes of one row", log: true, show: bytes, ticks: few([...new Set(xs)]), scale: scale(xs, {log: true, pad: .08})}, y: {label: "of the copy's speed", zero: true, show: v => Math.round(100 * v) + "%"},
    });
  };
  const [here, apart] = byClock(drawn);
  show("share", drawn, [key(here), apart, ...panels(here, draw)], "Shares of the ceiling in numbers",
    [...CASE, "row", "speed", "ceiling", "share", "shareSpan", "distinct", "remark"]);
}

const seriesOf = i => `${tableName(i)} ${idsName(i)}`;
function drawBatch() {
  const all = grouped(drawn, seriesOf), most = new Map([...all].map(([name, some]) => [name, new Set(some.map(i => axis("batch", i))).size]));
  const order = [...all.keys()].sort((a, b) => most.get(b) - most.get(a));
  const chosen = all.has(state.table) ? state.table : order[0];
  const items = all.get(chosen) || [];
  const select = el("select", {id: "series", onchange: () => { state.table = select.value; writeState(); drawBatch(); document.getElementById("series").focus(); }},
    order.map(name => el("option", {value: name, selected: name === chosen}, `${name} (${many(most.get(name), "batch").replace("batchs", "batches")})`)));
  const batches = [...new Set(items.map(i => axis("batch", i)))].sort((a, b) => a - b);
  const clocks = TIMINGS.filter(clock => items.some(i => rows[clock + "_us"][i] !== null));
  const x = scale(batches, {log: true});
  const heights = some => scale(some.flatMap(i => clocks.map(clock => timeOf(i, clock))), {log: true});
  const draw = (some, title, y = heights(some)) => clocks.filter(clock => some.some(i => rows[clock + "_us"][i] !== null)).map(clock => {
    const marks = marked(some, i => axis("batch", i), i => timeOf(i, clock), i => spanOf(i, clock),
      i => clock === clockOf(i) ? [] : [`${clock} ${digits(timeOf(i, clock))} µs`]);
    return drawChart({
      title: [title, clock + " time"].filter(Boolean).join(" · "), about: `${clock} time over batch`, marks, joins: joined(some, marks), names: true, dodge: 3,
      failed: crossed(some, i => axis("batch", i)),
      x: {label: "batch: " + batchOf(some), log: true, show: v => v.toLocaleString("en-US"), ticks: batches, scale: x}, y: {label: "µs", log: true, show: tick, scale: y},
    });
  });
  const chooser = el("p", {}, el("label", {for: "series"}, "Table and ids: "), select);
  show("batch", items, [chooser, key(items), ...panels(items, draw)], "Times in numbers", [...CASE, ...TIMINGS, "remark"]);
}

/* One line for each backend, a dot for each case, a bar at the median; a missing figure is replaced by its reason. */
function drawStrip(title, items, value, format, why, label, log) {
  const box = el("div", {class: "plot"}, el("h4", {}, title));
  const backends = [...grouped(items.filter(done), i => rows.backend[i])].sort((a, b) => byLook(a[0], b[0]));
  const x = scale(items.filter(i => done(i) && value(i) !== null).map(value), {log, zero: !log, pad: .06});
  const tip = el("div", {class: "tip", role: "status", hidden: true}), height = backends.length * 44 + 40;
  const svg = el("svg", {height, tabindex: "0", role: "img", "aria-label": title + "; the numbers are in the table below"});
  box.append(svg, tip);
  box.redraw = () => {
    const width = Math.max(240, box.clientWidth), left = 14, right = width - 14, parts = [], spots = [];
    const px = one => left + x.at(one) * (right - left);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    let free = -Infinity;
    for (const at of ticks(x, Math.max(3, Math.floor(width / 110)))) {
      const wide = 40;
      parts.push(el("path", {class: "grid", d: `M${round(px(at))} 4V${height - 36}`}));
      if (px(at) - wide / 2 < free) continue;
      free = px(at) + wide / 2 + 8;
      parts.push(el("text", {x: round(px(at)), y: height - 22, "text-anchor": "middle"}, tick(at)));
    }
    parts.push(el("text", {x: width / 2, y: height - 5, "text-anchor": "middle"}, label));
    backends.forEach(([backend, some], line) => {
      const y = line * 44 + 30, known = some.filter(i => value(i) !== null), {shape} = looks[backend];
      const missing = some.length - known.length, reason = missing ? why(some.find(i => value(i) === null)) || "not measured" : "";
      const beside = !known.length ? `: unknown, ${reason}` : `: median ${format(median(known.map(value)))}` + (missing ? `; ${missing} unknown, ${reason}` : "");
      parts.push(el("path", {class: "dot " + colour(backend), d: markPath(shape, left + 2, y - 16, 4.4)}),
        el("text", {class: "name", x: left + 13, y: y - 12}, fitted(words.backend[backend] + beside, width - left - 14)));
      if (!known.length) return;
      const sorted = known.map(value).sort((a, b) => a - b);
      if (known.length > MOST_MARKS / 5) {
        parts.push(el("path", {class: "whisker " + colour(backend), "stroke-width": 6, d: `M${round(px(quantile(sorted, .1)))} ${y}H${round(px(quantile(sorted, .9)))}`}));
        spots.push({at: [px(median(sorted)), y], text: () => `${words.backend[backend]}: ${many(known.length, "record")}, line from 10 to 90 %`});
      } else {
        const at = known.map((i, k) => [px(value(i)), y + ((k * 7) % 11 - 5) * .9]);
        parts.push(el("path", {class: "dot " + colour(backend), "fill-opacity": .55, d: at.map(([a, b]) => markPath(shape, a, b, 3.6)).join("")}));
        known.forEach((i, k) => spots.push({at: at[k], text: () => textOf(i, [`${title}: ${format(value(i))}`])}));
      }
      parts.push(el("path", {class: "median", d: `M${round(px(median(sorted)))} ${y - 8}v16`}));
    });
    const halo = el("path", {class: "halo"});
    svg.replaceChildren(...parts, halo);
    pointed(svg, tip, halo, spots.sort((a, b) => a.at[0] - b.at[0]), width);
  };
  return box;
}

/* For smaller outputs, the least an allocator takes would hide what the backend does. */
const SMALL = 1e6;
const dramOf = i => rows.dram_gb_per_s[i] === null || rows.sustained_gb_per_s[i] === null ? null : rows.dram_gb_per_s[i] / rows.sustained_gb_per_s[i];
function drawCost() {
  const extra = i => rows.extra_memory_bytes[i] === null ? null : rows.extra_memory_bytes[i] / axis("rows_bytes", i);
  const figures = [
    ["energy", i => rows.joules_per_gb[i], v => tick(v) + " J/GB", "no_energy", "joules a GB of payload"],
    ["memory traffic by the counters", dramOf, v => tick(v) + "x", "no_dram", "bytes of DRAM traffic for one declared"],
  ];
  const draw = (items, title) => {
    const name = what => [title, what].filter(Boolean).join(" · "), ok = items.filter(done);
    if (!ok.length) return [];
    const large = ok.filter(i => axis("rows_bytes", i) >= SMALL), of = large.length ? ` (outputs from ${bytes(SMALL)})` : "";
    const what = "extra memory of a " + callOf(ok), some = large.length ? large : ok, takesNone = some.every(i => extra(i) === 0);
    const strips = [takesNone ? el("p", {}, name(what + of) + ": none, of any backend.") : drawStrip(name(what + of), large.length ? large : ok, extra, v => tick(v) + "x", i => word("no_memory", i), "in outputs of the " + callOf(ok), false)];
    for (const [what, value, format, missing, label] of figures) {
      if (ok.some(i => value(i) !== null)) strips.push(drawStrip(name(what), items, value, format, i => word(missing, i), label, true));
      else if (what === "energy" || !word("device", ok[0]).startsWith("cpu")) {
        const reasons = [...grouped(ok, i => word(missing, i))].map(([why, some]) => `${why} (${many(some.length, "record")})`);
        strips.push(el("p", {}, `${name(what)}: unknown, ${reasons.join("; ")}`));
      }
    }
    return strips;
  };
  show("cost", drawn, [key(drawn), ...panels(drawn, draw)], "Memory and energy in numbers",
    [...CASE, "extra", "prepared", "sustained", "dram", "dramShare", "energy", "power", "missing", "dramMissing", "status"]);
}
