// Two pictures over each other with an edge that moves, or side by side.
export default function (component) {
  const { data, parentElement } = component;
  const root = rooted(parentElement, fill);
  const [bar, left, table] = root.children;
  const frames = left.firstChild;
  set(bar.lastChild, { onclick: () => tell(root, component, "close", true) });
  data.sides.forEach((side, place) => {
    const [image, name] = frames.children[place].children;
    set(image, { src: side.image, alt: `${"AB"[place]}: ${side.about}` });
    set(name, { text: "AB"[place] });
  });
  const rows = data.differences.map(([name, a, b]) => el("tr", {}, el("th", { scope: "row", text: name }), el("td", { text: a }), el("td", { text: b })));
  table.firstChild.replaceChildren(
    el("caption", { text: data.differences.length ? "What differs in their settings" : "Nothing differs in their settings" }),
    el("thead", { hidden: !rows.length }, el("tr", {}, el("td"), el("th", { scope: "col", text: "A" }), el("th", { scope: "col", text: "B" }))),
    el("tbody", {}, ...rows));
}

function fill(root) {
  const frame = () => el("div", { class: "frame" }, el("img", { draggable: false }), el("span", { class: "side", "aria-hidden": true }));
  const frames = el("div", { class: "frames" }, frame(), frame());
  const range = el("input", { type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": "How much of A is seen, in percent" });
  const views = ["Over each other", "Side by side"].map((text, place) =>
    el("button", { type: "button", text, onclick: () => view(place === 1) }));
  const edge = (percent) => {
    range.value = Math.min(100, Math.max(0, percent));
    root.style.setProperty("--split", `${range.value}%`);
  };
  const view = (beside) => {
    root.classList.toggle("beside", beside);
    views.forEach((button, place) => set(button, { "aria-pressed": String(beside === (place === 1)) }));
    set(range, { disabled: beside });
  };
  const drag = (event) => {
    if (root.classList.contains("beside") || (event.type === "pointermove" && !event.buttons)) return;
    const box = frames.getBoundingClientRect();
    edge((100 * (event.clientX - box.left)) / box.width);
  };
  set(frames, { onpointerdown: drag, onpointermove: drag });
  range.oninput = () => edge(range.valueAsNumber);
  root.append(
    el("div", { class: "bar", role: "group", "aria-label": "How they are laid out" }, ...views, el("button", { type: "button", class: "close", text: "Close" })),
    el("div", { class: "left" }, frames, el("label", { class: "edge" }, el("span", { text: "A" }), range, el("span", { text: "B" }))),
    el("div", { class: "wide" }, el("table")));
  edge(50);
  view(false);
}
