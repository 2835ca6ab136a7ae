#!/usr/bin/env python3
"""Scores texts, or a file of minimal pairs, with a DYAD server. Stubs: see README.md in this folder.

    score.py TEXT ...            log-probability of each text
    score.py --pairs FILE        JSON lines with sentence_good and sentence_bad, over one stream
"""
import argparse
import json

import grpc

from dyad.v1 import scoring_pb2, scoring_pb2_grpc

# A client that is to survive a busy or restarting server says so once, for the channel. Scores do not
# depend on load or on the attempt, so trying again is always safe.
SERVICE_CONFIG = json.dumps({
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [{
        "name": [{"service": "dyad.v1.ScoringService"}],
        "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "5s",
                        "backoffMultiplier": 3,
                        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]},
    }],
})
PAIRS_PER_MESSAGE = 16


def score_texts(service, arguments):
    request = scoring_pb2.ScoreRequest(
        model=arguments.model, convention=arguments.convention,
        items=[scoring_pb2.ScoreItem(text=text) for text in arguments.texts])
    response = service.Score(request, timeout=60)
    for text, score in zip(arguments.texts, response.scores):
        print(f"{score.sum:12.5f}  {score.scored_tokens:4d} tokens  {text}")
    print(f"[{scoring_pb2.Convention.Name(response.convention)}, model {response.model}, "
          f"digest {response.model_digest[:12]}]")


def requests(pairs, arguments):
    """The stream to the server. gRPC asks for the next message when the server has room for it."""
    for first in range(0, len(pairs), PAIRS_PER_MESSAGE):
        yield scoring_pb2.ScoreMinimalPairsRequest(
            model=arguments.model, convention=arguments.convention,
            pairs=[scoring_pb2.MinimalPair(index=first + i, good=pair["sentence_good"],
                                           bad=pair["sentence_bad"])
                   for i, pair in enumerate(pairs[first:first + PAIRS_PER_MESSAGE])])


def score_pairs(service, arguments):
    with open(arguments.pairs, encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file]
    results = {}  # results may come in another order than the pairs
    for response in service.ScoreMinimalPairs(requests(pairs, arguments)):
        for result in response.results:
            if result.HasField("error"):
                raise SystemExit(f"pair {result.index}: {result.error.message}")
            results[result.index] = result
    for index, pair in enumerate(pairs):
        print(f"{results[index].margin:+10.4f}  {pair['sentence_good']}")
    correct = sum(result.correct for result in results.values())
    print(f"{correct} of {len(pairs)} pairs are right")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*")
    parser.add_argument("--pairs")
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--model", default="", help="empty: the server's only model")
    parser.add_argument("--convention", default="LM_EVAL",
                        type=lambda word: scoring_pb2.Convention.Value("CONVENTION_" + word))
    arguments = parser.parse_args()
    if bool(arguments.texts) == bool(arguments.pairs):
        parser.error("give texts, or --pairs")

    options = [("grpc.service_config", SERVICE_CONFIG)]
    with grpc.insecure_channel(arguments.server, options) as channel:
        service = scoring_pb2_grpc.ScoringServiceStub(channel)
        (score_pairs if arguments.pairs else score_texts)(service, arguments)


if __name__ == "__main__":
    main()
