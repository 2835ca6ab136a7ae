#!/usr/bin/env python3
"""What outputs say of their runs: the header by the schema, the run's id computed here, what goes on and what is
refused, and answers asked for again. Against a real server, by dyadctl as it is."""
import hashlib
import json
import pathlib
import shutil
import subprocess
import tempfile

from support.run_schema import SCHEMA, faults
from support.server import BUILD, DEMO, Server

DYADCTL = BUILD / "bin" / "dyadctl"


def run_id(header):
    bound = {key: header[key] for key in ("format", "task", "convention", "special_tokens", "options", "unit")
             if key in header}
    parts = {"model": ("digest", "tokenizer_digest", "weight_dtype", "kv_dtype", "arithmetic"), "input": ("sha256",)}
    for name, keys in parts.items():
        if name in header:
            bound[name] = {key: header[name][key] for key in keys if key in header[name]}
    text = json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read(path):
    """The header and the answers, checked."""
    first, *rest = map(json.loads, path.read_text().split("\n")[:-1])
    assert not faults(first, SCHEMA), faults(first, SCHEMA)
    header = first["dyad_run"]
    assert header["run"] == run_id(header), header
    assert rest and all(answer["run"] == header["run"] for answer in rest)
    return header, rest


def sha256sum(*words, **options):
    return subprocess.run(["sha256sum", *map(str, words)], check=True, capture_output=True, **options).stdout


def check_headers(server, folder):
    texts = [{"text": f"The old man told story number {i}."} for i in range(30)]
    pairs = [{"sentence_good": f"The {i} cats sleep.", "sentence_bad": f"The {i} cats sleeps.", "UID": "agreement"}
             for i in range(30)]
    ids = [{"ids": [i, i + 1]} for i in range(3, 33)]
    runs = {"score": (texts, ["--top_n=2", "--word_split=PUNCTUATION"]), "pairs": (pairs, ["--convention=BABYLM"]),
            "generate": (texts, ["--max_new_tokens=3", "--temperature=1.5e-05", "--top_p=0.9", "--seed=18446744073709551615",
                                 "--stop=\u00e9 \"\n\u007f\u2028", "--stop=\U0001f600", '--logit_bias={"7": 1.0, "11": -2.5}']),
            "tokenize": (texts, ["--add_special_tokens=false", "--details"]), "detokenize": (ids, [])}
    for command, (lines, flags) in runs.items():
        source, output = folder / f"{command}.in", folder / f"{command}.out"
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        server.ctl(command, "--input", str(source), "--output", str(output), *flags)
        header, answers = read(output)
        assert header["task"] == {"name": command} and len(answers) == 30, header
        assert header["model"]["structure"] == "dyad" and header["model"]["name"] == "demo", header
        assert header["input"] == {"name": str(source), "sha256": sha256sum(source).decode().split()[0],
                                   "bytes": source.stat().st_size, "items": 30}, header
        again = server.ctl("verify", str(output), "--sample=10")
        assert "10 of 30 answers asked for again, all with the same bits" in again.stdout, again
    corpus = folder / "corpus"
    (corpus / "b").mkdir(parents=True)
    for name in ("b/x.jsonl", "a.jsonl"):
        (corpus / name).write_text("".join(json.dumps(pair) + "\n" for pair in pairs[:5]))
    (corpus / "README.md").write_text("not read")
    server.ctl("blimp", str(corpus), "--output", str(folder / "blimp.out"), "--limit=4")
    header, answers = read(folder / "blimp.out")
    lines = sha256sum("a.jsonl", "b/x.jsonl", cwd=corpus)
    assert header["input"]["sha256"] == hashlib.sha256(lines).hexdigest() and len(answers) == 8, header
    assert header["options"] == {"limit": 4}, header
    assert "all with the same bits" in server.ctl("verify", str(folder / "blimp.out")).stdout
    offline = folder / "offline.out"
    subprocess.run([DYADCTL, "tokenize", f"--tokenizer={DEMO}", f"--input={folder / 'tokenize.in'}", f"--output={offline}",
                    "--add_special_tokens=false", "--details"], check=True, stderr=subprocess.DEVNULL)
    of_server = read(folder / "tokenize.out")[0]["model"]["tokenizer_digest"]
    assert read(offline)[0]["model"] == {"tokenizer_digest": of_server}
    assert read(folder / "generate.out")[0]["options"]["temperature"] == 1.5e-05


def check_other_runs(server, folder):
    """Another convention, another input, a foreign file: status 1, the field by its name, and nothing is touched."""
    source, output = folder / "pairs.in", folder / "pairs.out"
    whole = output.read_bytes()
    other = folder / "other.in"
    other.write_bytes(source.read_bytes() + b'{"sentence_good": "a", "sentence_bad": "b"}\n')
    notes = folder / "notes"
    notes.write_text("my notes\n")
    for path, words, field in ((output, [source, "--convention=LM_EVAL"], 'convention is "BABYLM" there and "LM_EVAL" now'),
                               (output, [other, "--convention=BABYLM"], 'sha256 is "'),
                               (output, [source, "--convention=BABYLM", "--special_tokens=LITERAL"], "special_tokens is"),
                               (notes, [source], "no header"), (source, [source], "is the input")):
        before = path.read_bytes()
        run = server.ctl("pairs", "--input", str(words[0]), "--output", str(path), *words[1:], check=False)
        assert run.returncode == 1 and field in run.stderr, run
        assert path.read_bytes() == before
    again = server.ctl("pairs", "--input", str(source), "--output", str(output), "--convention=BABYLM")
    assert "overall" in again.stdout and output.read_bytes() == whole, again


def check_other_weights(folder):
    """The same name, other weights: named by the digest. Of one bit of an answer verify says which."""
    other = folder / "model"
    shutil.copytree(DEMO, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "dropout": 0.3}))
    output = folder / "score.out"
    whole = output.read_bytes()
    with Server({"demo": other}) as server:
        run = server.ctl("score", "--input", str(folder / "score.in"), "--output", str(output), "--top_n=2",
                         "--word_split=PUNCTUATION", check=False)
        assert run.returncode == 1 and 'model.digest is "' in run.stderr and "sha256" not in run.stderr, run
        run = server.ctl("verify", str(output), check=False)
        assert run.returncode == 1 and 'model.digest is "' in run.stderr, run
    assert output.read_bytes() == whole


def check_changed_bit(server, folder):
    output, changed = folder / "score.out", folder / "changed.out"
    header, answers = read(output)
    answers[3]["sum"] *= 1 + 2**-52
    changed.write_text("".join(json.dumps(line) + "\n" for line in [{"dyad_run": header}, *answers]))
    run = server.ctl("verify", str(changed), check=False)
    assert run.returncode == 1 and "answer 4: sum is " in run.stdout, run


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Server({"demo": DEMO}) as server:
            check_headers(server, folder)
            check_other_runs(server, folder)
            check_changed_bit(server, folder)
        check_other_weights(folder)
    print("provenance: headers, ids, refusals and verify are right")


if __name__ == "__main__":
    main()
