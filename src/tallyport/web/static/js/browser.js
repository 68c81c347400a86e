// Looks into a connection, one container at a time: crumbs, folders to enter, files to see, a folder to make.
import { call, say } from "./api.js";
import { element, icon, size } from "./element.js";

export function browse(place, connection, { path = "/", makes = false, onpath = () => {} } = {}) {
  let here = path;
  const crumbs = element("ol", { class: "breadcrumb mb-2", "aria-label": "Where" });
  const list = element("div", { class: "browser", role: "group", "aria-label": "What is in it", "aria-busy": "false" });
  const foot = element("div", { class: "mt-2 d-flex gap-2" });
  place.replaceChildren(crumbs, list, foot);
  if (makes) {
    const field = element("input", { class: "form-control form-control-sm", placeholder: "new folder", "aria-label": "Name of a new folder" });
    foot.append(field, element("button", { class: "btn btn-sm", type: "button", onclick: async () => {
      const name = field.value.trim();
      if (!name) return field.focus();
      try {
        const made = join(here, name);
        await call("POST", `/v1/connections/${connection}/items`, { path: made });
        field.value = "";
        enter(made);
      } catch (problem) { say(problem.message, "danger"); }
    } }, icon("folder-plus"), " Make"));
  }

  async function enter(next) {
    list.setAttribute("aria-busy", "true");
    try {
      const answer = await call("GET", `/v1/connections/${connection}/items?limit=1000&path=${encodeURIComponent(next)}`);
      here = next;
      onpath(here);
      draw(answer);
    } catch (problem) {
      list.replaceChildren(element("div", { class: "alert alert-danger m-2", role: "alert" }, problem.message));
    } finally {
      list.setAttribute("aria-busy", "false");
    }
  }

  function draw(answer) {
    const names = here.split("/").filter(Boolean);
    crumbs.replaceChildren(...["", ...names].map((name, at) => element("li", { class: `breadcrumb-item ${at === names.length ? "active" : ""}` },
      at === names.length ? (name || "root")
        : element("button", { class: "btn btn-link p-0", type: "button", onclick: () => enter("/" + names.slice(0, at).join("/")) }, name || "root"))));
    const rows = answer.item.map((one) => one.type === "container"
      ? element("button", { class: "entry", type: "button", onclick: () => enter(one.path) }, icon("folder"), element("bdi", {}, one.name))
      : element("div", { class: "entry plain" }, icon(one.kind === "symlink" ? "link" : "file"), element("bdi", { class: "text-truncate" }, one.name),
          element("span", { class: "ms-auto small" }, one.bytes === undefined ? "" : size(one.bytes))));
    if (!rows.length) rows.push(element("div", { class: "entry plain" }, "empty"));
    if (answer.meta.has_more) rows.push(element("div", { class: "entry plain" }, "… more than 1 000 are not shown"));
    list.replaceChildren(...rows);
    list.scrollTop = 0;
  }
  enter(here);
  return { enter };
}

const join = (folder, name) => `${folder === "/" ? "" : folder}/${name}`;
