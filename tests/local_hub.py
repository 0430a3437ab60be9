"""A model hub on this machine: the few routes of huggingface.co that downloading needs, over folders."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serving(repos: dict[str, Path | str]) -> Iterator[str]:
    """Serve each repository (name -> folder, or the hub's error, such as "GatedRepo"); yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, with_body: bool) -> None:
            parts = self.path.partition("?")[0].strip("/").split("/")
            listing = parts[:2] == ["api", "models"]
            repo, rest = "/".join(parts[2:4] if listing else parts[:2]), parts[4:] if listing else parts[2:]
            folder = repos.get(repo, "RepoNotFound")
            if isinstance(folder, str):
                return self._send(403 if folder == "GatedRepo" else 404, b"", {"X-Error-Code": folder}, with_body)
            if listing:
                body = _tree(folder) if rest[:1] == ["tree"] else _info(repo, folder)
                return self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"}, with_body)
            data = (folder / "/".join(rest[2:])).read_bytes()
            etag = hashlib.sha256(data).hexdigest()
            return self._send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, with_body)

        def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file()]


def _info(repo: str, folder: Path) -> dict[str, object]:
    names = [{"rfilename": file.relative_to(folder).as_posix()} for file in _files(folder)]
    return {"id": repo, "sha": COMMIT, "siblings": names, "private": False, "tags": [], "downloads": 0, "likes": 0}


def _tree(folder: Path) -> list[dict[str, object]]:
    return [
        {
            "type": "file",
            "path": file.relative_to(folder).as_posix(),
            "size": file.stat().st_size,
            "oid": hashlib.sha1(file.read_bytes()).hexdigest(),
        }
        for file in _files(folder)
    ]
