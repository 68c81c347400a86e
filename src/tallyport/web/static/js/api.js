// The public API, called with the browser's session; and the small messages at the corner.

export class Problem extends Error {
  constructor(document, status) {
    const is_stale = status === 412;
    super(is_stale ? "Somebody changed this meanwhile. Load the page anew to see how it is now, then change it again." : document?.errors?.[0]?.description ?? document?.detail ?? `the server answered ${status}`);
    this.errors = is_stale ? [] : document?.errors ?? [];
    this.status = status;
  }
}

// version: of what the page shows; the server refuses to change a newer one.
export async function call(method, path, body, version) {
  const options = { method, headers: { Accept: "application/json" }, credentials: "same-origin" };
  if (version) options.headers["If-Match"] = `"${version}"`;
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Problem({ detail: "The server cannot be reached." }, 0);
  }
  const text = await answer.text();
  let read = null;
  try { read = text ? JSON.parse(text) : null; } catch { /* not JSON: a proxy's page */ }
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Problem(read, answer.status);
  return read;
}

export function say(text, colour) {
  const box = document.createElement("div");
  box.className = `alert alert-${colour} alert-important shadow mb-2`;
  box.setAttribute("role", colour === "danger" ? "alert" : "status");
  box.textContent = text;
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), colour === "danger" ? 9000 : 4000);
}
