"use strict";
/* Numbers in words, and elements without markup: what every page is made of. */

function digits(value) {
  if (value === null || value === undefined || !isFinite(value)) return "";
  if (value === 0) return "0";
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(Number(value.toPrecision(3))))));
  const [whole, part] = Math.abs(value).toFixed(Math.min(places, 12)).split(".");
  return (value < 0 ? "−" : "") + whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? "." + part : "");
}
const tick = value => digits(value).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
const percent = (value, places = 1) => value === null || value === undefined ? "" : (100 * value).toFixed(places) + "%";
const many = (number, noun) => `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
function bytes(value) {
  if (value >= 1024 && value % 1024 === 0 && value < 2 ** 20) return `${value / 1024} KiB`;  /* rows are powers of two */
  const step = value < 1e3 ? 0 : Math.min(5, Math.floor(Math.log10(value) / 3 + 1e-9));
  return `${Number((value / 1000 ** step).toPrecision(3))} ${["B", "kB", "MB", "GB", "TB", "PB"][step]}`;
}
const median = values => {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
function grouped(items, key) {
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    if (groups.has(name)) groups.get(name).push(item); else groups.set(name, [item]);
  }
  return groups;
}

/* Text goes in as text nodes only; no string becomes markup. */
const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "path", "text", "g", "line", "rect"]);
function el(name, attributes = {}, ...inside) {
  const element = DRAWN.has(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== null && value !== false) element.setAttribute(key, value);
  }
  element.append(...inside.flat(Infinity).filter(one => one !== null && one !== undefined));
  return element;
}
