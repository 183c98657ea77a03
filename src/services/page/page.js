// Keeps the page fresh: fetches the live part once a second and changes only what differs, so that nothing flickers
// and a selection survives. Without this script the page still reads, and reloads itself.
"use strict";
const live = document.getElementById("live");
const lost = document.getElementById("lost");
let heard = Date.now();

function same(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

function match(old, fresh) {
  if (fresh.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(old.nodeName === "DETAILS" && name === "open")) old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (old.nodeName === "DETAILS" && name === "open") continue;
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  children(old, fresh);
}

function children(old, fresh) {
  const want = [...fresh.childNodes];
  want.forEach((node, at) => {
    const have = old.childNodes[at];
    if (!have) old.append(node);
    else if (same(have, node)) match(have, node);
    else have.replaceWith(node);
  });
  while (old.childNodes.length > want.length) old.lastChild.remove();
}

async function refresh() {
  try {
    const answer = await fetch("/live", { cache: "no-store", signal: AbortSignal.timeout(4000) });
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(`<div>${await answer.text()}</div>`, "text/html");
    children(live, fresh.body.firstChild);
    heard = Date.now();
    lost.hidden = true;
    live.classList.remove("old");
  } catch {
    const silent = Math.round((Date.now() - heard) / 1000);
    lost.querySelector("span").textContent = `for ${silent} s`;
    lost.hidden = silent < 5;
    live.classList.toggle("old", silent >= 5);
  }
}

async function run() {
  for (;;) {
    await new Promise((next) => setTimeout(next, 1000));
    if (!document.hidden) await refresh();
  }
}
document.addEventListener("visibilitychange", () => document.hidden || refresh());
run();
