#!/usr/bin/env python3
"""The grpcurl examples of README.md name real methods and hold valid requests (grpcurl itself is not
packaged in Debian, so its lines are checked as proto-JSON)."""
import re

from support.server import SOURCE  # puts the generated stubs on the path
from google.protobuf import json_format, symbol_database
from dyad.v1 import generation_pb2, model_pb2, scoring_pb2, tokenizer_pb2

MODULES = {"GenerationService": generation_pb2, "ScoringService": scoring_pb2,
           "TokenizerService": tokenizer_pb2, "ModelService": model_pb2}


def examples(text):
    """(service, method, JSON) of each grpcurl line."""
    pattern = r"grpcurl -plaintext (?:-d '([^']*)' )?127\.0\.0\.1:50051 dyad\.v1\.(\w+)/(\w+)"
    return [(service, method, body or "{}") for body, service, method in re.findall(pattern, text)]


def check(service, method, body):
    descriptor = MODULES[service].DESCRIPTOR.services_by_name[service].methods_by_name[method]
    message = symbol_database.Default().GetSymbol(descriptor.input_type.full_name)()
    # A client-streaming method takes several messages, one after the other.
    for part in re.split(r"(?<=})\s+(?={)", body):
        json_format.Parse(part, message)


def main():
    text = (SOURCE / "README.md").read_text().replace("\\\n", " ")
    text = re.sub(r"[ ]{2,}", " ", text)
    found = examples(text)
    assert len(found) == text.count("grpcurl -plaintext"), "an example was not understood"
    assert {service for service, _, _ in found} == set(MODULES), "each service has an example"
    for example in found:
        check(*example)
    try:
        check("ScoringService", "Score", '{"itemz": []}')
    except json_format.ParseError:
        pass
    else:
        raise AssertionError("the check must be able to fail")
    print(f"{len(found)} examples are valid requests")


if __name__ == "__main__":
    main()
