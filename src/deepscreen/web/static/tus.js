// One resumable upload (tus 1.0): it can be paused, goes on after a broken line, and after the page was left.
import { csrf, Refused } from "./api.js";

const CHUNK_BYTES = 8 * 1024 * 1024;
const DELAYS_MS = [500, 1000, 2000, 4000, 8000, 16000];
const COME_BACK = new Set([409, 423, 429, 503]);
const KEPT = "deepscreen-upload:";

const base64 = (words) => btoa(String.fromCharCode(...new TextEncoder().encode(words)));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export class Upload {
  /** `onChange(this)` is called whenever `state`, `sent` or `problem` is another. */
  constructor(file, name, caseId, onChange) {
    Object.assign(this, { file, name, caseId, onChange, state: "waiting", sent: 0, problem: "", itemPath: null });
    this.kept = `${KEPT}${name}|${file.size}|${file.lastModified}|${caseId}`;
    this.request = null;
    this.turn = 0; // of the run that may go on; a pause ends it, also where it sleeps
  }

  get size() {
    return this.file.size;
  }

  #set(values) {
    Object.assign(this, values);
    this.onChange(this);
  }

  pause() {
    if (this.state === "sent" || this.state === "failed") return;
    this.turn++;
    this.#set({ state: "paused" });
    this.request?.abort();
  }

  async cancel() {
    this.pause();
    const url = localStorage.getItem(this.kept);
    localStorage.removeItem(this.kept);
    if (url) await this.#send("DELETE", url).catch(() => null);
  }

  /** Sends until the file is there, it is paused, or the service refuses it. */
  async run() {
    const turn = ++this.turn;
    this.#set({ state: "uploading", problem: "" });
    for (let tries = 0; this.turn === turn && this.state === "uploading"; ) {
      try {
        const before = this.sent;
        await this.#goOn(turn);
        if (this.sent > before) tries = 0;
      } catch (error) {
        if (this.turn !== turn) return;
        const isFinal = error instanceof Refused && !COME_BACK.has(error.status);
        if (isFinal) return this.#fail(error);
        this.#set({ problem: error.message });
        await sleep(Math.max(DELAYS_MS[Math.min(tries++, DELAYS_MS.length - 1)], (error.retryAfter ?? 0) * 1000));
      }
    }
  }

  #fail(error) {
    localStorage.removeItem(this.kept);
    this.#set({ state: "failed", problem: error.message });
  }

  /** Asks where to go on, and sends from there to the end, piece by piece. */
  async #goOn(turn) {
    const url = (await this.#known()) ?? (await this.#begin());
    while (this.turn === turn && !this.itemPath) {
      const piece = this.file.slice(this.sent, this.sent + CHUNK_BYTES);
      const headers = { "Upload-Offset": this.sent, "Content-Type": "application/offset+octet-stream" };
      this.#took(await this.#send("PATCH", url, headers, piece));
    }
    if (this.itemPath) {
      localStorage.removeItem(this.kept);
      this.#set({ state: "sent", problem: "" });
    }
  }

  /** The address of an upload of this file that was begun before, if it is still there. */
  async #known() {
    const url = localStorage.getItem(this.kept);
    if (!url) return null;
    try {
      this.#took(await this.#send("HEAD", url));
      return url;
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
      localStorage.removeItem(this.kept);
      this.sent = 0;
      return null;
    }
  }

  async #begin() {
    const metadata = [`filename ${base64(this.name)}`, ...(this.caseId ? [`case_id ${base64(this.caseId)}`] : [])];
    const headers = { "Upload-Length": this.size, "Upload-Metadata": metadata.join(",") };
    const answer = await this.#send("POST", "/v1/uploads", headers);
    const url = answer.getResponseHeader("Location");
    localStorage.setItem(this.kept, url);
    return url;
  }

  #took(answer) {
    this.itemPath = answer.getResponseHeader("Location");
    this.#set({ sent: Number(answer.getResponseHeader("Upload-Offset")) });
  }

  /** XMLHttpRequest, for it tells how much of the body has left; rejects with Refused or with a broken line. */
  #send(method, url, headers = {}, body = null) {
    return new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      const start = this.sent;
      request.open(method, url);
      for (const [name, value] of Object.entries({ "Tus-Resumable": "1.0.0", ...csrf(), ...headers }))
        request.setRequestHeader(name, value);
      if (body) request.upload.onprogress = (event) => this.#set({ sent: start + Math.min(event.loaded, body.size) });
      request.onload = () => {
        if (request.status < 400) return done(request);
        const problem = request.responseText.startsWith("{") ? JSON.parse(request.responseText) : null;
        fail(Object.assign(new Refused(request.status, problem), { retryAfter: Number(request.getResponseHeader("Retry-After")) }));
      };
      request.onerror = () => fail(new Error(""));
      request.onabort = () => fail(new Error(""));
      this.request = request;
      request.send(body);
    });
  }
}
