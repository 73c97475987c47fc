// What can be done with an item: wait for it, take it back, screen it again, review it, delete it.
import { ask, fill, notice } from "./api.js";
import { isTyping } from "./frame.js";

const item = document.getElementById("item");
const path = `/v1/screenings/${item.dataset.id}`;

if ("open" in item.dataset) {
  const events = new EventSource(`${path}/events`);
  events.addEventListener("state", (event) => {
    if (["queued", "running"].includes(JSON.parse(event.data).state)) return;
    events.close();
    location.reload();
  });
}

// ---- the items before and after it in the list that one came from ----

const ids = (sessionStorage.getItem("deepscreen-ids") ?? "").split(",");
const beside = document.getElementById("beside");
const at = ids.indexOf(item.dataset.id);
const links = Object.fromEntries([...beside.querySelectorAll("a")].map((link) => [link.rel, link]));
for (const [rel, id] of [["prev", ids[at - 1]], ["next", ids[at + 1]]]) {
  if (at < 0 || !id) links[rel].removeAttribute("href");
  else links[rel].href = `/items/${id}`;
}
beside.hidden = at < 0 || ids.length < 2;
addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  if (event.key === "j" || event.key === "k") links[event.key === "j" ? "next" : "prev"].click();
});

for (const button of document.querySelectorAll("[data-post]"))
  button.addEventListener("click", async () => {
    try {
      await ask("POST", `${path}/${button.dataset.post}`);
      location.reload();
    } catch (error) {
      notice(error.message);
    }
  });

const near = document.getElementById("near");
if (near) fill(near, `/items/${item.dataset.id}/near`);

const review = document.getElementById("review");
review?.addEventListener("input", () => {
  const isOverride = review.elements.decision.value === "override";
  document.getElementById("overriding").hidden = !isOverride;
  review.elements.reason.required = isOverride;
});
review?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { decision, verdict, reason } = Object.fromEntries(new FormData(review));
  try {
    await ask("POST", `${path}/review`, { decision, reason, verdict: decision === "override" ? verdict : null });
    location.reload();
  } catch (error) {
    review.querySelector(".problem").textContent = error.message;
  }
});

const deletion = document.getElementById("delete");
deletion?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("DELETE", `${path}?reason=${encodeURIComponent(deletion.elements.reason.value)}`);
    location.assign("/");
  } catch (error) {
    notice(error.message);
  }
});
