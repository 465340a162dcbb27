// The worklist is read again every minute, in place: where the reader is, and what has the focus, stays. When nobody
// has touched the page for a while it is left alone, so that a session nobody uses ends.

const UNUSED = 20 * 60_000;
const seconds = Number(document.getElementById("board").dataset.refresh);
let touched = Date.now();
for (const deed of ["pointermove", "pointerdown", "keydown", "wheel"])
  document.addEventListener(deed, () => (touched = Date.now()), { passive: true });

const busy = () => document.hidden || document.activeElement.matches("input, select, textarea");

async function refresh() {
  if (busy() || Date.now() - touched > UNUSED) return;
  const answer = await fetch(location.href, { credentials: "same-origin" });
  // Signed out, or something failed: what stands there stays.
  if (!answer.ok || answer.redirected) return;
  const read = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = read.getElementById("board");
  const old = document.getElementById("board");
  if (!fresh || busy()) return;
  if (fresh.querySelector("tbody")?.innerHTML === old.querySelector("tbody")?.innerHTML) return;
  const focus = document.activeElement.id;
  const scrolled = old.querySelector(".scroll")?.scrollLeft ?? 0;
  const told = old.querySelector("[role=status]");
  fresh.querySelector("[role=status]").replaceWith(told);
  old.replaceWith(fresh);
  const scroll = fresh.querySelector(".scroll");
  if (scroll) scroll.scrollLeft = scrolled;
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  const time = new Date().toLocaleTimeString(document.documentElement.lang);
  told.textContent = told.dataset.said.replace("{time}", time);
}

setInterval(() => refresh().catch(() => {}), seconds * 1000);
