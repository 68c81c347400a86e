// What happens to one job, told by the server as it happens. The page asks for itself anew when told.
const place = document.querySelector("[data-live]");
if (place) {
  const topics = place.dataset.topics.split(" ");
  let source = null, timer = null;
  const fire = () => {
    clearTimeout(timer);
    timer = setTimeout(() => document.body.dispatchEvent(new CustomEvent("job-event")), 150);
  };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(`/v1/jobs/${place.dataset.live}/events`);
    for (const topic of topics) source.addEventListener(topic, fire);
  };
  const close = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : (open(), fire())));
  addEventListener("pagehide", close);
  open();
  // Buttons and tabs are drawn for a state: when it changes, so does the page.
  document.addEventListener("htmx:afterSwap", () => {
    const now = document.getElementById("live")?.dataset.state;
    if (now && now !== place.dataset.state) location.reload();
  });
}
