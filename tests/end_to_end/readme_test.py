#!/usr/bin/env python3
"""What README.md tells people to type works as it stands there: dyadctl's lines, curl's, and the studies, on small files
and a server of our own. grpcurl is not packaged in Debian: its lines are checked as proto-JSON. The lines of openai and
lm-evaluation-harness run in tests/clients, that of tritonclient as tests/clients/triton_check.py."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile

from support import readme
from support.server import BUILD, DEMO, SOURCE, Server, free_port  # puts the generated stubs on the path
from google.protobuf import json_format, symbol_database
from dyad.v1 import generation_pb2, model_pb2, scoring_pb2, tokenizer_pb2

MODULES = {"GenerationService": generation_pb2, "ScoringService": scoring_pb2,
           "TokenizerService": tokenizer_pb2, "ModelService": model_pb2}
DYADCTL = BUILD / "bin" / "dyadctl"
# Of the table "I use": what runs here, and where the others do.
HERE = {"curl": "choices", "curl, R, anything with JSON": "scores"}
ELSEWHERE = {"openai (Python)": "openai_check.py", "lm-evaluation-harness": "harness_check.py",
             "tritonclient, KServe": "triton_check.py"}
# Commands that ask no server.
LOCAL = "compare", "report"


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


def check_grpcurl():
    text = re.sub(r"[ ]{2,}", " ", readme.README.replace("\\\n", " "))
    found = examples(text)
    assert len(found) == text.count("grpcurl -plaintext"), "an example was not understood"
    assert {service for service, _, _ in found} == set(MODULES), "each service has an example"
    for example in found:
        check(*example)
    try:
        check("ScoringService", "Score", '{"itemz": []}')
    except json_format.ParseError:
        return len(found)
    raise AssertionError("the check must be able to fail")


def write_files(folder, server):
    """What the commands name, small."""
    (folder / "deploy").symlink_to(SOURCE / "deploy")
    pairs = SOURCE / "deploy" / "minimal_pairs.jsonl"
    with tarfile.open(folder / "blimp.tar.gz", "w:gz") as packed:
        packed.add(pairs, "blimp/agreement.jsonl")
    (folder / "texts.jsonl").write_text('{"text": "The cats sleep."}\n')
    (folder / "items.csv").write_text('text,options,label\nThe cats sleep.,"[""a cat"", ""cats""]",0\n')
    (folder / "people.csv").write_text("source,task,row,accuracy,n\npeople,choices,all,0.9,20\n")
    (folder / "ewok_filtered").mkdir()
    (folder / "ewok_filtered" / "a.jsonl").write_text(json.dumps(
        {"Domain": "d", "Context1": "It is hot.", "Context2": "It is cold.", "Target1": "It burns.", "Target2": "It freezes."}) + "\n")
    (folder / "reading_data.csv").write_text("item,word,prev_item,prev_word\nThe cat, sleeps,The, cat\n")
    for name, convention in (("a", "BABYLM"), ("b", "LM_EVAL")):
        server.ctl("pairs", f"--input={pairs}", f"--output={folder / name}.jsonl", f"--convention={convention}")


def run_dyadctl(words, server, folder):
    """Of a line, dyadctl in front."""
    words = [words[0], *([] if words[0] in LOCAL else [f"--server={server.address}"]), *words[1:]]
    run = subprocess.run([DYADCTL, *words], capture_output=True, text=True, cwd=folder)
    assert run.returncode == 0, (words, run)


def check_dyadctl(server, folder):
    count = 0
    lines = [shlex.split(line) for line in readme.block("Use it")]
    assert all(words[0] == "build/release/bin/dyadctl" for words in lines), lines
    for words in lines:
        run_dyadctl(words[1:], server, folder)
        count += 1
    for spans in readme.table("I want").values():
        for span in spans:
            if not span.startswith("--"):
                words = shlex.split(span)
                assert words[0] == "dyadctl", span
                words = words[1:]
            else:  # beside the command before it
                words = [*words, span.replace("DIR", "predictions")]
            run_dyadctl(words, server, folder)
            count += 1
    for name in ("surprisal.csv", "surprisal.csv.run.json", "ewok.jsonl", "reading.csv", "report.html", "scores.jsonl",
                 "predictions/reading/predictions.json"):
        assert (folder / name).stat().st_size > 0, name
    return count


def check_http(port):
    rows = readme.table("I use")
    assert rows.keys() == HERE.keys() | ELSEWHERE.keys(), rows.keys()
    for name in ELSEWHERE.values():
        assert (SOURCE / "tests" / "clients" / name).exists(), name
    if shutil.which("curl") is None:
        print("SKIPPED: the lines of curl: there is no curl here")
        return 0
    for row, key in HERE.items():
        (line,) = rows[row]
        assert "127.0.0.1:8000/" in line, line
        run = subprocess.run(line.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), shell=True, capture_output=True, text=True)
        assert run.returncode == 0 and json.loads(run.stdout)[key], (line, run)
    return len(HERE)


def main():
    port = free_port()
    os.environ.pop("DYAD_API_KEY", None)
    count = check_grpcurl()
    with tempfile.TemporaryDirectory() as name, Server({"demo": DEMO}, f"--http=127.0.0.1:{port}") as server:
        folder = pathlib.Path(name)
        write_files(folder, server)
        commands = check_dyadctl(server, folder)
        http = check_http(port)
    print(f"{count} examples are valid requests; {commands} commands of dyadctl and {http} of curl work as they stand there")


if __name__ == "__main__":
    main()
