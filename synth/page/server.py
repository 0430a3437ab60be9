"""The page's server: Streamlit, which asks nobody anything, and the pictures beside it."""

from pathlib import Path

import streamlit as st
import uvicorn
from streamlit import net_util
from streamlit.web import bootstrap

from synth.page.joined import Joined
from synth.page.leaving import FAREWELL, leave_in_time
from synth.page.pictures import ROUTE
from synth.serve.keys import LOOPBACK

APP = Path(__file__).parent / "app.py"
FONT = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif'
OPTIONS = {
    "global.developmentMode": False,
    # What a browser was told once is told again: Streamlit believes that it still knows it, and where many clicks
    # follow each other closely it does not, and the connection ends (streamlit/streamlit#11357).
    "global.minCachedMessageSize": 1e12,
    "server.headless": True, "server.fileWatcherType": "none", "server.runOnSave": False,
    "server.enableXsrfProtection": True, "server.enableCORS": True, "server.enableStaticServing": False,
    "server.enableAgentApi": False, "server.maxUploadSize": 1, "server.disconnectedSessionTTL": 60,
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal", "client.showErrorDetails": "none", "client.showErrorLinks": False,
    "logger.level": "warning", "logger.hideWelcomeMessage": True, "runner.magicEnabled": False,
    "theme.base": "light", "theme.font": FONT, "theme.primaryColor": "#0b6b8a", "theme.backgroundColor": "#ffffff",
    "theme.secondaryBackgroundColor": "#f6f7f9", "theme.textColor": "#1f2933", "theme.linkColor": "#0b6b8a",
    "theme.borderColor": "#c3c8cf", "theme.baseRadius": "8px", "theme.showWidgetBorder": True,
}  # fmt: skip


def serve_page(service: Joined, host: str, port: int) -> None:
    """Show the page at that address until SIGTERM or Ctrl-C."""
    _ask_nobody()
    hosts = {"server.allowedHosts": list(LOOPBACK)} if host in LOOPBACK else {}
    bootstrap.load_config_options(OPTIONS | hosts | {"server.address": host, "server.port": port})
    config = uvicorn.Config(
        st.App(APP, routes=[ROUTE]), host=host, port=port, log_level="warning", access_log=False,
        timeout_graceful_shutdown=FAREWELL, server_header=False, headers=[("X-Content-Type-Options", "nosniff")],
    )  # fmt: skip
    _Server(config, service).run()


class _Server(uvicorn.Server):
    """Says when it can be reached, and ends in time."""

    def __init__(self, config: uvicorn.Config, service: Joined) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            shown = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
            print(f"Synth is open at http://{shown}:{self.config.port} (Ctrl-C ends it)", flush=True)

    async def shutdown(self, sockets: list | None = None) -> None:
        leave_in_time(self._service)
        await super().shutdown(sockets)


def _ask_nobody() -> None:
    """Streamlit asks amazonaws.com for this machine's address when a page of an unknown origin knocks."""
    net_util.get_external_ip = net_util.get_internal_ip = lambda: None
