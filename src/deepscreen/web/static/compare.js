// Two viewers in one zoom or one clock.
import "./viewer.js";

const viewers = [...document.querySelectorAll(".viewer")].map((root) => root.viewer);
const together = document.getElementById("together");
const [left, right] = viewers;
let leader = left; // the one that the reader touched last: frames differ, so two that lead would drag each other along

for (const viewer of viewers)
  for (const name of ["pointerdown", "keydown"]) viewer.root.addEventListener(name, () => (leader = viewer), true);

/** Whenever something happens to `target`, a part of `one`, the other viewer is to `act` too. */
function follow(one, target, event, act) {
  target.addEventListener(event, () => together.checked && leader === one && act());
}

if (left.stage && right.stage) {
  for (const [one, other] of [[left, right], [right, left]])
    one.stage.addEventListener("view", () => together.checked && other.stage.show(one.stage.view));
} else if (left.media && right.media) {
  for (const [one, other] of [[left, right], [right, left]]) {
    follow(one, one, "moment", () => one.media.paused && other.seek(one.now));
    follow(one, one, "play", () => other.seek(one.now).then(() => other.play(true)));
    follow(one, one, "pause", () => other.play(false));
    follow(one, one, "ratechange", () => (other.media.playbackRate = one.media.playbackRate));
  }
}
