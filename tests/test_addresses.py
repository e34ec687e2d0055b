"""What is not trusted reaches no address of this machine or its network, even where it may use the network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from workshop import figure

from dgen.addresses import Gate, is_inner, public_only
from dgen.cli.main import main
from dgen.schema import BadValue

FAST = "--prompts x --seeds 1 --inference-steps 1 --image-seed-strengths 1"

INNER = [
    "127.0.0.1", "localhost", "127.1", "0x7f000001", "0x7f.1", "2130706433", "017700000001", "0.0.0.0", "0",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "user:word@127.0.0.1",
]  # fmt: skip
"""This machine, its network, and the servers of clouds that tell secrets, in every way to write them."""


class Server(BaseHTTPRequestHandler):
    """Counts who asks; sends on whoever asks for `/on` to a place inside."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(302 if self.path == "/on" else 404)
        self.send_header("Location", "http://169.254.169.254/latest")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    Server.asked = []
    with HTTPServer(("127.0.0.1", 0), Server) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


def test_sandbox_with_the_network_reaches_nothing_inside(
    at_work: Path, capfd: pytest.CaptureFixture[str], server: HTTPServer
) -> None:
    addresses = [f"http://{host}:{server.server_port}/a.png" for host in INNER]
    lines = [line for a in addresses for line in (f"toy {FAST} --image-seeds {a}", f"\\download x {a}")]
    (at_work / "s.dgen").write_text("\n\n".join(lines), encoding="utf-8")
    Server.asked.clear()
    assert main(["s.dgen", "--allow", "net", "--keep-going"]) == 1
    errors = capfd.readouterr().err
    assert errors.count("error[") == errors.count("error[inner-address]: `") == len(lines)
    assert Server.asked == []
    assert len(addresses) == figure("addresses inside tried")


def test_replay_with_the_network_reaches_nothing_inside(
    at_work: Path, capfd: pytest.CaptureFixture[str], server: HTTPServer
) -> None:
    address = f"http://127.0.0.1:{server.server_port}/a.png"
    (at_work / "c.dgen").write_text(f"toy {FAST} --image-seeds {address}\n", encoding="utf-8")
    Server.asked.clear()
    assert main(["replay", "c.dgen", "--allow", "net"]) == 2
    assert "error[inner-address]" in capfd.readouterr().err
    assert Server.asked == []


def test_trusted_script_asks_a_server_of_its_own(at_work: Path, server: HTTPServer) -> None:
    address = f"http://127.0.0.1:{server.server_port}/a.png"
    (at_work / "s.dgen").write_text(f"\\download x {address}\n", encoding="utf-8")
    Server.asked.clear()
    assert main(["s.dgen"]) == 2
    assert Server.asked == ["/a.png"]


def test_public_server_sends_nobody_on_to_a_place_inside() -> None:
    gate = Gate()
    gate.asked(httpx.Request("GET", "http://1.1.1.1/a.png"))
    with pytest.raises(BadValue, match=r"169\.254\.169\.254"):
        gate.asked(httpx.Request("GET", "http://169.254.169.254/latest"))


def test_name_that_leads_inside_at_the_second_look_is_seen(server: HTTPServer) -> None:
    with public_only():
        gate = Gate()
    with httpx.Client(event_hooks={"response": [gate.seen]}) as client, pytest.raises(BadValue, match=r"127\.0\.0\.1"):
        client.get(f"http://127.0.0.1:{server.server_port}/a.png")


@pytest.mark.parametrize("number", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_address_is_none_of_this_network(number: str) -> None:
    assert not is_inner(number)
