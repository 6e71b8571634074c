// Small controls: the menu of narrow screens, colours, copying, tabs, and forms that help.
const PREVIEW_AFTER = 250;

export function openMenu() {
  const button = document.querySelector("[data-menu]");
  const side = document.getElementById("side");
  button?.addEventListener("click", () => {
    const isOpen = side.classList.toggle("open");
    button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) side.querySelector("nav a")?.focus();
  });
}

export function switchTheme() {
  const form = document.querySelector("[data-themes]");
  form?.addEventListener("submit", (event) => {
    const theme = event.submitter?.value;
    if (!theme) return;
    event.preventDefault();
    document.documentElement.dataset.theme = theme;
    for (const one of form.querySelectorAll("button")) one.setAttribute("aria-pressed", String(one.value === theme));
    const body = new URLSearchParams(new FormData(form, event.submitter));
    fetch(form.action, { method: "POST", body, redirect: "manual" });
  });
}

export function copyCode(say) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      say("good", "Copied.");
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
      say("warn", "The browser does not let pages copy here. It is selected: press Ctrl+C.");
    }
  });
}

export function tabs() {
  for (const group of document.querySelectorAll("[data-tabs]")) {
    const panels = [...group.children];
    const list = document.createElement("div");
    list.className = "tab-list";
    list.setAttribute("role", "tablist");
    const buttons = panels.map((panel, at) => tab(panel, at, list));
    const choose = (chosen) => panels.forEach((panel, at) => {
      panel.hidden = at !== chosen;
      buttons[at].setAttribute("aria-selected", String(at === chosen));
      buttons[at].tabIndex = at === chosen ? 0 : -1;
    });
    buttons.forEach((button, at) => {
      button.addEventListener("click", () => choose(at));
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = (at + step + buttons.length) % buttons.length;
        choose(next);
        buttons[next].focus();
      });
    });
    group.prepend(list);
    choose(0);
  }
}

function tab(panel, at, list) {
  const button = document.createElement("button");
  panel.id ||= `tab-panel-${at}`;
  panel.setAttribute("role", "tabpanel");
  const title = panel.querySelector("h3");
  button.type = "button";
  button.className = "button ghost small";
  button.textContent = title.textContent;
  button.setAttribute("role", "tab");
  button.setAttribute("aria-controls", panel.id);
  title.remove();
  list.append(button);
  return button;
}

export function showWhen() {
  for (const select of document.querySelectorAll("[data-shows]")) {
    const target = document.getElementById(select.dataset.shows);
    const show = () => { target.hidden = select.value !== select.dataset.when; };
    select.addEventListener("change", show);
    show();
  }
}

export function fillFields() {
  for (const button of document.querySelectorAll("[data-fill]")) {
    button.addEventListener("click", () => {
      const field = document.getElementById(button.dataset.fill);
      field.value = button.dataset.value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }
}

export function previewSchedule() {
  const field = document.querySelector("[data-preview]");
  if (!field) return;
  let timer;
  field.addEventListener("input", () => {
    document.getElementById("by-cron").checked = true;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const answer = await fetch(`${field.dataset.preview}?cron=${encodeURIComponent(field.value)}`, { headers: { "x-part": "1" } });
      if (answer.ok) document.getElementById("cron-reading").innerHTML = await answer.text();
    }, PREVIEW_AFTER);
  });
}
