// Reading by keys: 1, 2, 3 … choose an answer, Enter keeps it, s skips the case.
// Without this script the same is done by pointer or Tab.

const form = document.getElementById("answer-form");

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("textarea, input:not([type=radio]), select, [contenteditable]");
  if (!form || typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.key === "s") {
    event.preventDefault();
    document.getElementById("skip-form").requestSubmit();
    return;
  }
  const choice = form.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!choice) return;
  event.preventDefault();
  choice.checked = true;
  form.querySelector(".actions .primary").focus();
});
