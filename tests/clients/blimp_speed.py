"""All of BLiMP by dyadctl, by the Python package (Run), by the harness with the package's model and by the harness over HTTP:
67 accuracies must be equal to the last digit; the time of each is printed. Not a test of every run.

    tests/clients/run.sh blimp_speed BLIMP        # a folder or archive of BLiMP's *.jsonl
Options: --limit N: only the first N pairs of each paradigm; --ways=dyadctl,http: only these, in this order.
"""
import argparse
import json
import pathlib
import tempfile
import time

import dyad_serve
from dyad_serve import _input
from dyad_serve.lm_eval import DyadLM
from lm_eval import evaluator
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager

from support.server import DEMO, Server, free_port

TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {file}}}
test_split: train
num_fewshot: 0
output_type: multiple_choice
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{{{[sentence_good, sentence_bad]}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1}}
"""


def accuracies(path):
    """{paradigm: share of right pairs} of a run's file."""
    rows = {}
    for answer in dyad_serve.read_run(path).rows:
        rows.setdefault(answer["UID"], []).append(answer["correct"])
    return {name: sum(right) / len(right) for name, right in rows.items()}


def by_harness(model, names, folder):
    found = evaluator.simple_evaluate(model, tasks=names, bootstrap_iters=0, log_samples=False,
                                      task_manager=TaskManager(include_path=str(folder), include_defaults=False))
    return {name.removeprefix("dyad_"): result["acc,none"] for name, result in found["results"].items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("blimp", type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--ways", default="dyadctl,python,dyad,http")
    options = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        lines = folder / "lines"
        lines.mkdir()
        for line in _input.Input(options.blimp, "UID", options.limit, lambda line: None):
            with (lines / f"{line['UID']}.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
        for file in lines.iterdir():
            (folder / f"{file.stem}.yaml").write_text(TASK.format(name=f"dyad_{file.stem}", file=file))
        names = [f"dyad_{file.stem}" for file in sorted(lines.iterdir())]
        ways = {
            "dyadctl": lambda server, _: server.ctl("blimp", str(lines), "--output", str(folder / "dyadctl.out")),
            "python": lambda _, client: list(dyad_serve.Run(folder / "python.out", client, task="blimp", input=lines)),
            "dyad": lambda server, _: by_harness(DyadLM(server=server.address), names, folder),
            "http": lambda *_: by_harness(LocalCompletionsAPI(
                model="demo", base_url=f"http://127.0.0.1:{port}/v1/completions", num_concurrent=16, max_length=512,
                tokenizer_backend="remote", batch_size=16), names, folder)}
        first = None
        for way in options.ways.split(","):
            # A server for each: the prefix cache would help who comes later.
            with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}") as server, dyad_serve.Client(server.address) as client:
                begin = time.perf_counter()
                found = ways[way](server, client)
                seconds = time.perf_counter() - begin
            if way in ("dyadctl", "python"):
                found = accuracies(folder / f"{way}.out")
            first = first or (found, seconds)
            differ = [uid for uid in first[0] if found[uid] != first[0][uid]]
            print(f"{way}: {seconds:.1f} s, {seconds / first[1]:.2f} times dyadctl's; {len(differ)} of {len(found)} "
                  "accuracies differ", flush=True)
            assert found.keys() == first[0].keys() and not differ, differ


if __name__ == "__main__":
    main()
