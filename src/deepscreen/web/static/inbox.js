// The inbox: filters without a new page, more lines as one scrolls, lines that change as work goes on, saved views.
import { notice, part, text } from "./api.js";
import "./list.js";
import "./uploads.js";

const rows = document.getElementById("rows");
const filters = document.getElementById("filters");
const more = document.getElementById("more");
const TYPED_MS = 250;
const CHANGES_MS = 400;
const ASKED_AGAIN = 60;

function query() {
  const wanted = new URLSearchParams();
  for (const [name, value] of new FormData(filters)) if (value) wanted.set(name, value);
  return wanted;
}

function showEnds(after) {
  rows.dataset.after = after;
  more.hidden = !after;
  document.getElementById("empty").hidden = rows.children.length > 0;
}

let asked = 0;
async function filter() {
  const wanted = query();
  const number = ++asked;
  history.replaceState(null, "", wanted.size ? `/?${wanted}` : "/");
  const found = await part(`/inbox/rows?${wanted}`);
  if (number !== asked) return; // a later question has been asked meanwhile
  rows.replaceChildren(...found.children);
  showEnds(found.dataset.after);
  showChosen();
}

let isFetching = false;
async function fetchMore() {
  if (isFetching || !rows.dataset.after) return;
  isFetching = true;
  const number = asked;
  const wanted = query();
  wanted.set("before", rows.dataset.after);
  try {
    const found = await part(`/inbox/rows?${wanted}`);
    if (number !== asked) return;
    rows.append(...found.children);
    showEnds(found.dataset.after);
  } finally {
    isFetching = false;
  }
}

let typed;
filters.addEventListener("input", (event) => {
  clearTimeout(typed);
  typed = setTimeout(() => filter().catch(tell), event.target.type === "search" ? TYPED_MS : 0);
});
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", (event) => {
  event.preventDefault();
  apply(new URLSearchParams());
});
more.addEventListener("click", () => fetchMore().catch(tell));
new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && fetchMore().catch(tell), {
  rootMargin: "600px",
}).observe(more);
const tell = (error) => notice(error.message);

// ---- what goes on ----

const lineOf = (id) => rows.querySelector(`[data-id="${CSS.escape(id)}"]`);

function put(line) {
  const old = lineOf(line.dataset.id);
  const hadFocus = old?.contains(document.activeElement);
  line.querySelector(".choose").checked = old?.querySelector(".choose").checked ?? false;
  if (old) old.replaceWith(line);
  else rows.prepend(line);
  if (hadFocus) line.querySelector("a.open").focus();
}

/** Fetches anew the lines that may have changed, and puts new ones that fit the filters on top. */
async function refresh(changed) {
  const open = [...rows.querySelectorAll("[data-open]")].map((line) => line.dataset.id);
  const shown = [...new Set([...open, ...changed.filter(lineOf)])].slice(0, ASKED_AGAIN);
  if (shown.length) for (const line of [...(await part(`/inbox/again?id=${shown}`)).children]) put(line);
  const first = await part(`/inbox/rows?${query()}`);
  for (const line of [...first.children].reverse()) if (!lineOf(line.dataset.id)) put(line);
  document.getElementById("empty").hidden = rows.children.length > 0;
}

const changed = new Set();
let soon;
function onLoad(event) {
  const told = JSON.parse(event.data);
  const isBusy = told.queued + told.running > 0;
  document.getElementById("load").textContent = isBusy ? text("queue", told) : "";
  told.changed.forEach((id) => changed.add(id));
  soon ??= setTimeout(async () => {
    const ids = [...changed];
    changed.clear();
    await refresh(ids).catch(() => null); // the next change tries again
    soon = undefined;
  }, CHANGES_MS);
}

let events;
function listen() {
  events?.close();
  events = undefined;
  if (document.hidden) return; // browsers allow few connections; a hidden page needs none
  events = new EventSource("/v1/events");
  events.addEventListener("load", onLoad);
}
document.addEventListener("visibilitychange", listen);
addEventListener("pagehide", () => events?.close());
addEventListener("pageshow", listen);
addEventListener("deepscreen:sent", () => refresh([]).catch(() => null));

// ---- two to compare ----

function showChosen() {
  const chosen = [...rows.querySelectorAll(".choose:checked")].map((box) => box.value);
  document.getElementById("compare").hidden = chosen.length === 0;
  document.getElementById("chosen").textContent = text("chosen", { count: chosen.length });
  const link = document.getElementById("compare-link");
  link.hidden = chosen.length !== 2;
  if (chosen.length === 2) link.href = `/items/${chosen[0]}/compare/${chosen[1]}`;
}
rows.addEventListener("change", showChosen);

// ---- saved views ----

const VIEWS = "deepscreen-views";
const views = document.getElementById("views");
const saved = () => JSON.parse(localStorage.getItem(VIEWS) ?? "{}");

function listViews(current = "") {
  views.length = 1;
  for (const name of Object.keys(saved()).sort()) views.add(new Option(name, name));
  views.value = current;
  document.getElementById("drop-view").hidden = !current;
}

function apply(wanted) {
  for (const field of filters.elements) if (field.name) field.value = wanted.get(field.name) ?? "";
  filter().catch(tell);
}
views.addEventListener("input", (event) => {
  event.stopPropagation();
  apply(new URLSearchParams(saved()[views.value] ?? ""));
  document.getElementById("drop-view").hidden = !views.value;
});
document.getElementById("save-view").addEventListener("click", () => {
  const name = prompt(text("viewName"))?.trim();
  if (!name) return;
  localStorage.setItem(VIEWS, JSON.stringify({ ...saved(), [name]: query().toString() }));
  listViews(name);
});
document.getElementById("drop-view").addEventListener("click", () => {
  const { [views.value]: _, ...rest } = saved();
  localStorage.setItem(VIEWS, JSON.stringify(rest));
  listViews();
});
listViews();
