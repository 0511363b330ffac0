"use strict";
/* Data by column, looks of backends, the state of the page. */

const data = JSON.parse(document.getElementById("data").textContent);
/* By call times, if the address asks for them and the page has both: what differs takes the other's place. */
const byCall = Boolean(data.call) && new URLSearchParams(location.hash.slice(1)).get("clock") === "call";
if (byCall) {
  for (const part of ["rows", "words", "judged"]) Object.assign(data[part], data.call[part]);
  data.box = data.call.box;
}
document.documentElement.classList.toggle("by-call", byCall);
const rows = {};
for (const [name, column] of Object.entries(data.rows)) {
  rows[name] = Array.isArray(column) ? column : new Array(data.count).fill(column);
}
const words = data.words;
const axis = (name, i) => data.cases[name][rows.case[i]];  /* of its case: an axis, or bytes */
const word = (name, i) => rows[name][i] === null ? "" : words[name][rows[name][i]];
const all = () => [...Array(data.count).keys()];
const done = i => rows.clock[i] !== null;
const TIMINGS = ["kernel", "graph", "enqueue", "call"];
const clockOf = i => word("clock", i);
const payloadBytes = i => axis("payload_bytes", i);
const rowBytes = i => axis("row_bytes", i);
const timeOf = (i, clock = clockOf(i)) => clock ? rows[clock + "_us"][i] : null;
function spanOf(i, clock = clockOf(i)) {
  const time = timeOf(i, clock), below = time === null ? null : rows[clock + "_below"][i];
  return below === null ? null : [time * (1 - below / 1e4), time * (1 + rows[clock + "_above"][i] / 1e4)];
}
const shareOf = i => rows.share[i];
const shareSpan = i => rows.share_below[i] === null ? null
  : [shareOf(i) * (1 - rows.share_below[i] / 1e4), shareOf(i) * (1 + rows.share_above[i] / 1e4)];
const speedOf = i => done(i) ? payloadBytes(i) / timeOf(i) / 1e3 : null;
const precisionOf = i => spanOf(i) ? (spanOf(i)[1] - spanOf(i)[0]) / 2 / timeOf(i) : null;
const tableName = i => words.table[axis("table", i)];
const idsName = i => words.ids[axis("ids", i)];
const caseName = i => `${tableName(i)} batch ${axis("batch", i)} ${idsName(i)}`;

/* A place is one operation on one device of one run; nothing is averaged over two. */
const operationOf = i => axis("operation", i), plainly = Object.keys(data.counts).join() === "lookup";
const callOf = items => items.every(i => operationOf(i) === "lookup") ? "lookup" : "call";
const batchOf = items => [...new Set(items.map(i => data.counts[operationOf(i)] + "s"))].join(" or ") + " in one " + callOf(items);
const places = [], placeOf = new Array(data.count);
{
  const known = new Map();
  for (let i = 0; i < data.count; i++) {
    const key = [rows.run[i], rows.device[i], operationOf(i)].join(" ");
    if (!known.has(key)) {
      known.set(key, places.length);
      places.push({run: rows.run[i], device: rows.device[i], name: (words.run.length > 1 ? word("run", i) + " · " : "") + word("device", i) + (plainly ? "" : " · " + operationOf(i))});
    }
    placeOf[i] = known.get(key);
  }
}

/* A backend that is unavailable in all cases of a place is named once there, and not drawn at each case. */
const lacking = new Set();
{
  const ran = new Map();
  for (let i = 0; i < data.count; i++) {
    const key = placeOf[i] + " " + rows.backend[i];
    ran.set(key, ran.get(key) || word("status", i) !== "unavailable");
  }
  for (const [key, any] of ran) if (!any) lacking.add(key);
}
/* The reference beside a GPU has one line, as its card was made with, and is drawn if its device is chosen. */
const beside = places.map((_, k) => document.querySelector(`[data-place="${k}"][data-reference]`) !== null);
const quiet = i => beside[placeOf[i]] && !state.chosen.device.size;
const present = i => !lacking.has(placeOf[i] + " " + rows.backend[i]);

/* Each backend keeps its colour and its mark whatever is filtered and on every page: by its name. */
const looks = [];
[...words.backend.keys()].sort((a, b) => words.backend[a] < words.backend[b] ? -1 : 1)
  .forEach((backend, k) => { looks[backend] = {order: k, colour: data.looks[backend][0], shape: data.looks[backend][1]}; });
const suites = new Set();
for (let i = 0; i < data.count; i++) if (word("whose", i).includes("suite")) suites.add(rows.backend[i]);
const whoseOf = backend => suites.has(backend) ? "a kernel of this suite" : "";
const aboutBackend = backend => [words.backend[backend], whoseOf(backend), data.about[backend]].filter(Boolean).join("\n");

const round = value => Math.round(value * 10) / 10;
function markPath(shape, x, y, r) {
  const polygon = (...points) => "M" + points.map(([a, b]) => `${round(x + a * r)} ${round(y + b * r)}`).join("L") + "Z";
  switch (shape) {
    case 0: return `M${round(x - r)} ${round(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
    case 1: return polygon([-.9, -.9], [.9, -.9], [.9, .9], [-.9, .9]);
    case 2: return polygon([0, -1.15], [1.05, .8], [-1.05, .8]);
    case 3: return polygon([0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]);
    case 4: return polygon([0, 1.15], [1.05, -.8], [-1.05, -.8]);
    case 5: return polygon([-.4, -1.1], [.4, -1.1], [.4, -.4], [1.1, -.4], [1.1, .4], [.4, .4], [.4, 1.1], [-.4, 1.1],
      [-.4, .4], [-1.1, .4], [-1.1, -.4], [-.4, -.4]);
    case 6: return polygon([-.6, -1.05], [.6, -1.05], [1.2, 0], [.6, 1.05], [-.6, 1.05], [-1.2, 0]);
    default: return polygon([0, -1.3], [.4, -.4], [1.25, -.3], [.6, .4], [.8, 1.2], [0, .75], [-.8, 1.2], [-.6, .4],
      [-1.25, -.3], [-.4, -.4]);
  }
}
const crossPath = (x, y, r) => `M${round(x - r)} ${round(y - r)}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`;
const colour = backend => `b${looks[backend].colour} k${backend}`;
const mark = backend => el("svg", {class: "mark " + colour(backend), viewBox: "-7 -7 14 14", "aria-hidden": "true"},
  el("path", {class: "dot", d: markPath(looks[backend].shape, 0, 0, 5)}));
const named = backend => el("span", {title: aboutBackend(backend), class: suites.has(backend) ? "own" : null}, mark(backend), words.backend[backend]);
const byLook = (a, b) => looks[a].order - looks[b].order;

/* The choices of the reader; they are in the address after #, so that a link shows the same. */
const state = {chosen: {}, sort: "", page: 0, theme: "", table: "", limit: "", case: "", clock: ""};
const REST = ["sort", "theme", "table", "limit", "case", "clock"];
function readState(dimensions) {
  const given = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  for (const {key} of dimensions) state.chosen[key] = new Set(given.getAll(key));
  for (const name of REST) state[name] = given.get(name) || "";
  state.page = Math.max(0, (parseInt(given.get("page"), 10) || 1) - 1);
}
function writeState() {
  const params = new URLSearchParams();
  for (const [key, values] of Object.entries(state.chosen)) for (const value of values) params.append(key, value);
  for (const name of REST) if (state[name]) params.set(name, state[name]);
  if (state.page) params.set("page", state.page + 1);
  history.replaceState(null, "", "#" + params);
}
