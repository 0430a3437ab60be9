"""A client that vanishes while an event is sent to it is no error; everything else still is."""

import anyio
import pytest

from synth.serve.departures import Departures


def call(raised: Exception | None) -> None:
    async def app(scope, receive, send):
        async with anyio.create_task_group():
            if raised is not None:
                raise raised

    anyio.run(Departures(app), {}, None, None)


@pytest.mark.parametrize("raised", [None, anyio.BrokenResourceError(), anyio.ClosedResourceError()])
def test_who_vanishes_is_let_go(raised):
    call(raised)


def test_any_other_error_goes_on():
    with pytest.raises(ExceptionGroup) as found:
        call(ValueError("told"))
    assert found.group_contains(ValueError, match="told")
