// Parts of the page that the server renews by server-sent events.
import { say } from "./toasts.js";
import { refreshTimes } from "./times.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15000;
const QUIET = 40000; // the server says something every 15 seconds
const LOST_AFTER = 1500;

export function followLive() {
  for (const region of document.querySelectorAll("[data-live]")) {
    if (!region.hasAttribute("data-over")) new Follower(region).open();
  }
}

export async function fillParts() {
  for (const place of document.querySelectorAll("[data-part]")) {
    try {
      const answer = await fetch(place.dataset.part, { headers: { "x-part": "1" } });
      if (!answer.ok) throw new Error(String(answer.status));
      place.innerHTML = await answer.text();
    } catch {
      place.textContent = "This could not be loaded. Reload the page to try again.";
    }
  }
}

class Follower {
  constructor(region) {
    this.region = region;
    this.wait = FIRST_WAIT;
    this.isOver = false;
    this.source = null;
    this.timers = {};
    // a browser opens only a few connections to one server, over all its tabs
    if (!region.hasAttribute("data-once")) {
      document.addEventListener("visibilitychange", () => (document.hidden ? this.rest() : this.open()));
    }
    // without this the browser says that the stream broke when the page is left
    addEventListener("pagehide", () => this.rest());
    addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  open() {
    if (this.isOver || this.source || document.hidden) return;
    this.source = new EventSource(this.region.dataset.live);
    this.source.addEventListener("hello", (event) => this.greet(JSON.parse(event.data)));
    this.source.addEventListener("parts", (event) => this.show(JSON.parse(event.data)));
    this.source.addEventListener("away", (event) => this.lose(`${JSON.parse(event.data)}. Trying again…`));
    this.source.addEventListener("end", (event) => this.end(JSON.parse(event.data)));
    this.source.onerror = () => this.retry();
    this.listen();
  }

  rest() {
    clearTimeout(this.timers.quiet);
    clearTimeout(this.timers.retry);
    clearTimeout(this.timers.lost);
    this.source?.close();
    this.source = null;
  }

  greet(mark) {
    this.find();
    if (mark !== document.body.dataset.mark) say("warn", "The server was updated. Reload the page when it suits you.");
  }

  show(parts) {
    this.find();
    const focused = document.activeElement?.id;
    for (const [id, html] of Object.entries(parts)) {
      const place = document.getElementById(id);
      if (!place) continue;
      const open = [...place.querySelectorAll("details")].map((one) => one.open);
      place.innerHTML = html;
      place.querySelectorAll("details").forEach((one, at) => { if (open[at]) one.open = true; });
    }
    if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
    refreshTimes();
    this.region.dispatchEvent(new CustomEvent("renewed"));
  }

  listen() {
    clearTimeout(this.timers.quiet);
    this.timers.quiet = setTimeout(() => this.retry(), QUIET);
  }

  find() {
    this.wait = FIRST_WAIT;
    clearTimeout(this.timers.lost);
    const lost = document.getElementById("lost");
    if (lost && !lost.hidden) {
      lost.hidden = true;
      say("good", "The server is back.");
    }
    this.listen();
  }

  lose(why) {
    const lost = document.getElementById("lost");
    if (!lost) return;
    lost.querySelector("p").textContent = why;
    lost.hidden = false;
  }

  async retry() {
    this.rest();
    if (this.isOver || document.hidden) return;
    if (this.region.hasAttribute("data-once")) {
      this.end("The search was broken off. Search again to repeat it.");
      return;
    }
    this.timers.lost = setTimeout(() => this.lose("The connection to the server is lost. Trying again…"), LOST_AFTER);
    this.timers.retry = setTimeout(() => this.reopen(), this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }

  async reopen() {
    try {
      // is it the server that is away, or are we signed out?
      const answer = await fetch(location.href, { method: "GET", redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401) {
        location.reload();
        return;
      }
      if (!answer.ok && answer.status !== 404) throw new Error(String(answer.status));
      this.open();
    } catch {
      this.retry();
    }
  }

  end(why) {
    this.isOver = true;
    this.rest();
    if (why) say("warn", why);
    this.region.setAttribute("data-over", "");
  }
}
