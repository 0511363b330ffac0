"use strict";
/* The verdict on the records shown: judgements of pairs, which the page was made with, are chosen and counted;
   the words are those of the report. */

const judged = data.judged, SLOWER = 0, SAME = 1, LIKELY_SLOWER = 4, TURNED = [3, 1, 2, 0, 5, 4];
const say = (key, given) => judged.phrases[key].replace(/\{(\w+)\}/g, (_, name) => given[name]);
const spots = new Map();  /* of each completed record: its case's place in the lists, and its own in that case */
judged.ranked.forEach((members, group) => members.forEach((i, rank) => spots.set(i, {group, rank})));
const decides = i => done(i) && rows.slow[i] === null;
const floorOf = i => judged.places[placeOf[i]].floor;
const ranks = i => judged.places[placeOf[i]].ranks;
const baselineOf = i => judged.places[placeOf[i]].baseline;
const fullSpeed = items => items.some(i => word("slow", i)) ? judged.phrases["at full speed"] : "";

/* How many times longer one record took than another of its case, as logarithms in 1e-6, and what that says;
   null where the page does not hold that pair. */
function against(i, other) {
  const a = spots.get(i), b = spots.get(other), backwards = a.rank < b.rank;
  const [k, l] = backwards ? [a.rank, b.rank] : [b.rank, a.rank], n = judged.ranked[a.group].length;
  const at = 5 * (k * (2 * n - k - 1) / 2 + l - k - 1), pair = judged.pairs[a.group].slice(at, at + 5);
  if (!pair.length) return null;
  const [said, log, below, above, back] = pair;
  const low = below < 0 ? -Infinity : log - below, high = above < 0 ? Infinity : log + above;
  return backwards ? {said: TURNED[said], log: -log - back, low: -high, high: -low} : {said, log, low, high};
}

/* Completed records of one case in the report's order: by kernel time, then what only the host timed. */
const ranked = items => [...items].sort((a, b) => spots.get(a).rank - spots.get(b).rank);
/* Of these the ones that are ranked: times of two clocks are never ranked together. */
const ofOneClock = order => order.filter(i => clockOf(i) === clockOf(order[0]));
/* Whether others of its case have kernel times, and it has not. */
const isBelow = i => clockOf(i) !== clockOf(judged.ranked[spots.get(i).group][0]);
const isBehind = pair => [SLOWER, LIKELY_SLOWER].includes(pair.said);
/* One case among the records shown: the fastest and those tied with it, whether it is open which is fastest though one
   may be likely, and by how much the next one is slower. In part: nothing is judged, as a run only checks or the page
   holds too few pairs. */
function contest(items) {
  const order = ofOneClock(ranked(items.filter(done))), [first, ...others] = order, alone = items.length === 1;
  if (!order.length) return {items, best: [], next: null, alone, part: false, open: false, likely: false};
  const said = new Map(others.map(i => [i, against(i, first)]));
  const part = !ranks(first) || others.some(i => !said.get(i));
  const tied = part ? [] : others.filter(i => !isBehind(said.get(i)));
  const open = part || (others.length ? others.some(i => ![SLOWER, SAME].includes(said.get(i).said)) : !decides(first));
  const next = others.find(i => !tied.includes(i));
  return {items, best: [first, ...tied], alone, part, open, likely: !part && open && !tied.length && others.length > 0, next: next === undefined ? null : ratioTo(next, first)};
}
const contestsOf = items => [...grouped(items, i => placeOf[i] + " " + rows.case[i]).values()].map(contest);

/* Who is fastest in most of the decided cases. */
function leadOf(items) {
  const here = contestsOf(items).filter(({best}) => best.length), known = here.filter(({open}) => !open);
  const most = of => {
    const wins = [...grouped(of.flatMap(({best}) => best), i => rows.backend[i])], won = Math.max(0, ...wins.map(([, some]) => some.length));
    return [wins.filter(([, some]) => some.length === won).map(([backend]) => words.backend[backend]).sort(), won];
  };
  const [names, won] = most(known), [likely, inLikely] = most(here.filter(one => one.likely));
  return {names, won, cases: here.length, decided: known.length, likely, inLikely};
}

/* How long each backend takes relative to one, over the cases that both decide: the geometric mean, with the
   interval of Student's t; of one case that case's. */
function standingsOf(items, base) {
  const by = grouped(items.filter(decides), i => rows.backend[i]), found = [];
  const bases = new Map((by.get(base) || []).map(i => [rows.case[i], i]));
  for (const [backend, some] of by) {
    const own = new Map(some.map(i => [rows.case[i], i]));
    const both = backend === base ? [] : [...bases].filter(([of]) => own.has(of));
    const each = both.map(([of, i]) => against(own.get(of), i)), by_call = both.some(([of, i]) => clockOf(own.get(of)) !== clockOf(i)), n = each.length;
    if (!n) continue;
    const logs = each.map(({log}) => log), mean = logs.reduce((a, b) => a + b) / n;
    const spread = Math.sqrt(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (n - 1) / n);
    const half = n > 1 ? judged.t[n - 2] * spread : 0, {low, high} = n > 1 ? {low: mean - half, high: mean + half} : each[0];
    found.push({backend, by_call, cases: n, logs, value: mean, low, high, least: Math.min(...logs), most: Math.max(...logs)});
  }
  return found.sort((a, b) => a.value - b.value || (words.backend[a.backend] < words.backend[b.backend] ? -1 : 1));
}
const factor = log => digits(Math.exp(log / 1e6));
function inWords({backend, by_call, cases, logs, value, low, high, least, most}, base, floor) {
  const clock = by_call ? judged.phrases["by call"] : "";
  if (cases === 2) return say("takes in two", {name: words.backend[backend], first: factor(logs[0]), second: factor(logs[1]), base: words.backend[base], clock});
  const bound = 1e6 * Math.log(1 + floor), clear = low > bound || high < -bound;
  const span = isFinite(low) && isFinite(high) ? say("span", {low: factor(low), high: factor(high)}) : say("no span");
  const within = say(cases > 1 ? "over many" : "over one", {span, cases: many(cases, "case"), least: factor(least), most: factor(most)});
  return say(clear ? "takes" : "no clear difference", {name: words.backend[backend], ratio: factor(value), base: words.backend[base], clock, within});
}

/* What the records of one environment are compared with; undefined where none decides. */
function baseOf(items) {
  const known = new Map(items.filter(decides).map(i => [words.alone[rows.backend[i]], rows.backend[i]]));
  const {baseline, baselines} = judged.places[placeOf[items[0]]], name = [baseline, ...baselines].find(one => known.has(one));
  return name === undefined ? [...known.values()].sort((a, b) => words.backend[a] < words.backend[b] ? -1 : 1)[0] : known.get(name);
}
function lineOf(what, first, items, base) {
  const left = first.cases - first.decided, names = first.names.slice(0, judged.most_named).join(" and ");
  const likely = first.inLikely ? say("likely", {number: first.inLikely, names: first.likely.slice(0, judged.most_named).join(" or ")}) : "";
  const given = {what: judged.phrases[what], names, won: first.won, cases: many(first.cases, "case"), open: left ? say("open", {number: left, likely}) : "", likely};
  if (!first.won) return say("all open", given);
  if (first.names.length > 1 || 2 * first.won <= first.cases) return say(first.names.length > 1 ? "divided among" : "divided", given);
  const leader = words.backend.findIndex((name, backend) => name === names && items.some(i => rows.backend[i] === backend));
  const slower = standingsOf(items, leader).find(({backend}) => backend === base);
  return slower ? say("led by how much", {...given, slower: inWords(slower, leader, floorOf(items[0]))}) : say("led", given);
}
const namesDone = items => new Set(items.filter(done).map(i => rows.backend[i])).size;
function linesOf(items, base) {
  if (namesDone(items) < 2) return [];
  const of = items.filter(i => word("whose", i) === judged.library);
  return [lineOf("all", leadOf(items), items, base), ...(namesDone(of) > 1 && of.length < items.length ? [lineOf("library", leadOf(of), items, base)] : [])];
}
function stateOf(items) {
  const here = contestsOf(items).filter(({best}) => best.length), open = here.filter(one => one.open);
  if (!here.length) return [];
  const left = open.length - judged.most_open;
  return [say("decided", {known: here.length - open.length, cases: many(here.length, "case")})
    + open.slice(0, judged.most_open).map(({best, likely}) => say("undecided", {case: caseName(best[0]),
      names: likely ? say("likely one", {name: word("backend", best[0])}) : best.map(i => word("backend", i)).join(" or ")})).join("")
    + (left > 0 ? say("more", {number: left}) : "")];
}

/* The verdict on the records of one environment, in a line or two, and how each backend does against the baseline. */
function comparedIn(items) {
  const base = baseOf(items), how = fullSpeed(items), floor = floorOf(items[0]);
  if (!ranks(items[0])) return {top: [judged.phrases.checks], more: []};
  if (base === undefined) return namesDone(items) < 2 ? {top: [say("nothing", {how})], more: stateOf(items)} : {top: linesOf(items), more: stateOf(items)};
  const baseline = baselineOf(items[0]), asked = items.find(i => words.alone[rows.backend[i]] === baseline);
  if (baseline && (asked === undefined || base !== rows.backend[asked])) {
    return {top: [say("lacking", {name: asked === undefined ? baseline : word("backend", asked), how})], more: stateOf(items)};
  }
  const sure = items.filter(decides), names = new Set(sure.map(i => rows.backend[i])), name = words.backend[base];
  if (names.size === 1) {
    const alone = say("alone", {name, cases: many(sure.length, "case"), how}), beside = linesOf(items, base);
    return beside.length ? {top: beside, more: [...stateOf(items), alone]} : {top: [alone], more: []};
  }
  const own = standingsOf(items, base), apart = [...names].filter(one => one !== base && !own.some(({backend}) => backend === one)).map(one => words.backend[one]).sort();
  const top = linesOf(items, base), more = [...stateOf(items), ...own.map(one => inWords(one, base, floor)), ...apart.map(one => say("apart", {name: one, how, base: name}))];
  return top.length ? {top, more} : {top: more.slice(0, 1), more: more.slice(1)};
}
/* Each backend against itself in the first environment, where several took turns. */
function environmentsIn(items) {
  const groups = [...grouped(items, i => rows.environment[i]).values()], names = new Set(items.map(i => words.alone[rows.backend[i]]));
  return [...names].flatMap(name => {
    const [own, ...others] = groups.map(group => group.filter(i => words.alone[rows.backend[i]] === name));
    if (!own.length) return [];
    return others.flatMap(other => standingsOf([...own, ...other], rows.backend[own[0]]).map(one => inWords(one, rows.backend[own[0]], floorOf(own[0]))));
  });
}
function failuresIn(items) {
  const short = text => text.length <= judged.reason_length ? text : text.slice(0, judged.reason_length - 1) + "…";
  const kinds = [...grouped(items.filter(i => !done(i)), i => [word("backend", i), word("status", i), short(word("reason", i))].join("\n"))];
  const tried = new Set(items.filter(i => word("status", i) !== "unavailable").map(i => word("backend", i)));
  const parts = kinds.map(([kind, some]) => [...kind.split("\n"), some.length]);
  const absent = parts.filter(([name]) => !tried.has(name)).map(([name, , reason]) => `${name} (${reason})`);
  return [...parts.filter(([name]) => tried.has(name)).map(([name, status, reason, n]) => `${name}: ${status} on ${many(n, "case")}: ${reason}`),
    ...(absent.length ? [`not available: ${absent.join("; ")}`] : [])];
}
function slowIn(items) {
  const slow = items.filter(i => word("slow", i)), names = [...grouped(slow, i => word("backend", i))].map(([name, some]) => `${name} ${some.length}`);
  return slow.length ? [`${slow.length} of ${many(items.filter(done).length, "result")} not at full speed, nothing is decided by them, ${judged.likely_from}x apart and more is likely: ${names.join(", ")}`] : [];
}
function factsIn(items) {
  const tried = new Set(items.filter(i => word("status", i) !== "unavailable").map(i => rows.backend[i]));
  const here = contestsOf(items).filter(({best}) => best.length), known = here.filter(({open}) => !open).length;
  return {cases: new Set(items.map(i => rows.case[i])).size, records: items.length, failed: items.filter(i => !done(i) && tried.has(rows.backend[i])).length,
    absent: new Set(items.map(i => rows.backend[i]).filter(one => !tried.has(one))).size, slow: items.filter(i => word("slow", i)).length, decided: `${known} of ${here.length}`};
}

/* The cards above the plots say what holds of the records shown. */
function drawVerdicts() {
  document.documentElement.classList.toggle("whole", !judged.every);
  if (!judged.every) return;
  for (const card of document.querySelectorAll("[data-place]")) {
    const items = shown.filter(i => placeOf[i] === Number(card.dataset.place));
    card.hidden = !items.length;
    if (!items.length) continue;
    card.classList.toggle("beside", quiet(items[0]));
    const turns = environmentsIn(items), each = [...grouped(items, i => rows.environment[i]).values()].map(comparedIn);
    const [first, ...rest] = turns.length ? [{top: turns.slice(0, 1), more: turns.slice(1)}, ...each] : each;
    const more = [...first.more, ...rest.flatMap(({top, more}) => [...top, ...more]), ...failuresIn(items), ...slowIn(items)];
    card.querySelector(".verdicts").replaceChildren(...first.top.map(line => el("p", {class: "verdict"}, line)));
    card.querySelector(".lines").replaceChildren(...more.map(line => el("li", {}, line)));
    const facts = factsIn(items);
    for (const box of card.querySelectorAll("[data-fact]")) {
      const value = facts[box.dataset.fact];
      if (value === undefined) continue;
      box.hidden = value === 0 && ["absent", "slow"].includes(box.dataset.fact);
      box.querySelector("b").textContent = value.toLocaleString("en-US");
      box.querySelector("span").textContent = value === 1 ? box.dataset.one : box.dataset.many;
    }
  }
  const box = document.getElementById("places");
  box.classList.toggle("single", box.querySelectorAll(".card:not(.beside):not([hidden])").length < 2);
}
