// Describes a job in steps. One document is the truth; fields, filters and the raw text are views of it.
import { call, say } from "./api.js";
import { browse } from "./browser.js";
import { element } from "./element.js";

const place = document.getElementById("wizard");
const defaults = JSON.parse(place.dataset.defaults);
const jobId = place.dataset.job;
const prefix = document.documentElement.dataset.prefix;
let doc = JSON.parse(place.dataset.document);
const steps = [...place.querySelectorAll("[data-step]")].map((one) => one.dataset.step);
let current = steps[0];
const raw = document.getElementById("raw");

// -- the document, by dotted paths
function read(path) {
  return path.split(".").reduce((value, name) => (value === null || typeof value !== "object" ? undefined : value[name]), doc);
}
function write(path, value) {
  const names = path.split(".");
  const trail = [];
  let at = doc;
  for (const name of names.slice(0, -1)) {
    trail.push([at, name]);
    if (at[name] === null || typeof at[name] !== "object") at[name] = {};
    at = at[name];
  }
  if (value === undefined || value === "") delete at[names.at(-1)];
  else at[names.at(-1)] = value;
  for (const [holder, name] of trail.reverse()) if (!Object.keys(holder[name]).length && name !== "transfer") delete holder[name];
}

// -- fields
const fields = [...place.querySelectorAll("[data-path]")];
function value_of(field) {
  if (field.value === "") return undefined;
  if (field.dataset.kind === "number") return Number(field.value);
  if (field.dataset.kind === "flag") return field.value === "true";
  if (field.dataset.kind === "json") return JSON.parse(field.value);
  return field.value;
}
// Text that is no JSON stays in its field, marked, and out of the document.
function is_read(field) {
  if (field.dataset.kind !== "json") return true;
  let reads = true;
  try { value_of(field); } catch { reads = false; }
  field.classList.toggle("is-invalid", !reads);
  field.setCustomValidity(reads ? "" : "this is no JSON");
  field.setAttribute("aria-invalid", String(!reads));
  return reads;
}
function fill() {
  const type = read("transfer.transfer_type") ?? "sync";
  for (const field of fields) {
    const value = read(field.dataset.path);
    if (field.type === "radio") field.checked = field.value === (type === "default" ? "sync" : type);
    else if (field.tomselect) { if (value && !field.tomselect.options[value]) field.tomselect.addOption({ value, text: value }); field.tomselect.setValue(value ?? "", true); }
    else if (field.dataset.kind === "json") { if (!field.classList.contains("is-invalid")) field.value = value === undefined || value === null ? "" : JSON.stringify(value, null, 1); }
    else field.value = value === undefined || value === null || typeof value === "object" ? "" : String(value);
    const key = field.dataset.key;
    if (key) {
      const by_default = defaults[type]?.[key] ?? defaults.sync[key];
      const shown = by_default === true ? "yes" : by_default === false ? "no" : by_default ?? "none";
      if (field.tagName === "SELECT") field.options[0].textContent = `default: ${String(shown).replaceAll("_", " ")}`;
      else field.placeholder = `default: ${shown}`;
    }
  }
  const at = read("schedule.run_at");
  timeField.value = at ? `${String(at.hr ?? 0).padStart(2, "0")}:${String(at.min ?? 0).padStart(2, "0")}` : "";
  const every = read("schedule.repeat_interval");
  const minutes = { m: 1, h: 60, d: 1440, s: 1 / 60 };
  everyField.value = every ? Math.max(1, Math.round(every.value * (minutes[every.unit] ?? 1))) : "";
  place.querySelector("[data-auto]").hidden = read("schedule.mode") !== "auto";
}
const timeField = place.querySelector("[data-time]");
const everyField = place.querySelector("[data-minutes]");

place.addEventListener("change", (event) => {
  const field = event.target;
  if (field === timeField) {
    const [hr, min] = field.value.split(":").map(Number);
    write("schedule.run_at", field.value ? { hr, min } : undefined);
  } else if (field === everyField) {
    write("schedule.repeat_interval", field.value ? { value: Number(field.value), unit: "m" } : undefined);
  } else if (field.dataset.path) {
    if (!is_read(field)) return;
    write(field.dataset.path, value_of(field));
    if (field.dataset.side) look(field.dataset.side);
    if (field.dataset.path === "schedule.mode" && field.value !== "auto") for (const key of ["run_at", "days", "repeat_interval", "cron", "time_zone"]) write(`schedule.${key}`, undefined);
  } else return;
  show();
});
place.addEventListener("input", (event) => {
  if (event.target.dataset.path && event.target.tagName === "INPUT" && event.target.type !== "radio") {
    write(event.target.dataset.path, value_of(event.target));
    if (current === "summary") tell();
  }
});

// -- the folders of both sides
function look(side) {
  const box = place.querySelector(`[data-browse="${side}"]`);
  const connection = read(`transfer.${side}.connection.id`);
  if (!box) return;
  if (!connection || jobId) return box.replaceChildren();
  const field = document.getElementById(`p-${side}`);
  browse(box, connection, { path: read(`transfer.${side}.target.path`) ?? "/", makes: side === "destination", onpath: (path) => {
    write(`transfer.${side}.target.path`, path);
    field.value = path;
  } });
}

// -- filters, by a form made from the schema
let filters = null, quiet = false;
function make_filters() {
  if (filters) return;
  filters = new JSONEditor(document.getElementById("filters"), {
    schema: JSON.parse(place.dataset.filters), theme: "bootstrap5", startval: known_filters() ?? [],
    disable_edit_json: true, disable_properties: true, disable_collapse: true, disable_array_reorder: true, disable_array_delete_all_rows: true,
    required_by_default: false, remove_empty_properties: true, show_errors: "change", prompt_before_delete: false, iconlib: null,
  });
  filters.on("change", () => {
    if (quiet || !filters.ready) return;
    const made = filters.getValue();
    const before = JSON.stringify(read("transfer.filter.source") ?? []);
    if (JSON.stringify(made) !== before && known_filters() !== null) { write("transfer.filter.source", made.length ? made : undefined); draw_raw(); }
  });
}
// The form knows the common rules; a document with others is left as it is.
function known_filters() {
  const given = read("transfer.filter.source") ?? [];
  const kinds = ["extension", "pattern", "size", "path", "hidden", "shared"];
  const plain = Array.isArray(given) && given.every((block) => Object.keys(block).every((key) => ["action", "rules"].includes(key)) && Array.isArray(block.rules)
    && block.rules.every((rule) => kinds.includes(String(rule.type).replace("filter_", "")) && !("targets" in rule)));
  return plain ? given : null;
}

// -- the raw text
const raw_state = document.getElementById("raw-state");
function draw_raw() { raw.value = JSON.stringify(doc, null, 2); raw.classList.remove("is-invalid"); }
raw.addEventListener("input", () => {
  try {
    const given = JSON.parse(raw.value);
    if (given === null || typeof given !== "object" || Array.isArray(given)) throw new Error("the job is an object");
    doc = given;
    doc.transfer ??= {};
    for (const field of fields) field.classList.remove("is-invalid");
    raw.classList.remove("is-invalid");
    raw_state.textContent = "Taken over into every step.";
    fill();
    if (filters && known_filters()) { quiet = true; filters.setValue(known_filters()); setTimeout(() => { quiet = false; }, 50); }
  } catch (error) {
    raw.classList.add("is-invalid");
    raw_state.textContent = `Not taken over: ${error.message}`;
  }
});

// -- the summary: what the server says of it, and how to do the same elsewhere
async function tell() {
  const said = document.getElementById("said");
  const lines = [["Type", read("transfer.transfer_type") ?? "sync"], ["From", end("source")], ["To", end("destination")], ["Starts", { auto: "by itself, on a schedule", "ad-hoc": "once, by a person" }[read("schedule.mode")] ?? "by a person"]];
  const chosen = changed(doc.transfer, "").filter(([key]) => !/^(source|destination|transfer_type)/.test(key));
  if (chosen.length) lines.push(["Chosen", chosen.map(([key, value]) => `${key} = ${value}`).join("; ")]);
  said.replaceChildren(...lines.flatMap(([name, value]) => [element("dt", { class: "col-3" }, name), element("dd", { class: "col-9 path" }, value)]));
  const body = JSON.stringify(doc, null, 2);
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  document.getElementById("as-curl").textContent = `curl -sS ${location.origin}/v1/jobs \\\n  -H "Authorization: Bearer $TALLYPORT_TOKEN" -H 'Content-Type: application/json' \\\n  -d ${quoted(body)}`;
  document.getElementById("as-cli").textContent = `export TALLYPORT_URL=${location.origin}\ntallyport jobs create --start -f - <<'JOB'\n${body}\nJOB`;
  const box = document.getElementById("checked");
  try {
    const { job_check: found } = await call("POST", "/v1/jobs/check", doc);
    box.replaceChildren(element("div", { class: "alert alert-success", role: "status" }, "The server would take it."),
      ...(found.warnings.length ? [element("div", { class: "alert alert-warning", role: "note" }, element("strong", {}, "Worth knowing"), element("ul", { class: "mb-0" }, ...found.warnings.map((one) => element("li", {}, one))))] : []));
  } catch (problem) {
    complain(problem);
  }
}
function complain(problem) {
  const where = (path) => /\/(source|destination)/.test(path) ? "locations" : /^\/transfer/.test(path) ? "advanced" : "summary";
  document.getElementById("checked").replaceChildren(element("div", { class: "alert alert-danger", role: "alert" }, element("strong", {}, "Not yet"),
    element("ul", { class: "mb-0" }, ...(problem.errors.length ? problem.errors : [{ path: "", message: problem.message }]).map((one) =>
      element("li", {}, one.path ? element("button", { type: "button", class: "btn btn-link p-0 align-baseline", onclick: () => go(where(one.path)) }, one.path) : "", " ", one.message, one.allowed?.length ? ` (${one.allowed.join(", ")})` : "")))));
}
function end(side) {
  const field = document.getElementById(`c-${side}`);
  const text = field?.selectedOptions[0]?.value ? field.selectedOptions[0].textContent : "not chosen";
  return `${text} ${read(`transfer.${side}.target.path`) ?? "/"}`;
}
function changed(value, path) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [[path, Array.isArray(value) ? JSON.stringify(value) : value]];
  return Object.entries(value).flatMap(([key, one]) => changed(one, path ? `${path}.${key}` : key));
}

// -- steps
function go(step) {
  current = step;
  for (const one of place.querySelectorAll("[data-step]")) one.hidden = one.dataset.step !== step;
  const at = steps.indexOf(step);
  for (const one of place.querySelectorAll("[data-step-of]")) {
    const mine = steps.indexOf(one.dataset.stepOf);
    one.classList.toggle("current", mine === at);
    one.classList.toggle("done", mine < at);
    const button = one.querySelector("button");
    if (mine === at) button.setAttribute("aria-current", "step"); else button.removeAttribute("aria-current");
  }
  place.querySelector("[data-back]").hidden = at === 0;
  place.querySelector("[data-next]").hidden = at === steps.length - 1;
  place.querySelector("[data-finish]").hidden = at !== steps.length - 1;
  if (step === "advanced") make_filters();
  show();
  location.replace(`#${step}`);
}
function show() {
  fill();
  draw_raw();
  if (current === "summary") tell();
}
place.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const at = steps.indexOf(current);
  if (button.dataset.to) go(button.dataset.to);
  else if ("back" in button.dataset) go(steps[at - 1]);
  else if ("next" in button.dataset) go(steps[at + 1]);
  else if (button.dataset.save) save(button);
});

async function save(button) {
  const how = button.dataset.save;
  const unread = fields.find((field) => field.classList.contains("is-invalid"));
  if (unread) { go(unread.closest("[data-step]").dataset.step); return unread.focus(); }
  const body = structuredClone(doc);
  if (how === "simulate") {
    body.transfer.simulation_mode = true;
    body.name = `${body.name ?? "Job"} (simulation)`;
    body.schedule = { mode: "manual" };
  }
  if (how === "start" || how === "simulate") body.status = "start";
  else if (how === "keep" && document.getElementById("held").checked && read("schedule.mode") === "auto") body.status = "paused";
  button.disabled = true;
  try {
    const answer = how === "change" ? await call("PATCH", `/v1/jobs/${jobId}`, body_of_change(body), place.dataset.version) : await call("POST", `/v1/jobs${how === "plan" ? "?plan=true" : ""}`, body);
    sessionStorage.setItem("told", { change: "Saved.", keep: "Saved.", simulate: "Simulating: nothing is written.", start: "Started.", plan: "Making a plan: nothing is carried before somebody approves it." }[how]);
    location.assign(`${prefix}/jobs/${answer.job.id}/overview`);
  } catch (problem) {
    complain(problem);
    button.disabled = false;
  }
}
// A merge patch takes away what the document no longer has only when told so.
function body_of_change(body) {
  const before = JSON.parse(place.dataset.document);
  const gone = (old, now) => Object.fromEntries(Object.keys(old).filter((key) => !(key in now)).map((key) => [key, null]));
  const merged = (old, now) => Object.assign(gone(old, now), Object.fromEntries(Object.entries(now).map(([key, value]) =>
    [key, value && typeof value === "object" && !Array.isArray(value) && old[key] && typeof old[key] === "object" ? merged(old[key], value) : value])));
  const patch = merged(before, body);
  delete patch.kind;
  return patch;
}

new TomSelect("#category", { create: true, maxItems: 1, allowEmptyOption: true, persist: false, onChange: (value) => { write("category.name", value || undefined); show(); } });
fill();
for (const side of ["source", "destination"]) look(side);
go(steps.includes(location.hash.slice(1)) ? location.hash.slice(1) : jobId || new URLSearchParams(location.search).has("from") && /real|simulate/.test(location.search) ? "summary" : steps[0]);
