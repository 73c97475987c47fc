// A plane of source pixels that is moved and zoomed: with wheel, drag, two fingers, keys and buttons.

const MOST_SCALE = 64;
const BLOCKS_FROM = 2; // from here on each source pixel is a block and not smoothed
const KEY_STEP = 60;

export class Stage extends EventTarget {
  constructor(root, width, height) {
    super();
    Object.assign(this, { root, width, height, scale: 1, x: 0, y: 0, pointers: new Map() });
    this.plane = Object.assign(document.createElement("div"), { className: "plane" });
    Object.assign(this.plane.style, { width: `${width}px`, height: `${height}px` });
    root.append(this.plane);
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) root.addEventListener(name, (event) => this.#up(event));
    root.addEventListener("keydown", (event) => this.#key(event));
    this.isFitted = true;
    new ResizeObserver(() => this.isFitted && this.fit()).observe(root);
    this.fit();
  }

  get fitScale() {
    return Math.min(this.root.clientWidth / this.width, this.root.clientHeight / this.height) || 1;
  }

  /** Where the view is, in terms that another stage of any size understands. */
  get view() {
    const [x, y] = this.toSource(this.root.clientWidth / 2, this.root.clientHeight / 2);
    return { zoom: this.scale / this.fitScale, x: x / this.width, y: y / this.height };
  }

  show({ zoom, x, y }) {
    this.isFitted = false;
    this.scale = zoom * this.fitScale;
    this.x = this.root.clientWidth / 2 - x * this.width * this.scale;
    this.y = this.root.clientHeight / 2 - y * this.height * this.scale;
    this.#draw();
  }

  fit() {
    const scale = this.fitScale;
    this.set(scale, (this.root.clientWidth - this.width * scale) / 2, (this.root.clientHeight - this.height * scale) / 2);
    this.isFitted = true;
  }

  /** `scale`: CSS pixels a source pixel; `x`, `y`: where the plane's corner lies in the stage. */
  set(scale, x, y) {
    this.isFitted = false;
    Object.assign(this, { scale, x, y });
    this.#draw();
    this.dispatchEvent(new Event("view"));
  }

  /** Zooms so that the source pixel at `x`, `y` of the stage stays there. */
  zoomTo(wanted, x = this.root.clientWidth / 2, y = this.root.clientHeight / 2) {
    const scale = Math.min(Math.max(wanted, Math.min(this.fitScale, 1) / 4), MOST_SCALE);
    const [sx, sy] = this.toSource(x, y);
    this.set(scale, x - sx * scale, y - sy * scale);
  }

  /** One source pixel is one pixel of the screen, whatever the screen's density. */
  one() {
    this.zoomTo(1 / devicePixelRatio);
    this.set(this.scale, this.#whole(this.x), this.#whole(this.y));
  }

  toSource(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  /** Place of an event within the stage. */
  at(event) {
    const box = this.root.getBoundingClientRect();
    return [event.clientX - box.left - this.root.clientLeft, event.clientY - box.top - this.root.clientTop];
  }

  #whole(place) {
    return Math.round(place * devicePixelRatio) / devicePixelRatio;
  }

  #draw() {
    this.plane.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.plane.classList.toggle("blocks", this.scale * devicePixelRatio >= BLOCKS_FROM);
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.zoomTo(this.scale * Math.exp(-event.deltaY * lines * 0.0015), ...this.at(event));
  }

  #down(event) {
    if (event.target.closest(".divider")) return;
    this.root.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
  }

  #move(event) {
    if (!this.pointers.has(event.pointerId)) return;
    const before = [...this.pointers.values()];
    this.pointers.set(event.pointerId, this.at(event));
    const after = [...this.pointers.values()];
    const middle = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
    const reach = (points) => (points.length < 2 ? 1 : Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]));
    const [from, to] = [middle(before), middle(after)];
    this.set(this.scale, this.x + to[0] - from[0], this.y + to[1] - from[1]);
    if (after.length > 1) this.zoomTo((this.scale * reach(after)) / Math.max(reach(before), 1), ...to);
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
  }

  #key(event) {
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const acts = { "+": () => this.zoomTo(this.scale * 1.5), "-": () => this.zoomTo(this.scale / 1.5), 0: () => this.fit(), 1: () => this.one() };
    const move = moves[event.key];
    if (event.ctrlKey || event.metaKey || (!move && !acts[event.key])) return;
    event.preventDefault();
    if (move) this.set(this.scale, this.x + move[0] * KEY_STEP, this.y + move[1] * KEY_STEP);
    else acts[event.key]();
  }
}
