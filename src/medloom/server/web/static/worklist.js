// The worklist is read again every minute, in place: where the reader is, and what has the focus, stays.

const seconds = Number(document.getElementById("board").dataset.refresh);

const busy = () => document.hidden || document.activeElement.matches("input, select, textarea");

async function refresh() {
  if (busy()) return;
  const answer = await fetch(location.href, { credentials: "same-origin" });
  // Signed out, or something failed: the page as it stands says since when.
  if (!answer.ok || answer.redirected) return;
  const read = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = read.getElementById("board");
  const old = document.getElementById("board");
  if (!fresh || busy()) return;
  const focus = document.activeElement.id;
  const scrolled = old.querySelector(".scroll")?.scrollLeft ?? 0;
  const told = old.querySelector("[role=status]");
  if (fresh.querySelector("tbody")?.innerHTML === old.querySelector("tbody")?.innerHTML) return;
  fresh.querySelector("[role=status]").replaceWith(told);
  old.replaceWith(fresh);
  const scroll = fresh.querySelector(".scroll");
  if (scroll) scroll.scrollLeft = scrolled;
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  told.textContent = told.dataset.said.replace("{time}", new Date().toLocaleTimeString(document.documentElement.lang));
}

setInterval(() => refresh().catch(() => {}), seconds * 1000);
