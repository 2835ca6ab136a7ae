"""Triton's client over gRPC and HTTP: readiness, metadata, generating, scoring, pairs; the bits of Score."""
import json
import urllib.request

import numpy
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
import grpc

from support.server import DEMO, Server, free_port
from dyad.v1 import scoring_pb2, scoring_pb2_grpc

TEXTS = ["The cats sleep.", "The cats sleeps.", "É a casa."]


def expected_sums(server):
    request = scoring_pb2.ScoreRequest(convention=scoring_pb2.CONVENTION_BABYLM)
    for text in TEXTS:
        request.items.add().text = text
    return [score.sum for score in scoring_pb2_grpc.ScoringServiceStub(grpc.insecure_channel(server.address)).Score(request).scores]


def texts_input(module, name, texts):
    tensor = module.InferInput(name, [len(texts)], "BYTES")
    values = numpy.array([text.encode() for text in texts], dtype=object)
    if module is over_http:
        tensor.set_data_from_numpy(values, binary_data=False)
    else:
        tensor.set_data_from_numpy(values)
    return tensor


def outputs(module, names):
    if module is over_http:
        return [module.InferRequestedOutput(name, binary_data=False) for name in names]
    return [module.InferRequestedOutput(name) for name in names]


def check(module, url, sums):
    client = module.InferenceServerClient(url)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("demo")
    metadata = client.get_model_metadata("demo")
    metadata = metadata if isinstance(metadata, dict) else {"platform": metadata.platform, "versions": list(metadata.versions)}
    assert metadata["platform"] == "dyad_opt", metadata
    version = metadata["versions"][0]
    assert client.is_model_ready("demo", version)
    result = client.infer("demo", [texts_input(module, "text", TEXTS)], model_version=version, request_id="7",
                          outputs=outputs(module, ["sum", "scored_tokens"]), parameters={"convention": "BABYLM"})
    assert list(result.as_numpy("sum")) == sums, (list(result.as_numpy("sum")), sums)
    assert result.as_numpy("scored_tokens").min() >= 1
    result = client.infer("demo", [texts_input(module, "good", TEXTS[:1]), texts_input(module, "bad", TEXTS[1:2])],
                          outputs=outputs(module, ["margin", "correct"]), parameters={"convention": "BABYLM"})
    assert result.as_numpy("margin")[0] == sums[0] - sums[1] and bool(result.as_numpy("correct")[0]) == (sums[0] >= sums[1])
    sampling = json.dumps({"max_tokens": 8, "temperature": 0, "ignore_eos": True})
    result = client.infer("demo", [texts_input(module, "text_input", ["Once upon", "The"]),
                                   texts_input(module, "sampling_parameters", [sampling])],
                          outputs=outputs(module, ["text_output", "finish_reason", "num_output_tokens"]))
    generated = [text.decode() if isinstance(text, bytes) else text for text in result.as_numpy("text_output")]
    assert generated[0].startswith("Once upon") and generated[1].startswith("The"), generated
    assert list(result.as_numpy("num_output_tokens")) == [8, 8]
    try:
        client.infer("demo", [texts_input(module, "txt", ["a"])], outputs=outputs(module, ["sum"]))
    except Exception as error:  # InferenceServerException of either module
        assert "txt" in str(error), error
    else:
        raise AssertionError("an unknown input must be refused")
    client.close()
    return generated


def main():
    port = free_port()
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kserve=on", "--kv_cache_bytes=33554432") as server:
        sums = expected_sums(server)
        by_grpc = check(over_grpc, server.address, sums)
        by_http = check(over_http, f"127.0.0.1:{port}", sums)
        assert by_grpc == by_http
        body = json.dumps({"text_input": "Once upon", "parameters": {"max_tokens": 8, "temperature": 0, "ignore_eos": True}})
        answer = urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/v2/models/demo/generate", body.encode()
                                                               , {"Content-Type": "application/json"}))
        assert json.load(answer)["text_output"] == by_grpc[0]
    print("triton: gRPC and HTTP, the bits of Score")


if __name__ == "__main__":
    main()
