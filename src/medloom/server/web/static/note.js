// A note: places are walked and decided about by keys, and named by selecting words. Without this script the list beside
// the text does the same by its buttons and links.

const view = document.getElementById("note-view");
const text = document.getElementById("note-text");
const box = document.getElementById("note-form");
const form = box?.querySelector("form");
const bubble = document.getElementById("note-add");
const facts = [...document.querySelectorAll(".facts-list > .fact[id]")].filter((one) => text.querySelector(`[data-of~="${one.id}"]`));
const REMEMBERED = `note:${location.pathname}`;
view.classList.add("has-script");

let chosen = null;

function choose(id, { focus = true, scroll = true } = {}) {
  for (const one of document.querySelectorAll(".is-chosen")) one.classList.remove("is-chosen");
  chosen = facts.find((one) => one.id === id) ?? null;
  if (!chosen) return;
  chosen.classList.add("is-chosen");
  const words = text.querySelectorAll(`[data-of~="${id}"]`);
  for (const one of words) one.classList.add("is-chosen");
  shown(chosen);
  if (scroll) words[0]?.scrollIntoView({ block: "center" });
  if (focus) (chosen.querySelector("button") ?? chosen).focus({ preventScroll: true });
}

// Its list alone is scrolled, not the page.
function shown(fact) {
  const list = fact.parentElement;
  list.scrollTop = fact.offsetTop - (list.clientHeight - fact.offsetHeight) / 2;
}

function step(by) {
  const at = facts.indexOf(chosen);
  const next = facts[at < 0 ? (by > 0 ? 0 : facts.length - 1) : at + by];
  if (next) choose(next.id);
}

text.addEventListener("click", (event) => {
  const words = event.target.closest("[data-of]");
  if (!words || !getSelection().isCollapsed) return;
  event.preventDefault();
  const of = words.dataset.of.split(" ");
  const at = chosen ? of.indexOf(chosen.id) : -1; // again: what lies around it
  choose(of[(at + 1) % of.length], { scroll: false });
});

for (const one of facts) one.querySelector(".fact-words")?.addEventListener("click", (event) => {
  event.preventDefault();
  choose(one.id, { focus: false });
});

// Characters are counted as the record counts them, by code points.
const points = (words) => [...words].length;

function placeOf(node, offset) {
  const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
  const piece = element.closest("[data-start]");
  if (!piece || !text.contains(piece)) return null;
  const before = node.nodeType === Node.TEXT_NODE ? node.data.slice(0, offset) : offset ? piece.textContent : "";
  return Number(piece.dataset.start) + points(before);
}

// The pieces that a selection touches, cut to it: what lies between them, such as labels, is not the note's.
function selected() {
  const selection = getSelection();
  if (selection.isCollapsed || !selection.rangeCount) return null;
  const range = selection.getRangeAt(0);
  if (!range.intersectsNode(text)) return null;
  const pieces = [...text.querySelectorAll("[data-start]")].filter((one) => range.intersectsNode(one));
  if (!pieces.length) return null;
  const first = pieces[0], last = pieces.at(-1);
  const end = Number(last.dataset.start) + points(last.textContent);
  const start = (first.contains(range.startContainer) ? placeOf(range.startContainer, range.startOffset) : null) ?? Number(first.dataset.start);
  const stop = (last.contains(range.endContainer) ? placeOf(range.endContainer, range.endOffset) : null) ?? end;
  const characters = [...pieces.map((one) => one.textContent).join("")];
  const origin = Number(first.dataset.start);
  const words = characters.slice(start - origin, stop - origin).join("");
  return start < stop && words.trim() ? { span: `${start}:${stop}`, words, box: range.getBoundingClientRect() } : null;
}

function open({ deed, entity = "", span = "", words = "", code = "", assertion = "" }) {
  if (!form) return;
  const name = document.getElementById("note-form-name");
  name.textContent = name.dataset[deed];
  Object.assign(form.elements.deed, { value: deed });
  form.elements.entity.value = entity;
  form.elements.span.value = span;
  form.elements.words.value = words.trim();
  form.elements.code.value = code;
  form.elements.assertion.value = assertion;
  delete box.dataset.closed;
  document.querySelector(".note-side").scrollTop = 0;
  box.scrollIntoView({ block: "nearest" });
  const empty = words.trim() ? form.elements.code : form.elements.words;
  if (chosen) shown(chosen);
  empty.focus({ preventScroll: true });
  empty.select();
}

function close() {
  if (!box) return;
  box.dataset.closed = "";
  bubble.hidden = true;
}

if (form) {
  const cancel = form.querySelector("[data-deed=close]");
  cancel.hidden = false;
  cancel.addEventListener("click", close);
  form.elements.words.addEventListener("input", () => { form.elements.span.value = ""; });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-deed=correct]");
    if (!link) return;
    event.preventDefault();
    const { code, assertion, words, span } = link.dataset;
    const entity = link.closest(".fact").id;
    choose(entity, { focus: false, scroll: false });
    open({ deed: "correct", entity, span, words, code, assertion });
  });
  const name = () => {
    const found = selected();
    bubble.hidden = true;
    open({ deed: "add", ...(found ? { span: found.span, words: found.words } : {}) });
  };
  bubble.addEventListener("pointerdown", (event) => event.preventDefault()); // the selection stays
  bubble.addEventListener("click", name);
  document.addEventListener("selectionchange", () => {
    const found = selected();
    bubble.hidden = !found;
    if (!found) return;
    bubble.style.left = `${Math.max(8, Math.min(found.box.left + scrollX, scrollX + innerWidth - bubble.offsetWidth - 12))}px`;
    bubble.style.top = `${found.box.bottom + scrollY + 6}px`;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { close(); return; }
    if (event.key.toLowerCase() === "n" && !typing(event)) { event.preventDefault(); name(); }
  });
}

const typing = (event) =>
  event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest?.("input, textarea, select");

document.addEventListener("keydown", (event) => {
  if (typing(event)) return;
  const key = event.key.toLowerCase();
  if (key === "j" || key === "k") { event.preventDefault(); step(key === "j" ? 1 : -1); return; }
  const deed = { a: "accept", r: "reject" }[key];
  if (!chosen) return;
  if (deed) { const press = chosen.querySelector(`button[value=${deed}]`); if (press) { event.preventDefault(); press.click(); } }
  if (key === "c") { const link = chosen.querySelector("a[data-deed=correct]"); if (link) { event.preventDefault(); link.click(); } }
});

// After a decision the page comes back where it was, with the next place chosen.
document.addEventListener("submit", () => sessionStorage.setItem(REMEMBERED, String(scrollY)));
const was = sessionStorage.getItem(REMEMBERED);
sessionStorage.removeItem(REMEMBERED);
if (was !== null) scrollTo(0, Number(was));
const wanted = location.hash.slice(1).replace(/^t-/, "");
if (facts.some((one) => one.id === wanted)) choose(wanted, { scroll: was === null });
