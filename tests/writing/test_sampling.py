import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from synth.errors import ModelError
from synth.jobs import ExpansionSettings
from synth.writing.sampling import decode, pick

PLAIN = ExpansionSettings(repetition_penalty=1.0)
NO_HISTORY = torch.empty(1, 0, dtype=torch.int64)


@pytest.fixture(scope="module")
def network(tiny_gpt2):
    return AutoModelForCausalLM.from_pretrained(tiny_gpt2).eval()


def drawn(network, rows, *, settings=PLAIN, banned=(), barred=None, stops=(0,), length=12, lead=(0, 5, 6), watch=None):
    noise = torch.rand(len(rows), length, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(400, dtype=torch.bool)
    mask[list(stops)] = True
    how = {"stops": mask, "barred": barred, "banned": list(banned), "watch": watch}
    return decode(network, list(lead), rows, noise, settings, **how)


def shares(scores, settings, *, history=NO_HISTORY, forbidden=None, count=20_000):
    """How often each token is picked when the noise runs evenly through [0, 1)."""
    noise = (torch.arange(count) + 0.5) / count
    forbidden = torch.zeros_like(scores, dtype=torch.bool) if forbidden is None else forbidden
    rows = [part.expand(count, -1) for part in (scores, history, forbidden)]
    return pick(rows[0], rows[1], noise, settings, rows[2]).bincount(minlength=scores.shape[1]) / count


@pytest.mark.parametrize("values", [(1.0, 0, 1.0), (0.7, 5, 1.0), (1.5, 0, 0.6), (1.3, 20, 0.9)])
def test_tokens_are_picked_as_often_as_transformers_would(values):
    temperature, top_k, top_p = values
    scores = torch.randn(1, 40, generator=torch.Generator().manual_seed(1)).mul(2).log_softmax(-1)
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    warpers += [TopKLogitsWarper(top_k)] if top_k else []
    warpers += [TopPLogitsWarper(top_p)] if top_p < 1 else []
    expected = warpers(None, scores).softmax(-1)[0]
    settings = PLAIN.but(temperature=temperature, top_k=top_k, top_p=top_p)
    torch.testing.assert_close(shares(scores, settings), expected, atol=2e-4, rtol=0)


def test_the_repetition_penalty_makes_seen_tokens_rarer_and_forbidden_ones_never_come():
    scores = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    forbidden = torch.tensor([[False, False, False, True]])
    got = shares(
        scores, PLAIN.but(repetition_penalty=2.0, top_p=1.0), history=torch.tensor([[0, 0]]), forbidden=forbidden
    )
    expected = torch.tensor([0.4**2, 0.3, 0.2, 0.0])
    torch.testing.assert_close(got, expected / expected.sum(), atol=2e-4, rtol=0)


def test_the_highest_noise_still_picks_a_possible_token():
    scores = torch.tensor([[0.7, 0.3, 0.0]]).log()
    assert (
        pick(scores, NO_HISTORY, torch.ones(1), PLAIN.but(top_p=1.0), torch.zeros(1, 3, dtype=torch.bool)).item() == 1
    )


def test_log_probabilities_are_those_of_a_plain_forward_pass_whatever_the_padding(network):
    rows = [[7], [7, 300, 41, 350], [6], [8, 9]]
    with torch.inference_mode():
        for row, result in zip(rows, drawn(network, rows, settings=PLAIN.but(temperature=2.0, top_k=3)), strict=True):
            start = [0, 5, 6] + row
            logits = network(torch.tensor([start + result.tokens])).logits[0, len(start) - 1 : -1]
            expected = logits.log_softmax(-1).gather(1, torch.tensor(result.tokens)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(result.logprobs), expected, atol=1e-4, rtol=1e-4)


def test_a_row_ends_at_its_first_stop_token_without_it(network):
    free = drawn(network, [[7]] * 4)
    stop = free[0].tokens[5]
    first = free[0].tokens.index(stop)
    cut = drawn(network, [[7]] * 4, stops=(0, stop))
    assert cut[0].tokens == free[0].tokens[:first] and cut[0].complete and not free[0].complete
    assert cut[0].logprobs == pytest.approx(free[0].logprobs[:first], abs=1e-5)


def test_a_row_says_the_same_however_soon_its_neighbours_stop(network):
    rows = [[7], [8], [9], [10]]
    free = drawn(network, rows)
    cut = drawn(network, rows, stops=(0, free[1].tokens[0]))
    unharmed = [k for k in range(4) if free[1].tokens[0] not in free[k].tokens]
    assert unharmed and all(cut[k].tokens == free[k].tokens for k in unharmed)


def test_rows_can_be_watched_as_they_grow_and_do_not_change(network):
    free = drawn(network, [[7], [8, 9]])
    stops, seen = (0, free[1].tokens[4]), []
    watched = drawn(network, [[7], [8, 9]], stops=stops, watch=lambda so_far: seen.append(so_far()))
    assert watched == drawn(network, [[7], [8, 9]], stops=stops)
    assert [len(first.tokens) for first, _ in seen] == list(range(1, len(seen) + 1))
    for rows in seen:
        for row, final in zip(rows, watched, strict=True):
            assert final.tokens[: len(row.tokens)] == row.tokens and final.logprobs[: len(row.tokens)] == row.logprobs
            assert not row.complete or row == final


def test_banned_sequences_are_never_completed_but_their_parts_are_free(network):
    free = drawn(network, [[7]] * 4, length=20)
    pair, single = free[0].tokens[3:5], free[1].tokens[2]
    for row in drawn(network, [[7]] * 4, length=20, banned=[pair, [single]]):
        assert single not in row.tokens
        assert pair not in [row.tokens[i : i + 2] for i in range(len(row.tokens))]


def test_a_banned_sequence_that_the_phrase_began_is_not_completed(network):
    first = drawn(network, [[7]])[0].tokens[0]
    assert drawn(network, [[7]], banned=[[7, first]])[0].tokens[0] != first


def test_barred_tokens_are_not_the_first(network):
    first = drawn(network, [[7]])[0].tokens[0]
    barred = torch.zeros(1, 400, dtype=torch.bool)
    barred[0, first] = True
    assert drawn(network, [[7]], barred=barred)[0].tokens[0] != first


def test_damaged_weights_are_an_error():
    with pytest.raises(ModelError, match="damaged"):
        pick(torch.full((1, 4), torch.nan), NO_HISTORY, torch.zeros(1), PLAIN, torch.zeros(1, 4, dtype=torch.bool))
