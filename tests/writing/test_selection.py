import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from synth.writing.prompts import EMPTY, NOT_CHOSEN, Prompt
from synth.writing.selection import BLOCK, NEAR_DUPLICATE, Rarity, Selection, cosine, overlap, words

WORDS = [
    f"{first}{second}"
    for first in ("sea", "sun", "fog", "oak", "ink", "red")
    for second in ("side", "light", "wood", "fall", "")
]


def block_of(number, *, seed=0, variety=30, length=6):
    """A block of made-up candidates, the same for the same arguments."""
    prompts = []
    for k in range(BLOCK * number, BLOCK * (number + 1)):
        chooser = random.Random(f"{seed} {k}")
        added = " ".join(chooser.choice(WORDS[:variety]) for _ in range(length))
        logprob = -chooser.uniform(5, 50)
        prompts.append(
            Prompt(
                text=f"a house {added}", phrase="a house", candidate=k, logprob=logprob, new_tokens=10, fate=NOT_CHOSEN
            )
        )
    return prompts


def chosen(n, draw=block_of, *, pool=4, diversity=0.5):
    selection = Selection(draw, pool=pool, diversity=diversity, typed="a house")
    return [selection.choose() for _ in range(n)], selection


def likeness(prompts):
    """Mean cosine of all pairs."""
    rarity = Rarity([prompt.added for prompt in block_of(0)])
    vectors = [rarity.vector(prompt.added) for prompt in prompts]
    pairs = [cosine(a, b) for i, a in enumerate(vectors) for b in vectors[:i]]
    return sum(pairs) / len(pairs)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 25),
    st.integers(1, 25),
    st.integers(1, 32),
    st.floats(0, 1),
    st.integers(0, 99),
    st.sampled_from([4, 30]),
)
def test_asking_for_more_extends_the_list(few, more, pool, diversity, seed, variety):
    def draw(number):
        return block_of(number, seed=seed, variety=variety, length=3)

    short, _ = chosen(few, draw, pool=pool, diversity=diversity)
    long, _ = chosen(few + more, draw, pool=pool, diversity=diversity)
    assert long[:few] == short


def test_no_two_chosen_prompts_are_near_duplicates():
    prompts, selection = chosen(20, lambda number: block_of(number, variety=8, length=4))
    sets = [frozenset(words(prompt.added)) for prompt in prompts if prompt]
    assert all(overlap(a, b) < NEAR_DUPLICATE for i, a in enumerate(sets) for b in sets[:i])
    twins = [prompt for prompt in selection.candidates if prompt.fate.startswith("near-duplicate of")]
    assert twins
    for prompt in twins:
        original = selection.candidates[int(prompt.fate.split()[-1])]
        assert original.candidate < prompt.candidate and not original.fate.startswith("near")
        assert overlap(frozenset(words(prompt.added)), frozenset(words(original.added))) >= NEAR_DUPLICATE


def test_without_diversity_the_most_probable_come_first():
    prompts, selection = chosen(5, diversity=0.0)
    best = sorted(selection.candidates, key=lambda prompt: -prompt.mean_logprob)
    assert prompts == best[:5]


def test_the_dial_goes_from_probable_to_different():
    near, middle, far = (chosen(6, pool=20, diversity=value)[0] for value in (0.0, 0.5, 1.0))
    assert likeness(near) > likeness(far) and likeness(middle) > likeness(far) - 0.01
    mean = [sum(prompt.mean_logprob for prompt in prompts) for prompts in (near, middle, far)]
    assert mean[0] > mean[1] > mean[2]


def test_each_choice_sees_its_pool_in_whole_blocks():
    selection = chosen(1, pool=4)[1]
    assert [selection.reach(i) for i in (0, 7, 8, 16)] == [32, 32, 64, 96]
    assert len(chosen(8, pool=4)[1].candidates) == 32
    assert len(chosen(9, pool=4)[1].candidates) == 64


def test_candidates_without_words_are_never_chosen_and_more_are_drawn_until_the_limit():
    def poor(number):
        return [
            prompt.but(fate=EMPTY, logprob=0.0, new_tokens=0) if prompt.candidate != 70 else prompt
            for prompt in block_of(number)
        ]

    prompts, selection = chosen(2, poor)
    assert prompts[0].candidate == 70 and prompts[1] is None
    assert len(selection.candidates) == 32 + 8 * 32
    assert {prompt.fate for prompt in selection.candidates} == {EMPTY, "chosen"}


def test_rare_words_weigh_more_than_common_ones():
    rarity = Rarity(["at sunset by the sea", "at noon by the sea", "at dawn by the sea", "at night in fog"])
    one, common, rare = (rarity.vector(text) for text in ("sunset fog by the sea", "noon by the sea", "sunset fog"))
    assert cosine(one, rare) > cosine(one, common) > 0
    assert math.isclose(cosine(one, one), 1.0)
    assert cosine(one, rarity.vector("")) == 0.0


def test_texts_without_words_are_compared_by_their_characters():
    assert words("A red, RED house") == ["a", "red", "red", "house"]
    assert words("😀 !😀") == ["😀", "!", "😀"]
    assert overlap(frozenset(), frozenset()) == 1.0
