"use strict";
// Items come from the script files beside this page, each a call of deepscreenItems. Texts of files are only ever put
// into text nodes and attributes, never into markup.
const FIELDS = ["name", "outcome", "note", "folder", "thumb", "kind", "modality", "lr", "interval", "verbal", "heatmap",
  "line", "findings", "notable", "first", "known", "group", "size"];
const items = [];
window.deepscreenItems = (rows) => {
  for (const row of rows) {
    const item = { place: items.length, isShown: false };
    FIELDS.forEach((field, k) => { item[field] = row[k]; });
    item.sought = (item.name + "\n" + item.findings.join("\n") + "\n" + item.note).toLowerCase();
    items.push(item);
  }
};

window.addEventListener("DOMContentLoaded", () => {
  const CARD_WIDTH = 240, CARD_HEIGHT = 342, ROWS_AROUND = 2;
  const id = (name) => document.getElementById(name);
  const gallery = id("gallery"), room = id("room"), reach = Number(gallery.dataset.reach);
  const words = {}, drawn = new Map();
  for (const option of id("outcome").options) words[option.value] = option.textContent;
  let chosen = [], columns = 1;

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(2);

  // A file without a figure comes last, whichever way the page is ordered.
  const strength = (item, sign) => (item.lr === null ? Infinity : sign * item.lr);
  const byPlace = (a, b) => a.place - b.place;
  const difference = (a, b) => (a === b ? 0 : a < b ? -1 : 1);
  const orders = {
    spoof: (a, b) => difference(strength(a, -1), strength(b, -1)) || byPlace(a, b),
    bona: (a, b) => difference(strength(a, 1), strength(b, 1)) || byPlace(a, b),
    name: byPlace,
    group: (a, b) => difference(a.group ?? Infinity, b.group ?? Infinity) || byPlace(a, b),
    size: (a, b) => difference(-(a.size ?? 0), -(b.size ?? 0)) || byPlace(a, b),
  };

  const choose = () => {
    const text = id("text").value.toLowerCase(), outcome = id("outcome").value, kind = id("kind").value;
    const isOnce = id("once").checked, isNoted = id("noted").checked;
    chosen = items.filter((item) => item.sought.includes(text) && (!outcome || item.outcome === outcome)
      && (!kind || item.kind === kind) && (!isOnce || item.first === null) && (!isNoted || item.notable > 0));
    chosen.sort(orders[id("order").value]);
    id("count").textContent = chosen.length + " of " + items.length + " shown";
    gallery.scrollTop = 0;
    redraw();
  };

  const picture = (item) => {
    const source = item.folder === null ? null : item.thumb ? item.folder + "/thumbnail.jpg" : null;
    if (source === null) return make("div", "frame", item.kind || "no picture");
    const frame = make("button", "frame"), image = make("img");
    frame.type = "button";
    image.src = source;
    image.alt = "";
    image.decoding = "async";
    frame.append(image);
    const show = () => {
      const isBlurred = !item.isShown && !id("reveal").checked;
      frame.classList.toggle("blurred", isBlurred);
      frame.setAttribute("aria-label", (isBlurred ? "show the picture of " : "blur the picture of ") + item.name);
      image.src = source;
    };
    // The heatmap is drawn on the picture: it is not shown before the picture is.
    const swap = (isOver) => () => {
      const isMap = isOver && item.heatmap !== null && !frame.classList.contains("blurred");
      image.src = isMap ? item.folder + "/" + item.heatmap : source;
    };
    frame.addEventListener("click", () => { item.isShown = !item.isShown; show(); });
    for (const name of ["mouseenter", "focus"]) frame.addEventListener(name, swap(true));
    for (const name of ["mouseleave", "blur"]) frame.addEventListener(name, swap(false));
    show();
    return frame;
  };

  const sparkline = (values) => {
    const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg");
    const y = (value) => 11 - (Math.max(-reach, Math.min(reach, value)) / reach) * 10;
    const x = (k) => (values.length === 1 ? 50 : (k / (values.length - 1)) * 100);
    svg.setAttribute("class", "line");
    svg.setAttribute("viewBox", "0 0 100 22");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "log-odds over time, highest " + signed(Math.max(...values)));
    for (const [name, path] of [["zero", "M0 11H100"], ["track", "M" + values.map((v, k) => x(k) + " " + y(v)).join("L")]]) {
      const element = document.createElementNS(space, "path");
      element.setAttribute("class", name);
      element.setAttribute("d", path);
      svg.append(element);
    }
    return svg;
  };

  const card = (item) => {
    const element = make("article", "card " + item.outcome);
    element.setAttribute("role", "listitem");
    const name = make("div", "name"), inner = make("bdi", "", item.name);
    name.title = item.name;
    name.append(inner);
    element.append(picture(item), name, make("div", "result", words[item.outcome]));
    if (item.lr !== null) {
      const [low, high] = item.interval;
      const bounds = low === null || high === null ? "" : " (" + signed(low) + " to " + signed(high) + ")";
      element.append(make("div", "", "log10 LR " + signed(item.lr) + bounds + ", " + item.modality));
    }
    if (item.line !== null) element.append(sparkline(item.line));
    const notes = [item.note, item.verbal, ...item.findings].filter(Boolean);
    if (item.first !== null) notes.unshift("same content as " + item.first);
    if (item.known) notes.unshift("on the list of known files");
    const small = make("div", "small", notes.join(" · "));
    small.title = notes.join("\n");
    element.append(small);
    const foot = make("div", "foot small");
    if (item.folder !== null) {
      const link = make("a", "", "details");
      link.href = item.folder + "/index.html";
      link.setAttribute("aria-label", "details of " + item.name);
      foot.append(link);
    }
    if (item.group !== null) foot.append(make("span", "", "similar: group " + item.group));
    element.append(foot);
    return element;
  };

  const draw = () => {
    const first = Math.max(0, Math.floor(gallery.scrollTop / CARD_HEIGHT) - ROWS_AROUND) * columns;
    const rows = Math.ceil(gallery.clientHeight / CARD_HEIGHT) + 1 + 2 * ROWS_AROUND;
    const last = Math.min(chosen.length, first + rows * columns);
    for (const [place, element] of drawn) {
      if (place < first || place >= last) { element.remove(); drawn.delete(place); }
    }
    for (let place = first; place < last; place += 1) {
      if (drawn.has(place)) continue;
      const element = card(chosen[place]);
      element.style.left = (place % columns) * CARD_WIDTH + "px";
      element.style.top = Math.floor(place / columns) * CARD_HEIGHT + "px";
      element.setAttribute("aria-posinset", place + 1);
      element.setAttribute("aria-setsize", chosen.length);
      drawn.set(place, element);
      room.append(element);
    }
  };
  const redraw = () => {
    for (const element of drawn.values()) element.remove();
    drawn.clear();
    columns = Math.max(1, Math.floor(room.clientWidth / CARD_WIDTH));
    room.style.height = Math.ceil(chosen.length / columns) * CARD_HEIGHT + "px";
    draw();
  };

  let isWaiting = false;
  gallery.addEventListener("scroll", () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => { isWaiting = false; draw(); });
  });
  window.addEventListener("resize", redraw);
  id("controls").addEventListener("submit", (event) => event.preventDefault());
  id("text").addEventListener("input", choose);
  for (const name of ["outcome", "kind", "order", "once", "noted"]) id(name).addEventListener("change", choose);
  id("reveal").addEventListener("change", redraw);
  choose();
  gallery.dataset.state = "ready";
});
