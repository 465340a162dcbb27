// The image viewer: three planes of a volume with a common cross, or one picture; an earlier image beside it; outlines,
// maps and lengths over it; and a brush for who corrects. What is shown stands in `state`; all drawing follows from it.

import { Arriving } from "./arriving.js";
import { PRESET_KEYS, isHounsfield, windowOf } from "./brightness.js";
import { Heat, Outline, Unsure } from "./marks.js";
import { Pane } from "./pane.js";
import { Panel } from "./viewer_panel.js";
import { readVolume } from "./volume.js";

const root = document.getElementById("viewer");
const settings = JSON.parse(root.dataset.settings);
const words = settings.words;
const find = (selector) => root.querySelector(selector);
const csrf = () => root.querySelector("input[name=csrf]").value;

const TOOLS = { l: "look", w: "window", p: "pan", m: "ruler", d: "draw", e: "erase" };

const state = {
  place: [0, 0, 0],
  window: [0, 1],
  own: [0, 1], // the window the image came with
  tool: "look",
  opacity: 0.6,
  layers: [],
  target: null, // what is drawn on: {layer, number}
  heat: null,
  lines: [], // of the lesion that was chosen
  rulers: [],
  first: null, // one end of a ruler
  radius: 6,
  brush: null,
  beside: true,
};

let volume = null;
let before = null;
let hounsfield = false; // whether windows of a CT mean something
let arriving = null; // a large volume, or the earlier one
let panes = []; // the main one first
let priorPane = null;
let priorWindow = [0, 1];
let wanted = 0;

const say = (word, values = {}) =>
  (words[word] ?? word).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

async function start() {
  const message = find(".viewer-message span");
  message.textContent = say("loading");
  try {
    volume = await readVolume(`${settings.image}/pixels`);
    before = settings.prior && (await readVolume(`${settings.prior}/pixels`).catch(() => null));
    state.layers = await readLayers();
  } catch {
    message.textContent = say("failed");
    return;
  }
  find(".viewer-message").hidden = true;
  state.place = history.state?.place ?? volume.shape.map((n) => n >> 1);
  state.own = volume.header.window;
  state.window = [...state.own];
  state.tool = volume.isFlat ? "window" : "look";
  const main = volume.header.main;
  const axes = volume.isFlat ? [0] : [main, ...[0, 1, 2].filter((axis) => axis !== main)];
  const canvases = [...root.querySelectorAll("canvas[data-pane=plane]")];
  panes = axes.map((axis, i) => new Pane(canvases[i], volume, axis));
  if (before) {
    priorPane = new Pane(find("canvas[data-pane=prior]"), before, 0);
    priorWindow = [...before.header.window];
  }
  hounsfield = isHounsfield(volume, settings.ct);
  if (!hounsfield) for (const one of find("#viewer-preset").querySelectorAll("[data-hounsfield]")) one.remove();
  root.classList.toggle("is-flat", volume.isFlat);
  root.classList.toggle("has-prior", Boolean(before));
  root.classList.add("is-ready");
  panel.fill();
  listen();
  arrange();
  tell();
  arriving = new Arriving(root, [volume, before], say, redraw);
  arriving.go();
}

// Sets brightness and contrast by name.
function bright(name) {
  const chosen = windowOf(name, volume, state.own, hounsfield);
  if (!chosen) return;
  state.window = [...chosen];
  find("#viewer-preset").value = name;
  redraw();
}

async function readLayers() {
  let first = 0;
  const made = [];
  for (const [number, one] of settings.layers.entries()) {
    const layer = { ...one, number, first, shown: !one.error, outline: null };
    first += Math.max(one.names.length, 1);
    if (one.place !== null && !one.error) {
      const read = await readVolume(`${settings.image}/outlines/${one.place}`).catch(() => null);
      if (read) layer.outline = new Outline(volume, new Uint8Array(read.data));
      else layer.error = say("failed");
    } else if (!one.error) {
      layer.outline = new Outline(volume);
    }
    made.push(layer);
  }
  return made;
}

// Which plane is large, and whether the earlier image is beside it.
function arrange() {
  panes.forEach((pane, i) => {
    const { name } = pane.plane;
    pane.label = volume.isFlat ? "" : name ? say(name) : say("plane", { n: pane.axis + 1 });
    pane.canvas.parentElement.classList.toggle("is-main", i === 0);
    pane.canvas.parentElement.dataset.order = i;
  });
  const beside = Boolean(before) && state.beside;
  root.classList.toggle("is-beside", beside);
  if (beside) {
    panes[0].label = `${say("current")}${panes[0].label ? ` · ${panes[0].label}` : ""}`;
    priorPane.axis = likeAxis(panes[0].axis);
    priorPane.label = say("prior", { time: settings.prior_time });
  }
  const slider = find("#viewer-slice");
  slider.max = volume.shape[panes[0].axis];
  find(".viewer-slices").hidden = volume.isFlat;
  redraw();
}

// The axis of the earlier image that the same plane lies across.
function likeAxis(axis) {
  if (before.isFlat) return 0;
  const { name } = volume.plane(axis);
  const found = [0, 1, 2].find((one) => name && before.plane(one).name === name);
  return found ?? axis;
}

// Whether the earlier image is of the same unit, so that one window suits both.
function alike() {
  const { unit } = volume.header;
  return (unit && unit === before.header.unit) || (hounsfield && isHounsfield(before, settings.ct));
}

// Where the cross is in the earlier image: the same place in the patient, else the same share of the way.
function placeBefore() {
  const clamp = (one, axis) => Math.min(Math.max(Math.round(one), 0), before.shape[axis] - 1);
  if (volume.header.affine && before.header.affine) return before.placeOf(volume.position(state.place)).map(clamp);
  return state.place.map((one, axis) => clamp(((one + 0.5) / volume.shape[axis]) * before.shape[axis] - 0.5, axis));
}

function redraw() {
  if (wanted || !panes.length) return;
  wanted = requestAnimationFrame(() => {
    wanted = 0;
    const shown = {
      place: state.place,
      window: state.window,
      opacity: state.opacity,
      layers: state.layers.filter((layer) => layer.shown && layer.outline),
      heat: state.heat,
      cross: state.tool !== "draw" && state.tool !== "erase",
      smooth: state.tool !== "draw" && state.tool !== "erase",
      brush: state.brush,
      lines: [...state.rulers, ...(state.first ? [state.first] : []), ...state.lines],
    };
    panes.forEach((pane, i) => pane.draw({ ...shown, scale: i === 0 }));
    if (priorPane && state.beside) {
      const shared = alike();
      const place = placeBefore();
      priorPane.draw({
        ...shown, place, window: shared ? state.window : priorWindow, layers: [], heat: null, lines: [], scale: true,
        cross: shown.cross && Boolean(volume.header.affine && before.header.affine),
      });
    }
    readout();
  });
}

function readout() {
  const axis = panes[0].axis;
  const parts = [];
  if (!volume.isFlat) parts.push(say("slice", { n: state.place[axis] + 1, all: volume.shape[axis] }));
  const at = state.pointed ?? (volume.isFlat ? null : state.place);
  if (at && volume.holds(at)) {
    const value = volume.value(at);
    const unit = volume.header.unit && ` ${volume.header.unit}`;
    parts.push(say("value", { value: Array.isArray(value) ? value.join(" / ") : `${rounded(value)}${unit}` }));
    const mm = volume.position(at);
    if (mm) parts.push(mm.map((one, i) => `${["LR", "PA", "SI"][i][one < 0 ? 1 : 0]} ${Math.abs(one).toFixed(1)}`).join("  "));
  }
  parts.push(say("window", { centre: rounded(state.window[0]), half: rounded(state.window[1] / 2) }));
  parts.push(say("zoom", { n: Math.round(100 * panes[0].zoom) }));
  find(".viewer-readout").textContent = parts.join("  ·  ");
  const slider = find("#viewer-slice");
  slider.value = state.place[axis] + 1;
  slider.setAttribute("aria-valuetext", say("slice", { n: state.place[axis] + 1, all: volume.shape[axis] }));
}

const rounded = (one) => (Math.abs(one) >= 100 || Number.isInteger(one) ? Math.round(one) : Number(one.toPrecision(3)));

let telling = 0;
// Says where one is to who hears it, once they have come to rest.
function tell() {
  clearTimeout(telling);
  telling = setTimeout(() => {
    const axis = panes[0].axis;
    const said = volume.isFlat ? panes[0].label : `${panes[0].label}, ${say("slice", { n: state.place[axis] + 1, all: volume.shape[axis] })}`;
    find(".viewer-stage").setAttribute("aria-label", say("stage", { said: said || settings.image_name }));
    if (history.state?.place !== state.place) history.replaceState({ ...history.state, place: state.place }, "");
  }, 300);
}

function jump(place) {
  state.place = place.map((one, axis) => Math.min(Math.max(Math.round(one), 0), volume.shape[axis] - 1));
  redraw();
  tell();
}

function step(by, axis = panes[0].axis) {
  const place = [...state.place];
  place[axis] += by;
  jump(place);
}

function choose(tool) {
  if (["draw", "erase"].includes(tool) && !state.target) return;
  state.tool = tool;
  state.first = null;
  state.brush = null;
  for (const button of root.querySelectorAll("[data-tool]"))
    button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  find(".viewer-stage").dataset.tool = tool;
  redraw();
}

function enlarge(number) {
  const at = panes.findIndex((pane) => pane.axis === number);
  if (at <= 0) return;
  // the canvases stay where they are: what they show changes
  [panes[0].axis, panes[at].axis] = [panes[at].axis, panes[0].axis];
  for (const pane of [panes[0], panes[at]]) {
    pane.kept.clear();
    pane.reset();
  }
  panel.planes();
  arrange();
  tell();
}

function reset() {
  bright("own");
  if (before) priorWindow = [...before.header.window];
  for (const pane of [...panes, ...(priorPane ? [priorPane] : [])]) pane.reset();
  redraw();
}

function zoom(factor, pane = panes[0], at = [pane.canvas.clientWidth / 2, pane.canvas.clientHeight / 2]) {
  pane.zoomAt(factor, ...at);
  together(pane);
  redraw();
}

// The current image and the earlier one move together.
function together(pane) {
  if (!priorPane || !state.beside || (pane !== panes[0] && pane !== priorPane)) return;
  const other = pane === priorPane ? panes[0] : priorPane;
  [other.zoom, other.pan] = [pane.zoom, [...pane.pan]];
}

function dim(by) {
  state.opacity = Math.min(Math.max(state.opacity + by, 0), 1);
  find("#viewer-opacity").value = Math.round(100 * state.opacity);
  redraw();
}

function undo() {
  const layer = state.target?.layer;
  if (layer?.outline.undo()) panel.drawn(say("undone"), layer);
  redraw();
}

function listen() {
  for (const pane of [...panes, ...(priorPane ? [priorPane] : [])]) watch(pane);
  document.addEventListener("keydown", pressed);
  document.addEventListener("keyup", (event) => event.key === " " && (state.panning = false));
  new ResizeObserver(redraw).observe(find(".viewer-stage"));
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { tool, deed, plane } = button.dataset;
    if (tool) choose(tool);
    if (plane) enlarge(Number(plane));
    if (deed) ({ larger: () => zoom(1.25), smaller: () => zoom(0.8), reset, undo, beside, loading: () => arriving.turn() }[deed]?.());
  });
  find("#viewer-slice").addEventListener("input", (event) => {
    const place = [...state.place];
    place[panes[0].axis] = Number(event.target.value) - 1;
    jump(place);
  });
  find("#viewer-opacity").addEventListener("input", (event) => {
    state.opacity = event.target.value / 100;
    redraw();
  });
  find("#viewer-preset").addEventListener("change", (event) => bright(event.target.value));
  addEventListener("beforeunload", (event) => {
    if (state.layers.some((layer) => layer.outline?.changed)) event.preventDefault();
  });
  choose(state.tool);
}

function beside() {
  state.beside = !state.beside;
  find("[data-deed=beside]").setAttribute("aria-pressed", String(state.beside));
  arrange();
}

function pressed(event) {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.ctrlKey && event.key === "z" && state.target) {
    event.preventDefault();
    undo();
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const onButton = event.target.closest?.("button, a, summary");
  const deeds = {
    ArrowUp: () => step(-1), ArrowDown: () => step(1), ArrowLeft: () => step(-1), ArrowRight: () => step(1),
    PageUp: () => step(-10), PageDown: () => step(10), Home: () => step(-1e6), End: () => step(1e6),
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), r: reset, "[": () => dim(-0.1), "]": () => dim(0.1),
    1: () => enlarge(0), 2: () => enlarge(1), 3: () => enlarge(2), z: undo, b: () => before && beside(),
    Escape: () => choose(volume.isFlat ? "window" : "look"),
  };
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === " " && !onButton) {
    event.preventDefault();
    state.panning = true;
  } else if (PRESET_KEYS[key]) {
    bright(PRESET_KEYS[key]);
  } else if (TOOLS[key]) {
    choose(TOOLS[key]);
  } else if (deeds[key]) {
    const moves = key.startsWith("Arrow") || key.startsWith("Page") || key === "Home" || key === "End";
    if (moves && (volume.isFlat || event.target.closest?.("details, .viewer-panel"))) return;
    event.preventDefault();
    deeds[key]();
  }
}

// What a pointer does on a pane.
function watch(pane) {
  const { canvas } = pane;
  const fingers = new Map();
  let deed = null;
  let apart = 0;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const place = ([x, y]) => {
    const slice = (pane === priorPane ? placeBefore() : state.place)[pane.axis];
    return pane.volume.place(pane.axis, slice, ...pane.under(x, y));
  };
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey || volume.isFlat) zoom(event.deltaY < 0 ? 1.12 : 1 / 1.12, pane, at(event));
    else step(Math.sign(event.deltaY), pane === priorPane ? panes[0].axis : pane.axis);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    find(".viewer-stage").focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    const tool = event.button === 2 ? "window" : event.button === 1 || state.panning ? "pan" : state.tool;
    deed = begun(tool, pane, at(event), place);
    if (event.button === 1) event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const point = at(event);
    const last = fingers.get(event.pointerId);
    if (last) fingers.set(event.pointerId, point);
    if (fingers.size === 2) {
      const [[a, b], [c, d]] = [...fingers.values()];
      const now = Math.hypot(a - c, b - d);
      if (apart) zoom(now / apart, pane, [(a + c) / 2, (b + d) / 2]);
      [apart, deed] = [now, null];
      return;
    }
    if (pane !== priorPane) state.pointed = place(point).map(Math.round);
    if (["draw", "erase"].includes(state.tool) && pane !== priorPane)
      state.brush = { pane, at: point, radius: state.radius, erases: state.tool === "erase" };
    if (last && deed) deed(point, [point[0] - last[0], point[1] - last[1]]);
    if (state.first) state.first.ends[1] = state.first.pane === pane ? place(point) : state.first.ends[1];
    redraw();
  });
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      [deed, apart] = [null, 0];
      redraw();
    });
  canvas.addEventListener("pointerleave", () => {
    [state.pointed, state.brush] = [null, null];
    redraw();
  });
}

// Begins what a tool does; gives what goes on while the pointer moves.
function begun(tool, pane, point, place) {
  if (tool === "pan")
    return (_, [x, y]) => {
      pane.pan = [pane.pan[0] + x, pane.pan[1] + y];
      together(pane);
    };
  if (tool === "window")
    return (_, [x, y]) => {
      const level = pane === priorPane && !alike() ? priorWindow : state.window;
      const pace = (pane.volume.header.window[1] || 1) / 300;
      level[1] = Math.max(level[1] + x * pace, pane.volume.header.slope);
      level[0] += y * pace; // upwards is brighter
      find("#viewer-preset").value = "";
    };
  if (pane === priorPane) return null;
  if (tool === "look") {
    if (volume.isFlat) return null;
    jump(place(point));
    return (to) => jump(place(to));
  }
  if (tool === "ruler") {
    ruled(pane, place(point));
    return null;
  }
  if (state.target && (tool === "draw" || tool === "erase")) {
    const { layer, number } = state.target;
    const slice = state.place[pane.axis];
    const dot = ([x, y]) => {
      const [i, j] = pane.under(x, y);
      layer.outline.dot(pane.axis, slice, i, j, state.radius, tool === "draw" ? number : 0, number);
    };
    layer.outline.begin();
    layer.shown = true;
    let last = point;
    dot(point);
    panel.drawn("", layer);
    redraw();
    return (to) => {
      const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - last[0], to[1] - last[1]) / 3));
      for (let i = 1; i <= steps; i += 1)
        dot([last[0] + ((to[0] - last[0]) * i) / steps, last[1] + ((to[1] - last[1]) * i) / steps]);
      last = to;
    };
  }
  return null;
}

// A length by two clicks.
function ruled(pane, place) {
  if (!state.first || state.first.pane !== pane) {
    state.first = { ends: [place, place], pane, axis: pane.axis, dashed: true };
    return;
  }
  const [one, other] = [state.first.ends[0], place];
  const long = Math.hypot(...one.map((from, axis) => (from - other[axis]) * volume.spacing[axis]));
  const said = say(volume.header.spacing ? "length" : "length_pixels", { n: long.toFixed(1) });
  state.rulers.push({ ends: [one, other], axis: pane.axis, said });
  state.first = null;
  panel.measures();
  redraw();
}

// Shows what a model outlined, and gives where its answer comes from or where it is unsure; null: it does not tell.
async function shown({ heat, outline, model, title }) {
  if (heat) return { map: new Heat(heat), number: Math.random() };
  if (!outline) return null;
  const own = state.layers.filter((one) => one.code === outline.code && !one.error && !one.outline?.changed);
  let layer = own.find((one) => one.asked) ?? own.find((one) => one.place === null);
  if (!layer) {
    const first = state.layers.reduce((sum, one) => sum + Math.max(one.names.length, 1), 0);
    layer = { code: outline.code, names: outline.names, title, place: null, number: state.layers.length, first };
    state.layers.push(layer);
  }
  layer.outline = await Outline.unpacked(volume, outline.labels);
  Object.assign(layer, { model, asked: true, shown: true, approximate: outline.approximate });
  panel.offer(layer, outline.sizes);
  return outline.unsure && { map: await Unsure.unpacked(volume, outline.unsure), number: Math.random() };
}

const panel = new Panel({ root, settings, state, say, csrf, redraw, jump, choose, shown, main: () => panes[0] });
start();
