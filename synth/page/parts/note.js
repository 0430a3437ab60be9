// A sentence about what went wrong.
export default function ({ data, parentElement }) {
  const root = rooted(parentElement, (part) => part.append(el("p", { role: "alert", class: "note" })));
  set(root.firstChild, { text: data.text });
}
