// Files on their way: dropped or chosen, folders too; two at a time, with progress, pause and what went wrong.
import { text } from "./api.js";
import { Upload } from "./tus.js";

const AT_ONCE = 2;
const zone = document.getElementById("send");
const list = document.getElementById("uploads-list");
const uploads = [];
let isPaused = false;

function element(name, className, words = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = words;
  return made;
}

function add(file, name) {
  const upload = new Upload(file, name, document.getElementById("into").value, show);
  const line = document.createElement("li");
  const bar = Object.assign(document.createElement("progress"), { max: Math.max(file.size, 1), value: 0 });
  bar.setAttribute("aria-label", name);
  const button = Object.assign(element("button", ""), { type: "button" });
  button.addEventListener("click", () => {
    if (upload.state === "uploading") upload.pause();
    else if (upload.state === "paused") {
      upload.state = "waiting";
      next();
    } else remove(upload);
  });
  upload.line = line;
  line.append(element("span", "name", name), bar, button, element("span", "told"));
  uploads.push(upload);
  list.append(line);
  show(upload);
}

function remove(upload) {
  upload.cancel();
  upload.line.remove();
  uploads.splice(uploads.indexOf(upload), 1);
  showAll();
}

function show(upload) {
  const [, bar, button, told] = upload.line.children;
  bar.value = upload.state === "sent" ? bar.max : upload.sent;
  button.textContent = text({ uploading: "pause", paused: "resume" }[upload.state] ?? "remove");
  button.hidden = upload.state === "sent";
  told.className = upload.state === "failed" ? "told bad" : "told";
  told.textContent = upload.problem || text(upload.state === "failed" ? "failed" : upload.state);
  showAll();
}

let isDue = false;
function showAll() {
  if (isDue) return; // many files change at once: once a frame is enough
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    const total = uploads.reduce((sum, upload) => sum + upload.size, 0);
    const sent = uploads.reduce((sum, upload) => sum + (upload.state === "sent" ? upload.size : upload.sent), 0);
    const left = uploads.filter((upload) => !["sent", "failed"].includes(upload.state)).length;
    document.getElementById("uploads").hidden = uploads.length === 0;
    document.getElementById("uploads-told").textContent = left ? text("filesLeft", { count: left }) : text("allSent");
    Object.assign(document.getElementById("uploads-all"), { max: Math.max(total, 1), value: sent });
    document.getElementById("pause-all").hidden = left === 0;
  });
}

function next() {
  if (isPaused) return;
  const busy = uploads.filter((upload) => upload.state === "uploading").length;
  for (const upload of uploads.filter((one) => one.state === "waiting").slice(0, Math.max(AT_ONCE - busy, 0)))
    upload.run().then(() => {
      if (upload.state === "sent") dispatchEvent(new Event("deepscreen:sent"));
      next();
    });
}

/** All files below an entry of a drop, with their paths. */
async function walk(entry, path) {
  if (entry.isFile) return [[await new Promise((done, fail) => entry.file(done, fail)), path + entry.name]];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const entries = await new Promise((done, fail) => reader.readEntries(done, fail)); // a hundred at a time
    if (entries.length === 0) return found;
    for (const inner of entries) found.push(...(await walk(inner, `${path}${entry.name}/`)));
  }
}

function take(files) {
  for (const [file, name] of files) add(file, name);
  next();
}

if (zone) {
  const choose = (event) => {
    take([...event.target.files].map((file) => [file, file.webkitRelativePath || file.name]));
    event.target.value = "";
  };
  document.getElementById("files").addEventListener("change", choose);
  document.getElementById("folder").addEventListener("change", choose);
  document.getElementById("pause-all").addEventListener("click", (event) => {
    isPaused = !isPaused;
    event.target.textContent = text(isPaused ? "resume" : "pause");
    for (const upload of uploads) {
      if (isPaused && upload.state === "uploading") upload.pause();
      else if (!isPaused && upload.state === "paused") upload.state = "waiting";
    }
    next();
  });
  document.getElementById("clear-sent").addEventListener("click", () => {
    for (const upload of [...uploads].filter((one) => ["sent", "failed"].includes(one.state))) remove(upload);
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && zone.classList.remove("over"));
  addEventListener("drop", async (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    if (entries.length === 0) take([...event.dataTransfer.files].map((file) => [file, file.name]));
    for (const entry of entries) take(await walk(entry, ""));
  });
  addEventListener("beforeunload", (event) => {
    if (uploads.some((upload) => ["uploading", "waiting"].includes(upload.state))) event.preventDefault();
  });
}
