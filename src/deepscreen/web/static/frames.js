// Which frame of a clip is on the screen, and the one before or after it, whatever the distance of frames.

const NUDGE_SECONDS = 0.001;
const USUAL_STRIDE_SECONDS = 0.04;

export class Frames {
  /** `frameRate`: what the file claims, or null; only how soon a step is found depends on it. */
  constructor(video, frameRate) {
    this.video = video;
    this.stride = frameRate ? 1 / frameRate : USUAL_STRIDE_SECONDS;
    this.shown = 0; // presentation time of the frame on the screen, in seconds
    this.onFrame = () => {};
    const look = (_, { mediaTime }) => {
      this.shown = mediaTime;
      this.onFrame(mediaTime);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }

  /** Goes to a time, and gives the presentation time of the frame that is on the screen then. */
  async seek(seconds) {
    const { video } = this;
    const target = Math.min(Math.max(seconds, 0), video.duration || 0);
    const isSame = video.currentTime === target && !video.seeking;
    if (!isSame) {
      const painted = new Promise((done) => video.requestVideoFrameCallback((_, { mediaTime }) => done(mediaTime)));
      const sought = new Promise((done) => video.addEventListener("seeked", done, { once: true }));
      video.currentTime = target;
      await sought;
      // Where the same frame stays on the screen, nothing is painted anew.
      this.shown = await Promise.race([painted, new Promise((done) => setTimeout(() => done(this.shown), 250))]);
    }
    this.onFrame(this.shown);
    return this.shown;
  }

  /** The frame before this one covers the moment just before this one begins. */
  back() {
    this.video.pause();
    return this.seek(this.shown - NUDGE_SECONDS);
  }

  /** The next frame: strides that grow until another one is there, then back until only this one lies before it. */
  async on() {
    this.video.pause();
    const start = this.shown;
    let found = start;
    for (let stride = this.stride + NUDGE_SECONDS; found <= start; stride *= 2) {
      found = await this.seek(start + stride);
      if (found <= start && start + stride >= this.video.duration) return start; // it was the last one
    }
    for (;;) {
      const before = await this.seek(found - NUDGE_SECONDS);
      if (before <= start) return this.seek(found + NUDGE_SECONDS);
      found = before;
    }
  }
}
