// What all parts use. Data becomes text or the address of a picture, and never markup.

function set(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name === "text") {
      if (node.textContent !== value) node.textContent = value;
    } else if (name.startsWith("on") || name === "value") node[name] = value;
    else if (value === false || value === null || value === undefined) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
  }
  return node;
}

function el(tag, props = {}, ...children) {
  const node = set(document.createElement(tag), props);
  node.append(...children);
  return node;
}

// Children by their keys: those that stay are changed in place, so that the focus stays where it is.
function keep(parent, items, make, change) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, place) => {
    const key = String(item.key);
    const node = old.get(key) ?? make(item);
    node.dataset.key = key;
    old.delete(key);
    change(node, item);
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
  old.forEach((node) => node.remove());
}

// The part's root, filled once.
function rooted(parentElement, fill) {
  const root = parentElement.querySelector(".part");
  if (!root.firstChild) fill(root);
  return root;
}

// A prompt's pieces [kind, text]: typed, added by GPT-2, unseen by the renderer.
const TAGS = { typed: "span", added: "ins", unseen: "del" };

function pieces(node, prompt) {
  const wanted = JSON.stringify(prompt);
  if (node.dataset.prompt === wanted) return;
  node.dataset.prompt = wanted;
  node.replaceChildren(...prompt.map(([kind, text]) => el(TAGS[kind], { text })));
}

// Say what was done. The latest are said together, because of two that follow each other closely one may be lost.
function tell(root, component, event, value) {
  const when = performance.timeOrigin + performance.now();
  root.done = [...(root.done ?? []), { event, value, when }].slice(-20);
  component.setStateValue("done", root.done);
}
