// Keeps the parts of a page that are marked data-live as they are on the server. Without it the page is read as it was sent.
"use strict";
const source = document.querySelector("[data-source]");
const told = document.getElementById("live");
if (source && "EventSource" in window) {
  const events = new EventSource(source.dataset.source);
  const say = (words) => { if (told && told.textContent !== words) told.textContent = words; };
  events.onopen = () => say("live");
  events.onerror = () => say("connection lost, trying again");
  events.onmessage = (event) => {
    const page = new DOMParser().parseFromString(JSON.parse(event.data), "text/html");
    for (const fresh of page.querySelectorAll("[data-live]")) {
      const old = document.getElementById(fresh.id);
      if (!old || old.isEqualNode(fresh)) continue;
      const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      old.replaceWith(document.adoptNode(fresh));
      if (focused) [...fresh.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
    }
    say("live");
  };
  addEventListener("pagehide", () => events.close());
}
