// How far a study is. What is spoken changes seldom, what is seen often.
export default function (component) {
  const { data, parentElement } = component;
  const root = rooted(parentElement, (part) => {
    const button = el("button", { type: "button", text: "Cancel" });
    part.append(el("div", { class: "told" }, el("p"), button), el("progress", { "aria-label": "Pictures finished" }), el("p", { class: "hidden", role: "status" }));
  });
  const [told, bar, spoken] = root.children;
  set(told.firstChild, { text: data.told });
  set(told.lastChild, { hidden: !data.cancel, onclick: () => tell(root, component, "cancel", true) });
  set(bar, { max: data.pictures || 1, value: data.done, hidden: data.ended });
  set(spoken, { text: data.spoken });
}
