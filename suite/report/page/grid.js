"use strict";
/* A table that is sorted by its headings and shown a page at a time. */

const LINES = 50, MOST_PRINTED = 2000;
let printing = false;

/* Order items by a column; those without a value come last either way, equal ones keep their order. */
function sorted(items, column, down) {
  if (!column) return items;
  const keys = new Map(items.map(item => [item, column.value(item)]));
  const none = value => value === null || value === undefined || value === "";
  return [...items].sort((a, b) => {
    const x = keys.get(a), y = keys.get(b);
    if (none(x) || none(y)) return none(x) - none(y);
    return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
  });
}

/* Args: columns: {key, label, value(item), show(item)?, number?, long?}; own: {sort, page}, kept between draws;
   changed: called after the reader sorted or turned a page. */
function drawGrid(box, label, columns, items, own, changed) {
  const down = own.sort.startsWith("-"), key = own.sort.replace(/^-/, "");
  const column = columns.find(one => one.key === key);
  const order = sorted(items, column, down);
  const last = Math.max(0, Math.ceil(order.length / LINES) - 1);
  own.page = Math.min(own.page, last);
  const again = focus => {
    changed();
    const target = box.querySelector(`[data-name="${CSS.escape(focus)}"]`);
    if (target && !target.disabled) target.focus({preventScroll: true});
  };
  const heading = one => {
    const sort = one === column ? (down ? "descending" : "ascending") : "none";
    /* Times begin with the least, other numbers with the largest, words with the first; a third press restores the order. */
    const falls = one.number && !one.rises, first = falls ? "-" : "", second = falls ? "" : "-";
    const next = own.sort === first + one.key ? second + one.key : own.sort === second + one.key ? "" : first + one.key;
    const press = () => { own.sort = next; own.page = 0; again(one.key); };
    return el("th", {scope: "col", "aria-sort": sort, class: one.number ? "number" : null},
      el("button", {type: "button", "data-name": one.key, title: one.about || null, onclick: press}, one.label));
  };
  const cell = (one, item) => {
    const shown = one.show ? one.show(item) : one.value(item);
    const inside = shown === null || shown === undefined ? [] : Array.isArray(shown) ? shown : shown instanceof Node ? [shown] : [String(shown)];
    return el("td", {class: one.number ? "number" : one.long ? "long" : "short"}, ...inside);
  };
  const from = printing ? 0 : own.page * LINES, here = order.slice(from, from + (printing ? MOST_PRINTED : LINES));
  const turn = (name, label, page) => el("button", {
    type: "button", "data-name": name, disabled: page === own.page, onclick: () => { own.page = page; again(name); },
  }, label);
  const pager = el("div", {class: "pager"},
    el("span", {role: "status"}, order.length ? `${(from + 1).toLocaleString("en-US")}–${(from + here.length).toLocaleString("en-US")} of ${order.length.toLocaleString("en-US")}` : "nothing to show"),
    ...(last ? [turn("first", "« first", 0), turn("previous", "‹ previous", Math.max(0, own.page - 1)),
      turn("next", "next ›", Math.min(last, own.page + 1)), turn("last", "last »", last)] : []));
  const scrolled = box.querySelector(".scroll") ? box.querySelector(".scroll").scrollLeft : 0;
  const frame = el("div", {class: "scroll kept tall", tabindex: "0", role: "region", "aria-label": label},
    el("table", {}, el("thead", {}, el("tr", {}, columns.map(heading))),
      el("tbody", {}, here.map(item => el("tr", {}, columns.map(one => cell(one, item)))))));
  box.replaceChildren(pager, frame);
  frame.scrollLeft = scrolled;
}

/* The numbers of a plot, drawn when they are opened. */
function numbersOf(figure, label, columns, items) {
  const own = {sort: "", page: 0}, inside = el("div"), id = figure.id + "-numbers";
  const open = figure.querySelector("details") ? figure.querySelector("details").open : false;
  const draw = () => drawGrid(inside, label, columns, items, own, draw);
  const fold = el("details", {id, open, ontoggle: () => { if (fold.open && !inside.firstChild) draw(); }},
    el("summary", {}, "The numbers"), inside);
  return fold;
}

const COLUMNS = {
  place: {key: "place", label: (words.run.length > 1 ? "run · device" : "device") + (plainly ? "" : " · operation"), value: i => places[placeOf[i]].name},
  backend: {key: "backend", label: "backend", about: "point at a name to read what it is; suite: a kernel written for this suite", value: i => word("backend", i), show: i => named(rows.backend[i])},
  table: {key: "table", label: "vocab×dim", value: i => axis("vocab", i) * 2 ** 20 + axis("dim", i), show: i => [el("span", {title: modelsOf(i) || null}, `${axis("vocab", i)}×${axis("dim", i)}`)], number: true, rises: true, about: "rows of the table and elements of a row; point at it for the models that have it"},
  variant: {key: "variant", label: "variant", value: i => axis("variant", i), about: "which kind of its operation"},
  dtype: {key: "dtype", label: "dtype", value: i => axis("dtype", i), about: "type of the elements"},
  batch: {key: "batch", label: "batch", value: i => axis("batch", i), show: i => axis("batch", i).toLocaleString("en-US"), number: true, rises: true, about: batchOf(all())},
  index: {key: "index", label: "ids", value: i => axis("index_dtype", i), about: "type of the ids"},
  distribution: {key: "distribution", label: "drawn", value: i => axis("distribution", i), about: "distribution that the ids are drawn from"},
  cache: {key: "cache", label: "cache", value: i => axis("cache", i), about: "cold: not touched since more than the last-level cache was; hot: the same ids again"},
  placement: {key: "placement", label: "placement", value: i => axis("placement", i), about: "where the table lies"},
  offset: {key: "offset", label: "offset", value: i => axis("offset", i), number: true, about: "bytes by which the table lies off its alignment"},
  clock: {key: "clock", label: "clock", value: clockOf, about: "kernel: on the device, without dispatch; call: until the rows are there"},
  time: {key: "time", label: "µs", value: i => timeOf(i), show: i => stressed(digits(timeOf(i)), word("slow", i) && digits(timeOf(i)), word("slow", i)), number: true, rises: true, about: "by the record's own clock"},
  ratio: {key: "ratio", label: "x", value: ratioOf, show: i => ratioOf(i) === null ? "" : digits(ratioOf(i)) + "x", number: true, rises: true, about: "times the time of the fastest of its case, from rounds at full speed of both, so not the quotient of two times"},
  precision: {key: "precision", label: "±", value: precisionOf, show: i => done(i) ? [wide(i) ? el("b", {}, intervalText(i)) : intervalText(i)] : "", number: true, rises: true, about: "half the 95 % interval, in weight above 5 %; ? where there were too few rounds"},
  speed: {key: "speed", label: "GB/s", value: speedOf, show: i => digits(speedOf(i)), number: true, about: "payload a second: every row read once and written once, and the ids; GB = 1e9 bytes"},
  ceiling: {key: "ceiling", label: "copy GB/s", value: i => rows.ceiling_gb_per_s[i], show: i => digits(rows.ceiling_gb_per_s[i]), number: true},
  share: {key: "share", label: "of copy", value: shareOf, show: i => percent(shareOf(i)), number: true, about: "share of the speed of a plain copy of the same rows, in the same rounds"},
  shareSpan: {key: "shareSpan", label: "95 % interval", value: i => shareSpan(i) && shareSpan(i)[0], show: i => shareSpan(i) ? shareSpan(i).map(one => percent(one)).join(" – ") : done(i) ? "?" : "", number: true},
  peak: {key: "peak", label: "of peak", value: i => rows.fraction_of_peak[i], show: i => percent(rows.fraction_of_peak[i]), number: true},
  distinct: {key: "distinct", label: "distinct ids", value: i => rows.distinct_fraction[i], show: i => percent(rows.distinct_fraction[i], 0), number: true},
  payload: {key: "payload", label: "moved", value: payloadBytes, show: i => bytes(payloadBytes(i)), number: true},
  row: {key: "row", label: "row", value: rowBytes, show: i => bytes(rowBytes(i)), number: true},
  extra: {key: "extra", label: "extra MB", about: "memory that a lookup takes beyond table, ids and the given output", value: i => rows.extra_memory_bytes[i], show: i => rows.extra_memory_bytes[i] === null ? word("no_memory", i) : digits(rows.extra_memory_bytes[i] / 1e6), number: true},
  prepared: {key: "prepared", label: "prepare MB", value: i => rows.prepare_memory_bytes[i], show: i => rows.prepare_memory_bytes[i] === null ? "" : digits(rows.prepare_memory_bytes[i] / 1e6), number: true, about: "memory that preparing added: library, kernels, pools"},
  energy: {key: "energy", label: "J/GB", value: i => rows.joules_per_gb[i], show: i => digits(rows.joules_per_gb[i]), number: true, rises: true},
  power: {key: "power", label: "W", value: i => rows.mean_power_w[i], show: i => digits(rows.mean_power_w[i]), number: true},
  missing: {key: "missing", label: "energy unknown", value: i => word("no_energy", i), long: true},
  sustained: {key: "sustained", label: "declared GB/s", value: i => rows.sustained_gb_per_s[i], show: i => digits(rows.sustained_gb_per_s[i]), number: true, about: "payload a second while the counters were read: lookups on end, so not exactly that of the samples"},
  dram: {key: "dram", label: "DRAM GB/s", value: i => rows.dram_gb_per_s[i], show: i => digits(rows.dram_gb_per_s[i]), number: true, about: "memory traffic by the counters meanwhile: NVML's share of the peak times the peak"},
  dramShare: {key: "dramShare", label: "DRAM / declared", value: i => dramOf(i), show: i => dramOf(i) === null ? "" : digits(dramOf(i)) + "x", number: true},
  dramMissing: {key: "dramMissing", label: "DRAM traffic unknown", value: i => word("no_dram", i), long: true},
  status: {key: "status", label: "status", value: i => word("status", i), about: "ok, or the kind of failure"},
  remark: {key: "remark", label: "remark", about: "fastest of its case or tied with it; allocates: it returns memory of its own; or how it failed and why", value: remark, show: i => stressed(remark(i), word("slow", i), null), long: true},
};
for (const clock of TIMINGS) {
  COLUMNS[clock] = {
    key: clock, label: clock + " µs", number: true, rises: true, value: i => rows[clock + "_us"][i],
    show: i => rows[clock + "_us"][i] === null ? "" : digits(rows[clock + "_us"][i]) + (rows[clock + "_below"][i] === null ? "" : ` −${(rows[clock + "_below"][i] / 100).toFixed(1)} +${(rows[clock + "_above"][i] / 100).toFixed(1)}%`),
  };
}
/* How many times as long as the fastest of its case it took; null where it is not ranked. */
function ratioOf(i) {
  return !done(i) || !ranks(i) || isBelow(i) ? null : ratioTo(i, judged.ranked[spots.get(i).group][0]);
}
function remark(i) {
  if (!done(i)) return `${word("status", i)}: ${word("reason", i)}`;
  const fastest = !ranks(i) || isBelow(i) ? "" : spots.get(i).rank === 0 ? "fastest" : !isBehind(against(i, judged.ranked[spots.get(i).group][0])) ? "tied with the fastest" : "";
  return [...(word("slow", i) ? [word("slow", i)] : [fastest]), isBelow(i) ? judged.host_timed : "", rows.held[i] === 0 ? "queue ran dry" : "",
    rows.allocates[i] ? "allocates" : "", rows.cache_resident[i] ? "table fits the cache" : ""].filter(Boolean).join(", ");
}
const intervalText = i => spanOf(i) ? "±" + percent(precisionOf(i)) : "±?";
const wide = i => !spanOf(i) || precisionOf(i) > judged.wide + 5e-4;  /* as rounded in what is read */
/* A text whose beginning, where there is any, is to be seen first. */
const stressed = (text, first, title) => first ? [el("b", {class: "bad", title}, first), text.slice(first.length)] : text;
const known = name => rows[name].some(value => value !== null);
const shows = {
  place: beside.filter(one => !one).length > 1, variant: data.cases.variant.some(Boolean), offset: data.cases.offset.some(Boolean), placement: data.cases.placement.some(one => one !== "memory"), dram: known("dram_gb_per_s"), dramShare: known("dram_gb_per_s"),
  dramMissing: known("dram_gb_per_s"), sustained: known("sustained_gb_per_s"), energy: known("joules_per_gb"), power: known("mean_power_w"),
};
/* A phone shows two or three columns without scrolling: the most important ones. */
const FIRST = matchMedia("(max-width: 640px)").matches ? ["backend", "time", "share"] : [];
const columns = (...names) => [...FIRST.filter(name => names.includes(name)), ...names.filter(name => !FIRST.includes(name))]
  .filter(name => shows[name] !== false).map(name => COLUMNS[name]);
const CASE = ["backend", "place", "variant", "table", "dtype", "batch", "index", "distribution", "cache", "offset", "placement"];
