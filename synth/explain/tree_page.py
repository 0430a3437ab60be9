"""The expansion tree as a page that opens offline: branches fold, and the end of a prompt opens to its pictures."""

from collections.abc import Mapping

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from synth.explain.studied import jobs_of
from synth.explain.tree import Tree
from synth.explain.tree_figure import percent
from synth.journal import Journal
from synth.layout.inlining import embedded
from synth.layout.publishing import LAYOUTS
from synth.records.pictures import read_picture
from synth.studies import Study

LARGEST = 384  # pixels of a picture in the page


def tree_page(tree: Tree, pictures: Mapping[int, list[Image.Image]] | None = None) -> str:
    """The page, HTML. pictures: of a prompt, by its number from 0; they are put into the page, at most 384 px wide."""
    environment = Environment(loader=FileSystemLoader(LAYOUTS), autoescape=True, undefined=StrictUndefined)
    environment.filters["percent"] = percent
    return environment.get_template("tree/index.html.j2").render(
        title=tree.root.text, root=tree.root, model=tree.model.name, least=tree.least,
        prompts=[prompt.text for prompt in tree.expansion],
        pictures={
            number: [embedded(picture, "WEBP", LARGEST, quality=90) for picture in shown]
            for number, shown in (pictures or {}).items()
        },
    )  # fmt: skip


def study_pictures(study: Study, most: int = 4) -> dict[int, list[Image.Image]]:
    """The finished pictures of each prompt of a study, the first seeds' first, at most `most` of each."""
    with Journal(study.folder) as journal:
        done = journal.done()
        paths = {
            number: [journal.picture_path(job) for job in jobs_of(study, number) if job.key in done]
            for number in range(len(study.expansion))
        }
    return {number: [read_picture(path).image for path in found[:most]] for number, found in paths.items() if found}
