// Begins a session with the key, and goes on to where the reader wanted to, on this service only.
import { ask, Refused, text } from "./api.js";

const form = document.getElementById("login");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = document.getElementById("problem");
  problem.textContent = "";
  try {
    await ask("POST", "/v1/session", { key: form.elements.key.value });
    const wanted = new URL(form.dataset.next, location.origin);
    location.assign(wanted.origin === location.origin ? wanted.href : "/");
  } catch (error) {
    problem.textContent = error instanceof Refused && error.status === 401 ? text("wrongKey") : error.message;
    form.elements.key.select();
  }
});
