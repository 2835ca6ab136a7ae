#!/usr/bin/env python3
"""The front door over HTTP, with Python's own client: the same bits as over gRPC, streams, errors, clients that
leave, and the end of the server."""
import http.client
import json
import pathlib
import signal
import tempfile
import threading
import time

from support.server import DEMO, FIXTURES, Server, free_port
import grpc
from google.protobuf import json_format
from dyad.v1 import scoring_pb2, scoring_pb2_grpc

TEXTS = [f"The {noun} {verb} by the river." for noun in ("cat", "old man", "children") for verb in ("sleeps", "was seen", "é")]


class Http:
    def __init__(self, port):
        self.port = port

    def ask(self, method, path, body=None, **headers):
        """(status, headers, parsed JSON)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.headers, json.loads(data)

    def complete(self, **body):
        status, _, answer = self.ask("POST", "/v1/completions", body)
        assert status == 200, answer
        return answer


def check_scores(server, door):
    """log-likelihoods in the harness's shape have the bits of Score over the same ids."""
    scoring = scoring_pb2_grpc.ScoringServiceStub(grpc.insecure_channel(server.address))
    ids = [door.ask("POST", "/tokenize", {"prompt": text})[2]["tokens"] for text in TEXTS]
    request = scoring_pb2.ScoreRequest(model="demo", top_n=1)
    for tokens in ids:
        request.items.add().ids.ids.extend(tokens)
    scores = scoring.Score(request).scores
    for count in (0, 1):
        answer = door.complete(model="demo", prompt=ids, temperature=0, max_tokens=count, logprobs=1, seed=1234, echo=True)
        choices = sorted(answer["choices"], key=lambda choice: choice["index"])
        assert len(choices) == len(TEXTS)
        for tokens, score, choice in zip(ids, scores, choices):
            logprobs = choice["logprobs"]
            values = logprobs["token_logprobs"]
            assert all(len(logprobs[name]) == len(tokens) + count for name in logprobs), logprobs
            assert values[0] is None and logprobs["top_logprobs"][0] is None
            assert values[1:len(tokens)] == list(score.logprobs)[1:], (values, score.logprobs)
            total = 0.0
            for value in values[1:len(tokens)]:
                total += value
            assert total == score.sum
            greedy = [values[i] == max(logprobs["top_logprobs"][i].values()) for i in range(1, len(tokens))]
            assert greedy == list(score.greedy)[1:]
    print(f"{len(TEXTS)} texts: the bits of Score")


def check_cached(door):
    """Scores with one competitor come from the prefix cache, with the bits of those that were computed beside four more."""
    text = " ".join(TEXTS) + " The cats sat in the old house, and nobody saw the two of them. " * 4
    answers = [door.complete(model="demo", prompt=text, temperature=0, max_tokens=1, logprobs=count, seed=1, echo=True)
               for count in (5, 1, 1)]
    hits = [answer["usage"]["prompt_tokens_details"]["cached_tokens"] for answer in answers]
    assert hits[0] == 0 and hits[1] == hits[2] >= 64, hits
    computed, *cached = (answer["choices"][0]["logprobs"] for answer in answers)
    for logprobs in cached:
        assert logprobs["token_logprobs"] == computed["token_logprobs"] and logprobs["tokens"] == computed["tokens"]
        for few, many in zip(logprobs["top_logprobs"][1:], computed["top_logprobs"][1:], strict=True):
            assert few.items() <= many.items() and max(few.values()) == max(many.values()), (few, many)
    print(f"{hits[1]} tokens of a prompt and their likeliest rivals from the prefix cache: the same bits")


def check_methods(server, door):
    """Score as JSON has the bits of Score over gRPC, and its errors say the field."""
    scoring = scoring_pb2_grpc.ScoringServiceStub(grpc.insecure_channel(server.address))
    body = {"items": [{"text": text} for text in TEXTS], "convention": "CONVENTION_BABYLM",
            "words": {"correction": "WORD_CORRECTION_PIMENTEL_MEISTER"}}
    expected = scoring.Score(json_format.ParseDict(body, scoring_pb2.ScoreRequest()))
    status, headers, answer = door.ask("POST", "/dyad.v1.ScoringService/Score", body)
    assert status == 200, answer
    got = json_format.ParseDict(answer, scoring_pb2.ScoreResponse())
    assert [score.SerializeToString() for score in got.scores] == [score.SerializeToString() for score in expected.scores]
    assert headers["x-dyad-model-digest"] == expected.model_digest
    status, _, answer = door.ask("POST", "/models/demo/dyad.v1.ScoringService/Score", {"items": [{"text": "a", "region": []}]})
    assert status == 400 and answer["code"] == "invalid_argument", answer
    assert "items[0].region" in answer["message"] and "did you mean regions?" in answer["message"], answer


def check_provenance(door):
    """What an answer says it is of, is what /v1/models says of the model."""
    status, headers, answer = door.ask("POST", "/v1/completions", {"prompt": "a", "max_tokens": 1, "seed": 5})
    (model,) = door.ask("GET", "/v1/models")[2]["data"]
    digest, arithmetic = model["dyad"]["digest"], model["dyad"]["arithmetic"]
    assert status == 200 and len(digest) == 64 and headers["x-dyad-model-digest"] == digest
    assert answer["system_fingerprint"] == f"dyad-{digest[:12]}-{arithmetic}", answer
    assert answer["dyad"] == {"seed": 5, "model_digest": digest, "arithmetic": arithmetic}, answer
    assert answer["id"] == f"cmpl-{headers['x-request-id']}" and abs(answer["created"] - time.time()) < 60, answer


def check_offsets(door):
    """text[offset[i]:offset[i + 1]] is the token, where it is text of its own."""
    for text in TEXTS:
        choice = door.complete(model="demo", prompt=text, max_tokens=0, echo=True, logprobs=0)["choices"][0]
        assert choice["text"] == text
        tokens, offsets = choice["logprobs"]["tokens"], choice["logprobs"]["text_offset"]
        assert tokens[0] == "</s>" and offsets[:2] == [0, 0]
        for token, begin, end in zip(tokens[1:], offsets[1:], offsets[2:] + [len(text)]):
            assert token.startswith("bytes:") or text[begin:end] == token, (text, tokens, offsets)


def check_streams(door):
    """Events joined are the whole answer."""
    ask = dict(model="demo", prompt="Once upon a time", max_tokens=40, temperature=0.8, seed=7, n=2)
    whole = door.complete(**ask)
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)
    connection.request("POST", "/v1/completions", json.dumps({**ask, "stream": True, "stream_options": {"include_usage": True}}),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
    events = [event[len("data: "):] for event in answer.read().decode().split("\n\n") if event.startswith("data: ")]
    assert events[-1] == "[DONE]"
    pieces = [json.loads(event) for event in events[:-1]]
    assert pieces[-1]["choices"] == [] and pieces[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    texts = ["", ""]
    for piece in pieces[:-1]:
        texts[piece["choices"][0]["index"]] += piece["choices"][0]["text"]
    assert texts == [choice["text"] for choice in whole["choices"]], (texts, whole)
    # The same connection goes on.
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200


def check_errors(door):
    status, headers, answer = door.ask("POST", "/v1/completions", {"prompt": "a", "max_tokns": 3, "top_p": 7})
    assert status == 400 and answer["error"]["code"] == "unknown_parameter", answer
    assert "did you mean max_tokens?" in answer["error"]["message"] and "top_p" in answer["error"]["message"]
    status, _, answer = door.ask("POST", "/v1/completions", {"prompt": "a " * 4000})
    assert status == 400 and answer["error"]["code"] == "context_length_exceeded", answer
    status, _, answer = door.ask("POST", "/v1/chat/completions", {"messages": []})
    assert status == 404 and answer["error"]["code"] == "unsupported_endpoint"
    status, _, _ = door.ask("GET", "/health", Host="evil.example")
    assert status == 421
    status, headers, _ = door.ask("GET", "/v1/models", **{"x-request-id": "mine"})
    assert status == 200 and headers["x-request-id"] == "mine"


def check_leavers(server, door):
    """Clients that leave while they wait and while they read leave nothing behind."""
    for stream in (False, True):
        for _ in range(40):
            connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)
            connection.request("POST", "/v1/completions",
                               json.dumps({"model": "demo", "prompt": "a", "max_tokens": 400, "ignore_eos": True, "stream": stream}),
                               {"Content-Type": "application/json"})
            if stream:
                connection.getresponse().read(10)
            connection.close()
    limit = time.time() + 10
    idle = {"dyad_http_connections": 0, 'dyad_sequences_in_flight{model="demo"}': 0, 'dyad_kv_pages_used{model="demo"}': 0,
            "dyad_unread_bytes": 0}
    while any(server.metrics()[name] != value for name, value in idle.items()):
        assert time.time() < limit, {name: server.metrics()[name] for name in idle}
        time.sleep(0.05)
    assert server.metrics()['dyad_http_requests_total{code="200",route="/v1/completions"}'] > 0


def check_end(server, door):
    """Work under way ends with its answer; new work is refused."""
    answers = []
    body = {"model": "demo", "prompt": "a", "max_tokens": 300, "ignore_eos": True}
    asking = threading.Thread(target=lambda: answers.append(door.complete(**body)))
    asking.start()
    while server.metrics()['dyad_sequences_in_flight{model="demo"}'] == 0:
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)
    asking.join(timeout=60)
    assert answers and answers[0]["usage"]["completion_tokens"] == 300
    assert server.process.wait(timeout=30) == 0


def check_keys(folder):
    """HTTP and gRPC ask for the same key; probes ask for none; a new file holds within 2 s."""
    keys = folder / "keys"
    keys.write_text("# first\nthe-first-key-of-all\n")
    port = free_port()
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", f"--api_key_file={keys}", "--kv_cache_bytes=33554432") as server:
        door = Http(port)

        def status(key):
            return door.ask("POST", "/tokenize", {"prompt": "a"}, **({"Authorization": f"Bearer {key}"} if key else {}))[0]
        assert status(None) == status("the-first-key-of-al") == 401 and status("the-first-key-of-all") == 200
        assert door.ask("GET", "/health")[0] == 200
        refused = server.ctl("models", check=False)
        assert refused.returncode != 0 and "needs a key" in refused.stderr, refused.stderr
        server.ctl("models", "--api_key_file", str(keys))
        server.ctl("score", "A cat.", env={"DYAD_API_KEY": "the-first-key-of-all"})
        keys.write_text("another-key-of-this-server\n")
        limit = time.time() + 2.5
        while status("another-key-of-this-server") != 200:
            assert time.time() < limit
            time.sleep(0.05)
        assert status("the-first-key-of-all") == 401


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_keys(pathlib.Path(folder))
    port = free_port()
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432") as server:
        door = Http(port)
        check_scores(server, door)
        check_cached(door)
        check_methods(server, door)
        check_provenance(door)
        check_offsets(door)
        check_streams(door)
        check_errors(door)
        check_leavers(server, door)
        check_end(server, door)
    port = free_port()
    with Server({"demo": DEMO, "other": FIXTURES / "opt-dense"}, f"--http=127.0.0.1:{port}",
                "--kv_cache_bytes=33554432") as server:
        door = Http(port)
        status, _, answer = door.ask("POST", "/tokenize", {"prompt": "a"})
        assert status == 400 and "demo, other" in answer["error"]["message"], answer
        status, _, answer = door.ask("POST", "/models/demo/tokenize", {"prompt": "a"})
        assert status == 200 and answer["count"] == len(answer["tokens"])


if __name__ == "__main__":
    main()
