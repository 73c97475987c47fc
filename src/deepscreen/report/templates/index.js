"use strict";
// Sorting and filtering only; the page is complete without it.
(() => {
  const table = document.getElementById("files");
  const items = Array.from(table.tBodies);
  const name = document.getElementById("name-filter");
  const verdict = document.getElementById("verdict-filter");
  const order = document.getElementById("order");
  const count = document.getElementById("shown-count");
  const names = items.map((item) => item.dataset.name.toLowerCase());
  const place = (item) => Number(item.dataset.order);
  // A file without a figure comes last, whichever way the page is ordered.
  const strength = (item, sign) => (item.dataset.lr === "" ? Infinity : sign * Number(item.dataset.lr));
  const orders = {
    given: (a, b) => place(a) - place(b),
    spoof: (a, b) => strength(a, -1) - strength(b, -1) || place(a) - place(b),
    bona: (a, b) => strength(a, 1) - strength(b, 1) || place(a) - place(b),
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name),
  };
  const filter = () => {
    const wanted = name.value.toLowerCase();
    let shown = 0;
    items.forEach((item, k) => {
      const fits = names[k].includes(wanted) && (!verdict.value || item.dataset.verdict === verdict.value);
      item.hidden = !fits;
      shown += fits;
    });
    count.textContent = shown + " of " + items.length + " shown";
  };
  const sort = () => table.append(...items.slice().sort(orders[order.value]));
  name.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  order.addEventListener("change", sort);
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("controls").hidden = false;
  filter();
})();
