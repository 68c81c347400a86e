// A new token is shown once, in a dialog that ends with a fresh page.
document.addEventListener("token", (event) => {
  document.getElementById("token-text").textContent = event.detail.token.token;
  bootstrap.Modal.getOrCreateInstance("#token-shown", { backdrop: "static" }).show();
});
document.addEventListener("click", (event) => { if (event.target.closest("[data-reload]")) location.reload(); });
