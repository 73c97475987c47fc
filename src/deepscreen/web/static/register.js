// The misuse register: entries made, amended, taken in from others.
import { ask, csrf, notice, Refused, text } from "./api.js";

/** Does `act` with what a form holds; what went wrong stands beside it. */
function onSubmit(name, act) {
  const form = document.getElementById(name);
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true; // a fingerprint takes a moment, and is wanted once
    try {
      await act(Object.fromEntries(new FormData(form)));
    } catch (error) {
      form.querySelector(".problem").textContent = error.message;
    }
    button.disabled = false;
  });
}

onSubmit("new-misuse", async (stated) => {
  const screening_id = document.getElementById("item").dataset.id;
  location.assign(`/register/${(await ask("POST", "/v1/misuse", { ...stated, screening_id })).id}`);
});

onSubmit("amend", async (stated) => {
  const { id, revision } = document.getElementById("entry").dataset;
  await ask("PATCH", `/v1/misuse/${id}`, { ...stated, revision: Number(revision) });
  location.reload();
});

onSubmit("import", async ({ file, format, origin }) => {
  const path = `/v1/misuse/import?${new URLSearchParams({ format, origin })}`;
  const headers = { "Content-Type": "application/octet-stream", Accept: "application/json", ...csrf() };
  const response = await fetch(path, { method: "POST", headers, body: file });
  const content = await response.json();
  if (!response.ok) throw new Refused(response.status, content);
  notice(text("imported", { ...content, refused: content.refused.length }));
  setTimeout(() => location.reload(), 1500);
});
