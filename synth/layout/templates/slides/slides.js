const slides = [...document.querySelectorAll("section")];
const bar = document.querySelector("progress"), number = document.querySelector("#number");
const ways = {
  ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1,
  Home: -slides.length, End: slides.length,
};
let current = 0;

function show(place) {
  current = Math.max(0, Math.min(slides.length - 1, place));
  bar.value = current + 1;
  number.textContent = `${current + 1} / ${slides.length}`;
  history.replaceState(null, "", `#${current + 1}`);
}

function go(place) {
  show(place);
  slides[current].scrollIntoView();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "f") document.documentElement.requestFullscreen();
  if (!(event.key in ways)) return;
  event.preventDefault();
  go(current + (event.shiftKey ? -1 : 1) * ways[event.key]);
});
bar.addEventListener("click", (event) => go(Math.floor((event.offsetX / bar.clientWidth) * slides.length)));
addEventListener("hashchange", () => go((Number(location.hash.slice(1)) || 1) - 1));
addEventListener("resize", () => go(current));

// A finger or a wheel scrolls by itself, since slides snap; this only notices where it ended.
const watch = new IntersectionObserver(
  (entries) => entries.forEach((entry) => entry.isIntersecting && show(slides.indexOf(entry.target))),
  { threshold: 0.6 },
);
go((Number(location.hash.slice(1)) || 1) - 1);
slides.forEach((slide) => watch.observe(slide));
