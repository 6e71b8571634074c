// Moments in words that stay true: “3 minutes ago” becomes “4 minutes ago”.
const EVERY = 1000;
const SIZES = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];

export function keepTime() {
  refreshTimes();
  setInterval(refreshTimes, EVERY);
}

export function refreshTimes() {
  const now = Date.now();
  for (const one of document.querySelectorAll("time[data-relative]")) write(one, relative((now - Date.parse(one.dateTime)) / 1000));
  for (const one of document.querySelectorAll("time[data-since]")) write(one, span((now - Date.parse(one.dataset.since)) / 1000));
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function relative(seconds) {
  const size = Math.abs(seconds);
  if (size < 45) return seconds >= 0 ? "just now" : "in a moment";
  for (const [name, length] of SIZES) {
    if (size < length * 0.95) continue;
    const number = Math.max(1, Math.round(size / length));
    const said = `${number.toLocaleString("en")} ${name}${number === 1 ? "" : "s"}`;
    return seconds > 0 ? `${said} ago` : `in ${said}`;
  }
  return seconds > 0 ? "a minute ago" : "in a minute";
}

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}
