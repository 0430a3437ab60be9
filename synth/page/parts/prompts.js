// The list of prompts: edit, pin, re-roll, remove; and what GPT-2 also wrote.
export default function (component) {
  const { data, parentElement } = component;
  const act = (what, number, text = "") => tell(root, component, "act", { what, number, text });
  const root = rooted(parentElement, (part) => {
    part.append(
      el("ol", { class: "lines", "aria-label": "Prompts" }),
      el("div", { class: "below" }, el("button", { type: "button" }), el("p", { class: "muted" })),
      el("details", {}, el("summary"), el("ul", { class: "others" })),
      el("p", { class: "hidden", role: "status" }),
    );
  });
  const [list, below, details, spoken] = root.children;
  keep(list, data.lines, line, (node, item) => fill(node, item, data, act));
  const free = data.lines.filter((item) => !item.pinned).length;
  set(below.firstChild, {
    hidden: !data.lines.length, disabled: data.busy || !free, onclick: () => act("reroll", -1),
    text: free === data.lines.length ? "Re-roll all" : "Re-roll those not pinned",
  });
  set(below.lastChild, { text: data.told });
  set(spoken, { text: data.spoken });
  set(details, { hidden: !data.others.length });
  set(details.firstChild, { text: `What GPT-2 also wrote (${data.others.length})` });
  keep(details.lastChild, data.others, other, (node, item) => {
    pieces(node.firstChild, item.prompt);
    const label = `Add: ${plain(item.prompt)}`;
    set(node.lastChild, { "aria-label": label, disabled: data.busy, onclick: () => act("add", item.key) });
  });
}

const plain = (prompt) => prompt.map(([, text]) => text).join("");
const other = () => el("li", {}, el("span"), el("button", { type: "button", text: "Add" }));

function line() {
  const tools = ["Edit", "Pin", "Re-roll", "Remove"].map((text) => el("button", { type: "button", text }));
  const said = el("div", { class: "said" }, el("p", { class: "text" }), el("span", { class: "muted" }));
  return el("li", {}, said, el("div", { class: "tools" }, ...tools));
}

function fill(node, item, data, act) {
  const [said, tools] = node.children;
  const [edit, pin, reroll, remove] = tools.children;
  set(node, { "aria-busy": item.forming && "true" });
  if (!said.querySelector("textarea")) pieces(said.firstChild, item.prompt);
  set(said.lastChild, { text: item.remark, hidden: !item.remark });
  const about = `prompt ${item.place}`;
  set(edit, { "aria-label": `Edit ${about}`, disabled: data.busy, onclick: () => open(node, item, act) });
  set(pin, {
    "aria-label": `Pin ${about}`, "aria-pressed": String(item.pinned), text: item.pinned ? "Pinned" : "Pin",
    onclick: () => act("pin", item.key),
  });
  set(reroll, { "aria-label": `Re-roll ${about}`, disabled: data.busy || item.pinned, onclick: () => act("reroll", item.key) });
  set(remove, { "aria-label": `Remove ${about}`, disabled: data.busy, onclick: () => act("remove", item.key) });
}

function open(node, item, act) {
  const said = node.firstChild;
  if (said.querySelector("textarea")) return;
  const area = el("textarea", { "aria-label": `Text of prompt ${item.place}`, maxlength: 2000, rows: 3, value: plain(item.prompt) });
  const close = (text) => {
    box.remove();
    node.classList.remove("open");
    node.querySelector(".tools button").focus();
    if (text && text !== plain(item.prompt)) act("edit", item.key, text);
  };
  const save = () => close(area.value.replace(/\s+/g, " ").trim());
  const box = el("div", { class: "box" }, area,
    el("button", { type: "button", text: "Save", onclick: save }), " ",
    el("button", { type: "button", text: "Leave it", onclick: () => close("") }));
  area.onkeydown = (event) => {
    if (event.key === "Enter") { event.preventDefault(); save(); }
    if (event.key === "Escape") close("");
    event.stopPropagation();
  };
  node.classList.add("open");
  said.prepend(box);
  area.focus();
}
