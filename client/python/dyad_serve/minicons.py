"""The names, arguments, defaults and shapes of minicons 0.3.39's IncrementalLMScorer, on a server's numbers.

A text is encoded with what the tokenizer adds by itself (OPT: </s> in front); its first token is not scored.
"""
from __future__ import annotations

import concurrent.futures
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Union

from dyad_serve import _wire
from dyad_serve.client import Client
from dyad_serve.values import Values

Texts = Union[str, Sequence[str]]
Reduction = Callable[[Values], Any]
# A vocabulary's mark of a blank, with which a word begins.
_WORD_START = "Ġ"
# Requests to the tokenizer under way at once.
_CONCURRENT = 8


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Texts, the ids of each, and how many tokens behind the first are not scored. compute_stats takes it."""

    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    offsets: tuple[int, ...]


class Scorer:
    """IncrementalLMScorer(client) where minicons has IncrementalLMScorer(model, device)."""

    def __init__(self, client: Client) -> None:
        self.client = client
        model = client.get_model()
        if not model.has_tokenizer:
            raise ValueError(f"model {model.name} has no tokenizer")
        self._bos, self._eos = (
            None if id_ is None else client.detokenize([id_]) for id_ in (model.bos_id, model.eos_id))
        self._names: dict[int, str] = {}
        self._texts: dict[int, str] = {}
        self._lengths: dict[str, int] = {}

    def prepare_text(self, text: Texts, bos_token: bool = False, eos_token: bool = False) -> Prepared:
        """Encodes texts, with the model's BOS and EOS in front and behind if asked for."""
        texts = [self._framed(part, bos_token, eos_token) for part in _listed(text)]
        return Prepared(tuple(texts), tuple(self._encode(texts)), (0,) * len(texts))

    def prime_text(self, preamble: Texts, stimuli: Texts, separator: str | Sequence[str] = " ",
                   bos_token: bool = False, eos_token: bool = False) -> Prepared:
        """Encodes preamble + separator + stimulus; what the preamble has of tokens by itself is not scored."""
        preambles, stimuli = _listed(preamble), _listed(stimuli)
        separators = [separator] * len(preambles) if isinstance(separator, str) else list(separator)
        if not len(preambles) == len(stimuli) == len(separators):
            raise ValueError(f"{len(preambles)} prefixes, {len(separators)} separators and {len(stimuli)} stimuli")
        texts = [self._framed(p + s + t, bos_token, eos_token) for p, s, t in zip(preambles, separators, stimuli)]
        alone = self._encode(preambles)
        return Prepared(tuple(texts), tuple(self._encode(texts)), tuple(len(ids) - 1 + bos_token for ids in alone))

    def compute_stats(self, batch: Prepared, rank: bool = False, prob: bool = False, base_two: bool = False,
                      return_tensors: bool = False, bow_correction: bool = False) -> Any:
        """Log-probabilities of each text's tokens behind its offset, as lists (with return_tensors as Values); with
        rank a second list of ranks, 1 the likeliest. With bow_correction the end of a word counts to its last token."""
        _exclusive(base_two=base_two, prob=prob)
        scores: list[Values] = []
        ranks: list[list[int]] = []
        corrections = self._corrections(batch) if bow_correction else [None] * len(batch.ids)
        for score, offset, correction in zip(self._scores(batch.ids), batch.offsets, corrections):
            tokens = score[1 + offset:]
            values = Values(logprob for logprob, _ in tokens)
            if correction is not None:
                values = values + Values(correction)
            scores.append(values / math.log(2) if base_two else values.exp() if prob else values)
            ranks.append([place for _, place in tokens])
        answer = scores if return_tensors else [values.tolist() for values in scores]
        return (answer, ranks) if rank else answer

    def sequence_score(self, batch: Texts, reduction: Reduction = lambda x: x.mean(0).item(), base_two: bool = False,
                       bow_correction: bool = False, **kwargs: Any) -> list[Any]:
        """One number for each text: the mean log-probability of its tokens, or what `reduction` makes of them."""
        prepared = self.prepare_text(batch, **kwargs)
        return list(map(reduction, self.compute_stats(
            prepared, base_two=base_two, bow_correction=bow_correction, return_tensors=True)))

    def conditional_score(self, prefix: Texts, stimuli: Texts, separator: str | Sequence[str] = " ",
                          reduction: Reduction = lambda x: x.mean(0).item(), prob: bool = False,
                          base_two: bool = False, bow_correction: bool = False, **kw: Any) -> list[Any]:
        """The same of each stimulus after its prefix."""
        primed = self.prime_text(prefix, stimuli, separator, **kw)
        return list(map(reduction, self.compute_stats(
            primed, prob=prob, base_two=base_two, bow_correction=bow_correction, return_tensors=True)))

    def token_score(self, batch: Texts, surprisal: bool = False, prob: bool = False, base_two: bool = False,
                    rank: bool = False, decode: bool = False, bow_correction: bool = False,
                    **kwargs: Any) -> list[list[tuple[Any, ...]]]:
        """(token, score) of each token of each text, or (token, score, rank). What is not scored has 0.0 and rank 0.
        Tokens are as the vocabulary has them ("Ġcat"); with decode they are text without blanks around."""
        _exclusive(surprisal=surprisal, prob=prob)
        prepared = self.prepare_text(batch, **kwargs)
        scores, ranks = self.compute_stats(prepared, rank=True, prob=prob, base_two=base_two,
                                           bow_correction=bow_correction, return_tensors=True)
        answer = []
        for ids, values, places in zip(prepared.ids, scores, ranks):
            shown = [self._decoded(id_) for id_ in ids] if decode else self._vocabulary(ids)
            unscored = len(ids) - len(values)
            columns = [shown, [0.0] * unscored + (-values if surprisal else values).tolist()]
            answer.append(list(zip(*columns, *([[0] * unscored + places] if rank else []))))
        return answer

    def word_score_tokenized(self, batch: Texts, tokenize_function: Callable[[str], Sequence[str]],
                             bow_correction: bool = False, bos_token: bool = False, eos_token: bool = False,
                             surprisal: bool = False, prob: bool = False, base_two: bool = False,
                             return_tensors: bool = False) -> list[list[tuple[str, Any]]]:
        """(word, score) of each word that tokenize_function finds: the sum over its tokens, or the product with prob."""
        prepared = self.prepare_text(batch, bos_token, eos_token)
        return self._words(prepared, _listed(batch), tokenize_function, surprisal, return_tensors, prob=prob,
                           base_two=base_two, bow_correction=bow_correction)

    def conditional_word_score_tokenized(self, prefix: Texts, stimuli: Texts,
                                         tokenize_function: Callable[[str], Sequence[str]],
                                         separator: str | Sequence[str] = " ", bow_correction: bool = False,
                                         bos_token: bool = False, eos_token: bool = False, surprisal: bool = False,
                                         prob: bool = False, base_two: bool = False,
                                         return_tensors: bool = False) -> list[list[tuple[str, Any]]]:
        """The same of each stimulus after its prefix."""
        primed = self.prime_text(prefix, stimuli, separator, bos_token, eos_token)
        return self._words(primed, _listed(stimuli), tokenize_function, surprisal, return_tensors, prob=prob,
                           base_two=base_two, bow_correction=bow_correction)

    def encode(self, text: Texts, bos_token: bool = False, eos_token: bool = False) -> list[list[int]]:
        """Ids of each text."""
        return [list(ids) for ids in self.prepare_text(text, bos_token, eos_token).ids]

    def decode(self, idx: Sequence[int]) -> list[str]:
        """Text of each id, without blanks around."""
        return [self._decoded(id_) for id_ in idx]

    def distribution(self, *_: Any, **__: Any) -> NoReturn:
        """Not offered, as the three below."""
        raise NotImplementedError("distribution needs every token's probability; the server gives the 20 likeliest")

    def next_word_distribution(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("next_word_distribution: see distribution; Client.score has top_n")

    def query(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("query: see distribution; Client.score scores given continuations")

    def topk(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("topk: see distribution; Client.score has top_n")

    def _framed(self, text: str, bos: bool, eos: bool) -> str:
        for wanted, token, name in ((bos, self._bos, "BOS"), (eos, self._eos, "EOS")):
            if wanted and token is None:
                raise ValueError(f"the model names no {name} token")
        return (str(self._bos) if bos else "") + text + (str(self._eos) if eos else "")

    def _encode(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        with concurrent.futures.ThreadPoolExecutor(_CONCURRENT) as pool:
            return [tuple(ids) for ids in pool.map(self.client.tokenize, texts)]

    def _scores(self, ids: Sequence[tuple[int, ...]]) -> list[list[tuple[float, int]]]:
        """(log-probability, rank) of each token; of the first, which is not scored, zeros."""
        answers = self.client.score(ids)
        return [[(token.logprob or 0.0, token.rank or 0) for token in answer.tokens] for answer in answers]

    def _corrections(self, batch: Prepared) -> list[list[float]]:
        """What bow_correction adds to each token behind the offset. ln Z is how likely a word begins at a place; a token
        before such a place, or at the end, gets that place's, and what follows it gives its own back. So the first
        token never gives any, nor does one inside of a word."""
        answers = self.client.score(batch.texts, convention="MINICONS_SUM", words="WHITESPACE", correction="OH_SCHULER")
        corrections = []
        for answer, ids, offset in zip(answers, batch.ids, batch.offsets):
            if tuple(token.id for token in answer.tokens) != ids:
                raise AssertionError("the server encodes a text in two ways")
            begins = [name.startswith(_WORD_START) for name in self._vocabulary(ids)]
            ends = [i + 1 == len(ids) or begins[i + 1] for i in range(1 + offset, len(ids))]
            masses = answer.boundary_logprobs[1 + offset:]  # before each of those tokens, and behind the last
            corrections.append([masses[k + 1] * end - masses[k] * (k > 0 and ends[k - 1]) for k, end in enumerate(ends)])
        return corrections

    def _words(self, prepared: Prepared, texts: Sequence[str], tokenize: Callable[[str], Sequence[str]], surprisal: bool,
               return_tensors: bool, **how: bool) -> list[list[tuple[str, Any]]]:
        _exclusive(surprisal=surprisal, prob=how["prob"])
        answer = []
        for text, values in zip(texts, self.compute_stats(prepared, return_tensors=True, **how)):
            words, start = [], 0
            # As minicons: pieces between blanks, each split again; their tokens are counted by themselves.
            for i, piece in enumerate(" ".join(tokenize(text)).split(" ")):
                parts = tokenize(piece)
                word = " ".join(parts)
                end = start + 1 + max(0, self._length(word if i == 0 else f" {word}") - len(parts))
                values_of_word = -values[start:end] if surprisal else values[start:end]
                score = values_of_word.prod() if how["prob"] else values_of_word.sum()
                words.append((word, score if return_tensors else score.item()))
                start = end
            answer.append(words)
        return answer

    def _length(self, text: str) -> int:
        """Tokens of a text that stands by itself."""
        if text not in self._lengths:
            self._lengths[text] = len(self.client.tokenize(text, add_special_tokens=False))
        return self._lengths[text]

    def _decoded(self, id_: int) -> str:
        if id_ not in self._texts:
            self._texts[id_] = self.client.detokenize([id_]).strip()
        return self._texts[id_]

    def _vocabulary(self, ids: Sequence[int]) -> list[str]:
        """Tokens as a byte-level vocabulary writes them. Their bytes come with an echo of the ids."""
        if any(id_ not in self._names for id_ in ids):
            echo = self.client._call("GenerationService/Generate", _wire.message("GenerateRequest")(
                model=self.client.model, ids={"ids": ids}, echo=True, max_new_tokens=0, logprobs=0))
            for token in echo.choices[0].logprobs:
                self._names[token.id] = "".join(_BYTE_NAMES[byte] for byte in token.bytes)
        return [self._names[id_] for id_ in ids]


def _byte_names() -> list[str]:
    """The printable character that stands for each byte in GPT-2's vocabularies: itself, or one from U+0100 on."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) if byte in shown else chr(0x100 + others.index(byte)) for byte in range(256)]


_BYTE_NAMES = _byte_names()


def _listed(text: Texts) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def _exclusive(**flags: bool) -> None:
    if all(flags.values()):
        raise AssertionError(f"{' and '.join(flags)} exclude each other")
