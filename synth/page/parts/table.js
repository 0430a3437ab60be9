// A table that scrolls within itself. Columns of numbers stand to the right, long texts are wrapped.
export default function ({ data, parentElement }) {
  const root = rooted(parentElement, (part) => part.append(el("div", { class: "wide", role: "region", tabindex: 0 }, el("table"))));
  set(root.firstChild, { "aria-label": data.title });
  const kinds = data.head.map((_, place) => kind(data.rows.map((row) => row[place])));
  const cells = (tag, row) => row.map((text, place) => el(tag, { text, class: kinds[place], scope: tag === "th" && "col" }));
  root.firstChild.firstChild.replaceChildren(
    el("caption", { class: "hidden", text: data.title }),
    el("thead", {}, el("tr", {}, ...cells("th", data.head))),
    el("tbody", {}, ...data.rows.map((row) => el("tr", {}, ...cells("td", row)))));
}

function kind(texts) {
  if (texts.every((text) => /^-?[\d.,]*$/.test(text))) return "number";
  return texts.some((text) => text.length > 30) ? "long" : null;
}
