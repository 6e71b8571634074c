// Keys for those who would rather not reach for the mouse; they can be switched off.
const NAME = "wellhead-shortcuts";
const SOON = 1200;

export function listenToKeys() {
  const dialog = document.getElementById("shortcuts");
  if (!dialog) return;
  const choice = document.getElementById("shortcuts-on");
  choice.checked = localStorage.getItem(NAME) !== "off";
  choice.addEventListener("change", () => localStorage.setItem(NAME, choice.checked ? "on" : "off"));
  document.querySelector("[data-shortcuts]").addEventListener("click", () => dialog.showModal());
  let goneAt = 0;
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, textarea, select, [contenteditable]");
    if (!choice.checked || isTyping || dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "?") dialog.showModal();
    else if (event.key === "/") focusSearch(event);
    else if (event.key === "g") goneAt = Date.now();
    else if (Date.now() - goneAt < SOON) document.querySelector(`[data-go="${CSS.escape(event.key)}"]`)?.click();
  });
}

function focusSearch(event) {
  const search = document.querySelector("main input[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
}
