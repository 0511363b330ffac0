"use strict";
/* Filters: a chip for each value, dimmed where the other choices leave no record with it. */

const byWord = name => i => word(name, i);
const byAxis = name => i => axis(name, i);
const DIMENSIONS = [
  {key: "run", label: "Run", value: byWord("run")},
  {key: "device", label: "Device", value: byWord("device")},
  {key: "operation", label: "Operation", about: "what is computed", value: byAxis("operation")},
  {key: "variant", label: "Variant", about: "which kind of its operation", value: byAxis("variant")},
  {key: "environment", label: "Environment", value: byWord("environment")},
  {key: "backend", label: "Backend", value: byWord("backend")},
  {key: "whose", label: "Whose code", about: "a call of a library, or a kernel that was written for this suite", value: byWord("whose")},
  {key: "dtype", label: "Data type", value: byAxis("dtype")},
  {key: "cache", label: "Cache", about: "cold: ids, rows and output were not touched since more than the last-level cache was; hot: the same ids again", value: byAxis("cache")},
  {key: "distribution", label: "Ids drawn", about: "the distribution that the ids of a lookup are drawn from", value: byAxis("distribution")},
  {key: "index_dtype", label: "Id type", value: byAxis("index_dtype")},
  {key: "offset", label: "Table's offset", about: "bytes by which the table lies off its alignment", value: byAxis("offset")},
  {key: "placement", label: "Placement", about: "where the table lies", value: byAxis("placement")},
  {key: "status", label: "Status", value: byWord("status")},
];
for (const dimension of DIMENSIONS) {
  const codes = new Map(), column = new Uint32Array(data.count);
  for (let i = 0; i < data.count; i++) {
    const value = dimension.value(i);
    if (!codes.has(value)) codes.set(value, codes.size);
    column[i] = codes.get(value);
  }
  dimension.values = [...codes.keys()];
  dimension.column = column;
  dimension.order = [...dimension.values.keys()].sort((a, b) => dimension.values[a] < dimension.values[b] ? -1 : 1);
}

let shown = [], drawn = [];  /* records listed, and those of them drawn in plots */
function choose() {
  const wanted = DIMENSIONS.map(({key, values}) => {
    const chosen = state.chosen[key];
    return values.map(value => chosen.size === 0 || chosen.has(value));
  });
  for (const dimension of DIMENSIONS) dimension.counts = new Array(dimension.values.length).fill(0);
  shown = [];
  for (let i = 0; i < data.count; i++) {
    let misses = 0, missed = 0;
    for (let k = 0; k < DIMENSIONS.length && misses < 2; k++) {
      if (!wanted[k][DIMENSIONS[k].column[i]]) { misses++; missed = k; }
    }
    if (misses === 0) {
      shown.push(i);
      for (const {counts, column} of DIMENSIONS) counts[column[i]]++;
    } else if (misses === 1) {
      DIMENSIONS[missed].counts[DIMENSIONS[missed].column[i]]++;
    }
  }
  drawn = shown.filter(i => present(i) && !quiet(i));
  if (!drawn.length) drawn = shown;
}

function drawFilters(changed) {
  const box = document.getElementById("chips");
  const focused = document.activeElement && document.activeElement.id;
  const fields = [];
  for (const [k, {key, label, values, counts, order, about}] of DIMENSIONS.entries()) {
    if (values.length < 2 && ["run", "operation", "variant", "environment", "whose", "index_dtype", "offset", "placement"].includes(key) && !state.chosen[key].size) continue;
    const chips = order.map(code => {
      const value = values[code], pressed = state.chosen[key].has(value);
      const toggle = () => {
        if (pressed) state.chosen[key].delete(value); else state.chosen[key].add(value);
        state.page = 0;
        changed();
      };
      const look = key === "backend" ? mark(words.backend.indexOf(value)) : null;
      return el("button", {
        type: "button", class: "chip" + (counts[code] ? "" : " empty"), id: `chip-${k}-${code}`, "aria-pressed": String(pressed),
        title: counts[code] ? (key === "backend" ? aboutBackend(words.backend.indexOf(value)) : about || null) : "no such record with the other choices", onclick: toggle,
      }, look, value === "" ? "none" : value, " ", el("small", {}, counts[code].toLocaleString("en-US")));
    });
    fields.push(el("fieldset", {}, el("legend", {}, label), chips));
  }
  box.replaceChildren(...fields);
  const any = Object.values(state.chosen).some(chosen => chosen.size);
  document.documentElement.classList.toggle("filtered", any);
  document.getElementById("shown").replaceChildren(
    any ? `${shown.length.toLocaleString("en-US")} of ${many(data.count, "record")} ` : `all ${many(data.count, "record")}`,
    ...(any ? [el("button", {type: "button", id: "clear", onclick: event => {
      event.preventDefault();
      for (const chosen of Object.values(state.chosen)) chosen.clear();
      changed();
    }}, "show all")] : []),
  );
  if (focused && document.getElementById(focused)) document.getElementById(focused).focus({preventScroll: true});
}
