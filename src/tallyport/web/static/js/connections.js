// Tests connections, looks into them, and asks for a folder to be made.
import { call, say } from "./api.js";
import { browse } from "./browser.js";
import { element, icon } from "./element.js";

for (const place of document.querySelectorAll("[data-browser]")) {
  browse(place, place.dataset.browser, { makes: "makes" in place.dataset });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-test]");
  if (!button) return;
  button.disabled = true;
  try {
    const { connection_test: found } = await call("POST", `/v1/connections/${button.dataset.test}/test${"write" in button.dataset ? "?write=1" : ""}`);
    const cell = button.closest("[data-health]");
    const bad = found.steps.find((step) => !step.success);
    if (cell) cell.replaceChildren(element("span", { class: `tag tag-${bad ? "red" : "green"}`, title: (bad ?? found.steps.at(-1)).message }, bad ? `${bad.name} failed` : "works"));
    else draw(found);
  } catch (problem) {
    say(problem.message, "danger");
  } finally {
    button.disabled = false;
  }
});

function draw(found) {
  const steps = element("ul", { class: "list-group list-group-flush" }, ...found.steps.map((step) =>
    element("li", { class: "list-group-item d-flex gap-2" }, icon(step.success ? "circle-check" : "circle-x"),
      element("div", { class: "flex-fill" }, element("strong", {}, step.name), element("div", { class: "small" }, step.message)),
      element("span", { class: `tag tag-${step.success ? "green" : "red"} align-self-start` }, step.success ? `${step.milliseconds} ms` : "failed"))));
  const words = (value) => value === true ? "yes" : value === false ? "no" : value === null ? "no limit" : Array.isArray(value) ? value.join(", ") || "none" : String(value);
  const limits = element("details", { class: "card-body" }, element("summary", {}, "What this platform can do"),
    element("table", { class: "table table-sm mt-2" }, element("tbody", {}, ...Object.entries(found.limits).map(([name, value]) =>
      element("tr", {}, element("th", { scope: "row", class: "fw-normal" }, name.replaceAll("_", " ")), element("td", {}, words(value)))))));
  document.querySelector("[data-probe]").replaceChildren(steps, Object.keys(found.limits).length ? limits : "");
}

document.getElementById("a-restricted")?.addEventListener("change", (event) => {
  const people = document.querySelector("[data-people]");
  people.hidden = people.disabled = event.target.value !== "true";
});

const make = document.querySelector("[data-make]");
make?.addEventListener("change", () => {
  document.getElementById("connection").dataset.call = `POST /v1/connections${make.checked ? "?create=1" : ""}`;
});
