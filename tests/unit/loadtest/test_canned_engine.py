import json
import socket
import urllib.request

from loadtest.measure.http_client import post
from loadtest.measure.processes import Process


def test_the_scraper_finds_what_it_looks_for(canned_engine: Process) -> None:
    with urllib.request.urlopen(f"{canned_engine.url}/v1/models", timeout=10) as response:
        assert json.load(response)["data"][0]["id"] == "canned"
    with urllib.request.urlopen(f"{canned_engine.url}/metrics", timeout=10) as response:
        assert b"vllm:num_requests_running" in response.read()


def test_a_request_may_come_in_pieces(canned_engine: Process) -> None:
    request = post("/v1/completions", {"model": "canned", "prompt": "x"})
    with socket.create_connection(("127.0.0.1", canned_engine.target.port), 10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for index in range(len(request)):
            client.sendall(request[index : index + 1])
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_leaves_takes_only_its_own_stream_along(canned_engine: Process) -> None:
    paced = {"model": "canned", "stream": True, "canned": "paced", "max_tokens": 1000}
    short = post("/v1/completions", paced | {"max_tokens": 20})
    with socket.create_connection(("127.0.0.1", canned_engine.target.port), 10) as stays:
        with socket.create_connection(("127.0.0.1", canned_engine.target.port), 10) as leaves:
            leaves.sendall(post("/v1/completions", paced))
            stays.sendall(short)
            leaves.recv(100)
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += stays.recv(65536)
    assert received.count(b"sent_ns") == 20


def test_token_ids_come_where_they_are_asked_for(canned_engine: Process) -> None:
    body = {"model": "canned", "stream": True, "max_tokens": 3, "return_token_ids": True}
    with socket.create_connection(("127.0.0.1", canned_engine.target.port), 10) as client:
        client.sendall(post("/v1/completions", body))
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += client.recv(65536)
    assert received.count(b'"token_ids":[356]') == 3
    assert received.count(b'"prompt_token_ids":[') == 1


def test_a_client_that_does_not_read_holds_up_nobody(canned_engine: Process) -> None:
    long = {"model": "canned", "stream": True, "max_tokens": 100_000, "canned": "burst"}
    with socket.create_connection(("127.0.0.1", canned_engine.target.port), 10) as idle:
        idle.sendall(post("/v1/completions", long))
        with urllib.request.urlopen(f"{canned_engine.url}/v1/models", timeout=10) as response:
            assert json.load(response)["data"][0]["id"] == "canned"
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            piece = idle.recv(1 << 20)
            assert piece
            received = received[-16:] + piece
