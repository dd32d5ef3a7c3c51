// Charts become interactive where the browser can; the drawing that the server made stays for
// print, for readers without scripts, and when anything goes wrong.
"use strict";

document.documentElement.classList.add("scripted");

async function enliven(figure) {
  const source = figure.querySelector("script[type='application/json']");
  const drawing = figure.querySelector(".drawing");
  if (!source || !drawing || !window.vegaEmbed) return;
  const live = document.createElement("div");
  live.className = "live";
  live.setAttribute("aria-hidden", "true");
  try {
    // Vega's own interpreter instead of generated code, which the content policy forbids.
    await window.vegaEmbed(live, JSON.parse(source.textContent), {
      actions: false, ast: true, defaultStyle: false, renderer: "svg",
      tooltip: { disableDefaultStyle: true },
    });
  } catch (error) {
    console.warn("chart stays a drawing:", error);
    return;
  }
  drawing.after(live);
  figure.classList.add("is-live");
}

function library() {
  const address = document.body.querySelector("[data-charts]")?.dataset.charts;
  if (!address) return Promise.reject(new Error("no charts"));
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.type = "module";
    script.onload = resolve;
    script.onerror = () => reject(new Error("chart library did not load"));
    document.head.append(script);
  });
}

// The library is large: it is fetched when a chart comes into sight, once.
const figures = document.querySelectorAll("figure.chart");
if (figures.length && "IntersectionObserver" in window) {
  let loaded = null;
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watcher.unobserve(entry.target);
      loaded = loaded || library();
      loaded.then(() => enliven(entry.target)).catch((error) => console.warn(error.message));
    }
  });
  figures.forEach((figure) => watcher.observe(figure));
}

// Filters apply when they change; without scripts there is a button.
document.querySelectorAll("form[data-auto] select").forEach((select) => {
  select.addEventListener("change", () => select.form.requestSubmit());
});

// A file that the server would refuse for its size is not sent at all.
document.querySelectorAll("input[type=file][data-most]").forEach((input) => {
  input.addEventListener("change", () => {
    const large = [...input.files].some((file) => file.size > Number(input.dataset.most));
    input.setCustomValidity(large ? input.dataset.told : "");
    if (large) input.reportValidity();
  });
});

// A part of another page opens in place; the link to that page stays for everybody else.
document.querySelectorAll("details.remote").forEach((details) => {
  details.addEventListener("toggle", async () => {
    if (!details.open || details.dataset.done) return;
    details.dataset.done = "yes";
    const answer = await fetch(details.dataset.from, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page.querySelector(details.dataset.part);
    if (part) details.append(document.adoptNode(part));
  });
});
