// Zoom, pan and the time slider of the lineage pictures. Without it the picture is a picture with
// links that scrolls, and the form has a date field.
"use strict";

const SMALLEST = 0.05;
const LARGEST = 3;
const UNREADABLE = 0.4; // below this scale the texts are only noise

for (const figure of document.querySelectorAll("[data-graph]")) enliven(figure);

function enliven(figure) {
  const view = figure.querySelector(".graph-view");
  const svg = view?.querySelector("svg");
  if (!svg) return;
  const width = svg.viewBox.baseVal.width;
  const height = svg.viewBox.baseVal.height;
  let scale = 1;
  let middle = null; // of the first view, where it does not begin at the corner

  function zoom(wanted, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const next = Math.min(LARGEST, Math.max(SMALLEST, wanted));
    const left = (view.scrollLeft + x) / scale;
    const top = (view.scrollTop + y) / scale;
    scale = next;
    svg.setAttribute("width", width * scale);
    svg.setAttribute("height", height * scale);
    svg.classList.toggle("far", scale < UNREADABLE);
    view.scrollLeft = left * scale - x;
    view.scrollTop = top * scale - y;
  }

  const fitting = () => Math.min(1, view.clientWidth / width, view.clientHeight / height);

  // Where everything is readable at once, all of it; else actual size, at what was asked for.
  function begin() {
    if (fitting() > 0.6) { zoom(fitting()); return; }
    zoom(Math.max(0.75, Math.min(1, view.clientWidth / width)));
    const root = svg.querySelector(".root") || svg.querySelector(".box");
    if (!root) return;
    // From the attributes: to ask for its rectangle would lay thousands of texts out once more.
    const { e: x, f: y } = root.transform.baseVal.consolidate().matrix;
    const box = root.querySelector("rect");
    const [across, down] = ["width", "height"].map((side) => Number(box.getAttribute(side)));
    middle = { x: (x + across / 2) * scale, y: (y + down / 2) * scale };
  }

  const steps = {
    in: () => zoom(scale * 1.25), out: () => zoom(scale / 1.25),
    fit: () => zoom(fitting()), one: () => zoom(1),
  };
  figure.querySelectorAll("[data-zoom]").forEach((button) => {
    button.addEventListener("click", () => steps[button.dataset.zoom]());
  });
  view.addEventListener("keydown", (event) => {
    const step = { "+": "in", "=": "in", "-": "out", "0": "fit", "1": "one" }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    steps[step]();
  });
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls as everywhere
    event.preventDefault();
    const frame = view.getBoundingClientRect();
    zoom(scale * Math.exp(-event.deltaY / 400), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });
  drag(view);
  highlight(svg);
  begin();
  view.classList.add("sized"); // until now the picture was hidden, so it is laid out only once
  if (!middle) return;
  view.scrollLeft = middle.x - view.clientWidth / 2;
  view.scrollTop = middle.y - view.clientHeight / 2;
}

function drag(view) {
  let from = null;
  let moved = false;
  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return; // fingers scroll by themselves
    from = { x: event.clientX, y: event.clientY, left: view.scrollLeft, top: view.scrollTop };
    moved = false;
  });
  view.addEventListener("pointermove", (event) => {
    if (!from || !(event.buttons & 1)) { from = null; return; }
    const x = event.clientX - from.x;
    const y = event.clientY - from.y;
    if (!moved && Math.hypot(x, y) < 5) return;
    moved = true;
    view.scrollLeft = from.left - x;
    view.scrollTop = from.top - y;
  });
  // A drag that ends on a box is no click on it; links themselves are not dragged away.
  view.addEventListener("click", (event) => { if (moved) event.preventDefault(); moved = false; }, true);
  view.addEventListener("dragstart", (event) => event.preventDefault());
}

// The arrows of the box that the pointer or the keyboard is on.
function highlight(svg) {
  const flows = new Map();
  svg.querySelectorAll(".flow").forEach((flow) => {
    for (const end of [flow.dataset.from, flow.dataset.to]) {
      if (!flows.has(end)) flows.set(end, []);
      flows.get(end).push(flow);
    }
  });
  let lit = [];
  function light(target) {
    lit.forEach((flow) => flow.classList.remove("lit"));
    const cell = target?.querySelector?.(":scope > .cell") || target?.closest?.(".cell");
    const id = (cell || target?.closest?.("[data-id]"))?.dataset.id;
    lit = flows.get(id) || [];
    lit.forEach((flow) => flow.classList.add("lit"));
  }
  svg.addEventListener("pointerover", (event) => light(event.target));
  svg.addEventListener("pointerleave", () => light(null));
  svg.addEventListener("focusin", (event) => light(event.target));
}

for (const slider of document.querySelectorAll("[data-moments]")) {
  const moments = slider.dataset.moments.split(" ");
  const range = slider.querySelector("input");
  const output = slider.querySelector("output");
  const field = document.querySelector("form[data-lineage] [name='as_of']");
  const now = output.textContent;
  const show = () => {
    const moment = moments[range.value];
    output.textContent = moment ? moment.replace("T", " ") : now;
    return moment || "";
  };
  if (field.value) {
    const at = moments.findLastIndex((one) => one <= field.value);
    range.value = Math.max(0, at);
    output.textContent = field.value.replace("T", " ");
  }
  range.addEventListener("input", show);
  range.addEventListener("change", () => {
    field.value = show();
    field.form.requestSubmit();
  });
}
