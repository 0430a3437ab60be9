"""Notebooks and Google Colab: the badge that opens a notebook there, and the cell that installs Synth there.

Both depend on where the repository lives, which pyproject.toml tells under [project.urls] Repository; without an
address there is no badge. `python -m synth.layout.colab` in the repository brings all notebooks in line with it.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from synth.records.files import write_atomically

GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def badge(repository: str | None, path: str) -> str | None:
    """Markdown of the badge for the notebook at `path` in a GitHub repository; None for any other address."""
    match = GITHUB.fullmatch(repository or "")
    if match is None:
        return None
    address = f"https://colab.research.google.com/github/{match[1]}/blob/main/{path}"
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"


def installation(repository: str | None) -> str:
    """The code that installs Synth in Colab, and does nothing elsewhere."""
    source = f'"synth @ git+{repository}"' if repository else "synth-*.whl  # upload the wheel that `pip wheel .` makes"
    return f'import sys\n\nif "google.colab" in sys.modules:\n    !pip install -q {source}'


def connect(notebook: dict[str, Any], repository: str | None, path: str) -> dict[str, Any]:
    """The notebook with the badge, or none, and with the installation, that belong to a repository."""
    markdown = badge(repository, path)
    cells = [cell for cell in notebook["cells"] if "badge" not in _tags(cell)]
    cells = [
        cell | {"source": installation(repository).splitlines(keepends=True)} if "installation" in _tags(cell) else cell
        for cell in cells
    ]
    if markdown:
        metadata = {"tags": ["badge", "notebook-only"]}
        cells.insert(1, {"cell_type": "markdown", "id": "badge", "metadata": metadata, "source": [markdown]})
    return notebook | {"cells": cells}


def repository_address(pyproject: Path) -> str | None:
    """What pyproject.toml names as the repository."""
    return tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"].get("urls", {}).get("Repository")


def dumps(notebook: dict[str, Any]) -> str:
    """A notebook's JSON as Jupyter writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


if __name__ == "__main__":
    for file in Path("notebooks").glob("*.ipynb"):
        notebook = json.loads(file.read_text(encoding="utf-8"))
        connected = connect(notebook, repository_address(Path("pyproject.toml")), file.as_posix())
        write_atomically(file, dumps(connected).encode())
