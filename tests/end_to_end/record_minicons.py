"""Records what minicons makes of a server's log-probabilities: tests/fixtures/minicons.json, which python_package_test.py
compares dyad_serve.minicons.Scorer with. minicons and its torch are too large for CI, so this runs by hand:

    minicons 0.3.39, transformers 4.47.1, torch 1.13 (Debian); DYAD_BUILD_DIR=… python record_minicons.py

minicons wants logits. It gets such that its softmax gives each token the server's log-probability and rank; whatever
else minicons does (encoding, what is not scored, alignment of words, reductions) is its own.
"""
import json
import math
import sys
import types

import torch
import transformers

# minicons imports it for models of images; this transformers may not have it, and none is used.
if not hasattr(transformers, "AutoModelForImageTextToText"):
    transformers.AutoModelForImageTextToText = None
from minicons.scorer import IncrementalLMScorer  # noqa: E402

from support import minicons_cases  # noqa: E402
from support.server import DEMO, SOURCE, Server  # noqa: E402

sys.path.insert(0, str(SOURCE / "client" / "python"))
import dyad_serve  # noqa: E402


class ServedModel(torch.nn.Module):
    """model(input_ids, attention_mask).logits"""

    def __init__(self, client, size):
        super().__init__()
        self.client, self.size = client, size

    def forward(self, input_ids, attention_mask):
        logits = torch.full((*input_ids.shape, self.size), -1e9, dtype=torch.float64)
        for row, (ids, mask) in enumerate(zip(input_ids.tolist(), attention_mask.tolist())):
            (score,) = self.client.score([[id_ for id_, shown in zip(ids, mask) if shown]])
            for position, token in enumerate(score.tokens[1:]):
                left = math.log(-math.expm1(token.logprob))  # of all other tokens together
                others = [id_ for id_ in range(self.size) if id_ != token.id]
                # The likelier tokens have all that is left; for the likeliest it is shared by all.
                sharing = others if token.rank == 1 else others[:token.rank - 1]
                logits[row, position, sharing] = left - math.log(len(sharing))
                logits[row, position, token.id] = token.logprob
        return types.SimpleNamespace(logits=logits)


def main():
    tokenizer = transformers.AutoTokenizer.from_pretrained(DEMO)
    with Server({"demo": DEMO}, "--kv_cache_bytes=33554432") as server, dyad_serve.Client(server.address) as client:
        scorer = IncrementalLMScorer(ServedModel(client, client.get_model().vocab_size), "cpu", tokenizer)
        answers = minicons_cases.answers(scorer)
    path = SOURCE / "tests" / "fixtures" / "minicons.json"
    lines = [f"{json.dumps(name)}: {json.dumps(answer, ensure_ascii=False)}" for name, answer in answers.items()]
    path.write_text(f'{{"minicons": "0.3.39", "transformers": "{transformers.__version__}", "torch": "{torch.__version__}",\n'
                    '"answers": {\n' + ",\n".join(lines) + "\n}}\n")
    print(f"{len(answers)} answers")


if __name__ == "__main__":
    main()
