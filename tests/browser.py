"""A headless Chromium that a test starts itself, spoken to over its DevTools protocol: no driver, no other library.

    python -m tests.browser ADDRESS PICTURE.webp [--width 390] [--dark]

takes a picture of a page; --whole of all of it, however long.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import lzma
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
)
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")
AXE = Path(__file__).parent / "axe.min.js.xz"
TALL = 900  # pixels of a window


class Tab:
    """One page. `complaints` is what the console had to say since it was opened: errors, warnings, what did not load."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session, self._numbers = socket, session, itertools.count(10)
        self._loaded = 0
        self.complaints: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers. Fails where it refuses."""
        number = next(self._numbers)
        message = {"id": number, "sessionId": self._session, "method": method, "params": params}
        await self._socket.send(json.dumps(message))
        while (heard := await self._hear()).get("id") != number:
            pass
        assert "error" not in heard, f"{method}: {heard['error']}"
        result: dict[str, Any] = heard["result"]
        return result

    async def _hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(await asyncio.wait_for(self._socket.recv(), 60))
        about = heard.get("params", {})
        match heard.get("method"):
            case "Page.loadEventFired":
                self._loaded += 1
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(about["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.complaints.append(json.dumps(about["args"]))
            case "Log.entryAdded":
                self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
        return heard

    async def look_like(self, width: int, *, dark: bool) -> None:
        """From now on the window is `width` pixels wide, below 500 that of a phone, and wishes for light or dark."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=TALL, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def open(self, address: str) -> None:
        """Go there, and wait until everything is loaded."""
        before = self._loaded
        found = await self.call("Page.navigate", url=address)
        assert "errorText" not in found, f"{address}: {found['errorText']}"
        while self._loaded == before:
            await self._hear()

    async def choose(self, selector: str, file: Path) -> None:
        """Put a file into a field for files."""
        root = await self.call("DOM.getDocument")
        node = await self.call("DOM.querySelector", nodeId=root["root"]["nodeId"], selector=selector)
        await self.call("DOM.setFileInputFiles", files=[str(file)], nodeId=node["nodeId"])

    async def click(self, selector: str) -> None:
        """Press what leads to another page, and wait until that is loaded."""
        before = self._loaded
        await self.run(f"document.querySelector({selector!r}).click()")
        while self._loaded == before:
            await self._hear()

    async def run(self, script: str) -> Any:
        """The value of an expression on the page, or what its promise comes to."""
        found = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def press(self, key: str) -> None:
        """A key that goes down and up, such as Tab or Enter."""
        text = {"text": "\r"} if key == "Enter" else {}
        code = {"Tab": 9, "Enter": 13}[key]
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    async def offences(self) -> list[str]:
        """What axe-core finds against people who read otherwise than most, by rule and place."""
        await self.run(lzma.decompress(AXE.read_bytes()).decode() + "; 0")
        found = await self.run("axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)")
        return [f"{one['impact']}: {one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]

    async def picture(self, *, whole: bool = False, kind: str = "webp") -> bytes:
        """What can be seen, or the `whole` page however long."""
        found = await self.call("Page.captureScreenshot", format=kind, quality=80, captureBeyondViewport=whole)
        return base64.b64decode(found["data"])


@asynccontextmanager
async def browser() -> AsyncIterator[Tab]:
    """A tab of a browser without a past, which ends with the block."""
    assert CHROMIUM
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        words = (*FLAGS, *QUIET, f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank")
        null = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(CHROMIUM, *words, stdin=null, stdout=null, stderr=null)
        try:
            port, path = await asyncio.wait_for(_door(Path(folder) / "DevToolsActivePort"), 60)
            async with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, compression=None) as socket:
                yield await _tab(socket)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _door(file: Path) -> tuple[int, str]:
    while True:
        lines = _lines(file)
        if len(lines) == 2:
            return int(lines[0]), lines[1]
        await asyncio.sleep(0.05)


def _lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


async def _tab(socket: ClientConnection) -> Tab:
    async def ask(number: int, method: str, **params: Any) -> dict[str, Any]:
        await socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (heard := json.loads(await socket.recv())).get("id") != number:
            pass
        result: dict[str, Any] = heard["result"]
        return result

    target = (await ask(1, "Target.createTarget", url="about:blank"))["targetId"]
    session = (await ask(2, "Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
    tab = Tab(socket, session)
    for part in ("Page", "Runtime", "Log"):
        await tab.call(f"{part}.enable")
    return tab


async def _take(address: str, width: int, kind: str, *, dark: bool, whole: bool) -> bytes:
    async with browser() as tab:
        await tab.look_like(width, dark=dark)
        await tab.open(address)
        return await tab.picture(whole=whole, kind=kind)


def main(words: list[str]) -> None:
    """Take the picture that the words of a command line ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("file", type=Path)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--whole", action="store_true")
    given = parser.parse_args(words)
    kind = given.file.suffix.removeprefix(".")
    given.file.write_bytes(asyncio.run(_take(given.address, given.width, kind, dark=given.dark, whole=given.whole)))


if __name__ == "__main__":
    main(sys.argv[1:])
