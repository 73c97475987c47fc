// A trial: files that one method screened, computed by another too.
import { ask, notice, text } from "./api.js";

const SOON_MS = 2000;

// As long as a trial goes on, the page comes anew.
if (document.getElementById("computing")) setTimeout(() => location.reload(), SOON_MS);

const trial = document.getElementById("trial");
trial?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { of, by } = trial.dataset;
  try {
    const { queued } = await ask("POST", `/v1/methods/${by}/trial`, { of_method: of, most: Number(trial.elements.most.value) });
    notice(text("trialQueued", { count: queued }));
    setTimeout(() => location.reload(), SOON_MS);
  } catch (error) {
    trial.querySelector(".problem").textContent = error.message;
  }
});
