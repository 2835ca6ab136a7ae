#!/usr/bin/env python3
"""The same texts through every door at once, in random batches beside generation: the bits of one text alone over gRPC.

Doors: gRPC, the completions of the HTTP door, its JSON methods, the Python package, and KServe's protocol over gRPC and HTTP,
which has sums only. One engine serves all of them, with little memory for keys and values, so that sequences are preempted.

Option: --sentences N (default 2000).
"""
import argparse
import http.client
import json
import random
import sys
import threading

import grpc
from google.protobuf import json_format
from support.server import DEMO, SOURCE, Server, free_port
from support.traffic import Streams, sentence
from dyad.v1 import scoring_pb2, scoring_pb2_grpc
from inference import open_inference_grpc_pb2 as inference_pb2
from inference import open_inference_grpc_pb2_grpc as inference_grpc

sys.path.insert(0, str(SOURCE / "client" / "python"))
from dyad_serve import Client  # noqa: E402

CONVENTION = "BABYLM"
MOST_IN_A_BATCH = 32


def score_request(texts):
    request = scoring_pb2.ScoreRequest(model="demo", convention=scoring_pb2.CONVENTION_BABYLM)
    for text in texts:
        request.items.add().text = text
    return request


def rows_of(scores):
    """The log-probabilities behind the first token, and the sum."""
    return [(tuple(score.logprobs[1:]), score.sum) for score in scores]


class Post:
    """One connection of one thread."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def __call__(self, path, body):
        self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        data = json.loads(answer.read())
        assert answer.status == 200, data
        return data


def over_grpc(server, port):
    stub = scoring_pb2_grpc.ScoringServiceStub(grpc.insecure_channel(server.address))
    return lambda texts: rows_of(stub.Score(score_request(texts)).scores)


def over_completions(server, port):
    post = Post(port)

    def scores(texts):
        answer = post("/v1/completions", dict(model="demo", prompt=texts, max_tokens=0, echo=True, logprobs=0))
        choices = sorted(answer["choices"], key=lambda choice: choice["index"])
        rows = [tuple(choice["logprobs"]["token_logprobs"][1:]) for choice in choices]
        return [(row, sum(row)) for row in rows]
    return scores


def over_methods(server, port):
    post = Post(port)

    def scores(texts):
        answer = post("/dyad.v1.ScoringService/Score", json_format.MessageToDict(score_request(texts)))
        return rows_of(json_format.ParseDict(answer, scoring_pb2.ScoreResponse()).scores)
    return scores


def over_python(server, port):
    client = Client(server.address, model="demo", timeout=120)
    return lambda texts: [(tuple(token.logprob for token in score.tokens[1:]), score.sum)
                          for score in client.score(texts, convention=CONVENTION)]


def over_kserve_grpc(server, port):
    stub = inference_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(server.address))

    def sums(texts):
        infer = inference_pb2.ModelInferRequest(model_name="demo")
        infer.parameters["convention"].string_param = CONVENTION
        tensor = infer.inputs.add(name="text", datatype="BYTES", shape=[len(texts)])
        tensor.contents.bytes_contents.extend(text.encode() for text in texts)
        return [(None, value) for value in stub.ModelInfer(infer).outputs[0].contents.fp64_contents]
    return sums


def over_kserve_http(server, port):
    post = Post(port)

    def sums(texts):
        tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
        answer = post("/v2/models/demo/infer", {"parameters": {"convention": CONVENTION}, "inputs": [tensor]})
        return [(None, value) for value in answer["outputs"][0]["data"]]
    return sums


DOORS = (over_grpc, over_completions, over_methods, over_python, over_kserve_grpc, over_kserve_http)


class Door(threading.Thread):
    """Sends every text once, in an order and in batches of its own."""

    def __init__(self, open_door, server, port, texts, seed):
        super().__init__(name=open_door.__name__)
        self.open = lambda: open_door(server, port)
        self.texts, self.rng = texts, random.Random(seed)
        self.rows, self.error = {}, None

    def run(self):
        try:
            ask = self.open()
            order = list(range(len(self.texts)))
            self.rng.shuffle(order)
            while order:
                batch = [order.pop() for _ in range(min(len(order), self.rng.randint(1, MOST_IN_A_BATCH)))]
                self.rows.update(zip(batch, ask([self.texts[i] for i in batch]), strict=True))
        except Exception as error:  # told by the main thread
            self.error = error

    def differences(self, alone):
        """How many rows are not those of `alone`."""
        assert self.error is None, f"{self.name}: {self.error!r}"
        return sum(self.rows[i][1] != total or self.rows[i][0] not in (None, logprobs)
                   for i, (logprobs, total) in enumerate(alone))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sentences", type=int, default=2000)
    rng = random.Random(5)
    texts = [sentence(rng) for _ in range(parser.parse_args().sentences)]
    port = free_port()
    with Server({"demo": DEMO}, "--threads=1", "--prefix_cache=off", "--kv_cache_bytes=67108864") as server:
        ask = over_grpc(server, port)
        alone = [ask([text])[0] for text in texts]
    page_bytes = 16 * 2 * 6 * 256 * 4  # tokens, K and V, layers, hidden, float32
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kserve=on", "--threads=2", "--max_batch_tokens=96",
                f"--kv_cache_bytes={24 * page_bytes}") as server, \
            Streams(server.address, 4, seed=3, max_tokens=150) as streams:
        doors = [Door(door, server, port, texts, seed) for seed, door in enumerate(DOORS)]
        for door in doors:
            door.start()
        for door in doors:
            door.join()
        streams.stop.set()
        preempted = server.metric_sum("dyad_preemptions_total")
    different = {door.name: door.differences(alone) for door in doors}
    print(f"{len(texts)} texts: " + ", ".join(f"{name} {count} differ" for name, count in different.items()))
    print(f"{preempted:.0f} preemptions, {streams.finished} streams ended beside them")
    assert not any(different.values()), different
    assert preempted > 0 and streams.finished > 0 and not streams.errors, streams.errors[:3]


if __name__ == "__main__":
    main()
