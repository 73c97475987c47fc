// Keys: made, shown once, revoked.
import { ask, notice, text } from "./api.js";

const form = document.getElementById("new-key");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, role, days } = Object.fromEntries(new FormData(form));
  try {
    const made = await ask("POST", "/v1/keys", { name, role, days: Number(days) });
    const shown = document.getElementById("made");
    shown.querySelector("p").textContent = text("keyOnce");
    shown.querySelector("code").textContent = made.token;
    shown.hidden = false;
    form.reset();
  } catch (error) {
    form.querySelector(".problem").textContent = error.message;
  }
});

for (const button of document.querySelectorAll("[data-revoke]"))
  button.addEventListener("click", async () => {
    if (!confirm(text("really"))) return;
    try {
      await ask("DELETE", `/v1/keys/${button.dataset.revoke}`);
      location.reload();
    } catch (error) {
      notice(error.message);
    }
  });
