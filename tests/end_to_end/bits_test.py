#!/usr/bin/env python3
"""The server computes the same bits as when recorded/bits.json was written.

A refactoring must not change a result; this test says whether it did, and in which case. It speaks gRPC with
Python stubs, so it stays as it is while the C++ moves. Results do not depend on the processor, its instruction
set, the C library, the number of threads or the load.

Sections of the file:
  fixtures  every fixture of the reference layers: scores with top lists, greedy text with log-probabilities
  pairs     the demonstration model: minimal pairs, each convention
  words     the demonstration model: words of sentences and of one long text in windows, with each correction
  adjusted  the demonstration model: greedy text under penalties and bias
  sampled   the demonstration model: text drawn with 200 seeds
  bfloat16  the fixtures and the minimal pairs with --arithmetic=bfloat16, of weights of bfloat16; on the CPU only
  int8_kv   the fixtures and the minimal pairs with weights of float32 and keys and values of int8; on the CPU only
  blimp     the demonstration model: 20 pairs of every paradigm of BLiMP in three conventions. The sentences have
            a licence of their own and are no part of the project: without the file that DYAD_REFERENCE_PAIRS
            names (lines with UID, pairID, good and bad) this section is skipped.

Options: --record, --record=SECTION: write the file, or one section of it, anew (commit that by itself, and say
why the bits changed). --section, --weight_dtype, --kv_dtype: only this. --device, --cpu_isa: handed to the server.
"""
import argparse
import collections
import itertools
import json
import os
import pathlib
import sys
import time

import grpc

from support import bit_cases, bits, safetensors
from support.server import DEMO, FIXTURES, SOURCE, Server
from dyad.v1 import common_pb2, generation_pb2, generation_pb2_grpc, scoring_pb2, scoring_pb2_grpc

RECORD = pathlib.Path(__file__).resolve().parent / "recorded" / "bits.json"
WEIGHT_TYPES = ("float32", "float16", "bfloat16", "int8")
KV_TYPES = ("float32", "bfloat16")
COLUMNS = [(weights, kv) for weights in WEIGHT_TYPES for kv in KV_TYPES]
INT8_KV = ("float32", "int8")
EVERY_COLUMN = [*COLUMNS, INT8_KV]
# As the demonstration model is stored and served by default: all of BLiMP's pairs, not a sample.
STORED = ("bfloat16", "float32")
BLIMP = pathlib.Path(os.environ.get(
    "DYAD_REFERENCE_PAIRS", SOURCE.parent / "shared/models/dyad-opt-demo/reference_scores.jsonl"))
BLIMP_CONVENTIONS = ("LM_EVAL", "BABYLM", "MINICONS_MEAN")
# Families that other devices multiply out or refuse: only the CPU is asked for them.
OF_THE_CPU = ("asvd", "blast", "blockdynamic", "einsum", "gblr", "mixed", "moe")
NAMES = sorted(folder.name for folder in FIXTURES.iterdir() if (folder / "expected.safetensors").exists())
IN_FLIGHT = 48


class Client:
    def __init__(self, address, fixtures):
        self.fixtures = fixtures
        self.channel = grpc.insecure_channel(address)
        self.generation = generation_pb2_grpc.GenerationServiceStub(self.channel)
        self.scoring = scoring_pb2_grpc.ScoringServiceStub(self.channel)

    def generate(self, requests):
        """The choices of every request, in order. Every second one comes as a stream."""
        answers = [None] * len(requests)
        for first in range(0, len(requests), IN_FLIGHT):
            window = range(first, min(first + IN_FLIGHT, len(requests)))
            calls = {i: self.generation.GenerateStream(
                generation_pb2.GenerateStreamRequest(request=requests[i])) if i % 2
                     else self.generation.Generate.future(requests[i]) for i in window}
            for i, call in calls.items():
                answers[i] = joined(call) if i % 2 else call.result().choices
        return answers

    def pairs(self, convention, pairs):
        """The results of (good, bad) pairs, in order."""
        head = scoring_pb2.ScoreMinimalPairsRequest(model="demo", convention="CONVENTION_" + convention,
                                                     return_tokens=True)
        rows = [scoring_pb2.MinimalPair(index=i, good=good, bad=bad) for i, (good, bad) in enumerate(pairs)]
        messages = [head] + [scoring_pb2.ScoreMinimalPairsRequest(pairs=rows[i:i + 64])
                             for i in range(0, len(rows), 64)]
        results = [result for answer in self.scoring.ScoreMinimalPairs(iter(messages)) for result in answer.results]
        assert len(results) == len(rows)
        return sorted(results, key=lambda result: result.index)


def joined(stream):
    """The choices of a GenerateStream, put together from its pieces."""
    choices = collections.defaultdict(generation_pb2.Choice)
    for piece in stream:
        if piece.HasField("choice"):
            choice = choices[piece.choice.index]
            text = choice.text + piece.choice.text
            choice.MergeFrom(piece.choice)
            choice.text = text
    return [choices[index] for index in sorted(choices)]


def digest_of(add, *results):
    digest = bits.Digest()
    for result in results:
        add(digest, result)
    return digest.text()


def fixtures(client, _):
    for name in client.fixtures:
        golden = safetensors.read(FIXTURES / name / "expected.safetensors")
        prompts = [common_pb2.TokenIds(ids=golden[f"case{i}.input_ids"][1]) for i in range(4)]
        items = [scoring_pb2.ScoreItem(ids=prompt) for prompt in prompts]
        scores = client.scoring.Score(scoring_pb2.ScoreRequest(model=name, items=items, top_n=5)).scores
        plain = client.scoring.Score(scoring_pb2.ScoreRequest(model=name, items=items)).scores
        greedy = client.generate([generation_pb2.GenerateRequest(
            model=name, ids=prompt, max_new_tokens=24, ignore_eos=True, logprobs=3) for prompt in prompts])
        for i in range(4):
            yield f"{name}, prompt {i}: score with top list", digest_of(bits.add_score, scores[i])
            yield f"{name}, prompt {i}: score", digest_of(bits.add_score, plain[i])
            yield f"{name}, prompt {i}: greedy", digest_of(bits.add_choices, greedy[i])


def generated(client, cases):
    requests = [generation_pb2.GenerateRequest(model="demo", **fields) for fields in cases.values()]
    for case, choices in zip(cases, client.generate(requests), strict=True):
        yield case, digest_of(bits.add_choices, choices)


def adjusted(client, _):
    return generated(client, bit_cases.adjusted())


def sampled(client, _):
    return generated(client, bit_cases.sampled())


def pairs(client, _):
    lines = [json.loads(line) for line in (SOURCE / "deploy" / "minimal_pairs.jsonl").open()]
    texts = [(line["sentence_good"], line["sentence_bad"]) for line in lines]
    for value in scoring_pb2.Convention.keys()[1:]:
        convention = value.removeprefix("CONVENTION_")
        yield convention, digest_of(bits.add_pair, *client.pairs(convention, texts))


def words(client, _):
    lines = [json.loads(line) for line in (SOURCE / "deploy" / "minimal_pairs.jsonl").open()]
    texts = [line[key] for line in lines for key in ("sentence_good", "sentence_bad")]
    for correction in ("NONE", "OH_SCHULER", "PIMENTEL_MEISTER"):
        for convention in ("LM_EVAL", "BABYLM"):
            request = scoring_pb2.ScoreRequest(
                model="demo", convention="CONVENTION_" + convention,
                words={"split": "WORD_SPLIT_PUNCTUATION", "correction": "WORD_CORRECTION_" + correction})
            request.items.extend(scoring_pb2.ScoreItem(text=text) for text in texts)
            yield f"{correction}, {convention}", digest_of(bits.add_words, *client.scoring.Score(request).scores)
            del request.items[:]
            request.items.add(text=" ".join(texts)).regions.add(begin=3, end=100)
            request.window.tokens, request.window.stride = 100, 37
            yield f"{correction}, {convention}, windows", digest_of(
                bits.add_words, *client.scoring.Score(request).scores)


def blimp(client, types):
    paradigms = collections.defaultdict(list)
    for row in map(json.loads, BLIMP.open()):
        paradigms[row["UID"]].append((row["good"], row["bad"]))
    assert sum(map(len, paradigms.values())) == 1340
    share = slice(None) if types == STORED else slice(0, None, 10)
    for convention in BLIMP_CONVENTIONS:
        results = iter(client.pairs(convention, [pair for rows in paradigms.values() for pair in rows[share]]))
        for name, rows in paradigms.items():
            yield f"{name}, {convention}", digest_of(bits.add_pair, *(next(results) for _ in rows[share]))


def bfloat16(client, types):
    yield from fixtures(client, types)
    yield from pairs(client, types)


def int8_kv(client, types):
    yield from fixtures(client, types)
    yield from pairs(client, types)


SECTIONS = {"fixtures": fixtures, "pairs": pairs, "words": words, "adjusted": adjusted, "sampled": sampled,
            "blimp": blimp, "bfloat16": bfloat16, "int8_kv": int8_kv}
# Of weights of this type alone, in an arithmetic of this name; all else is exact, whatever the device does of itself.
OWN_ARITHMETIC = {"bfloat16": "bfloat16"}


def columns_of(section):
    if section == "int8_kv":
        return [INT8_KV]
    return [types for types in COLUMNS if OWN_ARITHMETIC.get(section) in (None, types[0])]


def compute(columns, sections, names, flags):
    """{section: {case: {types: digest}}}, from one server for each pair of types and arithmetic."""
    models = {name: FIXTURES / name for name in names} | {"demo": DEMO}
    found = {section: collections.defaultdict(dict) for section in sections}
    for (weights, kv), arithmetic in itertools.product(columns, ("exact", *OWN_ARITHMETIC.values())):
        served = [section for section in sections if OWN_ARITHMETIC.get(section, "exact") == arithmetic
                  and (weights, kv) in columns_of(section)]
        if not served:
            continue
        start = time.time()
        with Server(models, f"--weight_dtype={weights}", f"--kv_dtype={kv}", f"--kv_cache_bytes={48 << 20}",
                    f"--arithmetic={arithmetic}", *flags) as server:
            client, ready = Client(server.address, names), time.time()
            for section in served:
                for case, digest in SECTIONS[section](client, (weights, kv)):
                    assert (weights, kv) not in found[section][case], f"two cases are called {case}"
                    found[section][case][weights, kv] = digest
            client.channel.close()
        print(f"weights {weights}, KV {kv}, {arithmetic}: start {ready - start:.1f} s, "
              f"cases {time.time() - ready:.1f} s", flush=True)
    return found


def check_checker():
    """One changed bit of one log-probability must be reported, with its case; so must a missing case."""
    score = scoring_pb2.TextScore(ids=[2, 7], scored=[False, True], logprobs=[0, -1.5], greedy=[False, True],
                                  ranks=[0, 1], sum=-1.5, mean=-1.5, scored_tokens=1)
    before = {"pairs": {"a": {STORED: digest_of(bits.add_score, score)}, "b": {STORED: "0"}}}
    assert bits.differences(before, {"pairs": dict(before["pairs"])}) == []
    score.logprobs[1] = -1.5 - 2**-23
    after = {"pairs": {"a": {STORED: digest_of(bits.add_score, score)}, "b": {STORED: "0"}}}
    [message] = bits.differences(before, after)
    assert message.startswith(f"pairs: a: {STORED}: recorded "), message
    assert len(bits.differences(before, {"pairs": {"b": {STORED: "0"}, "c": {STORED: "0"}}})) == 2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", nargs="?", const="all", choices=("all", *SECTIONS))
    parser.add_argument("--weight_dtype", choices=WEIGHT_TYPES)
    parser.add_argument("--kv_dtype", choices=(*KV_TYPES, "int8"))
    parser.add_argument("--section", choices=SECTIONS)
    parser.add_argument("--device")
    parser.add_argument("--cpu_isa")
    options = parser.parse_args()
    columns = [(weights, kv) for weights, kv in EVERY_COLUMN
               if options.weight_dtype in (None, weights) and options.kv_dtype in (None, kv)]
    if options.record and (columns != EVERY_COLUMN or options.section or options.device):
        parser.error("--record needs every type, every section and the CPU")
    check_checker()
    assert len(NAMES) == 36, NAMES
    names = [name for name in NAMES if not options.device or not any(family in name for family in OF_THE_CPU)]
    only = options.record if options.record in SECTIONS else options.section
    sections = [only] if only else list(SECTIONS)
    if "blimp" in sections and not BLIMP.exists():
        print(f"blimp: skipped, because {BLIMP} does not exist; DYAD_REFERENCE_PAIRS names another file")
        sections.remove("blimp")
    if options.device and options.device != "cpu":
        sections = [section for section in sections if section not in (*OWN_ARITHMETIC, "int8_kv")]
    flags = [f"--{name}={value}" for name, value in (("device", options.device), ("cpu_isa", options.cpu_isa)) if value]
    found = compute(columns, sections, names, flags)
    count = sum(len(digests) for cases in found.values() for digests in cases.values())
    recorded = bits.read(RECORD, columns_of)
    if options.record:
        bits.write(RECORD, columns_of, recorded | found)
        print(f"recorded {count} digests")
        return 0
    for section, cases in recorded.items():
        recorded[section] = {case: {types: digests[types] for types in columns if types in digests}
                             for case, digests in cases.items()
                             if section != "fixtures" or case.split(",")[0] in names}
    messages = bits.differences(recorded, found)
    print("\n".join(messages[:40]))
    print(f"{len(messages)} of {count} digests differ")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
