"use strict";
(() => {
  const form = document.querySelector("form");
  const { text, kind, state } = form.elements;
  const entries = [...document.querySelectorAll("[data-entry]")];
  const contents = new Map(entries.map((entry) => [entry, entry.textContent.toLowerCase()]));
  const places = entries.filter((entry) => entry.localName === "article");
  const prefix = "#filter=";

  const isShown = (entry, words) =>
    words.every((word) => contents.get(entry).includes(word)) &&
    [[kind, entry.dataset.kind], [state, entry.dataset.state]].every(
      ([select, value]) => select.value === "" || value === undefined || select.value === value,
    );

  const apply = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    for (const entry of entries) entry.hidden = !isShown(entry, words);
    const shown = places.filter((entry) => !entry.hidden).length;
    form.querySelector("output").value = `${shown} of ${places.length} shown`;
  };

  // The link of a filtered page can be shared.
  const remember = () => {
    const hash = text.value === "" ? "" : prefix + encodeURIComponent(text.value);
    history.replaceState(null, "", location.pathname + location.search + hash);
  };

  const follow = () => {
    if (location.hash.startsWith(prefix)) {
      text.value = decodeURIComponent(location.hash.slice(prefix.length));
    } else if (document.getElementById(location.hash.slice(1))?.hidden) {
      form.reset();
    }
    apply();
    document.querySelector(":target")?.scrollIntoView();
  };

  form.addEventListener("input", () => {
    apply();
    remember();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);
  form.hidden = false;
  follow();
})();
