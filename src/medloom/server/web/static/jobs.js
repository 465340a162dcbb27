// How far a job is, without loading the page again; without a script the page loads itself again.

const pause = 1000;

async function look() {
  const shown = document.getElementById("job");
  const answer = await fetch(location.href, { credentials: "same-origin" }).catch(() => null);
  const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = page && page.getElementById("job");
  if (now && now.innerHTML !== shown.innerHTML) {
    const held = shown.contains(document.activeElement);
    shown.replaceWith(now);
    if (held) now.querySelector("button, a")?.focus();
  }
  if (!now || now.dataset.open) setTimeout(look, pause);
}

setTimeout(look, pause);
