"use strict";
// Shows one pair at a time in one of four views. Without it the page shows all pairs side by side.
const body = document.body;
const find = (name) => document.querySelector(name);
const figures = [...document.querySelectorAll("figure.pair")];
let current = 0;
let timer = 0;

function show(number) {
  current = (number + figures.length) % figures.length;
  figures.forEach((figure, place) => figure.classList.toggle("current", place === current));
  if (find("#pair")) find("#pair").value = current;
}

function view(name) {
  body.dataset.view = name;
  document.querySelectorAll("[data-view]:not(body)").forEach((button) => {
    button.setAttribute("aria-pressed", button.dataset.view === name);
  });
  if (name !== "flicker") play(false);
}

function edge(percent) {
  const value = Math.min(100, Math.max(0, percent));
  find("#edge").value = value;
  body.style.setProperty("--edge", value + "%");
}

function switchSides() {
  body.classList.toggle("second");
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(switchSides, 1000 / find("#rate").value) : 0;
  find("#play").textContent = on ? "Pause" : "Play";
  find("#play").setAttribute("aria-pressed", on);
}

function drag(event) {
  if (body.dataset.view !== "slider" || (event.type === "pointermove" && !event.buttons)) return;
  const box = event.currentTarget.getBoundingClientRect();
  edge((100 * (event.clientX - box.left)) / box.width);
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|BUTTON)$/.test(event.target.tagName)) return;
  const actions = {
    " ": () => (body.dataset.view === "flicker" ? switchSides() : view("flicker")),
    ArrowLeft: () => body.dataset.view === "slider" && edge(Number(find("#edge").value) - 2),
    ArrowRight: () => body.dataset.view === "slider" && edge(Number(find("#edge").value) + 2),
    p: () => show(current - 1),
    n: () => show(current + 1),
  };
  if (actions[event.key]) {
    event.preventDefault();
    actions[event.key]();
  }
}

if (figures.length) {
  document.querySelectorAll("button[data-view]").forEach((button) => {
    button.addEventListener("click", () => view(button.dataset.view));
  });
  document.querySelectorAll(".pictures").forEach((pictures) => {
    pictures.addEventListener("pointerdown", drag);
    pictures.addEventListener("pointermove", drag);
    pictures.addEventListener("click", () => body.dataset.view === "flicker" && switchSides());
  });
  find("#edge").addEventListener("input", (event) => edge(event.target.valueAsNumber));
  find("#switch").addEventListener("click", () => { play(false); switchSides(); });
  find("#play").addEventListener("click", () => play(!timer));
  find("#rate").addEventListener("input", () => timer && play(true));
  find("#pair")?.addEventListener("change", (event) => show(Number(event.target.value)));
  find("#previous")?.addEventListener("click", () => show(current - 1));
  find("#next")?.addEventListener("click", () => show(current + 1));
  document.addEventListener("keydown", press);
  body.classList.add("live");
  find("#viewer").hidden = find("#controls").hidden = false;
  edge(50);
  view("slider");
  show(0);
}
