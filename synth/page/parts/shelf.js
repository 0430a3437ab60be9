// One's studies, to open again.
export default function (component) {
  const { data, parentElement } = component;
  const root = rooted(parentElement, (part) => part.append(el("ul", { "aria-label": "Your studies" })));
  const make = () => el("li", {}, el("button", { type: "button" }), el("span", { class: "muted" }));
  keep(root.firstChild, data.studies, make, (node, item) => {
    set(node.firstChild, { text: item.phrase, "aria-current": item.current && "true", onclick: () => tell(root, component, "open", item.key) });
    set(node.lastChild, { text: item.told });
  });
}
