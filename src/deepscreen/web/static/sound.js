// Waveform and spectrogram of a whole sound track, computed here, in the clock of the lanes.
import { text } from "./api.js";

const MOST_BYTES = 120 * 1024 * 1024;
const MOST_SECONDS = 1800;
const RATE_HZ = 16000; // what the detectors hear
const FFT = 1024;
const RANGE_DB = 80;
const SLICE_MS = 12;
const COSINES = Float32Array.from({ length: FFT / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / FFT));
const SINES = Float32Array.from({ length: FFT / 2 }, (_, k) => -Math.sin((2 * Math.PI * k) / FFT));

// The mel scale of the detectors (Slaney): even steps up to 1000 Hz, even ratios above. The maps of evidence lie on it.
const MOST_MEL = 15 + (27 * Math.log(8)) / Math.log(6.4);
const hzOf = (mel) => (mel < 15 ? (mel * 200) / 3 : 1000 * 6.4 ** ((mel - 15) / 27));

/** Draws what can be drawn; the promise holds when it is there. */
export async function drawSound(root, data) {
  const waveform = root.querySelector(".waveform");
  if (!waveform) return;
  try {
    if (data.duration > MOST_SECONDS) throw new Error("too long");
    const samples = await decode(data);
    await drawWaveform(waveform, samples, data.duration);
    await drawSpectrogram(root.querySelector(".spectrogram"), samples, data.duration);
    waveform.hidden = false;
    root.querySelector(".spectrum").hidden = false;
    for (const telling of data.spectrograms) layTelling(root.querySelector(".spectrum"), telling, data.duration);
  } catch {
    const note = root.querySelector(".viewer-note");
    if (data.kind === "audio") Object.assign(note, { textContent: text("noWaveform"), hidden: false });
  }
}

async function decode(data) {
  const response = await fetch(data.original);
  if (!response.ok || Number(response.headers.get("content-length")) > MOST_BYTES) throw new Error("too large");
  const context = new OfflineAudioContext(1, 1, RATE_HZ);
  const sound = await context.decodeAudioData(await response.arrayBuffer());
  const mono = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const samples = sound.getChannelData(channel);
    for (let k = 0; k < mono.length; k++) mono[k] += samples[k] / sound.numberOfChannels;
  }
  return mono;
}

/** To be awaited within long work: lets the page answer its reader every few milliseconds. */
function breather() {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < SLICE_MS) return;
    await new Promise((done) => setTimeout(done));
    since = performance.now();
  };
}

const ink = (element, name) => getComputedStyle(element).getPropertyValue(name);

/** Lowest and highest sample of each column; columns are times of the clock, not shares of the samples. */
async function drawWaveform(canvas, samples, duration) {
  const { width, height } = canvas;
  const breathe = breather();
  const pen = canvas.getContext("2d");
  canvas.hidden = false;
  canvas.style.color = "var(--track, #0072b2)";
  pen.fillStyle = ink(canvas, "color");
  const perColumn = (duration * RATE_HZ) / width;
  for (let column = 0; column < width; column++) {
    let [low, high] = [0, 0];
    const end = Math.min(Math.floor((column + 1) * perColumn), samples.length);
    for (let k = Math.floor(column * perColumn); k < end; k++) {
      if (samples[k] < low) low = samples[k];
      if (samples[k] > high) high = samples[k];
    }
    await breathe();
    const top = (height / 2) * (1 - Math.min(high, 1));
    pen.fillRect(column, top, 1, Math.max((height / 2) * (1 + Math.min(-low, 1)) - top, 1));
  }
}

async function drawSpectrogram(canvas, samples, duration) {
  const { width, height } = canvas;
  const breathe = breather();
  const levels = [];
  let loudest = -Infinity;
  const shape = Float32Array.from({ length: FFT }, (_, k) => 0.5 - 0.5 * Math.cos((2 * Math.PI * k) / FFT));
  for (let column = 0; column < width; column++) {
    const start = Math.round((((column + 0.5) * duration) / width) * RATE_HZ) - FFT / 2;
    const power = spectrum(Float32Array.from(shape, (share, k) => share * (samples[start + k] ?? 0)));
    levels.push(power);
    for (const level of power) if (level > loudest) loudest = level;
    await breathe();
  }
  const bins = Array.from({ length: height }, (_, row) =>
    Math.floor((hzOf(MOST_MEL * (1 - (row + 0.5) / height)) * FFT) / RATE_HZ),
  );
  const image = new ImageData(width, height);
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at += 4) {
      const level = levels[column][bins[row]];
      image.data[at] = image.data[at + 1] = image.data[at + 2] = 255 * (1 + (level - loudest) / RANGE_DB);
      image.data[at + 3] = 255;
    }
    await breathe();
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Power in dB of the lower half of the frequencies; radix 2, in place. */
function spectrum(real) {
  const n = real.length;
  const imaginary = new Float32Array(n);
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [real[i], real[j]] = [real[j], real[i]];
  }
  for (let size = 2; size <= n; size *= 2)
    for (let start = 0; start < n; start += size)
      for (let k = 0; k < size / 2; k++) {
        const c = COSINES[(k * n) / size];
        const s = SINES[(k * n) / size];
        const a = start + k;
        const b = a + size / 2;
        const re = real[b] * c - imaginary[b] * s;
        const im = real[b] * s + imaginary[b] * c;
        real[b] = real[a] - re;
        imaginary[b] = imaginary[a] - im;
        real[a] += re;
        imaginary[a] += im;
      }
  return Float32Array.from({ length: n / 2 }, (_, k) => 10 * Math.log10(real[k] ** 2 + imaginary[k] ** 2 + 1e-12));
}

/** The evidence picture of the most telling window: its plot alone, at its place in time. */
function layTelling(spectrum, { href, start, end, plot }, duration) {
  const part = Object.assign(document.createElement("div"), { className: "telling" });
  Object.assign(part.style, { left: `${(100 * start) / duration}%`, width: `${(100 * (end - start)) / duration}%` });
  const image = Object.assign(new Image(), { alt: "", src: href });
  image.addEventListener("load", () => {
    const [across, down] = [100 / plot.width, 100 / plot.height];
    Object.assign(image.style, {
      width: `${image.naturalWidth * across}%`,
      height: `${image.naturalHeight * down}%`,
      left: `${-plot.left * across}%`,
      top: `${-plot.top * down}%`,
    });
  });
  part.append(image);
  spectrum.append(part);
}
