"""How much one request, one client and the whole service may ask for."""

from dataclasses import dataclass

from synth.errors import InputError
from synth.records.plans import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is more than this is refused before anything is computed.

    pictures: of one request; steps: of one picture; pixels: its width times its height.
    queue: pictures that may wait to be rendered, over all clients; share: those of one client.
    patience: seconds without a word from a client, after which what it waits for is given up.
    body_bytes: of a request; upload_bytes: of an uploaded file; upload_pixels: in it; uploads: kept for a client.
    """

    pictures: int = 100
    steps: int = 100
    pixels: int = 1024 * 1024
    queue: int = 2000
    share: int = 400
    patience: float = 120.0
    body_bytes: int = 256 * 1024
    upload_bytes: int = 16 * 1024 * 1024
    upload_pixels: int = 40_000_000
    uploads: int = 32

    def check(self, plan: Plan) -> None:
        """InputError where a plan asks for more than the service gives."""
        most = min(self.pictures, self.share, self.queue)
        if plan.pictures > most:
            raise InputError("pictures", plan.pictures, f"ask for at most {most:,} at once")
        for settings in {job.settings for job in plan.jobs(plan.prompts or (plan.phrase,))}:
            if settings.steps > self.steps:
                raise InputError("steps", settings.steps, f"ask for at most {self.steps:,}")
            if settings.width * settings.height > self.pixels:
                size = f"{settings.width} x {settings.height}"
                raise InputError("size", size, f"ask for at most {self.pixels:,} pixels")
