"""lm-evaluation-harness over HTTP (model local-completions, tokenizer by the server) and over gRPC (model dyad of the
Python package): minimal pairs equal dyadctl's sums and accuracy in each way of asking, with a key too; which texts are
greedy; rolling and generating tasks give the same through both."""
import json
import math
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import types

import dyad_serve
from dyad_serve.lm_eval import DyadLM
from support import readme
from support.server import DEMO, SOURCE, Server, free_port

CONTEXT = "Once upon a time"
KEY = "a-key-of-16-chars"
PAIRS = SOURCE / "deploy" / "minimal_pairs.jsonl"
TASKS = {
    "pairs": """
output_type: multiple_choice
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{[sentence_good, sentence_bad]}}"
metric_list:
  - metric: acc
""",
    "rolling": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{sentence_good}}"
metric_list:
  - metric: bits_per_byte
""",
    "generating": """
output_type: generate_until
doc_to_text: "{{sentence_good}}"
doc_to_target: "{{sentence_bad}}"
generation_kwargs:
  until: ["."]
  max_gen_toks: 8
  do_sample: false
metric_list:
  - metric: exact_match
""",
}


def write_tasks(folder, server):
    """Those above, and one of which the right text is what the model itself goes on with."""
    said = json.loads(server.ctl("generate", CONTEXT, "--max_new_tokens=6", "--json").stdout)["text"]
    own = folder / "greedy.jsonl"
    own.write_text(json.dumps({"sentence_good": said.strip(), "sentence_bad": "Zebras write " + said.strip()}) + "\n")
    for name, text in {**TASKS, "greedy": TASKS["pairs"].replace('doc_to_text: ""', f'doc_to_text: "{CONTEXT}"')}.items():
        data = own if name == "greedy" else PAIRS
        (folder / f"{name}.yaml").write_text(f"task: dyad_{name}\ndataset_path: json\ndataset_kwargs:\n  data_files: {data}\n"
                                             f"test_split: train\nnum_fewshot: 0\nmetadata:\n  version: 1\n{text}")


def run_http(folder, port, tasks, concurrent, batch, prefix="", key=""):
    arguments = (f"model=demo,base_url=http://127.0.0.1:{port}{prefix}/v1/completions,num_concurrent={concurrent},"
                 f"max_length=256,max_retries=1" + (f",auth_token={key}" if key else ""))
    return run_harness(folder, tasks, ["lm_eval", "--model", "local-completions", "--model_args", arguments,
                                       "--batch_size", str(batch)], {"OPENAI_API_KEY": key})


def run_readme(folder, port, tasks):
    """The line of README.md, with our tasks."""
    (line,) = readme.table("I use")["lm-evaluation-harness"]
    *words, flag, name = shlex.split(line.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    assert (words[0], flag, name) == ("lm_eval", "--tasks", "blimp"), line
    return run_harness(folder, tasks, words)


def run_harness(folder, tasks, command, environment=None):
    """{task: (results, samples)} of one run of a module with these arguments."""
    output = pathlib.Path(tempfile.mkdtemp(dir=folder))
    result = subprocess.run([sys.executable, "-m", *command, "--tasks", ",".join(f"dyad_{task}" for task in tasks),
                             "--include_path", str(folder), "--log_samples", "--output_path", str(output)],
                            capture_output=True, text=True, env={**os.environ, **(environment or {})})
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    results = json.loads(next(output.rglob("results_*.json")).read_text())["results"]
    answer = {}
    for task in tasks:
        lines = next(output.rglob(f"samples_dyad_{task}_*.jsonl")).read_text().splitlines()
        answer[task] = results[f"dyad_{task}"], sorted(map(json.loads, lines), key=lambda sample: sample["doc_id"])
    return answer


def dyadctl_pairs(server):
    run = server.ctl("pairs", "--input", str(PAIRS), "--convention", "LM_EVAL", "--json")
    return [json.loads(line) for line in run.stdout.splitlines()]


def check_pairs(samples, results, expected):
    correct = 0
    for sample, pair in zip(samples, expected, strict=True):
        (good, good_greedy), (bad, bad_greedy) = (response[0] for response in sample["resps"])
        assert math.isclose(float(good), pair["good_sum"], abs_tol=1e-12), (good, pair)
        assert math.isclose(float(bad), pair["bad_sum"], abs_tol=1e-12), (bad, pair)
        assert [str(good_greedy), str(bad_greedy)] == pair.get("greedy", ["False", "False"]), sample
        correct += pair["correct"]
    assert results["acc,none"] == correct / len(expected), (results, correct)
    return results["acc,none"]


def check_greedy(found, server, folder):
    results, samples = found["greedy"]
    (line,) = map(json.loads, (folder / "greedy.jsonl").read_text().splitlines())
    good, bad = server.batch("score", [{"text": f" {line[key]}", "context": CONTEXT} for key in ("sentence_good", "sentence_bad")])
    assert False not in good["greedy"] and False in bad["greedy"], (good, bad)
    check_pairs(samples, results, [{"good_sum": good["sum"], "bad_sum": bad["sum"], "correct": True, "greedy": ["True", "False"]}])


def check_keys(folder, expected):
    """Completions show OPENAI_API_KEY, the tokenizer auth_token."""
    port, keys = free_port(), folder / "keys"
    keys.write_text(KEY + "\n")
    with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432", f"--api_key_file={keys}") as server:
        results, samples = run_http(folder, port, ["pairs"], 16, 16, key=KEY)["pairs"]
        check_pairs(samples, results, expected)
        assert server.metric_sum("dyad_http_requests_total", 'code="401"') == 0


def check_package(folder, server, expected, rolled, texts):
    """The same tasks by the Python package's model: dyadctl's bits, and what the harness got over HTTP."""
    found = run_harness(folder, ["pairs", "rolling", "generating", "greedy"], [
        "dyad_serve.lm_eval", "--model", "dyad", "--model_args", f"server={server.address},model=demo"])
    results, samples = found["pairs"]
    check_pairs(samples, results, expected)
    check_greedy(found, server, folder)
    for sample, pair in zip(samples, expected):
        assert [float(response[0][0]) for response in sample["resps"]] == [pair["good_sum"], pair["bad_sum"]], sample
    for sample, value in zip(found["rolling"][1], rolled, strict=True):
        assert math.isclose(float(sample["resps"][0][0]), value, abs_tol=1e-12), (sample, value)
    assert [sample["resps"][0][0] for sample in found["generating"][1]] == texts
    check_windows(server)


def check_windows(server):
    """A text of three times the context: the harness's windows over raw scores; a longer one loses its beginning."""
    model = DyadLM(server=server.address)
    text = "The old man walked to the river and found a tall green tree. " * 130
    ids, width = model.tok_encode(text), model.max_length - 1
    assert len(ids) > 3 * width
    request = types.SimpleNamespace(args=(text,))
    (rolled,) = model.loglikelihood_rolling([request])
    with dyad_serve.Client(server.address) as client:
        total = client.score([ids[:width]], context=[[model.prefix_token_id]])[0].sum
        for first in range(width, len(ids), width):
            last = min(first + width, len(ids))
            before = ids[last - width - 1:first]
            total += client.score([ids[first:last]], context=[before])[0].sum
        assert math.isclose(rolled, total, abs_tol=1e-9), (rolled, total)
        ((cut, _),) = model.loglikelihood([types.SimpleNamespace(args=(text.strip(), " The end."))])
        ending = model.tok_encode(" The end.")
        fed = (model.tok_encode(text.strip()) + ending)[-model.max_length:]
        assert cut == client.score([ending], context=[fed[:-len(ending)]])[0].sum


def main():
    port, two = free_port(), free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432") as server:
            write_tasks(folder, server)
            expected = dyadctl_pairs(server)
            for found in (run_http(folder, port, ["pairs", "greedy"], 1, 1), run_readme(folder, port, ["pairs", "greedy"])):
                results, samples = found["pairs"]
                accuracy = check_pairs(samples, results, expected)
                check_greedy(found, server, folder)
            others = run_http(folder, port, ["rolling", "generating"], 4, 1)
            rolled = [float(sample["resps"][0][0]) for sample in others["rolling"][1]]
            # Without the leading blank of a choice, and so another number; but one for each sentence.
            assert len(rolled) == len(expected) and all(value < 0 for value in rolled), rolled
            texts = [sample["resps"][0][0] for sample in others["generating"][1]]
            assert len(texts) == len(expected) and any(texts) and not any("." in text for text in texts), texts
            check_package(folder, server, expected, rolled, texts)
        with Server({"demo": DEMO, "other": DEMO}, f"--http=127.0.0.1:{two}", "--kv_cache_bytes=33554432"):
            results, samples = run_http(folder, two, ["pairs"], 16, 1, prefix="/models/demo")["pairs"]
            check_pairs(samples, results, expected)
        check_keys(folder, expected)
    print(f"lm_eval: {len(expected)} pairs, accuracy {accuracy:.4f}, sums and accuracy are dyadctl's")


if __name__ == "__main__":
    main()
