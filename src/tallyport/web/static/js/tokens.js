// A new token is shown once, in a dialog that ends with a fresh page.
document.addEventListener("token", (event) => {
  document.getElementById("token-text").textContent = (event.detail.token?.token ?? event.detail.webhook.secret);
  for (const one of document.querySelectorAll(".modal.show")) bootstrap.Modal.getInstance(one)?.hide();
  bootstrap.Modal.getOrCreateInstance("#token-shown", { backdrop: "static" }).show();
});
document.addEventListener("click", (event) => { if (event.target.closest("[data-reload]")) location.reload(); });
