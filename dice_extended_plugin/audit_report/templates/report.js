"use strict";
(function () {
  const root = document.documentElement;
  root.classList.add("js");
  const tip = document.getElementById("tip");

  // The browser's own tooltip of a picture's title would cover ours.
  document.querySelectorAll("svg.chart > title").forEach(function (title) {
    const svg = title.parentNode;
    svg.setAttribute("aria-label", title.textContent);
    svg.setAttribute("aria-describedby", title.id.replace(/-title$/, "-desc"));
    svg.removeAttribute("aria-labelledby");
    title.remove();
  });

  function show(point) {
    tip.replaceChildren();
    const picture = document.getElementById(point.dataset.picture || "");
    if (picture) {
      const copy = document.createElement("img");
      copy.src = picture.src;
      copy.alt = "";
      tip.append(copy);
    }
    const text = document.createElement("span");
    text.textContent = point.dataset.tip;
    tip.append(text);
    tip.hidden = false;
    const box = point.getBoundingClientRect();
    const own = tip.getBoundingClientRect();
    const room = root.clientWidth - own.width - 8;
    const left = Math.max(8, Math.min(box.left + box.width / 2 - own.width / 2, room));
    const above = box.top - own.height - 8;
    tip.style.left = left + window.scrollX + "px";
    tip.style.top = (above > 0 ? above : box.bottom + 8) + window.scrollY + "px";
    mark(point, true);
  }

  function hide(point) {
    tip.hidden = true;
    mark(point, false);
  }

  // The same edit in the neighbouring picture.
  function mark(point, on) {
    const figure = point.closest("figure");
    const number = point.dataset.number;
    const same = figure && number ? figure.querySelectorAll('[data-number="' + number + '"]') : [];
    (same.length ? same : [point]).forEach(function (one) {
      one.classList.toggle("lit", on);
    });
  }

  document.querySelectorAll(".points").forEach(function (list) {
    const points = Array.from(list.querySelectorAll(".point"));
    points.forEach(function (point, place) {
      point.addEventListener("pointerenter", function () { show(point); });
      point.addEventListener("pointerleave", function () { hide(point); });
      point.addEventListener("focus", function () { show(point); });
      point.addEventListener("blur", function () { hide(point); });
      point.addEventListener("keydown", function (event) {
        const last = points.length - 1;
        const next = {
          ArrowRight: Math.min(place + 1, last),
          ArrowDown: Math.min(place + 1, last),
          ArrowLeft: Math.max(place - 1, 0),
          ArrowUp: Math.max(place - 1, 0),
          Home: 0,
          End: last
        }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        point.tabIndex = -1;
        points[next].tabIndex = 0;
        points[next].focus();
      });
    });
  });

  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") tip.hidden = true;
  });

  document.querySelectorAll("[data-toggle]").forEach(function (button) {
    button.addEventListener("click", function () {
      const on = button.getAttribute("aria-pressed") !== "true";
      root.classList.toggle(button.dataset.toggle, on);
      document.querySelectorAll('[data-toggle="' + button.dataset.toggle + '"]')
        .forEach(function (one) { one.setAttribute("aria-pressed", String(on)); });
    });
  });

  document.querySelectorAll("[data-open]").forEach(function (button) {
    button.addEventListener("click", function () {
      document.querySelectorAll("details.case").forEach(function (one) {
        one.open = button.dataset.open === "true";
      });
    });
  });

  const filter = document.getElementById("case-filter");
  if (filter) {
    filter.addEventListener("change", function () {
      let shown = 0;
      const cases = document.querySelectorAll("details.case");
      cases.forEach(function (one) {
        one.hidden = filter.value !== "" && one.dataset.verdict !== filter.value;
        if (!one.hidden) shown += 1;
      });
      document.getElementById("case-count").textContent = shown + " of " + cases.length;
    });
  }

  // Paper has no buttons: everything that is shown is opened.
  let closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (one) { one.open = true; });
  });
  window.addEventListener("afterprint", function () {
    closed.forEach(function (one) { one.open = false; });
  });
})();
