"use strict";
/* My table: the backends ranked for one table and batch, as suite.best answered when the page was made. */

const boxOf = {place: 0, table: "", batch: "", ids: ""};
const LONGEST = 8;  /* times the fastest; a longer bar ends here */
const spell = microseconds => microseconds < 1e3 ? digits(microseconds) + " µs" : microseconds < 1e6 ? digits(microseconds / 1e3) + " ms" : digits(microseconds / 1e6) + " s";

/* The choices that are left, each the values that have an answer under those before it, and which have a measured
   one; where the last choice is none of them, the first measured one is taken. */
function boxChoices() {
  const {answers, texts} = data.box[boxOf.place];
  let left = answers.map(one => ({...one, table: texts[one.table], ids: texts[one.ids]}));
  const lists = [];
  for (const name of ["table", "batch", "ids"]) {
    const values = [...new Set(left.map(one => String(one[name])))];
    if (name === "batch") values.sort((a, b) => a - b);
    const measured = new Set(left.filter(one => one.basis === "measured").map(one => String(one[name])));
    if (!values.includes(boxOf[name])) boxOf[name] = values.find(value => measured.has(value)) ?? values[0];
    lists.push([name, values, measured]);
    left = left.filter(one => String(one[name]) === boxOf[name]);
  }
  return [lists, left[0]];
}
function boxSelect(name, values, text) {
  const options = values.map((value, k) => el("option", {value: name === "place" ? k : value, selected: String(name === "place" ? k : value) === String(boxOf[name])}, text(value)));
  return el("label", {}, name, el("select", {id: "box-" + name, onchange: event => {
    boxOf[name] = name === "place" ? Number(event.target.value) : event.target.value;
    drawBox();
    document.getElementById("box-" + name).focus({preventScroll: true});
  }}, options));
}
function boxRow(bar, backends, scale) {
  const [place, time, low, high, ratio, best, apart] = bar, [name, whose] = backends[place];
  const known = words.backend.indexOf(name), length = Math.min(1, ratio / scale);
  return el("tr", {}, el("td", {}, best ? "*" : ""), el("td", {}, known < 0 ? name : named(known)), el("td", {class: "number"}, spell(time)),
    el("td", {class: "number"}, apart ? "" : digits(ratio) + "x"), el("td", {class: "number"}, low < high ? `${spell(low)} to ${spell(high)}` : "too few rounds"),
    el("td", {}, apart ? whose + ", by the call: not ranked with these" : whose),
    el("td", {class: known < 0 ? null : colour(known)}, apart ? null : el("svg", {class: "length", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true"},
      el("path", {class: best ? "filled" : "filled pale", d: `M0 0H${100 * length}V10H0Z`}))));
}
function drawBox() {
  const section = document.getElementById("box");
  if (!data.box.some(place => place.answers.length)) { section.hidden = true; return; }
  const [lists, answer] = boxChoices(), {backends, texts, operation} = data.box[boxOf.place];
  const text = (name, value) => name === "batch" ? Number(value).toLocaleString("en-US") : value;
  document.getElementById("box-choice").replaceChildren(
    ...(data.box.length > 1 ? [boxSelect("place", data.box, place => [place.run, place.device, ...(plainly ? [] : [place.operation])].join(" · "))] : []),
    ...lists.map(([name, values, measured]) => boxSelect(name, values, value => text(name, value) + (measured.has(value) ? "" : " (predicted)"))));
  const scale = Math.min(LONGEST, Math.max(...answer.bars.map(bar => bar[4])));
  const heads = ["", "backend", "time", "× best", "interval", "whose", ""];
  const table = el("table", {}, el("thead", {}, el("tr", {}, heads.map((head, k) => el("th", {scope: "col", class: "plain" + (k > 1 && k < 5 ? " number" : "")}, head)))),
    el("tbody", {}, answer.bars.map(bar => boxRow(bar, backends, scale))));
  document.getElementById("box-answer").replaceChildren(
    ...answer.verdict.map(line => el("p", {class: "told"}, line)),
    el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Backends ranked for this table"}, table),
    el("p", {class: "note"}, answer.basis === "measured" ? "Measured; * fastest or tied with it; 95 % intervals; × best: from rounds at full speed of both, so not the quotient of two times."
      : ["Predicted, not measured; * fastest or not told from it; the interval holds 10 of 11, by how far predictions of the nearest cases are off when each is left out. Nearest measured: ",
        answer.nearest.map(place => texts[place]).join("; "), ". Settle it: ", el("code", {}, answer.command)]),
    ...answer.beside.map(line => el("p", {class: "note"}, line + ".")),
    el("p", {class: "note"}, "Another table or batch: ", el("code", {}, `python -m suite.best ${operation !== "lookup" ? `--operation ${operation} --variant V ` : ""}--vocab N --dim N --dtype T --batch N RUN`)));
}
