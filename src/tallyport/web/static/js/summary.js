// The part of the first page that changes by itself: one request every five seconds, none while nobody looks.
const EVERY = 5000, LONGEST = 60000;
let wait = EVERY, next = 0;

function later() {
  clearTimeout(next);
  next = setTimeout(ask, wait * (0.9 + 0.2 * Math.random())); // pages that were opened together do not ask together
}
async function ask() {
  const place = document.querySelector("[data-summary]");
  if (!place || document.hidden) return; // coming back asks at once
  try {
    const answer = await fetch(place.dataset.summary, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(answer.status);
    show(place, await answer.text());
    wait = EVERY;
  } catch { wait = Math.min(2 * wait, LONGEST); }
  later();
}
function show(place, text) {
  const read = new DOMParser().parseFromString(text, "text/html").querySelector("[data-summary]");
  const held = place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  place.replaceWith(read);
  if (held) [...read.querySelectorAll("a")].find((one) => one.getAttribute("href") === held)?.focus();
  document.dispatchEvent(new CustomEvent("htmx:afterSwap", { bubbles: true }));
  document.dispatchEvent(new CustomEvent("samples", { detail: JSON.parse(read.dataset.samples) }));
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
later();
