// The lanes below a clip or a recording: one clock from 0 to the duration, one cursor through all of them.

export const clock = (seconds, decimals = 3) => {
  const units = Math.round(seconds * 10 ** decimals);
  const whole = Math.floor(units / 10 ** decimals);
  const rest = String(units % 10 ** decimals).padStart(decimals, "0");
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  return `${whole >= 3600 ? `${Math.floor(whole / 3600)}:` : ""}${parts.join(":")}.${rest}`;
};

export class Lanes {
  /** `onSeek(seconds)` is called for a click or a drag; `onStep(-1 or 1)` for the arrow keys. */
  constructor(root, duration, { onSeek, onStep }) {
    Object.assign(this, { root, duration });
    this.line = root.querySelector(".cursor");
    const seek = (event) => {
      const box = root.getBoundingClientRect();
      const share = (event.clientX - box.left - root.clientLeft) / root.clientWidth;
      onSeek(Math.min(Math.max(share, 0), 1) * duration);
    };
    root.addEventListener("pointerdown", (event) => {
      root.setPointerCapture(event.pointerId);
      seek(event);
    });
    root.addEventListener("pointermove", (event) => root.hasPointerCapture(event.pointerId) && seek(event));
    root.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
      if (event.key in steps) onStep(steps[event.key]);
      else if (event.key === "Home" || event.key === "End") onSeek(event.key === "Home" ? 0 : duration);
      else return;
      event.preventDefault();
    });
  }

  /** Marks a stretch of time. */
  mark(start, end) {
    const left = Math.min(Math.max(start / this.duration, 0), 1);
    const right = Math.min(Math.max(end / this.duration, left), 1);
    this.stretch ??= this.root.appendChild(Object.assign(document.createElement("div"), { className: "stretch" }));
    Object.assign(this.stretch.style, { left: `${100 * left}%`, width: `${100 * (right - left)}%` });
  }

  /** Moves the cursor; `seconds` is what is seen or heard at this moment. */
  set(seconds) {
    this.line.hidden = false;
    this.line.style.left = `${(100 * Math.min(seconds, this.duration)) / this.duration}%`;
    this.root.setAttribute("aria-valuenow", seconds.toFixed(3));
    this.root.setAttribute("aria-valuetext", clock(seconds));
  }
}
