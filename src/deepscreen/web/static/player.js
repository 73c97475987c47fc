// A clip or a recording with its lanes: what is seen and heard, and where the cursor stands, are one moment.
import { text } from "./api.js";
import { Frames } from "./frames.js";
import { SaliencyMap, Scale } from "./heatmap.js";
import { clock, Lanes } from "./lanes.js";
import { drawSound } from "./sound.js";
import { Stills } from "./stills.js";

const SOUND_STEP_SECONDS = 0.1;
const SAME_FRAME_SECONDS = 0.004;

export class Player extends EventTarget {
  constructor(root, data) {
    super();
    Object.assign(this, { root, data, now: 0, stretch: null, isLooping: false });
    this.media = root.querySelector("video, audio");
    this.frames = data.kind === "video" ? new Frames(this.media, data.frameRate) : null;
    this.lanes = new Lanes(root.querySelector(".lanes"), data.duration, {
      onSeek: (seconds) => this.seek(seconds),
      onStep: (step) => this.step(step),
    });
    this.surface = this.media; // what is looked at: the element that shows the clip
    this.media.src = data.original;
    this.media.addEventListener("error", () => this.#cannot());
    // Of some clips a browser plays the sound and shows no picture.
    this.media.addEventListener("loadedmetadata", () => this.frames && !this.media.videoWidth && this.#cannot());
    this.#wire();
    this.#listen();
    if (this.frames) {
      this.frames.onFrame = (seconds) => this.#show(seconds);
      this.#overlay();
    } else this.#follow();
    this.sound = drawSound(root, data);
  }

  /** What the browser cannot play is shown frame by frame, as the service decodes them; of sound there is but a note. */
  #cannot() {
    if (this.frames instanceof Stills) return;
    this.#note(text(this.frames ? "decodedFrames" : "cannotPlay"));
    if (!this.frames) return;
    const { media, data } = this;
    const stills = new Stills(data.preview, data.duration, media.getAttribute("aria-label"));
    media.pause();
    media.replaceWith(stills.element);
    Object.assign(this, { media: stills, frames: stills, surface: stills.element });
    stills.playbackRate = Number(this.root.querySelector(".rate").value);
    stills.onFrame = (seconds) => this.#show(seconds);
    stills.addEventListener("error", () => this.#note(text("cannotPlay")));
    this.#listen();
    this.#watchSize();
    stills.seek(this.now);
  }

  #note(words) {
    Object.assign(this.root.querySelector(".viewer-note"), { textContent: words, hidden: false });
  }

  /** What happens to the clip happens to the player, whatever shows it. */
  #listen() {
    const { media } = this;
    const mark = () =>
      (this.root.querySelector('[data-act="play"]').firstChild.textContent = media.paused ? "▶ " : "❚❚ ");
    for (const name of ["play", "pause", "ended", "ratechange"])
      media.addEventListener(name, () => {
        if (media !== this.media) return;
        mark();
        this.dispatchEvent(new Event(name));
        if (name === "ended" && this.isLooping) this.seek(this.stretch[0]).then(() => this.play(true));
      });
  }

  /** The moment that is seen: of a clip the time of its frame, of a recording the time that is heard. */
  #show(seconds) {
    this.now = seconds;
    this.lanes.set(seconds);
    this.root.querySelector(".now").value = clock(seconds);
    this.#showLayer(seconds);
    const isOutside = this.stretch && (seconds >= this.stretch[1] || seconds < this.stretch[0] - 0.2);
    if (this.isLooping && isOutside && !this.media.paused) this.media.currentTime = this.stretch[0];
    this.dispatchEvent(new Event("moment"));
  }

  #follow() {
    const look = () => {
      if (this.media.currentTime !== this.now) this.#show(this.media.currentTime);
      requestAnimationFrame(look);
    };
    look();
  }

  async seek(seconds) {
    if (this.frames) await this.frames.seek(seconds);
    else {
      this.media.currentTime = seconds;
      this.#show(seconds);
    }
  }

  async step(direction) {
    if (!this.frames) return this.seek(Math.max(this.media.currentTime + direction * SOUND_STEP_SECONDS, 0));
    return direction < 0 ? this.frames.back() : this.frames.on();
  }

  play(isOn = this.media.paused) {
    return isOn ? this.media.play().catch((error) => error.name === "NotSupportedError" && this.#cannot()) : this.media.pause();
  }

  // ---- maps on frames ----

  #overlay() {
    const scale = new Scale(this.data.scale);
    this.layers = this.data.layers.map((layer) => ({ ...layer, map: new SaliencyMap(layer, scale) }));
    this.over = Object.assign(document.createElement("div"), { className: "over", hidden: true });
    this.root.querySelector(".screen").append(this.over);
    this.chosen = this.layers[0]?.name;
    this.#watchSize();
  }

  #watchSize() {
    new ResizeObserver(() => this.#place()).observe(this.surface);
  }

  /** Lays the plane of source pixels on the picture as the page shows it. */
  #place() {
    const { surface, over, data } = this;
    const scale = surface.clientWidth / (data.width || surface.videoWidth || surface.naturalWidth || 1);
    over.style.transform = `translate(${surface.offsetLeft}px, ${surface.offsetTop}px) scale(${scale})`;
  }

  #showLayer(seconds) {
    if (!this.frames) return;
    const here = this.layers.filter((layer) => layer.pts !== null && Math.abs(layer.pts - seconds) < SAME_FRAME_SECONDS);
    const layer = here.find((one) => one.name === this.chosen) ?? here[0];
    this.over.hidden = !layer;
    if (layer && this.over.dataset.layer !== layer.name) {
      this.over.dataset.layer = layer.name;
      this.over.replaceChildren(layer.map.canvas());
    }
    this.#place();
  }

  #goTo(button) {
    const { start, end, layer } = button.dataset;
    if (end) this.setStretch(Number(start), Number(end));
    if (layer) this.chosen = layer;
    // A time of the record has three decimals; a hair later is surely within its frame.
    this.seek(Number(start) + (layer ? 0.002 : 0));
  }

  /** What is repeated: a chapter, or from one moment to another; it is marked in the lanes and among the chapters. */
  setStretch(start, end) {
    this.stretch = [start, end];
    this.lanes.mark(start, end);
    for (const chapter of this.root.querySelectorAll(".chapter[data-end]")) {
      const isThis = Number(chapter.dataset.start) === start && Number(chapter.dataset.end) === end;
      if (isThis) chapter.setAttribute("aria-current", "true");
      else chapter.removeAttribute("aria-current");
    }
  }

  /** Begins or ends the stretch at this moment. */
  #bound(isStart) {
    const [start, end] = this.stretch ?? [0, this.data.duration];
    if (isStart) this.setStretch(this.now, this.now < end ? end : this.data.duration);
    else this.setStretch(this.now > start ? start : 0, this.now);
  }

  #wire() {
    const { root } = this;
    const acts = {
      play: () => this.play(),
      back: () => this.step(-1),
      on: () => this.step(1),
      loop: (button) => {
        this.isLooping = !this.isLooping;
        if (!this.stretch) this.setStretch(0, this.data.duration);
        button.setAttribute("aria-pressed", this.isLooping);
      },
      saliency: (button) => {
        const isOn = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", isOn);
        for (const part of root.querySelectorAll(".telling")) part.hidden = !isOn;
      },
    };
    root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-act], .chapter");
      if (button?.matches(".chapter")) this.#goTo(button);
      else if (button) acts[button.dataset.act](button);
    });
    root.querySelector(".rate").addEventListener("change", (event) => {
      this.media.playbackRate = Number(event.target.value);
    });
    root.addEventListener("input", (event) => {
      if (event.target.matches(".opacity")) this.over.style.opacity = event.target.value / 100;
      if (!event.target.matches(".layers input")) return;
      for (const line of root.querySelectorAll(".faithful")) line.hidden = line.dataset.layer !== event.target.value;
      root.querySelector(`.chapter[data-layer="${CSS.escape(event.target.value)}"]`)?.click();
    });
    root.addEventListener("keydown", (event) => {
      if (event.target.matches("input, select, button")) return;
      if (event.key === " ") acts.play();
      else if (event.key === "," || event.key === ".") this.step(event.key === "," ? -1 : 1);
      else if (event.key === "i" || event.key === "o") this.#bound(event.key === "i");
      else if (event.key === "l") root.querySelector('[data-act="loop"]').click();
      else return;
      event.preventDefault();
    });
  }
}
