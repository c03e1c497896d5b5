"""What a client holds while it sends: slots and connections; nothing of it is lost, and nobody waits for it in vain."""

from __future__ import annotations

import dis
import sys
import threading
import time
from types import FrameType
from typing import Any

import httpx
import pytest

from contacts_core import Contacts
from contacts_core.errors import ConfigurationError
from contacts_core.http.blocking import BlockingTransport
from contacts_core.provider import Download, Flow, HttpSettings, Read, get
from tests.core.fake_providers import Acme
from tests.core.raw_server import serving, whole
from tests.core.test_read_ahead import Pages

# After these instructions the interpreter looks whether Ctrl-C was pressed.
CHECKED = {"RESUME", "CALL", "JUMP_BACKWARD", "CALL_FUNCTION_EX"}


class CtrlC:
    """Presses Ctrl-C at one place of a function after the other."""

    def __init__(self, name: str, place: int) -> None:
        self.name, self.left, self.pressed = name, place, False
        self.before = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_name != self.name:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and not self.pressed:
            if self.before in CHECKED:
                self.left -= 1
                if self.left < 0:
                    self.pressed = True
                    raise KeyboardInterrupt
            self.before = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        return self


@pytest.mark.skipif(sys.gettrace() is not None, reason="something else traces, such as coverage")
def test_ctrl_c_loses_no_slot_wherever_it_strikes() -> None:
    struck = 0
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=1))) as http:
        for place in range(100):
            transport = BlockingTransport(Acme(), http)
            press = CtrlC("_attempt", place)
            sys.settrace(press)
            try:
                transport.run(iter(get("/1", int)))
            except KeyboardInterrupt:
                struck += 1
            finally:
                sys.settrace(None)
            assert transport._slots.qsize() == transport.provider.http.max_connections, place
            if not press.pressed:
                break
    assert struck > 8


def test_files_that_are_read_keep_no_request_waiting() -> None:
    def read_two_and_ask(address: str) -> Flow[bytes]:
        files = []
        for name in ("a", "b"):
            file = yield from Download(f"{address}/{name}")
            files.append(file)
            assert (yield from Read(file))
        return (yield from get("/c", bytes))

    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"
    turns = iter([endless, endless, whole(b"1")])
    with serving(lambda: [next(turns)]) as server:
        settings = HttpSettings(max_connections=1, connect_timeout_s=0.3, read_timeout_s=0.3, attempts=1)
        with Contacts(Acme(base_url=server.address, http=settings)) as contacts:
            assert contacts.run(read_two_and_ask(server.address)) == b"1"


def test_closing_a_client_ends_the_pauses_of_the_page_ahead() -> None:
    failed = threading.Event()

    def vendor(request: httpx.Request) -> httpx.Response:
        number = int(request.url.path[1:])
        if number < 3:
            return httpx.Response(200, json=number)
        failed.set()
        return httpx.Response(503, headers={"Retry-After": "60"})

    with httpx.Client(transport=httpx.MockTransport(vendor)) as http:
        contacts = Contacts(Pages(), http)
        stream = contacts.export()
        assert [next(stream).id for _ in range(3)] == ["c2", "c3", "c4"]
        assert failed.wait(5)
        began = time.monotonic()
        contacts.close()
        assert next(stream).id == "c5"
        with pytest.raises(ConfigurationError, match="closed"):
            next(stream)
        assert time.monotonic() - began < 5
