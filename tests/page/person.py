"""A person at a browser, who looks for things by their names, as a screen reader does, and uses the keyboard."""

import json
import time
from typing import Any

from chromium import Browser

PATIENCE = 120.0  # seconds; a busy machine is no bug
PAUSE = 0.15  # seconds between two things that a person does; Streamlit loses some of those within a few milliseconds
ROLES = ("button", "textbox", "combobox", "checkbox", "slider", "spinbutton", "image", "link", "progressbar")
CODES = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowRight": 39}
# Elements of the page and of every shadow root in it.
FINDER = """
window.every = (selector, root = document) => [...root.querySelectorAll("*")].flatMap((node) => [
  ...(node.matches(selector) ? [node] : []), ...(node.shadowRoot ? every(selector, node.shadowRoot) : [])]);
window.seen = (node) => node.getClientRects().length > 0;
window.named = (selector, name) => every(selector).filter(seen).find((node) =>
  [node.getAttribute("aria-label"), node.textContent.trim()].some((text) => text && text.startsWith(name)));
window.focused = (root = document) => {
  const node = root.activeElement;
  return node?.shadowRoot ? focused(node.shadowRoot) : node;
};
"""


class Person:
    """Somebody who uses one tab."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=FINDER)

    def visit(self, url: str, *, anew: bool = True) -> None:
        """Open the page; anew: as somebody who was never there."""
        if anew:
            self.browser.call("Network.clearBrowserCookies")
        self.browser.call("Page.navigate", url=url)
        self.until("window.named && named('button', 'Expand')")

    def run(self, expression: str) -> Any:
        return self.browser.run(expression)

    def until(self, condition: str) -> Any:
        """The value of an expression as soon as it is true."""
        deadline = time.monotonic() + PATIENCE
        plain = f"(() => {{ const found = {condition}; return found instanceof Node || found; }})()"
        while not (found := self.run(plain)):
            assert time.monotonic() < deadline, f"{condition}: {self.text()[-1500:]}"
            time.sleep(0.05)
        return found

    def text(self) -> str:
        """All that can be read."""
        told = "p, li, h1, h2, button, td, summary, [role=dialog]"
        return self.run(f"every('{told}').filter(seen).map((node) => node.innerText).join('\\n')")

    def press(self, key: str, times: int = 1) -> None:
        """A key of the keyboard."""
        more = {"key": key, "code": key.strip() or "Space", "windowsVirtualKeyCode": CODES[key]}
        for _ in range(times):
            text = {"Enter": "\r", " ": " "}.get(key, "")
            self.browser.call("Input.dispatchKeyEvent", type="keyDown", text=text, **more)
            self.browser.call("Input.dispatchKeyEvent", type="keyUp", **more)

    def focus(self, selector: str, name: str) -> None:
        time.sleep(PAUSE)
        self.until(f"named({json.dumps(selector)}, {json.dumps(name)})")
        self.run(f"named({json.dumps(selector)}, {json.dumps(name)}).focus()")

    def choose(self, name: str, selector: str = "button") -> None:
        """Press the button of that name, from the keyboard, as soon as it can be pressed."""
        self.until(f"named({json.dumps(selector)}, {json.dumps(name)})?.disabled === false")
        self.focus(selector, name)
        self.press("Enter")

    def write(self, text: str, selector: str, name: str) -> None:
        """Put a text into a field in the place of what is there."""
        self.focus(selector, name)
        self.run("focused().select()")
        self.browser.call("Input.insertText", text=text)

    def ask(self, phrase: str) -> None:
        """Have a phrase expanded, or refused; who sees nothing happen presses Enter again.

        Streamlit loses a key that comes while it shows a form anew.
        """
        self.write(phrase, "input", "Phrase")
        sign = "!!(named('[role=status]', 'GPT-2') || named('[role=alert]', 'phrase:'))"
        for _ in range(10):
            self.press("Enter")
            ends = time.monotonic() + PATIENCE / 10
            while time.monotonic() < ends:
                if self.run(sign):
                    return
                time.sleep(0.05)
        raise AssertionError(f"nothing happens: {self.text()[-1500:]}")

    def names(self) -> list[tuple[str, str]]:
        """Role and name of everything that can be operated, as assistive technology has them."""
        tree = self.browser.call("Accessibility.getFullAXTree")["nodes"]
        shown = [node for node in tree if not node["ignored"]]
        found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in shown]
        return [(role, name) for role, name in found if role in ROLES]
