// One picture, its words and its settings. A word that has the pointer or the focus lays its heat map over the picture.
export default function ({ data, parentElement }) {
  const root = rooted(parentElement, (part) => {
    const frame = el("div", { class: "frame" }, el("img"), el("canvas", { "aria-hidden": true }));
    part.append(el("div", { class: "left" }, frame, el("p", { class: "muted", role: "status" })),
      el("div", { class: "right" }, el("p", { class: "words", role: "group", "aria-label": "Words of the prompt" }), el("p", { class: "muted" }), el("dl")));
  });
  const [left, right] = root.children;
  const [frame, status] = left.children;
  const [words, hint, facts] = right.children;
  if (root.dataset.key !== data.key) {
    root.dataset.key = data.key;
    words.replaceChildren();
    delete words.dataset.prompt;
    lay(frame, null);
    set(status, { text: "" });
    left.tabIndex = -1;
    root.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }
  set(frame.firstChild, { src: data.image, alt: data.about });
  set(left, { style: `--width: ${data.width}px` });
  set(hint, { text: data.hint });
  if (!data.words.length) pieces(words, data.prompt);
  else if (words.dataset.prompt !== "words") {
    words.dataset.prompt = "words";
    words.replaceChildren(...data.words.flatMap((word) => [word.before, button(word, frame, status)]), data.rest);
  }
  facts.replaceChildren(...data.facts.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })]));
}

function button(word, frame, status) {
  const told = `“${word.text}” has ${Math.round(100 * word.share)}% of the attention`;
  const show = () => { lay(frame, word.map); set(status, { text: told }); };
  const hide = () => { if (node.getRootNode().activeElement !== node) { lay(frame, null); set(status, { text: "" }); } };
  const leave = () => { lay(frame, null); set(status, { text: "" }); };
  const node = el("button", { type: "button", class: word.added ? "word added" : "word", text: word.text, onpointerenter: show, onpointerleave: hide, onfocus: show, onblur: leave, onclick: show });
  return node;
}

// Inferno (Smith & van der Walt 2015), at quarters.
const INFERNO = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

function warm(level) {
  const place = (level / 255) * (INFERNO.length - 1);
  const low = Math.min(INFERNO.length - 2, Math.floor(place));
  return INFERNO[low].map((value, channel) => value + (place - low) * (INFERNO[low + 1][channel] - value));
}

// Lay a grey map over the picture as colours; none takes it away.
function lay(frame, map) {
  const canvas = frame.lastChild;
  frame.dataset.map = map ?? "";
  if (!map) return canvas.classList.remove("shown");
  const grey = new Image();
  grey.onload = () => {
    if (frame.dataset.map !== map) return;
    canvas.width = grey.width;
    canvas.height = grey.height;
    const context = canvas.getContext("2d");
    context.drawImage(grey, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let place = 0; place < pixels.data.length; place += 4) pixels.data.set([...warm(pixels.data[place]), 175], place);
    context.putImageData(pixels, 0, 0);
    canvas.classList.add("shown");
  };
  grey.src = map;
}
