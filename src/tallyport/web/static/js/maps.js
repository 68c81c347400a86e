// One map: pairs by hand, pairs from a file that is looked at first, a principal tried.
import { call, say, Problem } from "./api.js";
import { element } from "./element.js";

const place = document.querySelector("[data-map]");
const api = place.dataset.map;
const named = (text) => (text.includes("@") ? { email: text } : /^(S-1-|\d+$)/.test(text) ? { id: text } : { name: text });
const shown = (one) => (one ? [one.caption, one.name, one.email, one.username, one.id].filter(Boolean)[0] : "nobody");
const again = (words) => { sessionStorage.setItem("told", words); location.reload(); };

place.querySelector("[data-pair]")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [source, destination] = ["p-source", "p-destination"].map((id) => named(document.getElementById(id).value.trim()));
  try {
    await call("POST", `${api}/exceptions`, { items: [{ source, destination }] });
    again("Added.");
  } catch (problem) { say(problem.message, "danger"); }
});

place.querySelector("[data-try]").addEventListener("submit", async (event) => {
  event.preventDefault();
  const box = place.querySelector("[data-tried]");
  try {
    const { data } = await call("POST", `${api}/try`, { source: named(document.getElementById("try").value.trim()) });
    box.replaceChildren(element("div", { class: `alert alert-${data.destination ? "success" : "warning"} mb-0` },
      element("strong", {}, shown(data.destination)), ` by ${data.resolution.replaceAll("_", " ")}`, data.message ? element("div", { class: "small" }, data.message) : ""));
  } catch (problem) { box.replaceChildren(element("div", { class: "alert alert-danger mb-0", role: "alert" }, problem.message)); }
});

const upload = place.querySelector("[data-upload]");
async function send(query) {
  const answer = await fetch(`${api}/exceptions${query}`, { method: "POST", headers: { "Content-Type": "text/csv" }, body: upload.querySelector("input[type=file]").files[0] });
  const read = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(read, answer.status);
  return read;
}
upload?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const box = upload.querySelector("[data-preview]"), take = upload.querySelector("[data-take]");
  take.disabled = true;
  try {
    const { item, meta } = await send("?check=1");
    box.replaceChildren(element("div", { class: "alert alert-success" }, `${meta.total_count} pairs can be taken.`),
      element("table", { class: "table table-sm" }, element("tbody", {}, ...item.slice(0, 10).map((pair) => element("tr", {}, element("td", {}, shown(pair.source)), element("td", {}, shown(pair.destination)))))));
    take.disabled = false;
  } catch (problem) {
    box.replaceChildren(element("div", { class: "alert alert-danger", role: "alert" }, element("strong", {}, "Nothing of it was taken"),
      element("ul", { class: "mb-0" }, ...(problem.errors.length ? problem.errors : [problem]).slice(0, 30).map((one) => element("li", {}, one.message)))));
  }
});
upload?.querySelector("[data-take]").addEventListener("click", async () => {
  try {
    const answer = await send(upload.querySelector("[data-replace]").checked ? "?append=0" : "?append=1");
    again(`${answer.meta?.total_count ?? ""} pairs taken.`);
  } catch (problem) { say(problem.message, "danger"); }
});
