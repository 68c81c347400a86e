// The token stands after #, so that no log on the way holds it; it moves into the form and out of the address.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const field = document.getElementById("token");
if (token && field) {
  field.value = token;
  document.querySelector("[data-token-field]").hidden = true;
  history.replaceState(null, "", location.pathname);
  document.getElementById("name").focus();
}
