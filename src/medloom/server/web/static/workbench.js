// What every page of the workbench does beyond its HTML; without it all still works.

// A menu closes by Escape, or by a press beside it.
const menus = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("pointerdown", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});

// Up and down move from row to row while the focus is on a row's link; J and K from anywhere, first to the first row.
document.addEventListener("keydown", (event) => {
  const far = { j: 1, k: -1 }[event.key.toLowerCase()];
  const step = far ?? { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const link = event.target.closest?.(".row-link");
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!link && (!far || event.target.closest?.("input, select, textarea, .viewer"))) return;
  const links = [...(link?.closest("table") ?? document).querySelectorAll(".row-link")];
  const next = link ? links[links.indexOf(link) + step] : links[0];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: "nearest" });
});

// A form is sent once, however impatiently its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 3000);
});

// What a link leads to is shown in its place: the element that `data-inline` names, from the page there.
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[data-inline]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  link.setAttribute("aria-busy", "true");
  const answer = await fetch(link.href, { credentials: "same-origin" }).catch(() => null);
  const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page && page.getElementById(link.dataset.inline);
  if (!found) {
    location.assign(link.href);
    return;
  }
  found.tabIndex = -1;
  link.replaceWith(found);
  found.focus();
});
