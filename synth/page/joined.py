"""The service that this process's page talks to: its address and key, and, where it is the page's own, its process."""

import secrets
import subprocess
from dataclasses import dataclass, field

from synth.serve.client import Client, ServiceError

NO_KEY = "the service wants a key: whoever starts the page sets SYNTH_KEY to one of the service's keys"


@dataclass(frozen=True, slots=True)
class Joined:
    """Where the service is. process: of the page's own service, None for one that others run."""

    url: str
    key: str | None = field(default=None, repr=False)
    process: subprocess.Popen | None = None

    def client(self, session: str = "") -> Client:
        """A connection for one visitor, who has turns of their own there."""
        return Client(self.url, self.key, session=session)

    def sentence(self, error: ServiceError) -> str:
        """What a visitor is told of an error."""
        if error.status == 401:
            return NO_KEY
        if error.status == 0:
            return self._silence()
        return str(error)

    def _silence(self) -> str:
        if self.process is None:
            return f"no service answers at {self.url}; start it again, and this page goes on"
        code = self.process.poll()
        if code is None:
            return "the service does not answer just now; the page tries again"
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"the page's own service {how}; what is finished is kept: start `synth page` again"


_joined: Joined | None = None


def join(service: Joined) -> None:
    """Say which service the page talks to."""
    global _joined
    _joined = service


def joined() -> Joined:
    """The service that the page talks to."""
    assert _joined is not None, "open_page joins a service before anybody sees the page"
    return _joined


def new_session() -> str:
    """A name for a visitor that nobody can guess."""
    return secrets.token_urlsafe(16)
