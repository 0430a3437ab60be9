// A prompt's pictures: waiting, forming, done. A picture opens on click or Enter.
export default function (component) {
  const { data, parentElement } = component;
  const root = rooted(parentElement, (part) => {
    part.append(el("div", { class: "label" }, el("span", { class: "place" }), el("p")), el("ul", { class: "pictures" }));
  });
  set(root.firstChild.firstChild, { text: data.place });
  pieces(root.firstChild.lastChild, data.prompt);
  set(root.lastChild, { "aria-label": `Pictures of prompt ${data.place}` });
  keep(root.lastChild, data.pictures, cell, (node, item) => {
    const [open, under] = node.children;
    const [image, told] = open.children;
    const about = `${data.text}, ${item.label}`;
    set(node, { class: item.status });
    set(open, {
      disabled: item.status !== "done", "aria-label": item.status === "done" ? `Look closer at ${about}` : `${about}: ${item.told || item.status}`,
      "aria-pressed": item.status === "done" && String(item.opened), onclick: () => tell(root, component, "open", item.key),
    });
    set(image, { src: item.image || null, hidden: !item.image, alt: about });
    set(told, { text: item.status === "done" ? "" : item.told || item.status });
    set(under.firstChild, { text: item.label });
    set(under.lastChild, {
      hidden: item.status !== "done", "aria-pressed": String(item.side !== ""), "aria-label": `Compare ${about}`,
      text: item.side || "Compare", onclick: () => tell(root, component, "compare", item.key),
    });
  });
}

function cell(item) {
  const open = el("button", { type: "button", class: "open" }, el("img", { draggable: false }), el("span"));
  return el("li", {}, open, el("div", { class: "under" }, el("span"), el("button", { type: "button" })));
}
