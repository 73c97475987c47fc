// How scripts ask the service, and the one place where text from it becomes markup.

const texts = JSON.parse(document.getElementById("texts").textContent);
const fragments = globalThis.trustedTypes?.createPolicy("deepscreen", { createHTML: (html) => html }) ?? {
  createHTML: (html) => html,
};

/** A text in the reader's language; `{name}` stands for a value. */
export function text(name, values = {}) {
  return Object.entries(values).reduce((told, [key, value]) => told.replace(`{${key}}`, value), texts[name]);
}

export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `${status}`);
    this.status = status;
    this.type = (problem?.type ?? "").split(":").pop();
  }
}

export const csrf = () => ({ "X-CSRF-Token": document.querySelector('meta[name="csrf-token"]').content });

/** Asks with JSON and gives what comes back; throws Refused with the problem that the service names. */
export async function ask(method, path, body) {
  const headers = { Accept: "application/json", ...csrf() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const content = response.headers.get("content-type")?.includes("json") ? await response.json() : null;
  if (!response.ok) throw new Refused(response.status, content);
  return content;
}

/** Elements of a part of a page that the service's own templates made; they escape whatever came from files. */
export async function part(path) {
  const response = await fetch(path, { headers: { Accept: "text/plain" } });
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => null));
  const holder = document.createElement("template");
  holder.innerHTML = fragments.createHTML(await response.text());
  return holder.content.firstElementChild;
}

/** Puts a part of the page that takes a while in the place of the last element of `holder`, or why it is not there. */
export async function fill(holder, path) {
  const place = holder.lastElementChild;
  try {
    place.replaceWith(await part(path));
  } catch (error) {
    place.textContent = error.message;
  }
  holder.removeAttribute("aria-busy");
}

/** Tells the reader something for a while. */
export function notice(words) {
  const line = document.createElement("p");
  line.textContent = words;
  document.getElementById("notice").replaceChildren(line);
  setTimeout(() => line.remove(), 5000);
}
