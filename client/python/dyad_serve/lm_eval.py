"""lm-evaluation-harness on a DYAD server, without HTTP: the harness's model `dyad`.

    python -m dyad_serve.lm_eval --model dyad --model_args server=127.0.0.1:50051,model=demo --tasks …

A harness that knows plugins finds the model by itself: then it is `lm_eval --model dyad …`.
"""
from __future__ import annotations

import concurrent.futures
from collections.abc import Iterable, Sequence
from typing import Any, cast

from lm_eval import utils
from lm_eval.api.model import TemplateLM

from dyad_serve._channel import TLS
from dyad_serve._requests import GenerateOptions
from dyad_serve.client import Client

# Generations under way at once; the server puts them into one batch.
_CONCURRENT = 16
# As the harness's models of other servers.
_SEED = 1234
_MAX_NEW_TOKENS_NAMES = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")


class DyadLM(TemplateLM):
    """The harness's requests as ids: what is encoded, cut and counted is what its model local-completions does.

    server, model, api_key, timeout  as Client
    tls_ca                           path of a PEM file, which turns TLS on
    max_gen_toks                     tokens to generate where a task does not say
    batch_size, max_batch_size, device are the harness's own and mean nothing here: the server makes the batches.
    """

    def __init__(self, server: str = "127.0.0.1:50051", model: str | None = None, api_key: str | None = None,
                 tls_ca: str | None = None, timeout: float = 600.0, max_gen_toks: int = 256,
                 batch_size: Any = None, max_batch_size: Any = None, device: Any = None) -> None:
        super().__init__()
        # A name of digits is a number when the harness has read it.
        self._client = Client(server, model=None if model is None else str(model),
                              api_key=None if api_key is None else str(api_key),
                              tls=None if tls_ca is None else TLS(ca=tls_ca), timeout=float(timeout))
        self._model = self._client.get_model()
        self._max_gen_toks = int(max_gen_toks)
        if not self._model.has_tokenizer or self._model.prefix_id is None:
            raise ValueError(f"model {self._model.name} has no tokenizer, or names neither BOS nor EOS")

    @property
    def eot_token_id(self) -> int | None:
        return self._model.eos_id

    @property
    def prefix_token_id(self) -> int | None:
        """What stands in front of a text without context."""
        return self._model.prefix_id

    @property
    def max_length(self) -> int:
        """The model's context."""
        return self._model.context_length

    @property
    def tokenizer_name(self) -> str:
        """Names the tokenizer in the harness's caches of requests."""
        return f"dyad-{self._model.tokenizer_digest[:12]}"

    def get_model_info(self) -> dict[str, str]:
        """Stands in the harness's results."""
        return {"model_name": self._model.name, "model_sha": self._model.digest, "model_dtype": self._model.weight_dtype}

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        return self._client.tokenize(string, add_special_tokens=bool(add_special_tokens))

    def _loglikelihood_tokens(self, requests: Sequence[tuple[Any, list[int], list[int]]],
                              **_: Any) -> list[tuple[float, bool]]:
        contexts, continuations = [], []
        for _key, context, continuation in requests:
            # Too long a text loses its beginning, as in the harness's other models; one token stays in front.
            fed = (context + continuation)[-self.max_length:]
            split = max(1, len(fed) - len(continuation))
            contexts.append(fed[:split])
            continuations.append(fed[split:])
        answers = []
        for (key, _context, _continuation), score in zip(
                requests, self._client.score(continuations, context=contexts)):
            greedy = all(token.greedy for token in score.tokens if token.logprob is not None)
            answers.append((score.sum, greedy))
            if key is not None:
                self.cache_hook.add_partial("loglikelihood", key, answers[-1])
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Windows are the harness's own, of as many tokens as the context has."""
        sums = []
        for (text,) in (request.args for request in requests):
            windows = map(utils.make_disjoint_window, utils.get_rolling_token_windows(
                token_list=self.tok_encode(text), prefix_token=self.prefix_token_id, max_seq_len=self.max_length - 1,
                context_len=1))
            scores = self._loglikelihood_tokens([(None, *window) for window in windows])
            sums.append(sum(score for score, _greedy in scores))
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), sums[-1])
        return sums

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """A task's settings go to the server by the names of GenerateRequest; one that it has not is an error."""
        def generate(request: Any) -> str:
            context, settings = request.args
            options = self._options(dict(settings))
            prompt = self.tok_encode(context)[-(self.max_length - options["max_new_tokens"]):]
            return self._client.generate(prompt or [self.prefix_token_id or 0], **options).text

        with concurrent.futures.ThreadPoolExecutor(_CONCURRENT) as pool:
            texts = list(pool.map(generate, requests))
        for request, text in zip(requests, texts):
            self.cache_hook.add_partial("generate_until", request.args, text)
        return texts

    def _options(self, settings: dict[str, Any]) -> GenerateOptions:
        lengths = [settings.pop(name, None) for name in _MAX_NEW_TOKENS_NAMES]
        length = next((value for value in lengths if value is not None), self._max_gen_toks)
        until: str | Iterable[str] = settings.pop("until", None) or []
        sampled = settings.pop("do_sample", None)
        options: dict[str, Any] = {"seed": _SEED, "temperature": 0.0, **settings,
                                   "max_new_tokens": min(int(length), self.max_length - 1),
                                   "stop": [until] if isinstance(until, str) else list(until)}
        if sampled is False:
            options["temperature"] = 0.0
        return cast(GenerateOptions, options)


def main() -> None:
    """The harness's command line, with this model in it."""
    from lm_eval.__main__ import cli_evaluate
    from lm_eval.api import registry

    from dyad_serve.lm_eval import DyadLM as Registered  # not the class of __main__

    import lm_eval.models  # noqa: F401  fills the registry, which does it by itself only while it is empty

    if "dyad" not in registry.model_registry:
        registry.register_model("dyad")(Registered)
    cli_evaluate()


if __name__ == "__main__":
    main()
