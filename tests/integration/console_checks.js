// What the console's browser tests ask a page. Each function gives a list of sentences: none is good.
"use strict";

window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});

// Labels, names, ids, headings: what a screen reader needs.
window.faults = () => {
  const faults = [], seen = new Set();
  const named = (e) => (e.getAttribute("aria-label") || e.textContent || e.getAttribute("title") || "").trim()
    || (e.getAttribute("aria-labelledby") && document.getElementById(e.getAttribute("aria-labelledby"))?.textContent.trim());
  for (const e of document.querySelectorAll("[id]")) { if (seen.has(e.id)) faults.push(`id twice: ${e.id}`); seen.add(e.id); }
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!e.labels.length && !named(e)) faults.push(`field without a label: ${e.name}`);
  for (const e of document.querySelectorAll("a[href], button, summary")) if (!named(e)) faults.push(`nameless: ${e.outerHTML.slice(0, 80)}`);
  for (const e of document.querySelectorAll("main svg, header svg"))
    if (!e.closest("[aria-hidden=true]") && e.getAttribute("role") !== "img") faults.push("a drawing that is neither named nor hidden");
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
    for (const id of `${e.getAttribute("aria-labelledby") || ""} ${e.getAttribute("aria-describedby") || ""}`.split(" ").filter(Boolean))
      if (!document.getElementById(id)) faults.push(`points at nothing: ${id}`);
  for (const e of document.querySelectorAll("table")) if (!e.querySelector("th[scope]")) faults.push("a table without headings");
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3")) { const n = +e.tagName[1]; if (n > level + 1) faults.push(`skips to ${e.tagName}`); level = n; }
  if (!document.documentElement.lang) faults.push("no language");
  if (!document.querySelector("main")) faults.push("no main");
  return faults;
};

// Text whose contrast, as the browser paints it, is below 4.5.
window.weak = () => {
  const rgb = (c) => { const n = c.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0.99) return c; } return [255, 255, 255]; };
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const weak = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest("svg, .quiet, .skip, select, datalist")) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) weak.push(`${((a + 0.05) / (b + 0.05)).toFixed(2)} ${e.tagName}.${e.className} ${walk.currentNode.data.trim().slice(0, 30)}`);
  }
  return weak;
};
