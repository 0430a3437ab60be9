"""From a source of captioned pictures to a prepared set."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from synth.errors import InputError, StudyError
from synth.records.files import remedy_for, sweep_temporaries, write_atomically
from synth.train.data.cleaning import Cleaned, LeftOut, clean, plain
from synth.train.data.entries import Entry
from synth.train.data.prepared import (
    FACTS,
    LEFT_OUT,
    PICTURES,
    RECORDS,
    PreparedSet,
    Record,
    write_lines,
)
from synth.train.data.sources import files_key, read_entries
from synth.train.data.splitting import sample, split_by_content
from synth.train.params import Data
from synth.train.rows import writing_rows

WORKERS = min(8, os.cpu_count() or 1)  # Pillow decodes and resizes without Python's lock
AHEAD = 4 * WORKERS  # pictures that are decoded before they are written, so that memory doesn't grow with the set
LEAST = 2
TWO = "at least two captioned pictures are needed, one to train on and one to validate with"
UNDERSTOOD = (
    "put a metadata.jsonl or metadata.csv with the columns file_name and text into it, or a .txt beside each picture; "
    "Oxford 102 Flowers has jpg/ and imagelabels.mat"
)


@dataclass
class Gathered:
    """What became of the entries so far.

    records: their splits still to come. contents: the digests that decide these, one for each record.
    left_out: origin and reason. places: where in `records` the picture of a digest is.
    """

    records: list[Record] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    def add(self, entry: Entry, picture: Cleaned) -> bool:
        """Note a picture; False if its very pixels are there already: then those only get its captions as well."""
        place = self.places.setdefault(picture.digest, len(self.records))
        if place < len(self.records):
            first = self.records[place]
            self.records[place] = replace(first, captions=plain(first.captions + entry.captions))
            self.left_out.append((entry.origin, f"duplicate: {first.origin} is the same picture, and has its captions"))
            return False
        facts = (picture.width, picture.height, entry.attributes)
        self.records.append(Record(entry.origin, picture.digest, "", entry.captions, *facts))
        self.contents.append(picture.content)
        return True


def prepare(params: Data, out: Path, *, progress: bool = True, replace_other: bool = False) -> PreparedSet:
    """Read, clean and lay out captioned pictures in the folder `out`; every picture left out is listed there.

    The same source and parameters give the same digest. A finished folder of the same parameters and files is returned
    as it is, also where the source has gone; an interrupted one is done again. A picture that occurs twice is kept
    once, with the captions of both. replace_other: a finished folder of other parameters or files gives way to the new
    one when that is whole.
    Raises InputError before any picture is decoded if the source has no captions or names missing pictures, if the disk
    is too small, or if `out` holds something else; at the end, if fewer than two pictures could be used.
    """
    out = Path(out)
    if (out / FACTS).is_file():
        changed = _changed(params, out)
        if not changed:
            return PreparedSet.open(out)
        if not replace_other:
            raise InputError("out", str(out), f"choose another folder: it was prepared otherwise ({changed})")
        return _renewed(params, out, progress)
    _check_folder(out)
    entries = [replace(entry, captions=plain(entry.captions)) for entry in read_entries(params)]
    captioned = [entry for entry in entries if entry.captions]
    _check_enough(params, len(entries), len(captioned))
    chosen = sample(captioned, params.limit)
    _check_room(params, len(chosen), out)
    gathered = Gathered(left_out=[(entry.origin, "no caption") for entry in entries if not entry.captions])
    try:
        _write(params, chosen, gathered, out, progress)
    except OSError as error:
        remedy = remedy_for(str(error)).partition(":")[0]  # what follows is about a study's pictures
        raise StudyError(f"{out} cannot be written ({error.strerror}); {remedy}") from error
    return PreparedSet.open(out)


def _write(params: Data, entries: list[Entry], gathered: Gathered, out: Path, progress: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    sweep_temporaries(out)
    with writing_rows(out / PICTURES) as pictures:
        results = _cleaned(entries, params)
        for entry, result in tqdm(results, total=len(entries), desc="prepare", unit="picture", disable=not progress):
            if isinstance(result, LeftOut):
                gathered.left_out.append((entry.origin, str(result)))
            elif gathered.add(entry, result):
                pictures.append(result.pixels[None])
    write_lines(out / LEFT_OUT, ({"origin": origin, "reason": reason} for origin, reason in sorted(gathered.left_out)))
    if len(gathered.records) < LEAST:
        raise _too_few(params, gathered, out)
    _seal(params, gathered, out)


def _seal(params: Data, gathered: Gathered, out: Path) -> None:
    """Write the records, and last of all the facts: a folder that has them is whole."""
    splits = split_by_content(gathered.contents, params.validation)
    records = [replace(record, split=split) for record, split in zip(gathered.records, splits, strict=True)]
    facts = {
        "params": asdict(params),
        "count": len(records),
        "validation": splits.count("validation"),
        "left_out": len(gathered.left_out),
        "files": files_key(params),
        "digest": write_lines(out / RECORDS, (record.as_dict() for record in records)),
    }
    write_atomically(out / FACTS, json.dumps(facts, indent=1).encode())


def _cleaned(entries: list[Entry], params: Data) -> Iterator[tuple[Entry, Cleaned | LeftOut]]:
    """Each entry with what became of its picture, in order."""
    work = partial(clean, size=params.size, crop=params.crop, smallest=params.smallest)
    with ThreadPoolExecutor(WORKERS) as pool:
        for start in range(0, len(entries), AHEAD):
            chunk = entries[start : start + AHEAD]
            yield from zip(chunk, pool.map(work, chunk), strict=True)


def _changed(params: Data, out: Path) -> str:
    """How what is in `out` differs from what these parameters would make of their source now; "" if it does not."""
    old, new = asdict(PreparedSet.open(out).params), asdict(params)
    different = [f"{name} was {old[name]!r} and is {new[name]!r}" for name in new if old[name] != new[name]]
    then, now = json.loads((out / FACTS).read_bytes()).get("files"), files_key(params)
    if not different and then and now and then != now:
        different = [f"files in {params.source} have changed since; --data {out} takes it as it is"]
    return ", ".join(different)


def _renewed(params: Data, out: Path, progress: bool) -> PreparedSet:
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    prepare(params, fresh, progress=progress)
    shutil.rmtree(out)
    fresh.rename(out)
    return PreparedSet.open(out)


def _check_folder(out: Path) -> None:
    ours = {PICTURES, RECORDS, LEFT_OUT}
    if out.exists() and not out.is_dir():
        raise InputError("out", str(out), "give a folder; this is a file")
    if out.is_dir() and any(path.name not in ours and path.name[0] != "." for path in out.iterdir()):
        raise InputError("out", str(out), "choose a new or empty folder; this one has other files in it")


def _check_enough(params: Data, pictures: int, captioned: int) -> None:
    if not pictures:
        raise InputError("source", params.source, "give a folder with pictures in it")
    if not captioned:
        raise InputError("source", params.source, f"none of its {pictures:,} pictures has a caption: {UNDERSTOOD}")
    if captioned < LEAST:
        raise InputError("source", params.source, TWO)
    if 0 < params.limit < LEAST:
        raise InputError("limit", params.limit, TWO)


def _check_room(params: Data, count: int, out: Path) -> None:
    needed = count * params.size**2 * 3
    there = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        remedy = f"{count:,} pictures need {needed / 1e9:.1f} GB, and its disk has {free / 1e9:.1f} GB left"
        raise InputError("out", str(out), f"{remedy}: free some, or use a smaller size or a limit")


def _too_few(params: Data, gathered: Gathered, out: Path) -> InputError:
    kinds = Counter(reason.partition(":")[0] for _, reason in gathered.left_out)
    why = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
    remedy = f"{TWO}; left out: {why} ({out / LEFT_OUT} names each)"
    return InputError("source", params.source, remedy)
