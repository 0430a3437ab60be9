"""Pictures that a browser fetches by an address: what Streamlit tells it, again and again, then stays small."""

import hashlib
from dataclasses import dataclass
from weakref import WeakValueDictionary

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = "pictures"
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Kept:
    """A picture's file, which can be fetched for as long as somebody holds this. address: relative to the page."""

    address: str
    media: str
    data: bytes


_kept: WeakValueDictionary[str, Kept] = WeakValueDictionary()


def keep(data: bytes, media: str = "image/png") -> Kept:
    """A picture that can be fetched by whoever knows its address, which nobody can guess without the picture."""
    name = hashlib.sha256(data).hexdigest()
    return _kept.setdefault(name, Kept(f"{PATH}/{name}", media, data))


def _answer(request: Request) -> Response:
    found = _kept.get(request.path_params["name"])
    return Response("gone", 404) if found is None else Response(found.data, media_type=found.media, headers=FOREVER)


ROUTE = Route(f"/{PATH}/{{name}}", _answer)
