"""The expansion tree: probabilities against an independent computation, and what the figure and the page show."""

import html.parser
import math
import re
from itertools import islice

import pytest
import torch
from made_up_studies import make_study
from PIL import Image

from synth import presets
from synth.errors import InputError
from synth.expansion import expand, own_prompts
from synth.explain.next_words import next_words, read_words
from synth.explain.tree import grow
from synth.explain.tree_figure import percent, tree_figure
from synth.explain.tree_page import study_pictures, tree_page
from synth.writing.language import load_language


@pytest.fixture(scope="module")
def expansion():
    return expand("a red lighthouse", 3)


@pytest.fixture(scope="module")
def tree(expansion):
    return grow(expansion)


@pytest.fixture(scope="module")
def language():
    return load_language(presets.resolve("vignettes-gpt2", "expander"), "cpu")


def branches_of(branch):
    yield branch
    for following in branch.branches:
        yield from branches_of(following)


def naive_chance(language, text, word):
    """P(word | text) token by token: each from its own pass, with the end of both words told by the next token."""

    def after(tokens):
        row = torch.tensor([language.lead("") + tokens])
        with torch.inference_mode():
            return language.network(row, attention_mask=torch.ones_like(row)).logits[0, -1].softmax(-1)

    tokens, chance = language.encode(text), 1.0
    chance /= float(after(tokens)[~language.inner].sum())
    for token in language.encode(word):
        chance *= float(after(tokens)[token])
        tokens = [*tokens, token]
    return chance * float(after(tokens)[~language.inner].sum())


def test_words_have_the_chance_that_a_naive_computation_gives(language):
    [words] = next_words(language, language.lead(""), [language.encode("a red lighthouse")], 4)
    assert len(words) == 4 and words == sorted(words, key=lambda word: -word.chance)
    for word in words:
        assert word.chance == pytest.approx(naive_chance(language, "a red lighthouse", word.text), rel=1e-3)


def test_the_likeliest_words_are_found_whatever_else_is_asked_for(language):
    lead, texts = language.lead(""), [language.encode(text) for text in ("a red lighthouse", "a cat", "an old")]
    together = next_words(language, lead, texts, 3)
    for text, words in zip(texts, together, strict=True):
        [more] = next_words(language, lead, [text], 8)
        assert [word.text for word in more[:3]] == [word.text for word in words]
        assert sum(word.chance for word in more) <= 1 + 1e-4


def test_a_text_is_read_with_the_same_chances(language):
    start = language.encode("a red lighthouse")
    words = read_words(language, language.lead(""), start, language.encode(", in the forest, at night"))
    assert [word.text for word in words] == [", in", " the", " forest", ", at", " night"]
    text = "a red lighthouse"
    for word in words:
        assert word.chance == pytest.approx(naive_chance(language, text, word.text), rel=1e-3)
        text += word.text


def test_every_prompt_is_a_path_to_an_end(tree, expansion):
    rows = tree.rows()
    for number, prompt in enumerate(expansion):
        on_path = [row for row in rows if str(number + 1) in row["prompts"].split(", ")]
        assert max(on_path, key=lambda row: len(row["text"]))["text"] == prompt.text
        assert all(prompt.text.startswith(row["text"]) for row in on_path)
    assert sorted(number for branch in branches_of(tree.root) for number in branch.ends) == [0, 1, 2]


def test_chances_multiply_along_a_path_and_add_up_beside_each_other(tree):
    for branch in branches_of(tree.root):
        assert sum(following.chance for following in branch.branches) + branch.others == pytest.approx(1, abs=1e-3) or (
            not branch.branches
        )
        for following in branch.branches:
            assert following.whole == pytest.approx(branch.whole * following.chance, rel=1e-6)
            assert following.prompts or following.whole >= tree.least


def test_a_whole_prompt_is_about_as_probable_as_gpt_2_said(tree, expansion):
    """The expansion's log-probability counts no ends of words, so it is no lower than a little above the tree's."""
    ends = {number: branch for branch in branches_of(tree.root) for number in branch.ends}
    for number, prompt in enumerate(expansion):
        assert math.log(ends[number].whole) == pytest.approx(prompt.logprob, abs=0.5)


def test_more_depth_and_branches_only_add(expansion):
    small = {row["text"] for row in grow(expansion, branches=2, depth=2, least=0.05).rows() if not row["prompts"]}
    large = {row["text"] for row in grow(expansion, branches=4, depth=2, least=0.01).rows()}
    assert small and small <= large


def test_any_gpt_2_has_a_tree(tiny_gpt2):
    found = grow(expand("a small garden", 2, model=str(tiny_gpt2)), branches=2, depth=2)
    assert found.root.text == "a small garden"
    assert sorted(number for branch in branches_of(found.root) for number in branch.ends) == [0, 1]
    assert tree_figure(found).png().startswith(b"\x89PNG")


@pytest.mark.parametrize("how", [{"branches": 0}, {"depth": 41}, {"least": 0}, {"least": 2}])
def test_what_cannot_be_grown_is_refused(expansion, how):
    with pytest.raises(InputError, match=next(iter(how))):
        grow(expansion, **how)


def test_peoples_own_prompts_have_no_tree():
    with pytest.raises(InputError, match="only what GPT-2 wrote"):
        grow(own_prompts(["a cat"]))


def test_percentages_read_well():
    assert [percent(chance) for chance in (0.5, 0.004, 1 / 52_000, 1e-12)] == [
        "50%", "0.4%", "1 in 52,000", "under 1 in a billion",
    ]  # fmt: skip


def test_the_figure_has_room_for_every_end(tree):
    bare, pictured = tree_figure(tree), tree_figure(tree, {0: [Image.new("RGB", (64, 64), "red")] * 2})
    texts = {text.get_text() for text in bare.axes[0].texts}
    assert {"prompt 1", "prompt 2", "prompt 3", "other words"} <= texts
    assert len(pictured.axes[0].images) == 2 and not bare.axes[0].images
    height = bare.get_size_inches()[1] * bare.dpi
    assert all(0 <= text.get_position()[1] <= height for text in bare.axes[0].texts)


class Page(html.parser.HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.said = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.said.append(data)


def test_the_page_folds_opens_to_pictures_and_fetches_nothing(tree, expansion):
    text = tree_page(tree, {1: [Image.new("RGB", (700, 500), "blue")]})
    page = Page(text)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["src"][:23] for image in images] == ["data:image/webp;base64,"]
    folding = [tag for tag, _ in page.tags if tag == "details"]
    assert len(folding) >= len(expansion) + 1
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe")]
    assert "default-src 'none'" in text and not re.search(r"https?://", text)
    for prompt in expansion:
        assert prompt.text in page.said


def test_what_was_typed_is_escaped_in_the_page(tree):
    tree.root.text, before = "<script>x</script>", tree.root.text
    try:
        assert "<script" not in tree_page(tree)
    finally:
        tree.root.text = before


def test_a_studys_pictures_belong_to_their_prompts(tmp_path):
    study = make_study(tmp_path / "study", failed=[(1, 0), (1, 1)])
    pictures = study_pictures(study, most=1)
    assert list(pictures) == [0, 2]
    assert [len(shown) for shown in pictures.values()] == [1, 1]
    assert pictures[2][0].getpixel((0, 0)) == (80, 0, 120)


def test_the_rows_are_the_tree_in_order(tree):
    rows = tree.rows()
    assert rows[0]["text"] == "a red lighthouse" and rows[0]["depth"] == 0
    assert [row["depth"] for row in islice(rows, 3)] == [0, 1, 2]
    assert len(rows) == len(list(branches_of(tree.root)))
