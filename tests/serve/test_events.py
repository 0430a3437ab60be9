import asyncio
import threading

from synth.serve.events import Event, Hub


def test_who_listens_hears_it_in_order_from_any_thread():
    async def listen() -> list[int]:
        hub = Hub()
        with hub.listening("study") as mailbox:
            assert hub.is_heard("study") and not hub.is_heard("other")
            teller = threading.Thread(
                target=lambda: [hub.tell("study", Event("picture", number, f"key {number}")) for number in range(100)]
            )
            teller.start()
            heard = [(await mailbox.get(5)).data for _ in range(100)]
            teller.join()
            hub.tell("other", Event("state", 0))
            assert await mailbox.get(0.01) is None
        assert not hub.is_heard("study")
        hub.tell("study", Event("state", 0))
        return heard

    assert asyncio.run(listen()) == list(range(100))


def test_who_reads_slowly_has_the_latest_of_each_and_no_more():
    async def listen() -> list[tuple[str, int]]:
        hub = Hub()
        with hub.listening("study") as mailbox:
            for step in range(10_000):
                for key in "ab":
                    hub.tell("study", Event("preview", step, key))
            hub.tell("study", Event("picture", -1, "a"))
            hub.tell("study", Event("state", -2))
            assert len(mailbox._unread) == 3
            return [(event.kind, event.data) for event in [await mailbox.get(1) for _ in range(3)]]

    assert asyncio.run(listen()) == [("preview", 9999), ("picture", -1), ("state", -2)]


def test_closing_ends_every_stream():
    async def listen() -> None:
        hub = Hub()
        with hub.listening("study") as mailbox:
            hub.tell("study", Event("state", 1))
            threading.Timer(0.05, hub.close).start()
            assert (await mailbox.get(5)).data == 1
            assert await mailbox.get(5) is None and mailbox.closed
        with hub.listening("study") as late:
            assert await late.get(5) is None

    asyncio.run(asyncio.wait_for(listen(), 4))


def test_a_listener_whose_loop_has_ended_is_no_harm():
    hub = Hub()

    async def leave() -> None:
        hub.listening("study").__enter__()

    asyncio.run(leave())
    hub.tell("study", Event("state", 1))
