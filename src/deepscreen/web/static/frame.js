// What every page has: language, colours, the end of the session, and keys that work everywhere.
import { ask } from "./api.js";

const YEAR_SECONDS = 31536000;

function remember(name, value) {
  document.cookie = `deepscreen_${name}=${value}; path=/; max-age=${YEAR_SECONDS}; samesite=strict`;
}

document.getElementById("language").addEventListener("change", (event) => {
  remember("language", event.target.value);
  location.reload();
});
document.getElementById("theme").addEventListener("change", (event) => {
  remember("theme", event.target.value);
  document.documentElement.dataset.theme = event.target.value;
});
document.getElementById("logout")?.addEventListener("click", async () => {
  await ask("DELETE", "/v1/session").catch(() => null);
  location.assign("/login");
});

const help = document.getElementById("keys-help");
document.getElementById("show-keys")?.addEventListener("click", () => help.showModal());

export const isTyping = (event) =>
  event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), textarea, select");

// A list with its filters is where one comes back to; pages tell each other nothing by referrer.
if (document.getElementById("rows"))
  addEventListener("pagehide", () => sessionStorage.setItem("deepscreen-list", location.pathname + location.search));

addEventListener("keydown", (event) => {
  if (isTyping(event)) {
    if (event.key === "Escape") event.target.blur();
  } else if (event.key === "/") {
    const search = document.getElementById("search");
    event.preventDefault();
    if (search) search.focus();
    else location.assign("/");
  } else if (event.key === "?") {
    help?.showModal();
  } else if (event.key === "u" && location.pathname !== "/") {
    location.assign(sessionStorage.getItem("deepscreen-list") ?? "/");
  }
});
