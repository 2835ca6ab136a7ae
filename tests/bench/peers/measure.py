"""Called by run.sh: models of Pythia-160m's shape with random weights, ours dense and DYAD beside the peers' dense.

Each round asks every program once for every task, in turn, so that all see the same minutes of the machine. A cell is the
median of the rounds, its ratio the median of each round's.
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DEMO = HERE.parents[2] / "deploy" / "demo_model"
sys.path.insert(0, str(HERE.parent))
import make_model  # noqa: E402  a neighbour, no package

TASKS = {"prefill of 512": ("prefill 512", 512), "decode of 16": ("decode 16 128", 16), "decode of 64": ("decode 64 128", 64)}
OURS = {"dense": ("dense", 1), "DYAD-4": ("dyad", 4), "DYAD-8": ("dyad", 8)}
# Weights, then our arithmetic, and what the peers are asked for. OpenVINO stores float16 where it computes in bfloat16.
NUMBERS = {"int8": ("integer16", "bfloat16", "int8", "int8"), "bfloat16": ("bfloat16", "bfloat16", "fp16", "bfloat16"),
           "float32": ("exact", "float32", "fp32", "float32")}


def made(home):
    """Our folders by name; that of the dense one has a tokenizer, which converters ask for."""
    folders = {}
    for name, (kind, blocks) in OURS.items():
        folders[name] = home / f"pythia-160m-{name}"
        if not folders[name].exists():
            make_model.make_model(folders[name], "gpt_neox", "160m", kind, blocks)
    for file in DEMO.glob("*token*.json"):
        shutil.copy(file, folders["dense"])
    return folders


def converted(home, dense, name, command):
    folder = home / name
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        subprocess.run([*command(dense, partial)], check=True)
        partial.rename(folder)
    return folder


def openvino_export(dense, out, weights):
    return ["optimum-cli", "export", "openvino", "--model", str(dense), "--task", "text-generation-with-past",
            "--library", "transformers", "--weight-format", weights, str(out)]


def ctranslate2_export(dense, out, weights):
    return [sys.executable, HERE / "ctranslate2_convert.py", dense, out, weights]


class Peer:
    """A running worker."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([sys.executable, HERE / program, *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, cwd=HERE)
        self.read("ready")

    def read(self, expected=None):
        for line in self.process.stdout:
            line = line.strip()
            if line == expected or (expected is None and line.replace(".", "", 1).replace("e-", "", 1).isdigit()):
                return line
        raise RuntimeError(f"a peer ended: {self.process.args}")

    def measure(self):
        seconds = {}
        for task, (line, tokens) in TASKS.items():
            print(line, file=self.process.stdin, flush=True)
            seconds[task] = tokens / float(self.read())
        return seconds

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    def __init__(self, bench, folder, threads, weights, arithmetic, kv_dtype="float32"):
        self.command = [bench, "model", folder, f"--threads={threads}", f"--weight_dtype={weights}",
                        f"--arithmetic={arithmetic}", f"--kv_dtype={kv_dtype}", "--batch=16,64", "--context=128",
                        "--text=512", "--json"]

    def measure(self):
        found = json.loads(subprocess.run(self.command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        rates = {f"decode of {row['sequences']}": row["tokens_per_second"] for row in found["results"]
                 if row["work"] == "decode"}
        rates |= {"prefill of 512": row["tokens_per_second"] for row in found["results"] if row["work"] == "prefill"}
        return rates

    def end(self):
        pass


def compare(arguments, folders, weights):
    arithmetic, precision, openvino_weights, ctranslate2_weights = NUMBERS[weights]
    home = arguments.home
    openvino = converted(home, folders["dense"], f"openvino-{weights}",
                         lambda dense, out: openvino_export(dense, out, openvino_weights))
    ctranslate2 = converted(home, folders["dense"], f"ctranslate2-{weights}",
                            lambda dense, out: ctranslate2_export(dense, out, ctranslate2_weights))
    programs = {name: Ours(arguments.bench, folder, arguments.threads, weights, arithmetic)
                for name, folder in folders.items()}
    programs["OpenVINO GenAI"] = Peer("openvino_worker.py", openvino, arguments.threads, precision)
    # Its own choice for weights of that type: not every processor has bfloat16 there, and then it takes float32.
    programs["CTranslate2"] = Peer("ctranslate2_worker.py", ctranslate2, arguments.threads,
                                   "default" if weights == "bfloat16" else ctranslate2_weights)
    rounds = []
    for number in range(arguments.rounds + 1):
        rounds.append({name: program.measure() for name, program in programs.items()})
        print(f"{weights}: round {number} of {arguments.rounds}", file=sys.stderr, flush=True)
    for program in programs.values():
        program.end()
    return rounds[1:]  # the first one warms up


def table(weights, rounds):
    peers = [name for name in rounds[0] if name not in OURS]
    for task in TASKS:
        cells = []
        for name in rounds[0]:
            cell = f"{statistics.median(rates[name][task] for rates in rounds):,.0f}"
            if name in OURS:
                ratio = statistics.median(rates[name][task] / max(rates[peer][task] for peer in peers) for rates in rounds)
                cell += f" ({ratio:.2f})"
            cells.append(cell)
        print(f"| {task}, {weights} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=pathlib.Path, required=True)
    parser.add_argument("--bench", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weights", default="int8,bfloat16", help="some of " + ", ".join(NUMBERS))
    parser.add_argument("--json", type=pathlib.Path, help="where every number of every round goes")
    arguments = parser.parse_args()
    folders = made(arguments.home)
    results = {}
    for weights in arguments.weights.split(","):
        results[weights] = compare(arguments, folders, weights)
        if len(results) == 1:
            names = list(results[weights][0])
            print(f"| tokens/s (times the better peer) | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
        table(weights, results[weights])
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
