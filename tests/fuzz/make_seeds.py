#!/usr/bin/env python3
"""Writes small valid inputs for each fuzz target, and the words of its format: what fuzzing starts from.

make_seeds.py OUTPUT FIXTURES writes OUTPUT/NAME/* and OUTPUT/NAME.dict for each tests/fuzz/NAME_fuzz.cc.
"""
import gzip
import hashlib
import io
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]


def model_configs(fixtures):
    """config.json, 0, generation_config.json."""
    for path in sorted(fixtures.glob("*/config.json")) + sorted(fixtures.glob("bad*/*/config.json")):
        yield path.read_bytes()
    demo = (fixtures / "opt-dyad-it4" / "config.json").read_bytes()
    for ids in (2, [2, 3]):
        yield json.dumps({**json.loads(demo), "eos_token_id": ids, "bos_token_id": 1}).encode()
    for more in ({"eos_token_id": 2}, {"eos_token_id": [2, 5, 7], "do_sample": True}, {"eos_token_id": None}):
        yield demo + b"\0" + json.dumps(more).encode()


def tokenizer_files(_):
    """The files of kFiles in tokenizer_files_fuzz.cc, with 0 between."""
    merges = ["h e", "l l", "he ll", "hell o", "a a"]
    for letters in ("ehlowa", "\u0120he loxyz"):
        words = [*letters, *(merge.replace(" ", "") for merge in merges)]
        vocabulary = {word: i for i, word in enumerate(words)}
        end = len(words)
        special = {"id": end, "content": "<end>", "special": True, "lstrip": False, "rstrip": True,
                   "single_word": False, "normalized": False}
        frame = {"type": "TemplateProcessing",
                 "single": [{"SpecialToken": {"id": "<end>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                 "pair": [], "special_tokens": {"<end>": {"id": "<end>", "ids": [end], "tokens": ["<end>"]}}}
        for normalizer, processor in ((None, None), ({"type": "NFC"}, frame)):
            whole = {"version": "1.0", "added_tokens": [special], "normalizer": normalizer,
                     "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True},
                     "post_processor": processor, "decoder": {"type": "ByteLevel"},
                     "model": {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False,
                               "byte_fallback": False, "ignore_merges": False,
                               "continuing_subword_prefix": "", "end_of_word_suffix": "",
                               "vocab": {**vocabulary, "<end>": end}, "merges": merges}}
            yield json.dumps(whole).encode() + bytes(3) + b'{"bos_token": "<end>", "add_bos_token": true}'
        config = {"bos_token": {"content": "<end>", "lstrip": True}, "eos_token": "<end>", "unk_token": "e",
                  "add_bos_token": True, "add_eos_token": True, "add_prefix_space": True,
                  "added_tokens_decoder": {str(end): special}, "additional_special_tokens": ["<end>"]}
        yield b"\0".join([b"", json.dumps({**vocabulary, "<end>": end}).encode(),
                          "\n".join(["#version: 0.2", *merges, ""]).encode(), json.dumps(config).encode(),
                          b'{"eos_token": "<end>", "additional_special_tokens": ["aa"]}', b'{"<more>": %d}' % (end + 1)])


def message(kind, text):
    """The bytes of a dyad.v1 message that is given as protobuf's text."""
    files = [path.relative_to(ROOT / "proto").as_posix() for path in (ROOT / "proto/dyad/v1").glob("*.proto")]
    return subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--encode=dyad.v1.{kind}", *files],
                          input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def requests(_):
    """By the order of kMethods in requests_fuzz.cc."""
    for text in (
            'model: "text" text: "hello world" max_new_tokens: 8 temperature: 0.8 top_k: 5 top_p: 0.9 seed: 7 n: 2',
            'model: "ids" ids {ids: 104 ids: 256} max_new_tokens: 3 min_p: 0.1 repetition_penalty: 1.1 '
            'presence_penalty: 0.5 frequency_penalty: 0.5 logit_bias {key: 3 value: 2} stop_ids: 7 ignore_eos: true',
            'model: "text" text: "hello<end>" special_tokens: 2 echo: true logprobs: 3 stop: "he" stop: "ll"'):
        yield bytes([0]) + message("GenerateRequest", text)
    for text in (
            'model: "text" items {text: "hello world"} items {text: "hello" context_text: "hell"} top_n: 3',
            'model: "ids" items {ids {ids: 1 ids: 2 ids: 3} context_ids {ids: 7}} convention: 0',
            'model: "text" items {text: "aa<end>"} convention: 2 special_tokens: 1',
            'model: "text" items {text: "hello world hello" scored {begin: 2 end: 9} regions {begin: 6 end: 11}} '
            'words {split: 2 correction: 3} window {tokens: 8 stride: 3}',
            'model: "text" items {text: "hello"} convention: 5', 'model: "text" items {text: "he aa"} convention: 3'):
        yield bytes([1]) + message("ScoreRequest", text)
    first = message("ScoreMinimalPairsRequest",
                    'model: "text" convention: 1 return_tokens: true pairs {index: 1 good: "hello" bad: "hell"}')
    for text in ('', 'choice_sets {index: 4 options {text: "hello"} options {ids {ids: 1 ids: 2}}}', 'pairs {index: 2 good: "aa" bad: "aaa" context: "he "}', 'pairs {index: -3 good: "" bad: "a"}'):
        yield bytes([2, len(first)]) + first + message("ScoreMinimalPairsRequest", text)
    yield bytes([3]) + message("TokenizeRequest", 'model: "text" text: "hello <end>" add_special_tokens: false')
    yield bytes([3]) + message("TokenizeRequest", 'model: "text" text: "hello <end>" special_tokens: 2')
    yield bytes([4]) + message("DetokenizeRequest", 'model: "text" ids: 104 ids: 263 ids: 300 skip_special_tokens: true')
    yield bytes([5])
    yield bytes([6]) + message("GetModelRequest", '[name]: "text"'.replace("[name]", first_field("GetModelRequest")))
    yield bytes([7])


def first_field(kind):
    """The name of a message's first field."""
    text = "".join(path.read_text() for path in (ROOT / "proto/dyad/v1").glob("*.proto"))
    return re.search(rf"message {kind} {{[^}}]*?\n\s+\w+ (\w+) = 1;", text).group(1)


def http_requests(_):
    """A byte for the cuts, and what a connection sends."""
    for bytes_ in ("GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", "GET /metrics HTTP/1.0\r\n\r\n",
                   "GET http://a:1/v1/models?x=%41&y HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
                   "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: b\r\n\r\n",
                   "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n",
                   "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\nTransfer-Encoding: gzip, identity\r\n\r\n",
                   "GET / HTTP/1.1\r\nA: b\r\n c: folded\r\nHost: a\r\nContent-Encoding: gzip\r\n\r\n", "GET /\r\n"):
        for cut in (0, 6):
            yield bytes([cut]) + bytes_.encode()


def completion_json(_):
    """Bodies of POST /v1/completions."""
    for body in (
            {"model": "m", "prompt": "a", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "n": 2, "best_of": 2,
             "logprobs": 1, "echo": True, "seed": 1234, "stop": ["x", "y"], "presence_penalty": 1,
             "frequency_penalty": -1, "logit_bias": {"7": -100.5}, "stream": True, "user": "u", "suffix": None,
             "stream_options": {"include_usage": True, "continuous_usage_stats": False, "include_obfuscation": False}},
            {"prompt": [[1, 2], [3]], "top_k": -1, "min_p": 0.1, "repetition_penalty": 1.1, "ignore_eos": True,
             "min_tokens": 3, "stop_token_ids": [2], "add_special_tokens": False, "return_token_ids": True,
             "return_tokens_as_token_ids": True, "priority": 0, "skip_special_tokens": True, "length_penalty": 1,
             "spaces_between_special_tokens": True, "include_stop_str_in_output": False, "use_beam_search": False},
            {"prompt": ["a", "b"], "stop": "x", "response_format": None, "tools": None, "messages": None},
            {"prompt": [1, 2, 3], "max_tokens": 0, "guided_json": {}, "truncate_prompt_tokens": 1}):
        yield json.dumps(body).encode()


def method_json(_):
    """By the order of kChecks in method_json_fuzz.cc."""
    for method, body in (
            (0, {"model": "text", "text": "hello", "maxNewTokens": 8, "temperature": 0.8, "topK": 5, "seed": "7", "n": 2,
                 "logitBias": {"3": 2.5}, "stop": ["he"], "stopIds": [7], "echo": True, "logprobs": 3}),
            (0, {"ids": {"ids": [1, 2]}, "min_p": 0.1, "repetition_penalty": 1.1, "special_tokens": "SPECIAL_TOKENS_NONE"}),
            (1, {"items": [{"text": "hello", "contextText": "he", "regions": [{"begin": 1, "end": 3}]}], "topN": 3,
                 "convention": "CONVENTION_BABYLM", "words": {"split": "WORD_SPLIT_PUNCTUATION", "correction": 3}}),
            (1, {"items": [{"ids": {"ids": [1]}, "context_ids": {"ids": [2]}, "scored": {"begin": 0, "end": 1}}],
                 "window": {"tokens": 8, "stride": 3}, "model": None}),
            (2, {"model": "text", "text": "hello", "addSpecialTokens": False}), (3, {"ids": [1, 2], "skipSpecialTokens": True}),
            (4, {"name": "text"})):
        yield bytes([method]) + json.dumps(body).encode()


def infer_json(_):
    """Bodies of POST /v2/models/text/infer."""
    def tensor(name, *data):
        return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": list(data)}
    for body in (
            {"id": "1", "parameters": {"convention": "BABYLM"}, "inputs": [tensor("text", "hello", "world")]},
            {"inputs": [tensor("good", "hello"), tensor("bad", "hell")], "outputs": [{"name": "margin"}]},
            {"inputs": [tensor("text_input", "he"), tensor("sampling_parameters", '{"max_tokens": 4, "seed": 1}')]},
            {"parameters": {"max_tokens": 3, "temperature": 0.5}, "inputs": [tensor("text_input", "he", "hello")]},
            {"inputs": [{"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": [["a"], ["b"]]}]}):
        yield json.dumps(body).encode()


def dyadctl_lines(_):
    """Kind, two bytes for the cut, lines; or behind 0 an output."""
    lines = (
        {"text": "hello", "max_new_tokens": 5, "temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "seed": 7,
         "stop": ["a", "b"], "stop_ids": [1], "logit_bias": {"3": 1.5}, "n": 2, "echo": True, "logprobs": 2,
         "special_tokens": "PARSE", "repetition_penalty": 1.1, "ignore_eos": True, "id": 17},
        {"text": "hello", "context": "a ", "convention": "LM_EVAL", "top_n": 3, "model": "other", "own": [1, None]},
        {"sentence_good": "a", "sentence_bad": "b", "context": "", "UID": "x"},
        {"text": "hello \u00e9", "add_special_tokens": False, "special_tokens": "LITERAL"},
        {"ids": [1, 2, 300], "skip_special_tokens": True})
    for kind, line in enumerate(lines):
        text = json.dumps(line).encode()
        yield bytes([kind, 0, 100]) + text + b"\n\n" + text.replace(b"hello", b"more") + b'\n{"ids": [1], "stop": "x"}\nno JSON\n'
        yield bytes([kind, 0, 40]) + gzip.compress(text, mtime=0)
        bound = {"format": "dyad.run/1", "model": {"digest": "d1"}, "task": {"name": "score"}, "options": {},
                 "input": {"sha256": hashlib.sha256(text).hexdigest()}}
        run = hashlib.sha256(json.dumps(bound, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]
        answer = {"run": run, "error": {"code": "INTERNAL", "message": ""}}
        yield (bytes([kind, 0, 0]) + text + b"\0" + json.dumps({"dyad_run": {**bound, "run": run}}, separators=(",", ":")).encode()
               + b"\n" + json.dumps(answer).encode() + b"\n")


def dyadctl_flags(_):
    """A word a line."""
    for words in (
            ["generate", "hello", "--max_new_tokens", "5", "--temperature=0.5", "--top_k=3", "--top_p=0.9", "--seed=7",
             "--stop=a", "--stop", "b", "--n=2", "--echo", "--logprobs=2", "--logit_bias={\"3\": 1}", "--json"],
            ["score", "--text=a", "--context=b", "--convention=BABYLM", "--top_n=2", "--details", "--model=m"],
            ["score", "--input", "a.jsonl", "--output", "b.jsonl", "--concurrency=4", "--retry_errors"],
            ["pairs", "good", "bad", "--convention", "MINICONS_MEAN", "--streams=2", "--timeout=3s"],
            ["blimp", "corpus.tar.gz", "--limit=10", "--by=phenomenon", "--output=a"],
            ["tokenize", "a", "b", "--add_special_tokens=false", "--tokenizer=folder", "--special_tokens=LITERAL"],
            ["detokenize", "1", "2", "--ids=[1,2]", "--skip_special_tokens"], ["models", "--model=a", "--json"],
            ["health", "--service=liveness", "--tls_ca=a", "--tls_cert=b", "--tls_key=c"],
            ["help", "score"], ["score", "--help"], ["--version"], ["generate", "--", "--text"], ["scoer"]):
        yield "\n".join(words).encode()


def corpus_archives(_):
    """A kind, then what it packs."""
    pairs = b'{"sentence_good": "a", "sentence_bad": "b", "UID": "x"}\n\n{"sentence_good": "c", "sentence_bad": "d"}\nno\n'
    files = {"blimp/data/first.jsonl": pairs, "second.jsonl": pairs[:60], "._second.jsonl": b"x", "README": b"text"}
    yield b"\0" + pairs
    yield b"\1" + pairs
    for kind in (b"\2", b"\3"):
        yield kind + b"\0".join(part for name, text in files.items() for part in (name.encode(), text))
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        for form in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode=mode, format=form) as archive:
                for name, text in files.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(text)
                    archive.addfile(info, io.BytesIO(text))
            yield b"\0" + out.getvalue()[:5120]  # without most of the zeros that fill a tape's block
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, text in files.items():
                archive.writestr(zipfile.ZipInfo(name), text)
        yield b"\0" + out.getvalue()


def torch_files(fixtures):
    """A file of torch.save, or its pickle alone."""
    numbers = torch.arange(24.0)
    states = ({"model.a": numbers.view(2, 3, 4), "model.b": numbers[3:9].view(3, 2).t()},
              {"state_dict": {"w": torch.nn.Parameter(numbers[:4])}, "epoch": 3, "args": ["x", None, True, 1.5]})
    for state in states:
        out = io.BytesIO()
        torch.save(state, out)
        yield b"\0" + out.getvalue()
        with zipfile.ZipFile(out) as archive:
            yield b"\1" + archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    for path in sorted(fixtures.glob("bad/bin-*/pytorch_model.bin")):
        if path.stat().st_size < 4096:
            yield b"\0" + path.read_bytes()


def safetensors(_):
    """A file, its header over 96 bytes of data, or the index of shards."""
    header = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
              "b.c": {"dtype": "BF16", "shape": [36], "data_offsets": [24, 96]}}
    text = json.dumps(header).encode()
    yield b"\0" + struct.pack("<Q", len(text)) + text + bytes(96)
    yield b"\1" + text
    yield b"\2" + json.dumps({"metadata": {"total_size": 9}, "weight_map": {"a": "x-1.bin", "b": "x-2.bin"}}).encode()


def server_flags(_):
    """An argument a line."""
    for arguments in (
            ["--model=a=b,c", "--listen=0.0.0.0:1", "--insecure", "--metrics=off", "--max_prompt_bytes=10"],
            ["--model", "deploy/demo_model/", "--threads=2", "--kv_cache_bytes=65536", "--kv_cache_fraction=0.5",
             "--weight_dtype=int8", "--kv_dtype=bfloat16", "--prefix_cache=off", "--log_format=json"],
            ["--model=/", "--listen=unix:/tmp/a", "--drain_timeout=5m", "--max_connection_idle=inf", "--check=false",
             "--tls_cert=a", "--tls_key=b", "--tls_ca=c", "--reflection=off", "--stall_timeout=1s", "--log_prompts"],
            ["--model=a", "--device=reference", "--allow_reference_device=true", "--cpu_isa=avx2"],
            ["--help"], ["-h"], ["--version"], ["--port=1"], ["--max_queued_requets=5", "word", "--", "--model"]):
        yield "\n".join(arguments).encode()


TARGETS = {"model_config": model_configs, "tokenizer_files": tokenizer_files, "requests": requests,
           "http_requests": http_requests, "completion_json": completion_json, "method_json": method_json,
           "infer_json": infer_json, "dyadctl_lines": dyadctl_lines, "dyadctl_flags": dyadctl_flags,
           "corpus_archive": corpus_archives, "torch_file": torch_files, "safetensors": safetensors,
           "server_flags": server_flags}
# Words: what stands in quotes, JSON's own, or a flag, a header or a value.
JSON = rb'"[\w. <>-]{2,40}"|\btrue\b|\bfalse\b|\bnull\b|\d+'
WORDS = {"model_config": JSON, "tokenizer_files": JSON, "dyadctl_lines": JSON, "safetensors": JSON,
         "torch_file": rb"[\w.]{3,40}", "dyadctl_flags": rb"[\w-]+", "server_flags": rb"--\w+=?|=\w+",
         "http_requests": rb"[\w/.-]{3,40}", "completion_json": JSON, "method_json": JSON,
         "infer_json": JSON}


def main():
    output, fixtures = map(pathlib.Path, sys.argv[1:])
    shutil.rmtree(output, ignore_errors=True)
    for name, seeds in TARGETS.items():
        folder = output / name
        folder.mkdir(parents=True)
        words = set()
        for number, seed in enumerate(seeds(fixtures)):
            (folder / f"seed{number}").write_bytes(seed)
            if name in WORDS:
                words.update(re.findall(WORDS[name], seed))
        lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in sorted(words)[:300]]
        (output / f"{name}.dict").write_text("".join(lines))
    (output / "written").touch()


if __name__ == "__main__":
    main()
