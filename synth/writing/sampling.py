"""Drawing tokens from a causal language model, many rows at once, with a key-value cache and noise of our own.

The notation of shapes: B rows, L tokens of a row, H tokens of history, T new tokens, V words of the vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from synth.errors import ModelError
from synth.jobs import ExpansionSettings


@dataclass(frozen=True)
class Drawn:
    """One row's new tokens without the one that stopped it, the log-probability of each, and whether it did stop."""

    tokens: list[int]
    logprobs: list[float]
    complete: bool


@torch.inference_mode()
def decode(
    network: torch.nn.Module,
    lead: list[int],
    rows: list[list[int]],
    noise: Tensor,
    settings: ExpansionSettings,
    *,
    stops: Tensor,
    barred: Tensor | None,
    banned: list[list[int]],
    watch: Callable[[Callable[[], list[Drawn]]], None] | None = None,
) -> list[Drawn]:
    """Continue every row after `lead + row` until all have stopped or the noise is used up.

    The batch keeps its shape from the first token to the last: rows that have stopped are fed a stop token and go on
    unread, so that what a row says never depends on when its neighbours fell silent.

    lead: tokens before all rows that carry no repetition penalty, at least one. rows: B lists, some may be shorter.
    noise: float32 (B, T) in [0, 1], one number for each token; it is all the randomness there is.
    stops: bool (V,), the tokens that end a row. barred: bool (B, V), what may not be the first token of a row.
    banned: token sequences that are never completed.
    watch: called after each token but the last, with a function that tells what the rows are so far. To ask it takes
    time, and changes nothing.
    """
    state = Prefill(network, [lead + row for row in rows])
    history = _left_padded(rows, noise.device)  # (B, H)
    silent = torch.zeros(len(rows), dtype=torch.bool, device=noise.device)
    filler = int(stops.nonzero()[0])
    tokens, logprobs = [], []

    def so_far() -> list[Drawn]:
        return _cut(torch.stack(tokens, 1), torch.stack(logprobs, 1), stops)

    for step in range(noise.shape[1]):
        scores = state.logits.float().log_softmax(-1)  # (B, V)
        forbidden = _completes(history, banned, scores.shape)
        if step == 0 and barred is not None:
            forbidden |= barred
        picked = pick(scores, history, noise[:, step], settings, forbidden)  # (B,)
        tokens.append(picked.masked_fill(silent, filler))
        logprobs.append(scores.gather(1, picked[:, None])[:, 0])
        silent = silent | stops[picked]
        if silent.all() or step + 1 == noise.shape[1]:
            break
        if watch:
            watch(so_far)
        history = torch.cat([history, tokens[-1][:, None]], dim=1)
        state.advance(tokens[-1])
    return so_far()


def pick(scores: Tensor, history: Tensor, noise: Tensor, settings: ExpansionSettings, forbidden: Tensor) -> Tensor:
    """One token for each row, by inverting the cumulative distribution at `noise`; int64 (B,).

    Repetition penalty (Keskar et al. 2019), then temperature, top-k (Fan et al. 2018), top-p (Holtzman et al. 2020).
    The penalty multiplies log-probabilities: unlike the logits of the paper they have one sign, and a model whose
    logits all lie near -80, as those of GPT-2 do, is not forbidden its second comma.

    scores: log-probabilities, float32 (B, V). history: int64 (B, H), the tokens to be penalised.
    noise: float32 (B,) in [0, 1]. forbidden: bool (B, V).
    """
    penalised = scores.gather(1, history) * settings.repetition_penalty
    scores = scores.scatter(1, history, penalised).masked_fill(forbidden, -torch.inf) / settings.temperature
    values, tokens = scores.topk(min(settings.top_k or scores.shape[1], scores.shape[1]))
    chances = values.softmax(-1)
    before = chances.cumsum(-1) - chances
    chances = chances.masked_fill(before >= settings.top_p, 0.0)
    mass = chances.cumsum(-1)
    if not bool(torch.isfinite(mass).all()):
        raise ModelError("the language model gives no finite probabilities; its weights are damaged")
    place = torch.searchsorted(mass, noise[:, None] * mass[:, -1:], right=True)
    last = (chances > 0).sum(-1, keepdim=True) - 1  # rounding could step past the last possible token
    return tokens.gather(1, place.minimum(last))[:, 0]


class Prefill:
    """The network's state after the rows: their common beginning is read once, the rest left-padded."""

    def __init__(self, network: torch.nn.Module, rows: list[list[int]]) -> None:
        device = next(network.parameters()).device
        shared = _common(rows)
        self.network, self.cache = network, DynamicCache(config=network.config)
        if shared:
            beginning = torch.tensor([rows[0][:shared]], device=device)
            everything = torch.ones_like(beginning)
            network(beginning, attention_mask=everything, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
            self.cache.batch_repeat_interleave(len(rows))
        rest = [row[shared:] for row in rows]
        longest = max(map(len, rest))
        masks = [[1] * shared + [0] * (longest - len(row)) + [1] * len(row) for row in rest]
        self.mask = torch.tensor(masks, device=device)  # (B, L)
        self._read(_left_padded(rest, device), self.mask.cumsum(1)[:, shared:] - 1)

    def advance(self, tokens: Tensor) -> None:
        """Read one more token (B,) of each row."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        self._read(tokens[:, None], self.mask.sum(1, keepdim=True) - 1)

    def _read(self, tokens: Tensor, positions: Tensor) -> None:
        output = self.network(
            tokens,
            attention_mask=self.mask,
            position_ids=positions.clamp(min=0),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.logits = output.logits[:, -1]  # (B, V)


def _common(rows: list[list[int]]) -> int:
    """How many first tokens all rows share, leaving at least one of each row."""
    shortest = min(map(len, rows)) - 1
    return next((i for i in range(shortest) if len({row[i] for row in rows}) > 1), shortest)


def _left_padded(rows: list[list[int]], device: torch.device) -> Tensor:
    """The rows as int64 (B, L), the shorter ones begun with copies of their own first token."""
    longest = max(map(len, rows))
    return torch.tensor([row[:1] * (longest - len(row)) + row for row in rows], dtype=torch.int64, device=device)


def _completes(history: Tensor, banned: list[list[int]], shape: torch.Size) -> Tensor:
    """Bool (B, V): the tokens with which a row would complete a banned sequence."""
    forbidden = torch.zeros(shape, dtype=torch.bool, device=history.device)
    for *start, last in banned:
        if len(start) <= history.shape[1]:
            recent = history[:, history.shape[1] - len(start) :]
            forbidden[:, last] |= (recent == torch.tensor(start, dtype=torch.int64, device=history.device)).all(1)
    return forbidden


def _cut(tokens: Tensor, logprobs: Tensor, stops: Tensor) -> list[Drawn]:
    """Each row up to its first stop token; tokens and logprobs are (B, T)."""
    ended = stops[tokens]
    lengths = torch.where(ended.any(1), ended.int().argmax(1), tokens.shape[1]).tolist()
    rows = zip(tokens.tolist(), logprobs.tolist(), lengths, strict=True)
    return [Drawn(row[:length], nats[:length], length < len(row)) for row, nats, length in rows]
