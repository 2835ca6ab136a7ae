"""What the prefix cache is worth to lm-evaluation-harness: requests/s of a 5-shot multiple-choice task over HTTP
(local-completions, so echo and logprobs 1), with --prefix_cache=on and off, in turn.

    tests/clients/run.sh harness_speed     # a model of OPT-125m's shape with random weights
Options: --rounds N (2), --questions N (20, four requests each), --concurrent N (16), --batch N (1), --model FOLDER,
--sampler default (other examples for each question; else the first five for all, as MMLU has them).
"""
import argparse
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from lm_eval import evaluator
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager

from support.server import DEMO, SOURCE, Server, free_port
from support.traffic import sentence

TASK = """
task: dyad_five_shot
dataset_path: json
dataset_kwargs:
  data_files: {{train: {folder}/train.jsonl, test: {folder}/test.jsonl}}
training_split: train
test_split: test
fewshot_split: train
num_fewshot: 5
fewshot_config:
  sampler: {sampler}
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: 0
doc_to_choice: choices
metric_list:
  - metric: acc
metadata:
  version: 1
"""


class Timed(LocalCompletionsAPI):
    """local-completions, with a watch around what asks the server."""

    def loglikelihood(self, requests, **options):
        begin = time.perf_counter()
        answers = super().loglikelihood(requests, **options)
        self.rate = len(requests) / (time.perf_counter() - begin)
        return answers


def write_task(folder, questions, sampler):
    """Questions of some 50 tokens: with the examples none is longer than the harness's limit."""
    rng = random.Random(5)
    for split, count in (("train", 40), ("test", questions)):
        lines = ({"question": " ".join(sentence(rng) for _ in range(3))[:160], "choices": [sentence(rng)[:40] for _ in range(4)]}
                 for _ in range(count))
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "task.yaml").write_text(TASK.format(folder=folder, sampler=sampler))


def measure(folder, model, cache, options):
    """Requests a second, and the answers."""
    port = free_port()
    with Server({"demo": model}, f"--http=127.0.0.1:{port}", f"--prefix_cache={cache}") as server:
        asked = Timed(model="demo", base_url=f"http://127.0.0.1:{port}/v1/completions", num_concurrent=options.concurrent,
                      max_length=512, tokenizer_backend="remote", batch_size=options.batch, max_retries=1)
        found = evaluator.simple_evaluate(asked, tasks=["dyad_five_shot"], bootstrap_iters=0,
                                          task_manager=TaskManager(include_path=str(folder), include_defaults=False))
        hits = server.metric_sum("dyad_prefix_cache_hit_tokens_total") / server.metric_sum(
            "dyad_prefix_cache_query_tokens_total")
    samples = sorted(found["samples"]["dyad_five_shot"], key=lambda sample: sample["doc_id"])
    print(f"prefix cache {cache}: {asked.rate:.2f} requests/s, {100 * hits:.0f} % of tokens found", flush=True)
    return asked.rate, [sample["filtered_resps"] for sample in samples]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--concurrent", type=int, default=16)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--sampler", default="first_n")
    parser.add_argument("--model", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_task(folder, options.questions, options.sampler)
        model = options.model
        if model is None:
            model = folder / "model"
            subprocess.run([sys.executable, SOURCE / "tests" / "bench" / "make_model.py", model], check=True)
            shutil.copy(DEMO / "tokenizer.json", model)
        rates = {"off": [], "on": []}
        answers = []
        for _ in range(options.rounds):
            for cache, found in rates.items():
                rate, answer = measure(folder, model, cache, options)
                found.append(rate)
                answers.append(answer)
        assert all(answer == answers[0] for answer in answers), "the answers depend on the cache"
    ratio = statistics.median(rates["on"]) / statistics.median(rates["off"])
    print(f"harness, 5 shots, logprobs 1: {ratio:.2f} times as many requests/s with the prefix cache; same bits")


if __name__ == "__main__":
    main()
