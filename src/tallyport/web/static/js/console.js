// Wires the pages: times, theme, actions, selections, drawer, keys. Every change goes through the public API.
import { call, say } from "./api.js";

const root = document.documentElement;

// -- times: the server writes UTC, the browser shows its own zone
const inZone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
function localTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]:not([data-local])")) {
    time.textContent = inZone.format(new Date(time.dateTime));
    time.dataset.local = "1";
  }
}

// -- theme
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-toggle]")) return;
  const next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
  root.setAttribute("data-bs-theme", next);
  localStorage.setItem("theme", next);
  document.dispatchEvent(new CustomEvent("theme"));
});

// -- actions: data-call="POST /v1/..." with data-body, data-confirm, data-ids, data-then
async function act(button) {
  const ids = button.dataset.ids ? chosen(button) : null;
  if (ids && !ids.length) return say("Choose at least one.", "info");
  const question = button.dataset.confirm;
  if (question && !confirm(question.replace("{n}", ids ? ids.length : ""))) return;
  button.disabled = true;
  try {
    const calls = callsOf(button, ids);
    let changed = 0, answer = null;
    for (const [method, path, body] of calls) {
      answer = await call(method, path, body);
      changed += answer?.meta?.total_count ?? 1;
    }
    then(button, answer, changed);
  } catch (problem) {
    say(problem.message, "danger");
  } finally {
    button.disabled = false;
  }
}

function callsOf(button, ids) {
  const [method, template] = button.dataset.call.split(" ");
  const body = button.dataset.body ? JSON.parse(button.dataset.body) : undefined;
  switch (button.dataset.ids) {
    case "body": return [[method, template, { ...body, items: ids }]];
    case "query": return [[method, template + (template.includes("?") ? "&" : "?") + "id=" + ids.join(","), body]];
    case "each": return ids.map((id) => [method, template.replace("{id}", encodeURIComponent(id)), body]);
    default: return [[method, template, body]];
  }
}

function chosen(button) {
  const scope = button.closest("[data-selection]") ?? document;
  return [...scope.querySelectorAll("input[data-pick]:checked")].map((box) => box.value);
}

function then(button, answer, changed) {
  const next = button.dataset.then ?? "reload";
  const told = button.dataset.told;
  if (told) sessionStorage.setItem("told", told.replace("{n}", changed));
  if (next === "outcome") say(`${answer.data.success ? "Taken" : "Refused"}: ${answer.data.status ?? "no answer"} after ${answer.data.milliseconds} ms. ${answer.data.answer ?? ""}`, answer.data.success ? "success" : "danger");
  else if (next === "token") button.dispatchEvent(new CustomEvent("token", { detail: answer, bubbles: true }));
  else if (next === "reload") location.reload();
  else if (next.startsWith("go:")) location.assign(next.slice(3).replace("{id}", answer?.data?.id ?? answer?.job?.id ?? ""));
  else if (next === "stay") { if (told) { sessionStorage.removeItem("told"); say(told.replace("{n}", changed), "success"); } }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-call]");
  if (button && button.tagName !== "FORM") { event.preventDefault(); act(button); }
});

// -- forms that call the API: fields by name, dotted names nest
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-call]");
  if (!form) return;
  event.preventDefault();
  const [method, path] = form.dataset.call.split(" ");
  const shownAt = form.querySelector("[data-problems]");
  if (shownAt) shownAt.replaceChildren();
  for (const field of form.querySelectorAll(".is-invalid")) field.classList.remove("is-invalid");
  try {
    const answer = await call(method, path, document_of(form), form.dataset.version);
    form.dispatchEvent(new CustomEvent("answered", { detail: answer, bubbles: true }));
    if (form.dataset.then !== "none") then(form, answer, 1);
  } catch (problem) {
    mark(form, problem);
  }
});

export function document_of(form) {
  const made = {};
  for (const field of form.elements) {
    if (!field.name || field.matches(":disabled") || (field.type === "radio" && !field.checked)) continue;
    if (field.dataset.type === "choice") {  // one of several boxes of a name: those that are ticked, as a list
      if (field.checked) (made[field.name] ??= []).push(field.value);
      continue;
    }
    let value = field.type === "checkbox" ? field.checked : field.value;
    if (value === "" && field.dataset.empty !== "keep") continue;
    if (field.type === "number" || field.dataset.type === "integer" || field.dataset.type === "number") value = Number(value);
    if (field.dataset.type === "list") value = value.split("\n").map((one) => one.trim()).filter(Boolean);
    if (field.dataset.type === "boolean") value = value === true || value === "true";
    if (field.tagName === "SELECT" && field.multiple) value = [...field.selectedOptions].map((one) => one.value);
    let place = made;
    const names = field.name.split(".");
    for (const name of names.slice(0, -1)) place = place[name] ??= {};
    place[names.at(-1)] = value;
  }
  return made;
}

export function mark(form, problem) {
  const shownAt = form.querySelector("[data-problems]");
  const unplaced = [];
  for (const one of problem.errors ?? []) {
    const name = (one.path ?? "").replace(/^\//, "").replaceAll("/", ".");
    const field = form.elements[name] ?? form.elements[name.split(".").at(-1)];
    if (field?.classList) {
      field.classList.add("is-invalid");
      const note = document.createElement("div");
      note.className = "invalid-feedback d-block";
      note.textContent = one.message + (one.allowed?.length ? ` (allowed: ${one.allowed.join(", ")})` : "");
      field.parentElement.querySelector(".invalid-feedback")?.remove();
      field.after(note);
    } else unplaced.push(one.description ?? one.message);
  }
  if (!problem.errors?.length) unplaced.push(problem.message);
  if (unplaced.length && shownAt) {
    const box = document.createElement("div");
    box.className = "alert alert-danger";
    box.setAttribute("role", "alert");
    box.textContent = unplaced.join(" · ");
    shownAt.replaceChildren(box);
  } else if (unplaced.length) say(unplaced.join(" · "), "danger");
}

// -- selections
document.addEventListener("change", (event) => {
  const all = event.target.closest("input[data-pick-all]");
  const scope = event.target.closest("[data-selection]");
  if (!scope) return;
  if (all) for (const box of scope.querySelectorAll("input[data-pick]")) box.checked = all.checked;
  const count = scope.querySelectorAll("input[data-pick]:checked").length;
  for (const place of scope.querySelectorAll("[data-count]")) place.textContent = count;
  for (const button of scope.querySelectorAll("[data-ids]")) button.disabled = count === 0;
});

// -- filters go into the address as soon as they are chosen
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-filters]");
  if (form && event.target.type !== "search") form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-filters]");
  if (form) for (const field of form.elements) if (field.value === "") field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-filters] :disabled")) field.disabled = false;
});

// -- filters kept under a name
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-keep-view]");
  const name = button && prompt("Keep these filters as", "");
  if (!name) return;
  try {
    await call("POST", "/v1/views", { list: button.dataset.keepView, name, query: location.search.slice(1) });
    sessionStorage.setItem("told", "Kept.");
    location.reload();
  } catch (problem) { say(problem.message, "danger"); }
});

// -- copying
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.querySelector(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.", "success");
  } catch {
    say("The browser does not let the page copy; mark the text instead.", "info");
  }
});

// -- keys: / searches, g then a letter goes to a page, ? shows the list
let before = "";
const places = { d: "", j: "jobs", f: "failed", c: "connections", s: "schedules", r: "reports", n: "jobs/new" };
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select, [contenteditable]") || event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.key === "/") {
    const field = document.querySelector("input[type=search]");
    if (field) { event.preventDefault(); field.focus(); }
  } else if (event.key === "?") {
    document.querySelector("[data-keys]")?.click();
  } else if (before === "g" && event.key in places) {
    location.assign(`${root.dataset.prefix}/${places[event.key]}`);
  }
  before = event.key;
});
document.addEventListener("keydown", (event) => {
  const row = event.target.closest?.("tr.pickable");
  if (row && event.key === "Enter" && event.target === row) row.querySelector("a")?.click();
});

// -- what htmx brings in; it stops asking while nobody looks
document.addEventListener("htmx:afterSettle", (event) => localTimes(event.target));
document.addEventListener("htmx:afterSwap", () => localTimes(document));
document.addEventListener("htmx:beforeRequest", (event) => {
  const polls = (event.detail.elt.getAttribute("hx-trigger") ?? "").includes("every");
  if (polls && document.hidden) event.preventDefault();
});
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status !== 401) say(`The server answered ${event.detail.xhr.status}.`, "danger");
});

localTimes(document);
const told = sessionStorage.getItem("told");
if (told) { sessionStorage.removeItem("told"); say(told, "success"); }
root.dataset.ready = "1";
