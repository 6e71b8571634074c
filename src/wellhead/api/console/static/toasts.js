// Short messages in the corner; those that tell of trouble stay until dismissed.
const STAY = 8000;
const MOST = 4;

export function say(tone, text) {
  const place = document.getElementById("toasts");
  if (!place) return;
  const toast = document.createElement("div");
  toast.className = `toast ${tone}`;
  const said = document.createElement("p");
  said.textContent = text;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button ghost small";
  button.textContent = "Dismiss";
  button.addEventListener("click", () => toast.remove());
  toast.append(said, button);
  place.append(toast);
  while (place.children.length > MOST) place.firstElementChild.remove();
  if (tone === "good") leave(toast);
}

export function dismissToasts() {
  for (const button of document.querySelectorAll("[data-dismiss]")) {
    button.addEventListener("click", () => button.closest(".toast").remove());
  }
  for (const toast of document.querySelectorAll(".toast.good")) leave(toast);
}

function leave(toast) {
  const go = () => (toast.matches(":hover, :focus-within") ? setTimeout(go, STAY) : toast.remove());
  setTimeout(go, STAY);
}
