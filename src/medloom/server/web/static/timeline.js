// The timeline by wheel, drag and keys: each view is fetched from the server, as its links would give it.
// Without this script links and forms do the same.

const MINUTE = 60_000;
const SHORTEST = 2 * 60 * MINUTE;

const section = () => document.getElementById("timeline");
const moment = (said) => Date.parse(`${said}Z`); // naive wall clock, reckoned as if it were UTC
const written = (time) => new Date(time).toISOString().slice(0, 16);

let newest = 0;

async function show(query, remember = "push") {
  const before = section();
  const asked = ++newest;
  before.setAttribute("aria-busy", "true");
  const answer = await fetch(`${before.dataset.fragment}?${query}`, { credentials: "same-origin" }).catch(() => null);
  if (asked !== newest) return;
  const page = `${before.dataset.address}?${query}`;
  if (!answer?.ok || answer.redirected) {
    location.assign(`${page}#timeline`);
    return;
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("timeline");
  if (asked !== newest || !fresh) return;
  keepOpen(before, fresh);
  const focus = placeOfFocus(before);
  before.replaceWith(fresh);
  prepare();
  focus?.(fresh);
  if (remember === "push") history.pushState(null, "", page);
  if (remember === "replace") history.replaceState(null, "", page);
}

function keepOpen(before, fresh) {
  const after = fresh.querySelectorAll("details.fold");
  before.querySelectorAll("details.fold").forEach((fold, at) => {
    if (fold.open && after[at]) after[at].open = true;
  });
}

// The same control of the new view takes the focus of the old one; where it is gone, the picture does.
function placeOfFocus(before) {
  const focused = document.activeElement;
  if (!before.contains(focused)) return null;
  const kinds = ".tl-controls a, .tl-lane h3 a, .tl-options input, .tl-options button, .pager a";
  const at = [...before.querySelectorAll(kinds)].indexOf(focused);
  const label = focused.getAttribute("aria-label") ?? focused.textContent.trim();
  return (fresh) => {
    const controls = [...fresh.querySelectorAll(kinds)];
    const same = controls.find((one) => (one.getAttribute("aria-label") ?? one.textContent.trim()) === label && label);
    (same ?? controls[at] ?? fresh.querySelector(".tl-body"))?.focus({ preventScroll: true });
  };
}

function prepare() {
  const body = section()?.querySelector(".tl-body");
  if (!body) return;
  body.tabIndex = 0;
  // What the browser would show beside a mark after a while, ours shows at once.
  for (const title of body.querySelectorAll(".tl-track title")) {
    title.parentElement.dataset.said = title.textContent;
    title.remove();
  }
}

// Where the view stands

let wanted = null; // what is asked for but not seen yet

function view() {
  const { since, until, now } = section().dataset;
  const overview = section().querySelector(".tl-overview");
  const seen = wanted ?? { since: moment(since), until: moment(until) };
  return { ...seen, now: moment(now), first: overview ? moment(overview.dataset.first) : moment(since) };
}

function queryOf(since, until, now) {
  const query = new URLSearchParams();
  query.set("since", written(since));
  if (until < now) query.set("until", written(until));
  for (const system of section().dataset.systems.split(" ")) if (system) query.append("systems", system);
  return query.toString();
}

let waiting;

function look(since, until, delay = 140) {
  const { now, first } = view();
  let length = Math.min(Math.max(until - since, SHORTEST), Math.max(now - first, SHORTEST));
  until = Math.min(until, now);
  since = until - length;
  if (since < first && until - since < now - first) {
    since = first;
    until = Math.min(first + length, now);
  }
  wanted = { since, until };
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    wanted = null;
    show(queryOf(since, until, now), "replace");
  }, delay);
}

function zoom(factor, at = 0.5) {
  const { since, until } = view();
  const length = until - since;
  const middle = since + at * length;
  look(middle - at * length * factor, middle + (1 - at) * length * factor);
}

function move(share) {
  const { since, until } = view();
  const by = share * (until - since);
  look(since + by, until + by);
}

document.addEventListener("keydown", (event) => {
  const body = event.target.closest?.(".tl-body");
  if (!body || event.target !== body || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = {
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
    ArrowLeft: () => move(-0.25),
    ArrowRight: () => move(0.25),
    0: () => show("period=all"),
  }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

document.addEventListener(
  "wheel",
  (event) => {
    const track = event.target.closest?.(".tl-track, .tl-axis");
    if (!track) return;
    const box = track.getBoundingClientRect();
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 90), (event.clientX - box.left) / box.width);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      move((event.deltaX || event.deltaY) / box.width);
    }
  },
  { passive: false },
);

// Dragging over the drawing, or over the whole record, chooses a period.

let drag = null;

document.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.pointerType === "touch") return;
  const track = event.target.closest?.(".tl-track, .tl-axis, .tl-overview");
  if (!track) return;
  const box = track.getBoundingClientRect();
  if (event.clientX < box.left || event.clientX > box.right) return;
  const whole = track.classList.contains("tl-overview");
  const canvas = whole ? track : section().querySelector(".tl-grid");
  drag = { box, whole, canvas, from: event.clientX, brush: null };
});

document.addEventListener("pointermove", (event) => {
  tell(event);
  if (!drag) return;
  const { box, from, canvas } = drag;
  if (!drag.brush) {
    if (Math.abs(event.clientX - from) < 5) return;
    drag.brush = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    drag.brush.setAttribute("class", drag.whole ? "window" : "tl-brush");
    drag.brush.setAttribute("height", drag.whole ? "41" : "100%");
    canvas.append(drag.brush);
  }
  event.preventDefault();
  const [a, b] = shares(from, event.clientX, box);
  drag.brush.setAttribute("x", `${100 * a}%`);
  drag.brush.setAttribute("width", `${100 * (b - a)}%`);
});

document.addEventListener("pointerup", (event) => {
  if (!drag) return;
  const { box, whole, from, brush } = drag;
  drag = null;
  if (!brush) return;
  brush.remove();
  const [a, b] = shares(from, event.clientX, box);
  const { since, until, first, now } = view();
  const [start, end] = whole ? [first, now] : [since, until];
  look(start + a * (end - start), start + b * (end - start), 0);
});

function shares(from, to, box) {
  const place = (x) => Math.min(Math.max((x - box.left) / box.width, 0), 1);
  return [place(from), place(to)].sort((a, b) => a - b);
}

document.addEventListener("selectstart", (event) => {
  if (drag) event.preventDefault();
});

// What lies under the pointer, in words; the table says the same to those who use none.

const tip = document.createElement("div");
tip.className = "tl-tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true");
document.body.append(tip);

function tell(event) {
  const track = event.target.closest?.(".tl-track");
  showTip(track && (event.target.dataset?.said ?? nearest(track, event.clientX)), event.clientX, event.clientY);
}

function showTip(said, x, y) {
  tip.hidden = !said;
  if (!said) return;
  tip.textContent = said;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(x + 12, innerWidth - width - 8))}px`;
  tip.style.top = `${y + 18 + height > innerHeight ? y - height - 10 : y + 18}px`;
}

document.addEventListener("focusin", (event) => {
  if (!event.target.matches?.(".push")) return;
  const { right, bottom } = event.target.firstElementChild.getBoundingClientRect();
  showTip(event.target.getAttribute("aria-label"), right - 12, bottom - 12);
});

document.addEventListener("focusout", (event) => {
  if (event.target.matches?.(".push")) tip.hidden = true;
});

function nearest(track, x) {
  if (!track.dataset.points) return null;
  const box = track.getBoundingClientRect();
  const { since, until } = section().dataset;
  const [start, end] = [moment(since), moment(until)];
  const time = start + ((x - box.left) / box.width) * (end - start);
  let best = null;
  let least = 0.02 * (end - start);
  for (const point of track.dataset.points.split(";")) {
    const away = Math.abs(moment(point.slice(0, 16)) - time);
    if (away < least) [best, least] = [point, away];
  }
  return best && `${best.slice(0, 10)} ${best.slice(11)}`.replace(/^(\S+ \S+) /, "$1: ");
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  tip.hidden = true;
  drag?.brush?.remove();
  drag = null;
});

// Links and the form of the timeline change it in place.

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#timeline a[href]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  const address = new URL(link.href);
  if (address.pathname !== section().dataset.address) return;
  event.preventDefault();
  show(address.search.slice(1));
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".tl-options")) return;
  event.preventDefault();
  const query = new URLSearchParams(new FormData(event.target));
  for (const name of ["since", "until"]) if (!query.get(name)) query.delete(name);
  if (query.has("since") || query.has("until")) query.delete("period");
  show(query.toString());
});

addEventListener("popstate", () => show(location.search.slice(1), "no"));

prepare();
