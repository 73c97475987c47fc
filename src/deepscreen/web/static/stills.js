// Frames of a clip that this browser cannot play, decoded by the service: looked at, stepped through and run by as the
// player does with a clip, without its sound. Seen from outside it is a video element and a `Frames` in one.

const NUDGE_SECONDS = 0.0005;

export class Stills extends EventTarget {
  /** `path`: of the preview; `label`: what the picture is called to those who do not see it. */
  constructor(path, duration, label) {
    super();
    Object.assign(this, { path, duration, paused: true, rate: 1, shown: 0, end: 0, wanted: null, onFrame: () => {} });
    this.element = Object.assign(new Image(), { alt: label, className: "still", draggable: false });
  }

  get currentTime() {
    return this.shown;
  }

  set currentTime(seconds) {
    this.#begin(seconds);
    if (this.paused) this.seek(seconds);
  }

  get playbackRate() {
    return this.rate;
  }

  set playbackRate(rate) {
    this.#begin(this.#now());
    this.rate = rate;
    this.dispatchEvent(new Event("ratechange"));
  }

  /** Goes to a time, and gives the start of the frame that is on the screen then. While one is fetched, only the last
   * of the times that are asked for counts. */
  seek(seconds) {
    this.wanted = Math.min(Math.max(seconds, 0), this.duration);
    this.fetching ??= this.#fetchWanted().finally(() => (this.fetching = null));
    return this.fetching;
  }

  back() {
    this.pause();
    return this.seek(this.shown - NUDGE_SECONDS);
  }

  /** The next frame: the service tells until when the present one lasts, at least. */
  async on() {
    this.pause();
    const start = this.shown;
    while (this.shown <= start && this.end < this.duration) await this.seek(this.end + NUDGE_SECONDS);
    return this.shown;
  }

  async play() {
    if (!this.paused) return;
    this.paused = false;
    this.#begin(this.end >= this.duration ? 0 : this.shown);
    this.dispatchEvent(new Event("play"));
    while (!this.paused) {
      const now = this.#now();
      if (now >= this.duration) {
        this.pause();
        this.dispatchEvent(new Event("ended"));
      } else if (now < this.shown || now >= this.end) await this.seek(now);
      await new Promise((done) => requestAnimationFrame(done));
    }
  }

  pause() {
    if (this.paused) return;
    this.paused = true;
    this.dispatchEvent(new Event("pause"));
  }

  #begin(seconds) {
    Object.assign(this, { begun: performance.now(), from: seconds });
  }

  /** The moment that is to be on the screen while it runs. */
  #now() {
    return this.paused ? this.shown : this.from + ((performance.now() - this.begun) / 1000) * this.rate;
  }

  async #fetchWanted() {
    while (this.wanted !== null) {
      const at = this.wanted;
      this.wanted = null;
      await this.#show(at);
    }
    return this.shown;
  }

  async #show(seconds) {
    const response = await fetch(`${this.path}?at=${seconds.toFixed(6)}`, { headers: { Accept: "image/jpeg" } });
    if (!response.ok) {
      this.pause();
      this.dispatchEvent(new Event("error"));
      return;
    }
    const old = this.element.src;
    this.element.src = URL.createObjectURL(await response.blob());
    await this.element.decode();
    if (old) URL.revokeObjectURL(old);
    this.shown = Number(response.headers.get("Frame-Start-Seconds"));
    this.end = Number(response.headers.get("Frame-End-Seconds"));
    this.onFrame(this.shown);
  }
}
