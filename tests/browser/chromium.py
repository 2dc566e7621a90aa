"""A headless Chromium, driven over a pipe by the DevTools protocol, without a driver to install."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Chromium:
    """One page of a running browser."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reader, self._writer = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")
        self._numbers = itertools.count(1)
        target = self._command("Target.createTarget", url="about:blank")["targetId"]
        self._page = self._command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def _command(self, method: str, session: str | None = None, **params: Any) -> Any:
        answer = self._answer(method, session, **params)
        assert "error" not in answer, answer
        return answer["result"]

    def _answer(self, method: str, session: str | None = None, **params: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while True:
            answer = json.loads(self._message())
            if answer.get("id") == number:
                return answer

    def _message(self) -> bytes:
        text = bytearray()
        while (byte := self._reader.read(1)) != b"\0":
            assert byte, "the browser has ended"
            text += byte
        return bytes(text)

    def open(self, address: str) -> None:
        self._command("Page.navigate", self._page, url=address)

    def run(self, script: str) -> Any:
        """Evaluate JavaScript in the page, from outside of its content security policy; None if it goes to another."""
        answer = self._answer("Runtime.evaluate", self._page, expression=script)
        return answer.get("result", {}).get("result", {}).get("value")

    def wait_for(self, selector: str) -> None:
        self._until(f"document.readyState === 'complete' && !!document.querySelector('{selector}')", selector)

    def wait_for_text(self, text: str) -> None:
        self._until(f"document.body !== null && document.body.innerText.includes({json.dumps(text)})", text)

    def _until(self, script: str, what: str) -> None:
        end = time.monotonic() + 20
        while not self.run(script):
            assert time.monotonic() < end, f"{what} did not appear at {self.run('location.href')}"

    def type(self, selector: str, text: str) -> None:
        self.run(f"document.querySelector('{selector}').focus()")
        self._command("Input.insertText", self._page, text=text)

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector('{selector}').click()")

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._command("Browser.close")
        for stream in (self._reader, self._writer):
            with contextlib.suppress(OSError):
                stream.close()


@pytest.fixture
def chromium(full_tier: None, tmp_path: Path) -> Iterator[Chromium]:
    """A browser with a profile of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "these tests need a browser: apt-get install chromium"
    its_input, writing = os.pipe()
    reading, its_output = os.pipe()
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
    command = [program, *options, f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-pipe"]
    # The protocol has its pipe at the descriptors 3 and 4.
    shell = f'exec 3<&{its_input} 4>&{its_output} {its_input}<&- {its_output}>&-; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", *command],
        pass_fds=(its_input, its_output),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(its_input)
    os.close(its_output)
    browser = Chromium(reading, writing)
    try:
        yield browser
    finally:
        browser.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
