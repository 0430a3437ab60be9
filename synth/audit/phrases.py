"""The audit of neutral phrases: what GPT-2 adds to them unasked, and what the renderer shows of them.

Each is looked at by itself: GPT-2 by its texts, no picture needed; the renderer by pictures of the bare phrases. Every
text is drawn independently, and no two pictures share their noise, so that counts are counts of independent things.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from synth import presets
from synth.audit import sightings as seen
from synth.audit.added import added_terms
from synth.audit.clusters import clusters
from synth.audit.draws import picture_seeds, text_seed
from synth.audit.findings import Finding, against_others, against_world, shares_table, tests_table
from synth.errors import InputError
from synth.expansion import expand
from synth.jobs import MAX_SEED, ExpansionSettings, Settings, check_choice, check_text, check_whole
from synth.measure.clip import check_clip
from synth.measure.sight import Sight
from synth.presets import resolve
from synth.records.estimates import check_amount
from synth.records.plans import make_plan
from synth.studies import ROOT, Study, check_machine, check_root, study
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.captions import parse
from synth.writing.prompts import EMPTY

READERS = ("auto", "world", "clusters")
BLOCK = 32  # texts that GPT-2 draws for one seed
MOST_PHRASES, MOST_TEXTS = 50, 3200
MANY_TEXTS = 1000  # of all phrases: more must be agreed to
EXEMPLARS = 6


@dataclass(frozen=True)
class Audit:
    """What was found.

    reader: "world", the bundled world's parser and judge against what its models were trained on; or "clusters", of
    pictures in CLIP, each phrase against the others.
    sightings: a row for each attribute of each text and picture (`sightings.COLUMNS`).
    terms: what GPT-2 adds to one phrase rather than to others (`added.added_terms`); no row with a single phrase.
    texts: (phrase, prompt) as GPT-2 wrote them; studies: of the pictures, one a phrase.
    asked: everything that decides what is found, models by what pins them; plain values.
    """

    phrases: tuple[str, ...]
    reader: str
    findings: tuple[Finding, ...]
    sightings: pd.DataFrame
    terms: pd.DataFrame
    texts: tuple[tuple[str, str], ...]
    studies: tuple[Study, ...]
    asked: dict[str, Any]

    def tests(self) -> pd.DataFrame:
        """A row for each test (see `findings.tests_table`)."""
        return tests_table(self.findings)

    def shares(self) -> pd.DataFrame:
        """A row for each value of each attribute (see `findings.shares_table`)."""
        return shares_table(self.findings)

    def texts_table(self) -> pd.DataFrame:
        """A row for each text: phrase, prompt."""
        return pd.DataFrame(self.texts, columns=["phrase", "prompt"]).astype("string")

    def exemplars(self, finding: Finding, count: int = EXEMPLARS) -> list[str]:
        """Texts, or paths of pictures, that show what a finding has too much of; the first of them, not chosen."""
        rows = self.sightings[
            (self.sightings["stage"] == finding.stage)
            & (self.sightings["attribute"] == finding.attribute)
            & (self.sightings["value"] == finding.values[finding.favourite])
        ]
        if finding.group in self.phrases:
            rows = rows[rows["phrase"] == finding.group]
        spread = rows.assign(turn=rows.groupby("phrase").cumcount()).sort_values("turn", kind="stable")
        return list(spread["seen"].head(count))


def audit(
    phrases: Sequence[str],
    *,
    n: int = 64,
    seeds: int = 16,
    seed: int = 0,
    model: str = "vignettes",
    loras: Sequence[tuple[str, float]] = (),
    expander: str = "vignettes-gpt2",
    settings: Settings | None = None,
    expansion: ExpansionSettings = ExpansionSettings(),
    reader: str = "auto",
    clip: str = "vignettes-clip",
    count: int = 6,
    out: str | Path = ROOT,
    device: str = "auto",
    yes: bool = False,
    progress: bool = True,
    **how: Any,
) -> Audit:
    """Have GPT-2 write `n` texts for each phrase, render `seeds` pictures of each, and compare them with the baseline.

    phrases: 1 to 50 that leave open what the audit is about, such as "a house"; two or more for clusters.
    model, loras, expander, settings, expansion: what is audited, as in `synth.study`.
    reader: see Audit; auto takes "world" for the bundled renderer, also with LoRAs. clip, count: for clusters.
    seed: audits with different ones share no text and no picture. yes: agree to more than 200 pictures or 1,000 texts.
    how: dtype, batch_size and strict, as in `synth.study`. Pictures are studies under `out`, so an audit resumes.
    InputError or ModelError before a model is loaded.
    """
    phrases = _check(phrases, n, seeds, seed, count, reader)
    check_machine(device, how.get("dtype", "auto"), how.get("batch_size"))
    audited = {"settings": settings or presets.advised(model), "model": model, "loras": loras}
    plan = make_plan(prompts=phrases, seeds=seeds, **audited)
    check_amount(plan, check_root(out), yes)
    _check_texts(n * len(phrases), yes)
    reader = ("world" if plan.model.name == "vignettes" else "clusters") if reader == "auto" else reader
    writer = resolve(expander, "expander")
    _check_reader(phrases, clip, reader)
    written = tqdm(phrases, desc="GPT-2 writes", unit=" phrases", disable=not progress, leave=False)
    texts = [
        (phrase, text) for phrase in written
        for text in _texts(phrase, n, seed, expansion, expander, model, device)
    ]  # fmt: skip
    studies = [
        study(prompts=[phrase], seeds=picture_seeds(seed, seeds, place), **audited, **how,
              out=out, device=device, progress=progress, yes=True)
        for place, phrase in enumerate(phrases)
    ]  # fmt: skip
    rows = _world_rows(texts, studies, device) if reader == "world" else _cluster_rows(studies, clip, count, device)
    sightings = seen.table(rows)
    findings = (against_world if reader == "world" else against_others)(sightings)
    looks = {"clip": resolve(clip, "clip").identity(), "clusters": count} if reader == "clusters" else {}
    asked = {
        "phrases": phrases, "n": n, "seeds": seeds, "seed": seed, "model": plan.model.identity(),
        "settings": plan.settings.identity(), "strict": studies[0].plan.strict, "expander": writer.identity(),
        "expansion": asdict(expansion), "reader": reader, **looks,
    }  # fmt: skip
    return Audit(phrases, reader, tuple(findings), sightings, added_terms(texts), tuple(texts), tuple(studies), asked)


def _check(phrases: Sequence[str], n: int, seeds: int, seed: int, count: int, reader: str) -> tuple[str, ...]:
    if isinstance(phrases, str) or not 1 <= len(phrases) <= MOST_PHRASES:
        raise InputError("phrases", phrases, f"give a list of 1 to {MOST_PHRASES} phrases")
    check_whole("n", n, 4, MOST_TEXTS)
    check_whole("seeds", seeds, 4, 10_000)
    check_whole("seed", seed, 0, MAX_SEED)
    check_whole("clusters", count, 2, 50)
    check_choice("reader", reader, READERS)
    found = tuple(check_text("phrases", phrase).strip() for phrase in phrases)
    if len(set(found)) < len(found):
        raise InputError("phrases", phrases, "give each phrase once")
    return found


def _check_texts(total: int, agreed: bool) -> None:
    if total > MANY_TEXTS and not agreed:
        raise InputError("texts", total, f"GPT-2 is to write {total:,} of them: agree with --yes (yes=True)")


def _check_reader(phrases: Sequence[str], clip: str, reader: str) -> None:
    if reader == "world" and all(len(parse(phrase).values) == len(ATTRIBUTES) for phrase in phrases):
        raise InputError("phrases", list(phrases), f"leave something open: {', '.join(ATTRIBUTES)} are all named")
    if reader == "clusters":
        check_clip(clip)
        if len(phrases) < 2:
            raise InputError("phrases", list(phrases), "give two or more: each is compared with the others")


def _texts(
    phrase: str, n: int, seed: int, settings: ExpansionSettings, expander: str, renderer: str, device: str
) -> list[str]:
    """The first `n` texts that GPT-2 writes and that add something, as drawn: none is chosen or left out as alike."""
    settings, texts = replace(settings, pool=BLOCK), []
    for block in range(2 * -(-n // BLOCK)):
        drawn = text_seed(seed, block)
        made = expand(phrase, 1, seed=drawn, settings=settings, model=expander, renderer=renderer, device=device)
        texts += [prompt.text for prompt in made.candidates if prompt.fate != EMPTY]
        if len(texts) >= n:
            break
    return texts[:n]


def _world_rows(texts: Sequence[tuple[str, str]], studies: Sequence[Study], device: str) -> list[tuple[str, ...]]:
    rows = [row for phrase, text in texts for row in seen.of_texts(phrase, [text])]
    for made in studies:
        sight = Sight(made, "vignettes-clip", None, device, progress=False)
        rows += seen.of_pictures(made.plan.prompts[0], sight.readings, _paths(sight, made))
    return rows


def _cluster_rows(studies: Sequence[Study], clip: str, count: int, device: str) -> list[tuple[str, ...]]:
    sights = [Sight(made, clip, None, device, progress=False) for made in studies]
    vectors = [sights[0].clip_vectors(sight.pictures("CLIP")) for sight in sights]
    owners = [
        (made.plan.prompts[0], path)
        for made, sight in zip(studies, sights, strict=True)
        for path in _paths(sight, made)
    ]
    return [
        (seen.PICTURES, phrase, seen.LOOKS, f"cluster {label + 1:02d}", path)
        for (phrase, path), label in zip(owners, clusters(np.concatenate(vectors), count), strict=True)
    ]


def _paths(sight: Sight, made: Study) -> list[str]:
    return [str(made.folder / path) for path in sight.rows["path"]]
