// A saliency map as the record holds it: values in a grid over a region of source pixels, and its colours.

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const MOST_SIDE = 1024;

/** The fixed scale: the same log-odds have the same colour in every picture. */
export class Scale {
  constructor({ low, high, rgba }) {
    Object.assign(this, { low, high, rgba: new Uint32Array(bytesOf(rgba).buffer) }); // one number a level
  }

  value(level) {
    return this.low + (level / 255) * (this.high - this.low);
  }
}

export class SaliencyMap {
  /** `region`: corners in source pixels, from the top left clockwise. */
  constructor({ region, rows, columns, levels }, scale) {
    Object.assign(this, { region, rows, columns, scale, levels: bytesOf(levels) });
    const [origin, right, , down] = region;
    this.u = [right[0] - origin[0], right[1] - origin[1]];
    this.v = [down[0] - origin[0], down[1] - origin[1]];
    this.origin = origin;
  }

  /** The level (0 to 255, between two whole ones too) at u, v in [0, 1]: bilinear between the centres of cells. */
  level(u, v) {
    const x = Math.min(Math.max(u * this.columns - 0.5, 0), this.columns - 1);
    const y = Math.min(Math.max(v * this.rows - 0.5, 0), this.rows - 1);
    const [x0, y0] = [Math.floor(x), Math.floor(y)];
    const [x1, y1] = [Math.min(x0 + 1, this.columns - 1), Math.min(y0 + 1, this.rows - 1)];
    const at = (column, row) => this.levels[row * this.columns + column];
    const upper = at(x0, y0) + (x - x0) * (at(x1, y0) - at(x0, y0));
    const lower = at(x0, y1) + (x - x0) * (at(x1, y1) - at(x0, y1));
    return upper + (y - y0) * (lower - upper);
  }

  /** The log-odds at a source pixel, or null outside of the region. */
  valueAt(x, y) {
    const [px, py] = [x - this.origin[0], y - this.origin[1]];
    const area = this.u[0] * this.v[1] - this.u[1] * this.v[0];
    const u = (px * this.v[1] - py * this.v[0]) / area;
    const v = (py * this.u[0] - px * this.u[1]) / area;
    return u < 0 || u > 1 || v < 0 || v > 1 ? null : this.scale.value(this.level(u, v));
  }

  /** A canvas of the map whose transform lays it on its region, in a plane of source pixels. */
  canvas() {
    const width = Math.min(Math.max(Math.ceil(Math.hypot(...this.u)), 1), MOST_SIDE);
    const height = Math.min(Math.max(Math.ceil(Math.hypot(...this.v)), 1), MOST_SIDE);
    const made = Object.assign(document.createElement("canvas"), { width, height, className: "heat" });
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let row = 0, at = 0; row < height; row++)
      for (let column = 0; column < width; column++, at++)
        pixels[at] = this.scale.rgba[Math.round(this.level((column + 0.5) / width, (row + 0.5) / height))];
    made.getContext("2d").putImageData(image, 0, 0);
    const [u, v] = [this.u.map((part) => part / width), this.v.map((part) => part / height)];
    made.style.transform = `matrix(${[...u, ...v, ...this.origin].join(",")})`;
    return made;
  }
}
