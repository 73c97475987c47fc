// A list that is walked with the keyboard: j and k move, Enter opens, x chooses.
import { isTyping } from "./frame.js";

const rows = document.getElementById("rows");

/** Moves the focus by `step` lines; a line under the focus is where one begins, or the first. */
function move(step) {
  const lines = [...rows.children];
  const now = lines.indexOf(document.activeElement.closest(".row"));
  const next = lines[now < 0 ? 0 : Math.min(Math.max(now + step, 0), lines.length - 1)];
  next?.querySelector("a.open").focus();
  next?.scrollIntoView({ block: "nearest" });
}

// From an item one goes on to the next of the list that one came from.
addEventListener("pagehide", () =>
  sessionStorage.setItem("deepscreen-ids", [...rows.children].map((line) => line.dataset.id).join(",")),
);

addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
  if (event.key === "c") document.querySelector("#compare-link:not([hidden])")?.click();
  if (event.key === "x") document.activeElement.closest(".row")?.querySelector(".choose")?.click();
});
