// Live updates and keys. Every page works without this file.
"use strict";

const body = document.body;
const changed = document.getElementById("changed");

// -- live: hear of changes, fetch the page again, put its parts in place of the old ones ---------------------------

const typed = new WeakSet();
document.addEventListener("input", (event) => event.target.form && typed.add(event.target.form));

const isTouched = (part) => [...part.querySelectorAll("form")].some((form) => typed.has(form));

function keepOpen(before, after) {
  for (const old of before.querySelectorAll("details[id]")) {
    const found = after.querySelector("#" + CSS.escape(old.id));
    if (found) found.open = old.open;
  }
}

function put(before, after) {
  keepOpen(before, after);
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  const again = focused && (focused.id ? "#" + CSS.escape(focused.id)
    : focused.getAttribute("href") ? `a[href="${CSS.escape(focused.getAttribute("href"))}"]` : null);
  const differs = before.innerText !== after.innerText && before.innerText.trim() !== after.textContent.trim();
  before.replaceChildren(...after.childNodes);
  if (again) before.querySelector(again)?.focus();
  if (differs) {
    before.classList.remove("fresh");
    void before.offsetWidth;
    before.classList.add("fresh");
  }
}

let speaking;
function say(text) {
  changed.textContent = text;
  clearTimeout(speaking);
  speaking = setTimeout(() => { changed.textContent = ""; }, 6000);
}

let busy = false, wanted = false;
async function refresh() {
  if (busy) { wanted = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok || answer.redirected) { say("This page has changed: load it again."); return; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    let kept = false;
    for (const part of document.querySelectorAll("[data-part]")) {
      const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!fresh) continue;
      if (isTouched(part)) { kept = true; continue; }
      if (part.innerHTML !== fresh.innerHTML) put(part, fresh);
    }
    body.dataset.head = page.body.dataset.head;
    say(kept ? "Somebody changed this. What you are typing is kept." : "Changed just now.");
  } catch {
    say("This page has changed and could not be fetched.");
  } finally {
    busy = false;
    if (wanted) { wanted = false; refresh(); }
  }
}

function listen() {
  const about = body.dataset.live;
  if (!about || !window.EventSource) return;
  const source = new EventSource(`/console/live?after=${encodeURIComponent(body.dataset.head || "0")}`);
  source.addEventListener("hello", () => { body.dataset.hears = "yes"; });
  source.addEventListener("changed", (event) => {
    const told = JSON.parse(event.data);
    if (about === "all" || told.many || told.cases.includes(about)) refresh();
  });
  window.addEventListener("pagehide", () => source.close());
}
listen();
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// -- forms: a second click sends nothing twice ----------------------------------------------------------------------

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// A link to one form of the page opens it.
function openTarget() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
openTarget();
window.addEventListener("hashchange", openTarget);

// -- keys -----------------------------------------------------------------------------------------------------------

const KEYS = "ews-keys";
const keysAreOn = () => localStorage.getItem(KEYS) !== "off";
const isField = (element) => element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);

function move(by) {
  const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent);
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by));
  rows[next].focus();
  rows[next].scrollIntoView({ block: "nearest" });
}

function openForm(kind) {
  const form = document.getElementById(`do-${kind}`);
  if (!form) return;
  form.open = true;
  form.querySelector("textarea, select, input:not([type=hidden])")?.focus();
}

let going = 0;
const ONES = {
  "/": () => document.getElementById("q")?.focus(),
  "?": () => document.querySelector(".help")?.click(),
  j: () => move(1),
  k: () => move(-1),
  n: () => openForm("note"),
  p: () => openForm("promise"),
  t: () => document.querySelector("main h1 a")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isField(event.target)) { event.target.blur(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || isField(event.target) || !keysAreOn()) return;
  if (going && Date.now() - going < 1500) {
    going = 0;
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  if (event.key === "g") { going = Date.now(); return; }
  if (Object.hasOwn(ONES, event.key)) { event.preventDefault(); ONES[event.key](); }
});

const toggle = document.getElementById("keys-on");
if (toggle) {
  document.getElementById("keys-switch").hidden = false;
  toggle.checked = keysAreOn();
  toggle.addEventListener("change", () => localStorage.setItem(KEYS, toggle.checked ? "on" : "off"));
}
