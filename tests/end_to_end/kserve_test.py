#!/usr/bin/env python3
"""The Open Inference Protocol as a KServe runtime starts it: the flags of its manifest, probes, scores with the bits of
Score, over gRPC and HTTP."""
import json
import re
import urllib.error
import urllib.request

import grpc
from support.server import DEMO, SOURCE, Server, free_port
from dyad.v1 import scoring_pb2, scoring_pb2_grpc
from inference import open_inference_grpc_pb2 as inference_pb2
from inference import open_inference_grpc_pb2_grpc as inference_grpc

TEXTS = ["The cats sleep.", "The cats sleeps.", "É a casa."]


def runtime_flags(port):
    """The manifest's flags, but for what the machine of a test has not: its ports, its folder."""
    manifest = (SOURCE / "deploy/kserve/serving_runtime.yaml").read_text()
    flags = re.findall(r"^\s+- (--\S+)$", manifest, re.MULTILINE)
    assert "--model={{.Name}}=/mnt/models" in flags and "--kserve=on" in flags, flags
    elsewhere = ("--model=", "--listen=", "--metrics=", "--http=")
    return [flag for flag in flags if not flag.startswith(elsewhere)] + [f"--http=127.0.0.1:{port}"]


def post(port, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def main():
    port = free_port()
    with Server({"demo": DEMO}, *runtime_flags(port)) as server:
        channel = grpc.insecure_channel(server.address)
        request = scoring_pb2.ScoreRequest(convention=scoring_pb2.CONVENTION_BABYLM)
        for text in TEXTS:
            request.items.add().text = text
        sums = [score.sum for score in scoring_pb2_grpc.ScoringServiceStub(channel).Score(request).scores]
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/demo/ready"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                assert answer.status == 200, path
        stub = inference_grpc.GRPCInferenceServiceStub(channel)
        infer = inference_pb2.ModelInferRequest(model_name="demo")
        infer.parameters["convention"].string_param = "BABYLM"
        tensor = infer.inputs.add(name="text", datatype="BYTES", shape=[len(TEXTS)])
        tensor.contents.bytes_contents.extend(text.encode() for text in TEXTS)
        assert list(stub.ModelInfer(infer).outputs[0].contents.fp64_contents) == sums
        body = {"parameters": {"convention": "BABYLM"},
                "inputs": [{"name": "text", "shape": [len(TEXTS)], "datatype": "BYTES", "data": TEXTS}]}
        status, answer = post(port, "/v2/models/demo/infer", body)
        assert status == 200 and answer["outputs"][0]["data"] == sums, answer
        pairs = {"parameters": {"convention": "BABYLM"},
                 "inputs": [{"name": name, "shape": [1], "datatype": "BYTES", "data": [text]}
                            for name, text in (("good", TEXTS[0]), ("bad", TEXTS[1]))]}
        status, answer = post(port, "/v2/models/demo/infer", pairs)
        assert status == 200 and answer["outputs"][0]["data"] == [sums[0] - sums[1]], answer
        status, answer = post(port, "/v2/models/demo/infer", {"inputs": []})
        assert status == 400 and "text_input" in answer["error"], answer
    with Server({"demo": DEMO}, "--kv_cache_bytes=33554432") as server:
        try:
            inference_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(server.address)).ServerLive(
                inference_pb2.ServerLiveRequest())
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
        else:
            raise AssertionError("off unless it is asked for")
    print("kserve: gRPC and HTTP, the bits of Score")


if __name__ == "__main__":
    main()
