// Cases: opened, closed, their notes and members changed.
import { ask, notice, text } from "./api.js";

const id = document.getElementById("case")?.dataset.id;
const path = `/v1/cases/${id}`;

/** Does `act` with what a form holds; what went wrong stands beside it. */
function onSubmit(name, act) {
  const form = document.getElementById(name);
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await act(Object.fromEntries(new FormData(form)));
    } catch (error) {
      form.querySelector(".problem").textContent = error.message;
    }
  });
}

onSubmit("new-case", async ({ name }) => location.assign(`/cases/${(await ask("POST", "/v1/cases", { name })).id}`));
onSubmit("notes", async ({ notes }) => {
  await ask("PATCH", path, { notes });
  notice(text("saved"));
});
onSubmit("member", async ({ key }) => {
  await ask("PUT", `${path}/members/${encodeURIComponent(key.trim())}`);
  location.reload();
});

const reload = (act) => act.then(() => location.reload(), (error) => notice(error.message));
document.getElementById("close-case")?.addEventListener("click", (event) =>
  reload(ask("PATCH", path, { closed: event.target.dataset.closed === "true" })),
);
for (const button of document.querySelectorAll("[data-leave]"))
  button.addEventListener("click", () => reload(ask("DELETE", `${path}/members/${button.dataset.leave}`)));
