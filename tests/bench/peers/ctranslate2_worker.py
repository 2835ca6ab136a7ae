"""CTranslate2: ctranslate2_worker.py FOLDER THREADS COMPUTE_TYPE, a folder of ct2-transformers-converter."""
import json
import pathlib
import sys

import ctranslate2

import worker

folder, threads, compute_type = sys.argv[1:]
generator = ctranslate2.Generator(folder, device="cpu", compute_type=compute_type, intra_threads=int(threads))
vocabulary = json.loads((pathlib.Path(folder) / "vocabulary.json").read_text())


def generate(prompts, new_tokens):
    texts = [[vocabulary[token] for token in prompt] for prompt in prompts]
    results = generator.generate_batch(texts, max_length=new_tokens, min_length=new_tokens, sampling_topk=1,
                                       include_prompt_in_result=False)
    assert all(len(result.sequences_ids[0]) == new_tokens for result in results), "it stopped early"


worker.serve(generate)
