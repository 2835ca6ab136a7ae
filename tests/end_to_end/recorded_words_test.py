#!/usr/bin/env python3
"""Scores of words against those of the literature's own packages, recorded once (record_words.py): minicons with
bow_correction, wordsprobability (Pimentel & Meister, EOS counted once) and wt_decoding (Oh & Schuler), on the demonstration
model and a fixture of each architecture. A word is equal within 2e-4 nats."""
import json
import math
import pathlib
import sys
import tempfile

from support import word_cases
from support.server import SOURCE, Server

sys.path.insert(0, str(SOURCE / "client" / "python"))
import dyad_serve  # noqa: E402
from dyad_serve.minicons import Scorer  # noqa: E402

RECORDED = json.loads((SOURCE / "tests" / "fixtures" / "words.json").read_text())["answers"]
NATS = 2e-4


def check_alike(found, recorded, bound, name):
    """The shape and every value; returns the largest difference."""
    if isinstance(recorded, list):
        assert isinstance(found, list) and len(found) == len(recorded), (name, found, recorded)
        return max((check_alike(*pair, bound, name) for pair in zip(found, recorded)), default=0.0)
    if isinstance(recorded, float):
        assert abs(found - recorded) <= bound, (name, found, recorded)
        return abs(found - recorded)
    assert found == recorded, (name, found, recorded)
    return 0.0


def check_minicons(client, recorded, bos):
    answers = word_cases.minicons_answers(Scorer(client), bos)
    assert answers.keys() == recorded.keys()
    return max(check_alike(answers[name], value, NATS / math.log(2) if "bits" in name else NATS, name)
               for name, value in recorded.items())


def surprisals(client, texts, correction, convention):
    """[(word, nats)] of each text."""
    rows = client.surprisal(texts, unit="nats", correction=correction, convention=convention)
    answer = [[] for _ in texts]
    for row in rows:
        answer[row["item"]].append([row["word"], row["surprisal"]])
    return answer


def check_package(client, recorded, correction):
    """BOS in front, as the convention CONDITIONAL has it. wt_decoding names no words."""
    texts, values = zip(*((text, value) for text, value in zip(word_cases.TEXTS, recorded) if value is not None))
    assert len(texts) >= 2, texts
    found = surprisals(client, texts, correction, "CONDITIONAL")
    if correction == "oh_schuler":
        found = [[value for _, value in words] for words in found]
    return check_alike(found, list(values), NATS, correction)


def main():
    with tempfile.TemporaryDirectory() as name:
        for model, folder in word_cases.models(pathlib.Path(name)).items():
            with Server({model: folder}, "--kv_cache_bytes=33554432") as server, dyad_serve.Client(server.address) as client:
                largest = {
                    "minicons": check_minicons(client, RECORDED[f"{model}, minicons"], model == "gpt_neox"),
                    "wordsprobability": check_package(client, RECORDED[f"{model}, wordsprobability"], "pimentel_meister"),
                    "wt_decoding": check_package(client, RECORDED[f"{model}, wt_decoding"], "oh_schuler")}
            print(f"{model}: " + ", ".join(f"{package} within {most:.1e}" for package, most in largest.items()))


if __name__ == "__main__":
    main()
