// Puts every viewer of the page to work, by the kind of what it shows. `element.viewer` is for other scripts.
import { PictureViewer } from "./picture.js";
import { Player } from "./player.js";

for (const root of document.querySelectorAll(".viewer")) {
  const data = JSON.parse(root.querySelector(".data").textContent);
  root.viewer = data.kind === "image" ? new PictureViewer(root, data) : new Player(root, data);
}
