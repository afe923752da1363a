"use strict";
// A line's style is its places among the colours and among the dashes.
const DASHES = ["", "6 3", "2 2", "8 2 2 2"];
const CIVIDIS = ["#00224e", "#1a386f", "#434e6c", "#61656f", "#7d7c78", "#9b9476", "#bcae6c", "#dec958", "#fee838"];
// On a phone charts are drawn narrower, so that their letters stay as large.
const WIDTH = Math.max(320, Math.min(560, document.querySelector("main").clientWidth - 32));
const HEIGHT = 320, EDGE = { left: 62, right: 24, top: 10, bottom: 38 };

const LINE = 12, MOST_LETTERS = 12;
const SVG = "http://www.w3.org/2000/svg";
const data = JSON.parse(document.getElementById("data").textContent);

function element(name, attributes, parent, text) {
  const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

const finite = x => x !== null && Number.isFinite(x);
const heights = line => [...line.y, ...(line.low || []), ...(line.high || [])];
const shown = x => finite(x) ? String(Number(x.toPrecision(4))) : "diverged";
const look = ([colour, dash]) => ({ stroke: data.colours[colour], "stroke-dasharray": DASHES[dash] });

const pen = document.createElement("canvas").getContext("2d");
pen.font = "11px system-ui, sans-serif"; // as of the charts
const widthOf = text => pen.measureText(text).width;

function spread(values) {
  const good = values.filter(finite);
  return good.length > 0 && Math.min(...good) > 0 && Math.max(...good) / Math.min(...good) > 20;
}

// A scale maps numbers to places on the page; its ticks are round numbers, or decades.
function scale(values, log, from, to) {
  const good = values.filter(x => finite(x) && (!log || x > 0));
  let low = good.reduce((a, b) => Math.min(a, b), Infinity), high = good.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!good.length) [low, high] = log ? [1, 10] : [0, 1];
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  const f = log ? Math.log10 : x => x;
  const place = x => from + (f(x) - f(low)) / (f(high) - f(low)) * (to - from);
  const ticks = [];
  if (log && high / low >= 10) {
    const first = Math.ceil(f(low) - 1e-9), last = Math.floor(f(high) + 1e-9), step = Math.ceil((last - first + 1) / 6);
    for (let k = first; k <= last; k += step) ticks.push(10 ** k);
  } else {
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find(m => m * power >= rough);
    for (let x = Math.ceil(low / step) * step; x <= high + step * 1e-9; x += step) ticks.push(Number(x.toPrecision(12)));
  }
  return { place, ticks, inside: x => finite(x) && (!log || x > 0) };
}

function label(x) {
  return Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-3) ? x.toExponential(0).replace("e+", "e") : String(x);
}

function drawAxes(svg, x, y, names) {
  const right = WIDTH - EDGE.right, bottom = HEIGHT - EDGE.bottom;
  for (const tick of x.ticks) {
    element("svg:line", { x1: x.place(tick), x2: x.place(tick), y1: EDGE.top, y2: bottom, class: "grid" }, svg);
    element("svg:text", { x: x.place(tick), y: bottom + 14, "text-anchor": "middle" }, svg, label(tick));
  }
  for (const tick of y.ticks) {
    element("svg:line", { x1: EDGE.left, x2: right, y1: y.place(tick), y2: y.place(tick), class: "grid" }, svg);
    element("svg:text", { x: EDGE.left - 5, y: y.place(tick) + 4, "text-anchor": "end" }, svg, label(tick));
  }
  element("svg:text", { x: (EDGE.left + right) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, svg, names.x);
  const middle = (EDGE.top + bottom) / 2;
  element("svg:text", { transform: `translate(13 ${middle}) rotate(-90)`, "text-anchor": "middle" }, svg, names.y);
}

function figure(parent, caption) {
  const made = element("figure", {}, parent);
  const controls = element("div", { class: "controls" }, made), place = element("div", {}, made);
  const keys = element("div", { class: "keys" }, made);
  element("figcaption", {}, made, caption);
  return { controls, place, keys };
}

// A chart that is wider than the others has letters as large as theirs, and is scrolled.
function canvas(place, name, width = WIDTH) {
  place.replaceChildren();
  const size = { viewBox: `0 0 ${width} ${HEIGHT}`, style: `width: ${100 * width / WIDTH}%` };
  return element("svg:svg", { ...size, role: "img", "aria-label": name }, place);
}

function path(xs, ys, x, y) {
  let text = "", pen = "M";
  xs.forEach((value, i) => {
    if (!x.inside(value) || !y.inside(ys[i])) { pen = "M"; return; }
    text += `${pen}${x.place(value).toFixed(1)} ${y.place(ys[i]).toFixed(1)}`;
    pen = "L";
  });
  return text;
}

// The band is drawn where both of its ends can be, in a piece for each stretch of such points.
function band(series, x, y) {
  const pieces = [[]];
  series.x.forEach((value, i) => {
    if (x.inside(value) && y.inside(series.low[i]) && y.inside(series.high[i])) pieces[pieces.length - 1].push(i);
    else pieces.push([]);
  });
  const point = (i, end) => `${x.place(series.x[i]).toFixed(1)} ${y.place(series[end][i]).toFixed(1)}`;
  const round = piece => [...piece.map(i => point(i, "low")), ...[...piece].reverse().map(i => point(i, "high"))];
  return pieces.filter(piece => piece.length).map(piece => `M${round(piece).join("L")}Z`).join("");
}

// Returns a group that is cut off at the edges of the chart, half a line's width beyond them.
let clips = 0;
function plotArea(svg) {
  const name = `clip${clips++}`, room = 4;
  const clip = element("svg:clipPath", { id: name }, svg);
  const size = { width: WIDTH - EDGE.left - EDGE.right + 2 * room, height: HEIGHT - EDGE.top - EDGE.bottom + 2 * room };
  element("svg:rect", { x: EDGE.left - room, y: EDGE.top - room, ...size }, clip);
  return element("svg:g", { "clip-path": `url(#${name})` }, svg);
}

// A chart of lines: x may be one of several, y linear or logarithmic, and each line can be taken away.
// Numbers that are not `seen` lie beyond the end of the vertical axis.
function lineChart(parent, { caption, names, xs, series, logX, logY, seen = () => true }) {
  const parts = figure(parent, caption);
  const state = { x: Object.keys(xs)[0], log: Boolean(logY), hidden: new Set() };
  const redraw = () => {
    const svg = canvas(parts.place, caption);
    const lines = series.map(each => ({ ...each, x: xs[state.x](each) })).filter((each, i) => !state.hidden.has(i) && each.x);
    const values = lines.flatMap(heights).filter(seen);
    const x = scale(lines.flatMap(each => each.x), logX, EDGE.left, WIDTH - EDGE.right);
    const y = scale(values, state.log, HEIGHT - EDGE.bottom, EDGE.top);
    drawAxes(svg, x, y, { x: state.x, y: names.y });
    const area = plotArea(svg);
    for (const line of lines) {
      const drawnAs = look(line.style);
      if (line.low) element("svg:path", { d: band(line, x, y), fill: drawnAs.stroke, "fill-opacity": 0.15 }, area);
      if (line.points) {
        line.x.forEach((value, j) => {
          if (x.inside(value) && y.inside(line.y[j])) element("svg:circle", { cx: x.place(value), cy: y.place(line.y[j]), r: 4, fill: drawnAs.stroke, "fill-opacity": 0.6 }, area);
        });
        continue;
      }
      const drawn = element("svg:path", { d: path(line.x, line.y, x, y), fill: "none", "stroke-width": 1.8, ...drawnAs }, area);
      element("svg:title", {}, drawn, `${line.name}: ${shown(line.y[line.y.length - 1])} at the end`);
    }
  };
  if (Object.keys(xs).length > 1) {
    const chosen = element("select", { "aria-label": "horizontal axis" }, parts.controls);
    Object.keys(xs).forEach(name => element("option", {}, chosen, name));
    chosen.addEventListener("change", () => { state.x = chosen.value; redraw(); });
  }
  if (logY !== null) {
    const box = element("label", {}, parts.controls);
    const log = element("input", { type: "checkbox" }, box);
    box.append(" logarithmic");
    log.checked = state.log;
    log.addEventListener("change", () => { state.log = log.checked; redraw(); });
  }
  series.forEach((each, i) => {
    const key = element("button", { "aria-pressed": "true" }, parts.keys);
    const { stroke, "stroke-dasharray": dashes } = look(each.style);
    const line = dashes ? "repeating-linear-gradient(90deg," : "linear-gradient(90deg,";
    const gap = dashes ? ` ${stroke} 0 4px, transparent 4px 7px)` : ` ${stroke}, ${stroke})`;
    element("i", { style: `background:${line}${gap}` }, key);
    key.append(each.name);
    key.addEventListener("click", () => {
      state.hidden.has(i) ? state.hidden.delete(i) : state.hidden.add(i);
      key.setAttribute("aria-pressed", String(!state.hidden.has(i)));
      redraw();
    });
  });
  redraw();
}

function colour(value, from, to) {
  const share = to > from ? (value - from) / (to - from) : 0;
  return CIVIDIS[Math.round(Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1))];
}

// The best is the darkest; results that span decades are coloured by their logarithms.
function shades(results, highest) {
  const log = spread(results), f = log ? Math.log10 : x => x;
  const values = results.map(x => finite(x) && (!log || x > 0) ? f(x) * (highest ? -1 : 1) : null);
  const good = values.filter(finite);
  const from = good.reduce((a, b) => Math.min(a, b), Infinity), to = good.reduce((a, b) => Math.max(a, b), -Infinity);
  return values.map(x => x === null ? "#ffffff" : colour(x, from, to));
}

// A name in lines that end at a separator.
function wrapped(name) {
  const lines = [];
  for (const piece of name.match(/[^/_. ]+[/_. ]*|[/_. ]+/g)) {
    const last = lines.length - 1;
    if (last >= 0 && (lines[last] + piece).length <= MOST_LETTERS) lines[last] += piece;
    else lines.push(piece);
  }
  return lines;
}

// The places of the axes, so far apart that neither their names nor the texts beside them overlap, and the width of all.
function spaced(names, ticks) {
  const half = names.map(lines => Math.max(...lines.map(widthOf)) / 2), beside = ticks.map(texts => Math.max(0, ...texts.map(widthOf)));
  const last = names.length - 1, left = Math.max(30, half[0] + 4), right = Math.max(30, half[last] + 4);
  const gaps = half.slice(1).map((next, j) => Math.max(half[j] + next + 8, beside[j] + 12 + (j + 1 === last ? beside[last] + 8 : 0)));
  const needed = left + gaps.reduce((a, b) => a + b, 0) + right, more = Math.max(0, WIDTH - needed) / last;
  const places = [left];
  for (const gap of gaps) places.push(places[places.length - 1] + gap + more);
  return { places, width: Math.max(WIDTH, needed) };
}

function coordinates(parent, task) {
  const { axes, results, importance, all } = task.coordinates;
  if (axes.length < 2 || results.length < 3) return;
  const some = results.length < all ? `; ${results.length} of ${all} settings, the best half among them` : "";
  const told = importance.map(each => `${each.name} ${Math.round(100 * each.share)}%`).join(", ");
  const rest = told ? ` Variance of the ranks that each explains alone: ${told}.` : "";
  const parts = figure(parent, `A line for each setting, the darker the better${some}.${rest}`);
  const every = [...axes, { name: task.measure, values: results, log: spread(results), names: null }];
  const names = every.map(each => wrapped(each.name)), bottom = HEIGHT - 8 - LINE * Math.max(...names.map(lines => lines.length));
  const scales = every.map(each => scale(each.values, each.log, bottom, EDGE.top + 14));
  const ticks = every.map((each, j) => each.names ? each.names.map((name, i) => [i, name]) : scales[j].ticks.map(tick => [tick, label(tick)]));
  const { places, width } = spaced(names, ticks.map(pairs => pairs.map(([, text]) => text)));
  parts.place.className = "wide";
  const svg = canvas(parts.place, "parallel coordinates", width);
  const lines = element("svg:g", { class: "lines" }, svg), tones = shades(results, task.highest);
  for (let i = results.length - 1; i >= 0; i--) {
    const points = every.map((each, j) => scales[j].inside(each.values[i]) ? `${places[j].toFixed(1)} ${scales[j].place(each.values[i]).toFixed(1)}` : null);
    const drawn = element("svg:path", { d: "M" + points.filter(Boolean).join("L"), stroke: results[i] === null ? "#dddddd" : tones[i] }, lines);
    const words = every.map(each => `${each.name} ${each.names ? each.names[each.values[i]] : shown(each.values[i])}`);
    element("svg:title", {}, drawn, words.join(", "));
  }
  every.forEach((_, j) => {
    const x = places[j];
    element("svg:line", { x1: x, x2: x, y1: EDGE.top + 14, y2: bottom, stroke: "#222" }, svg);
    names[j].forEach((line, i) => element("svg:text", { x, y: bottom + 2 + LINE * (i + 1), "text-anchor": "middle", class: "name" }, svg, line));
    const side = j + 1 < every.length ? { x: x + 4, "text-anchor": "start" } : { x: x - 4, "text-anchor": "end" };
    for (const [tick, text] of ticks[j]) element("svg:text", { ...side, y: scales[j].place(tick) - 2 }, svg, text);
  });
}

function heatMap(parent, task) {
  if (!task.heat) return;
  const { x, y, cells } = task.heat, tones = shades(cells.map(cell => cell[2]), task.highest);
  const across = [...new Set(cells.map(cell => cell[0]))].sort((a, b) => a - b);
  const up = [...new Set(cells.map(cell => cell[1]))].sort((a, b) => a - b);
  const parts = figure(parent, `The best ${task.measure} at each ${x} and ${y}, the darker the better; white where all diverged.`);
  const svg = canvas(parts.place, "heat map");
  const width = (WIDTH - EDGE.left - EDGE.right) / across.length, height = (HEIGHT - EDGE.top - EDGE.bottom) / up.length;
  const bottom = HEIGHT - EDGE.bottom;
  cells.forEach(([a, b, value], i) => {
    const left = EDGE.left + across.indexOf(a) * width, top = bottom - (up.indexOf(b) + 1) * height;
    const cell = element("svg:rect", { x: left, y: top, width: width + 0.5, height: height + 0.5, fill: tones[i] }, svg);
    element("svg:title", {}, cell, `${x} ${shown(a)}, ${y} ${shown(b)}: ${shown(value)}`);
  });
  const some = values => values.filter((_, i) => i % Math.ceil(values.length / 6) === 0);
  for (const tick of some(across)) element("svg:text", { x: EDGE.left + (across.indexOf(tick) + 0.5) * width, y: bottom + 14, "text-anchor": "middle" }, svg, Number(tick.toPrecision(2)));
  for (const tick of some(up)) element("svg:text", { x: EDGE.left - 5, y: bottom - (up.indexOf(tick) + 0.5) * height + 4, "text-anchor": "end" }, svg, Number(tick.toPrecision(2)));
  element("svg:text", { x: WIDTH / 2, y: HEIGHT - 6, "text-anchor": "middle" }, svg, x);
  element("svg:text", { transform: `translate(13 ${HEIGHT / 2}) rotate(-90)`, "text-anchor": "middle" }, svg, y);
}

function curves(parent, task) {
  if (!task.curves.length) return;
  const series = task.curves.map(each => ({ ...each, y: each.middle }));
  const xs = { steps: each => each.steps };
  for (const unit of ["seconds", "evaluations"]) {
    if (series.every(each => finite(each.each[unit]))) xs[unit] = each => each.steps.map(step => step * each.each[unit]);
  }
  const caption = `${task.measure} over the run: the line is the median over the runs of a setting, the band their quartiles. Runs that left the finite numbers are not in it.`;
  lineChart(parent, { caption, names: { y: task.measure }, xs, series, logX: false, logY: spread(series.flatMap(each => each.y)) });
}

function losses(parent, task) {
  if (!task.losses) return;
  const { names: [first, second], series, front } = task.losses;
  const points = series.map(each => ({ ...each, points: true }));
  const lines = [...points, { name: "Pareto front", style: [6, 2], /* black dots */ x: front[0], y: front[1] }];
  const caption = `Median ${first} and ${second} of each setting; no other is lower in both than those on the Pareto front.`;
  const logX = spread(series.flatMap(each => each.x)), logY = spread(series.flatMap(each => each.y));
  lineChart(parent, { caption, names: { y: second }, xs: { [first]: each => each.x }, series: lines, logX, logY });
}

// Tells which numbers of a chart are seen, and what the caption says of the others, which are bad results.
function cutOff({ lines, cut }, highest) {
  const every = lines.flatMap(heights).filter(finite);
  const seen = x => cut === null || (highest ? x >= cut : x <= cut), beyond = every.filter(x => !seen(x));
  const worst = beyond.reduce((a, b) => highest ? Math.min(a, b) : Math.max(a, b), cut);
  const told = beyond.length ? ` The picture is cut off at ${shown(cut)}: ${beyond.length} of its ${every.length} numbers are worse, the worst ${shown(worst)}.` : "";
  return { every, seen, told };
}

function sensitivity(parent, task) {
  if (!task.sensitivity) return;
  const { name, log, lines } = task.sensitivity, { every, seen, told } = cutOff(task.sensitivity, task.highest);
  const banded = lines.some(each => each.low) ? ", and its 95% interval where that is finite" : "";
  const caption = `The best ${task.measure} at each ${name}: the median of a setting's runs${banded}; a gap where half of them diverged.${told}`;
  lineChart(parent, { caption, names: { y: task.measure }, xs: { [name]: each => each.x }, series: lines, logX: log, logY: spread(every.filter(seen)), seen });
}

function tuning(parent, task) {
  const series = task.tuning.lines.map(each => ({ ...each, y: each.middle }));
  if (!series.length) return;
  const { every, seen, told } = cutOff({ lines: series, cut: task.tuning.cut }, task.highest);
  const caption = `The best ${task.measure} of so many settings drawn from those tried: median, and 5% to 95% of all draws.${told}`;
  const xs = { "settings tried": each => each.steps };
  lineChart(parent, { caption, names: { y: `best ${task.measure}` }, xs, series, logX: task.tuning.log, logY: spread(every.filter(seen)), seen });
}

function across(found) {
  if (!found) return;
  const section = document.getElementById("across"), place = section.querySelector(".figures");
  section.hidden = false;
  const ecdf = `The share of ${found.problems} targets reached within so many steps, restarts included (ECDF). Targets leave from all to 1/10,000 of the way to the best that any run found.`;
  lineChart(place, { caption: ecdf, names: { y: "share of targets" }, xs: { "steps, with restarts": each => each.x }, series: found.ecdf, logX: true, logY: null });
  const scored = found.profile.map((each, i) => ({ ...each, name: `${each.name} (score ${found.methods[i].score.toFixed(2)})` }));
  const profile = "The share of targets reached within a factor of the steps of the best method (performance profile); its score is the area up to 4.";
  lineChart(place, { caption: profile, names: { y: "share of targets" }, xs: { "factor of the best": each => each.x }, series: scored, logX: true, logY: null });
  if (!found.data.length) return;
  const work = "The share of targets reached within this many gradients, if all derivatives were computed by differences (data profile): for n numbers, a gradient takes n + 1 function values and a Hessian n gradients.";
  lineChart(place, { caption: work, names: { y: "share of targets" }, xs: { "gradients by differences": each => each.x }, series: found.data, logX: true, logY: null });
}

// Numbers sort as numbers, whatever stands behind them; what is not there comes last.
function sortable(table) {
  table.querySelectorAll("th").forEach((head, place) => head.firstChild.addEventListener("click", () => {
    const rising = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const key = row => row.cells[place].textContent;
    const rows = [...table.tBodies[0].rows];
    const numeric = rows.every(row => ["", "-"].includes(key(row)) || Number.isFinite(parseFloat(key(row).replace(/[[,]/g, ""))));
    const empty = row => ["", "-"].includes(key(row));
    const compare = (a, b) => numeric ? parseFloat(key(a).replace(/[[,]/g, "")) - parseFloat(key(b).replace(/[[,]/g, "")) : key(a).localeCompare(key(b));
    rows.sort((a, b) => empty(a) - empty(b) || (empty(a) ? 0 : (rising ? 1 : -1) * compare(a, b)));
    table.tBodies[0].append(...rows);
  }));
}

document.querySelectorAll(".sortable").forEach(sortable);
document.querySelectorAll(".task").forEach(section => {
  const task = data.tasks[Number(section.dataset.task)], place = section.querySelector(".figures");
  for (const draw of [curves, losses, sensitivity, tuning, heatMap, coordinates]) draw(place, task);
});
across(data.across);
