"""OpenVINO GenAI: openvino_worker.py FOLDER THREADS PRECISION, a folder of `optimum-cli export openvino`."""
import sys

import numpy
import openvino
import openvino_genai

import worker

folder, threads, precision = sys.argv[1:]
pipeline = openvino_genai.LLMPipeline(
    folder, "CPU", INFERENCE_NUM_THREADS=int(threads),
    INFERENCE_PRECISION_HINT={"bfloat16": "bf16", "float32": "f32"}[precision])


def generate(prompts, new_tokens):
    ids = numpy.array(prompts, dtype=numpy.int64)
    inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
    config = openvino_genai.GenerationConfig(max_new_tokens=new_tokens, min_new_tokens=new_tokens, ignore_eos=True,
                                             do_sample=False)
    result = pipeline.generate(inputs, config)
    assert all(len(tokens) == new_tokens for tokens in result.tokens), "it stopped early"


worker.serve(generate)
