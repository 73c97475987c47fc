// A picture under its maps: deep zoom, opacity, before and after, layers, outlines, read-out under the cursor.
import { text } from "./api.js";
import { SaliencyMap, Scale } from "./heatmap.js";
import { Stage } from "./stage.js";

const SVG = "http://www.w3.org/2000/svg";
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

export class PictureViewer {
  constructor(root, data) {
    Object.assign(this, { root, data, scale: new Scale(data.scale), swipeAt: null, opacity: 1 });
    this.stage = new Stage(root.querySelector(".stage"), data.width, data.height);
    this.veil = Object.assign(document.createElement("div"), { className: "veil" });
    this.stage.plane.append(this.#image(), this.veil, this.#outlines());
    this.maps = new Map(data.layers.map((layer) => [layer.name, new SaliencyMap(layer, this.scale)]));
    if (data.layers.length) this.choose(data.layers[0].name);
    this.#wire();
  }

  #image() {
    const { width, height, original, preview } = this.data;
    const image = Object.assign(new Image(width, height), { alt: "", decoding: "async", draggable: false });
    const note = this.root.querySelector(".viewer-note");
    const tell = (words) => Object.assign(note, { textContent: words, hidden: false });
    image.src = preview ?? original;
    if (preview) tell(text("cannotShow"));
    image.addEventListener("error", () => tell(text("cannotPlay")));
    this.ready = image.decode().catch(() => null);
    return image;
  }

  #outlines() {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "outlines");
    svg.setAttribute("width", this.data.width);
    svg.setAttribute("height", this.data.height);
    const isPart = ({ region }) => Math.hypot(region[2][0] - this.data.width, region[2][1] - this.data.height) > 1 || Math.hypot(...region[0]) > 1;
    const regions = this.data.layers.filter(isPart).map(({ region }) => ["region", region]);
    const faces = this.data.faces.map(([l, t, r, b]) => ["face", [[l, t], [r, t], [r, b], [l, b]]]);
    for (const [kind, corners] of [...regions, ...faces])
      for (const line of ["under", "over"]) {
        const shape = document.createElementNS(SVG, "polygon");
        shape.setAttribute("class", `${kind} ${line}`);
        shape.setAttribute("points", corners.map((corner) => corner.join(",")).join(" "));
        svg.append(shape);
      }
    return svg;
  }

  /** Shows the map with this name, and what is known of how far it can be trusted. */
  choose(name) {
    this.map = this.maps.get(name);
    this.veil.replaceChildren(this.map.canvas());
    this.#clip();
    for (const line of this.root.querySelectorAll(".faithful")) line.hidden = line.dataset.layer !== name;
  }

  setOpacity(share) {
    this.opacity = share;
    this.veil.style.opacity = share;
    const slider = this.root.querySelector(".opacity");
    if (slider) slider.value = 100 * share;
  }

  /** Before and after: the map is seen to the left of a line that stays where it is in the window. */
  #toggleSwipe(button) {
    const isOn = this.swipeAt === null;
    button.setAttribute("aria-pressed", isOn);
    this.swipeAt = isOn ? this.stage.root.clientWidth / 2 : null;
    this.divider?.remove();
    if (isOn) {
      this.divider = Object.assign(document.createElement("div"), { className: "divider", tabIndex: 0, role: "slider" });
      this.divider.ariaLabel = button.textContent;
      this.divider.addEventListener("keydown", (event) => this.#pushDivider(event));
      this.divider.addEventListener("pointerdown", (event) => this.divider.setPointerCapture(event.pointerId));
      this.divider.addEventListener("pointermove", (event) => {
        if (!this.divider.hasPointerCapture(event.pointerId)) return;
        this.#swipeTo(this.stage.at(event)[0]);
      });
      this.stage.root.append(this.divider);
    }
    this.#clip();
  }

  #swipeTo(x) {
    this.swipeAt = Math.min(Math.max(x, 0), this.stage.root.clientWidth);
    this.#clip();
  }

  /** Arrows move the line, and not the picture below it. */
  #pushDivider(event) {
    const steps = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 };
    if (!(event.key in steps)) return;
    this.#swipeTo(this.swipeAt + steps[event.key] * this.stage.root.clientWidth);
    event.stopPropagation();
    event.preventDefault();
  }

  #clip() {
    if (this.swipeAt === null) {
      this.veil.style.clipPath = "";
      return;
    }
    this.divider.style.left = `${this.swipeAt}px`;
    this.divider.ariaValueNow = String(Math.round((100 * this.swipeAt) / this.stage.root.clientWidth));
    const [x] = this.stage.toSource(this.swipeAt, 0);
    this.veil.style.clipPath = `inset(0 ${this.data.width - x}px 0 0)`;
  }

  #readOut(event) {
    const [x, y] = this.stage.toSource(...this.stage.at(event)).map(Math.floor);
    const isInside = x >= 0 && y >= 0 && x < this.data.width && y < this.data.height;
    const value = isInside && this.map ? this.map.valueAt(x + 0.5, y + 0.5) : null;
    this.root.querySelector(".place").value = isInside ? text("readout", { x, y }) : "";
    const words = value === null ? text("noScore") : text("score", { value: signed(value) });
    this.root.querySelector(".local").value = isInside ? words : "";
  }

  #wire() {
    const { root, stage } = this;
    const acts = {
      in: () => stage.zoomTo(stage.scale * 1.5),
      out: () => stage.zoomTo(stage.scale / 1.5),
      fit: () => stage.fit(),
      one: () => stage.one(),
      swipe: (button) => this.#toggleSwipe(button),
      boxes: (button) => {
        const isOn = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", isOn);
        root.querySelector(".outlines").style.visibility = isOn ? "" : "hidden";
      },
    };
    root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-act]");
      if (button) acts[button.dataset.act](button);
    });
    root.addEventListener("input", (event) => {
      if (event.target.matches(".opacity")) this.setOpacity(event.target.value / 100);
      if (event.target.matches(".layers input")) this.choose(event.target.value);
    });
    stage.root.addEventListener("pointermove", (event) => this.#readOut(event));
    stage.root.addEventListener("keydown", (event) => event.key === "h" && this.setOpacity(this.opacity ? 0 : 1));
    stage.addEventListener("view", () => this.#clip());
  }
}
