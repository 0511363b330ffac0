"use strict";
/* Choices of the reader, kept in the address after #, so that a link shows the same. */

const KEPT = ["columns", "operation", "table", "backend", "sort"];
function readState() {
  const given = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const named = new Set(given.getAll("machine")), seats = [...tree.seats.keys()];
  const asked = seats.filter(k => named.has(addressOf(k)));
  page.chosen = new Set(asked.length ? asked : seats.filter(k => tree.seats[k].usual));
  for (const name of KEPT) page[name] = given.get(name) || "";
  page.backend = page.backend === "" ? FASTEST : String(tree.backends.indexOf(page.backend));
  state.theme = given.get("theme") || "";
  page.lines = LINES;
  mend();
}
const addressOf = k => `${tree.seats[k].run} ${tree.seats[k].device}`;
const isUsual = () => tree.seats.every(({usual}, k) => usual === page.chosen.has(k));
function writeState() {
  const params = new URLSearchParams();
  if (!isUsual()) for (const k of chosenSeats()) params.append("machine", addressOf(k));
  for (const name of KEPT) if (page[name] !== "") params.set(name, name === "backend" ? tree.backends[page.backend] : page[name]);
  if (state.theme) params.set("theme", state.theme);
  history.replaceState(null, "", "#" + params);
}

/* A choice that nothing has gives way to the first that is there. */
const distinct = values => [...new Set(values)];
const optionsOf = {
  columns: () => [["machines", "machines"], ["backends", "backends"]],
  operation: () => distinct(placesHere().map(operationOf)).map(name => [name, name]),
  table: () => [...distinct(ofOperation().map(tableOf)).map(name => [name, name]), [ALL, ALL]],
  backend: () => [[FASTEST, "the fastest of each machine"], ...distinct(chosenSeats().flatMap(k => tree.seats[k].backends)).filter(k => backendsOf.get(page.operation).has(k)).map(k => [String(k), tree.backends[k]])],
};
const placesHere = () => distinct(chosenSeats().flatMap(k => tree.seats[k].cases)).sort((a, b) => a - b);
const ofOperation = () => placesHere().filter(place => operationOf(place) === page.operation);
function mend() {
  if (!page.chosen.size) return;
  if (page.columns !== "machines" && page.columns !== "backends") page.columns = chosenSeats().length > 1 ? "machines" : "backends";
  for (const name of ["operation", "table", "backend"]) {
    const values = optionsOf[name]().map(([value]) => value);
    if (!values.includes(page[name])) page[name] = name === "table" && ofOperation().length <= LINES ? ALL : values[0] ?? "";
  }
}

function drawChoices() {
  for (const name of Object.keys(optionsOf)) {
    const box = document.getElementById(name), options = optionsOf[name]();
    box.replaceChildren(...options.map(([value, label]) => el("option", {value, selected: value === page[name]}, label)));
    box.value = page[name];
    box.onchange = () => { page[name] = box.value; page.lines = LINES; page.sort = name === "columns" ? "" : page.sort; mend(); changed(); };
  }
  document.getElementById("of-operation").hidden = optionsOf.operation().length < 2;
  document.getElementById("of-backend").hidden = page.columns !== "machines";
  const some = chosenSeats();
  document.getElementById("chosen").textContent = `${some.length} of ${tree.seats.length} chosen`;
  const chip = k => {
    const {name, run, device, newest} = tree.seats[k], toggle = () => {
      if (page.chosen.has(k)) page.chosen.delete(k); else page.chosen.add(k);
      mend();
      changed();
      focusOn(`chip-${k}`);
    };
    return el("button", {type: "button", class: "chip" + (newest ? "" : " older"), id: `chip-${k}`, "aria-pressed": String(page.chosen.has(k)), onclick: toggle},
      name, " ", el("small", {}, [device === "cpu" ? "" : device, run, newest ? "" : "older"].filter(Boolean).join(" · ")));
  };
  const only = (label, which) => el("button", {type: "button", onclick: () => { page.chosen = new Set([...tree.seats.keys()].filter(which)); mend(); changed(); }}, label);
  document.getElementById("chips").replaceChildren(el("p", {class: "all"}, only("all", () => true), " ", only("newest of each", k => tree.seats[k].usual), " ", only("none", () => false)),
    el("fieldset", {"aria-label": "Machines"}, [...tree.seats.keys()].map(chip)));
}
function changed() { writeState(); drawChoices(); draw(); }
function restore() { readState(); showTheme(); drawChoices(); draw(); }

document.getElementById("times").hidden = false;
unpack().then(() => {
  window.addEventListener("hashchange", restore);
  for (const [when, now] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(when, () => { page.printing = now; draw(); });
  }
  if (matchMedia("(max-width: 640px)").matches || tree.seats.length > 12) document.getElementById("chooser").open = false;
  restore();
  document.documentElement.dataset.ready = "yes";
}).catch(error => {
  document.getElementById("figure-times").replaceChildren(el("p", {class: "bad"}, `This browser can't unpack the times (${error.message}); a newer one can.`));
});
