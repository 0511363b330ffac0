"use strict";
/* One set of axes with marks, whiskers, limits and failures; the mark under the pointer is described in words. */

const MOST_MARKS = 1500, BINS = 24, HEIGHT = 300;
const LETTER = 7;  /* widest letter of the usual names, in pixels */
const fitted = (text, pixels) => text.length * LETTER <= pixels ? text : text.slice(0, Math.max(1, Math.floor(pixels / LETTER) - 1)) + "…";

function scale(values, {log, zero, pad = .05}) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value === null || !isFinite(value) || (log && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) [low, high] = log ? [1, 10] : [0, 1];
  if (zero) low = Math.min(0, low);
  let [a, b] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  if (b - a < (log ? .02 : 1e-9)) { const half = log ? .5 : Math.abs(a) * .5 || .5; a -= zero ? 0 : half; b += half; }
  const extra = (b - a) * pad;
  if (!zero || a < 0) a -= extra;
  b += extra;
  const at = value => ((log ? Math.log10(value) : value) - a) / (b - a);
  return {at, low: log ? 10 ** a : a, high: log ? 10 ** b : b, log};
}

function ticks({low, high, log}, wanted) {
  const found = [];
  const decades = log ? Math.log10(high / low) : 0;
  if (decades > .6) {
    const every = Math.max(1, Math.ceil(decades / wanted));
    const steps = decades < 1.2 ? [1, 2, 3, 5, 7] : decades < 2.4 ? [1, 2, 5] : [1];
    for (let d = Math.floor(Math.log10(low)); d <= Math.log10(high); d++) {
      if (steps.length === 1 && d % every) continue;
      for (const step of steps) found.push(Number((step * 10 ** d).toPrecision(3)));
    }
  } else {
    const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].find(one => one * power >= rough) * power;
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(6)));
  }
  return found.filter(value => value >= low && value <= high);
}

/* Of too many marks to draw, one for each bin: at the median, with a whisker from 10 to 90 %. */
function binned(marks, x) {
  const low = Math.log10(x.low), wide = (Math.log10(x.high) - low) / BINS;
  const bin = one => Math.floor((Math.log10(one.x) - low) / wide);
  const made = [];
  for (const some of grouped(marks, one => `${one.backend} ${one.hollow} ${bin(one)}`).values()) {
    const ys = some.map(one => one.y).sort((a, b) => a - b);
    made.push({...some[0], x: 10 ** (low + (bin(some[0]) + .5) * wide), y: median(ys), low: quantile(ys, .1), high: quantile(ys, .9),
      text: () => `${some[0].limit ? "ceiling" : words.backend[some[0].backend]}: median of ${many(some.length, "record")}, whisker 10–90 %`});
  }
  return made;
}

/* Args: spec: {title, about, x: {label, log, show, ticks?}, y: {…}, marks: [{x, y, low, high, backend, hollow, text}],
   joins: [[mark]], limits: [{x, y}], guides: [{label, from: [x, y], to: [x, y], fit, note, last}], failed: [{x, backend, text}], names} */
function drawChart(spec) {
  const box = el("div", {class: "plot"}), tip = el("div", {class: "tip", role: "status", hidden: true});
  if (spec.title) box.append(el("h4", {}, spec.title));
  const limits = spec.limits || [], guides = spec.guides || [], failed = spec.failed || [];
  const x = spec.x.scale || scale([...spec.marks, ...limits, ...failed].map(one => one.x), {log: spec.x.log});
  const y = spec.y.scale || scale([...spec.marks.flatMap(one => [one.y, one.low, one.high]), ...limits.map(one => one.y),
    ...guides.filter(one => one.fit).map(one => one.from[1])].filter(v => v !== null && v !== undefined), {log: spec.y.log, zero: spec.y.zero});
  const crowded = spec.marks.length > MOST_MARKS;
  const marks = crowded ? binned(spec.marks, x) : spec.marks;
  const svg = el("svg", {height: HEIGHT, tabindex: "0", role: "img", "aria-label": `${spec.about}; the numbers are in the table below; arrow keys go from mark to mark`});
  box.append(svg, tip);
  if (crowded || limits.length > MOST_MARKS) {
    box.append(el("p", {class: "note"}, `${many(spec.marks.length, "point")} here: each mark is the median of the points in its part of the axis; whiskers span the middle 80 %.`));
  }
  const named = guides.filter(one => one.label && one.note).map(one => one.label);
  if (named.length) box.append(el("p", {class: "note"}, "┄ " + named.join(" · ")));
  box.redraw = () => paint(box, svg, tip, spec, {x, y, marks, limits: limits.length > MOST_MARKS ? binnedLimits(limits, x) : limits, guides, failed, crowded});
  return box;
}

function binnedLimits(limits, x) {
  return binned(limits.map(one => ({...one, backend: 0, hollow: false, limit: true})), x);
}

function paint(box, svg, tip, spec, {x, y, marks, limits, guides, failed, crowded}) {
  const width = Math.max(240, box.clientWidth), wide = spec.names && width > 420;
  const longest = wide ? Math.max(0, ...spec.joins.map(some => words.backend[some[0].backend].length)) : 0;
  const ends = longest ? Math.min(24 + LETTER * longest, .4 * width) : 12;
  const lanes = [...new Set(failed.map(one => one.backend))].sort(byLook), lane = Math.min(9, 40 / Math.max(1, lanes.length));
  const left = 52, top = 24, right = width - ends, bottom = HEIGHT - 40 - (lanes.length ? lanes.length * lane + 8 : 0);
  const px = value => left + x.at(value) * (right - left);
  /* Where many marks share a place on the axis, each backend stands a little beside the others. */
  const beside = [...new Set(marks.map(one => one.backend))].sort(byLook), apart = spec.dodge ? Math.min(spec.dodge, 42 / beside.length) : 0;
  const dx = one => px(one.x) + (beside.indexOf(one.backend) - (beside.length - 1) / 2) * apart;
  const py = value => bottom - y.at(value) * (bottom - top);
  const parts = [], labels = [], held = value => Math.max(top, Math.min(bottom, py(value)));
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);

  for (const value of ticks(y, 6)) {
    parts.push(el("path", {class: "grid", d: `M${left} ${round(py(value))}H${right}`}),
      el("text", {x: left - 6, y: round(py(value)) + 4, "text-anchor": "end"}, spec.y.show(value)));
  }
  let free = -Infinity, label = null;
  for (const value of spec.x.ticks || ticks(x, Math.max(3, Math.floor((right - left) / 80)))) {
    const at = px(value), wide = spec.x.show(value).length * 6.4;
    parts.push(el("path", {class: "grid", d: `M${round(at)} ${top}V${bottom}`}));
    if (at - wide / 2 < free) {  /* two that stand close share a label: 16, 17 */
      if (spec.x.ticks && label && at - label.at < 14) label.text.textContent += ", " + spec.x.show(value);
      continue;
    }
    free = at + wide / 2 + 8;
    label = {at, text: el("text", {x: round(at), y: HEIGHT - 22, "text-anchor": "middle"}, spec.x.show(value))};
    parts.push(label.text);
  }
  parts.push(el("path", {class: "axis", d: `M${left} ${top}V${bottom}H${right}`}),
    el("text", {x: (left + right) / 2, y: HEIGHT - 5, "text-anchor": "middle"}, spec.x.label),
    el("text", {class: "name", x: 2, y: 12}, spec.y.label));

  for (const {label, from, to, last} of guides) {
    const level = from[1] === to[1];
    const [[x0, y0], [x1, y1]] = clipped([level ? left : px(from[0]), py(from[1])], [level ? right : px(to[0]), py(to[1])], top, bottom);
    parts.push(el("path", {class: "guide", d: `M${round(x0)} ${round(y0)}L${round(x1)} ${round(y1)}`}));
    if (label && width > 460) {
      const middle = (x0 + x1) / 2, room = middle - left > LETTER * label.length + 8;
      if (level) labels.push(el("text", {class: "guided", x: last ? right : left + 6, y: round(y0) - 5, "text-anchor": last ? "end" : "start"}, label));
      else labels.push(el("text", {class: "guided", x: round(room ? middle - 8 : x1 + 8), y: round(room ? (y0 + y1) / 2 - 3 : y1 + 26), "text-anchor": room ? "end" : "start"}, label));
    }
  }
  if (limits.length) {
    parts.push(el("path", {class: "limit", d: limits.map(one => `M${round(px(one.x) - 7)} ${round(py(one.y))}h14`).join("")}));
  }
  if (!crowded) {
    for (const some of spec.joins || []) {
      parts.push(el("path", {class: "join " + colour(some[0].backend),
        d: some.map((one, k) => (k ? "L" : "M") + `${round(dx(one))} ${round(py(one.y))}`).join("")}));
    }
  }
  for (const [backend, some] of [...grouped(marks, one => one.backend)].sort((a, b) => byLook(a[0], b[0]))) {
    const size = marks.length > 400 ? 3.4 : 4.6, {shape} = looks[backend];
    const whiskers = some.filter(one => one.low).map(one => `M${round(dx(one))} ${round(held(one.low))}V${round(held(one.high))}`);
    if (whiskers.length) parts.push(el("path", {class: "whisker " + colour(backend), d: whiskers.join("")}));
    for (const hollow of [false, true]) {
      const d = some.filter(one => Boolean(one.hollow) === hollow).map(one => markPath(shape, dx(one), held(one.y), size)).join("");
      if (d) parts.push(el("path", {class: (hollow ? "dot hollow " : "dot ") + colour(backend), d}));
    }
  }
  const laneAt = backend => bottom + 9 + (lanes.indexOf(backend) + .5) * lane;
  for (const backend of lanes) {
    const d = failed.filter(one => one.backend === backend).map(one => crossPath(px(one.x), laneAt(backend), 3.2)).join("");
    parts.push(el("path", {class: "cross " + colour(backend), d}));
  }
  if (lanes.length) parts.push(el("text", {x: left - 6, y: bottom + 13 + lanes.length * lane / 2, "text-anchor": "end"}, "failed"));
  if (ends > 12) parts.push(...endNames(spec.joins || [], px, py, right, top, bottom, ends - 24).flat());
  const halo = el("path", {class: "halo"});
  svg.replaceChildren(...parts, ...labels, halo);

  const spots = [...marks.map(one => ({at: [dx(one), held(one.y)], text: one.text})),
    ...limits.map(one => ({at: [px(one.x), py(one.y)], text: one.text})),
    ...failed.map(one => ({at: [px(one.x), laneAt(one.backend)], text: one.text}))].sort((a, b) => a.at[0] - b.at[0]);
  pointed(svg, tip, halo, spots, width);
}

/* A straight line, cut where it leaves the axes above or below. */
function clipped(a, b, top, bottom) {
  const cut = ([x0, y0], [x1, y1]) => {
    const y = Math.max(top, Math.min(bottom, y0));
    return y === y0 || y1 === y0 ? [x0, y] : [x0 + (x1 - x0) * (y - y0) / (y1 - y0), y];
  };
  return [cut(a, b), cut(b, a)];
}

/* Names at the right ends of lines, moved apart so that none covers another. */
function endNames(joins, px, py, right, top, bottom, room) {
  const ends = joins.map(some => ({backend: some[0].backend, y: py(some[some.length - 1].y)})).sort((a, b) => a.y - b.y);
  ends.forEach((one, k) => { if (k) one.y = Math.max(one.y, ends[k - 1].y + 13); });
  for (let k = ends.length - 1, most = bottom; k >= 0; k--) { ends[k].y = Math.min(ends[k].y, most); most = ends[k].y - 13; }
  return ends.filter(one => one.y >= top - 5).map(({backend, y}) => {
    return [el("path", {class: "dot " + colour(backend), d: markPath(looks[backend].shape, right + 11, y, 3.6)}),
      el("text", {class: "name", x: right + 19, y: round(y) + 4}, fitted(words.backend[backend], room))];
  });
}

/* Describe the mark nearest to the pointer, or step through the marks by the arrow keys. */
function pointed(svg, tip, halo, spots, width) {
  let here = -1;
  const tell = k => {
    here = k;
    const spot = spots[k];
    tip.hidden = !spot;
    halo.setAttribute("d", spot ? markPath(0, spot.at[0], spot.at[1], 8) : "");
    if (!spot) return;
    tip.textContent = spot.text();
    const [x, y] = spot.at;
    tip.style.left = x > width / 2 ? "auto" : `${x + 12}px`;
    tip.style.right = x > width / 2 ? `${width - x + 12}px` : "auto";
    tip.style.top = `${svg.getBoundingClientRect().top - svg.parentNode.getBoundingClientRect().top + y + 10}px`;
  };
  svg.onpointermove = svg.onclick = event => {
    const frame = svg.getBoundingClientRect(), x = event.clientX - frame.left, y = event.clientY - frame.top;
    let best = -1, least = 26 ** 2;
    spots.forEach(({at}, k) => {
      const far = (at[0] - x) ** 2 + (at[1] - y) ** 2;
      if (far < least) { least = far; best = k; }
    });
    if (best !== here) tell(best);
  };
  svg.onpointerleave = svg.onblur = () => tell(-1);
  svg.onkeydown = event => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step || !spots.length) return;
    event.preventDefault();
    tell((here + step + spots.length) % spots.length);
  };
}
