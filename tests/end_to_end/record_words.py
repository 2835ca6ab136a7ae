"""Records scores of words by the packages of the literature: tests/fixtures/words.json, which recorded_words_test.py compares
the server's with. They and their torch are too large for CI, so this runs by hand:

    minicons 0.3.39, wordsprobability 0.17, transformers 4.47.1, torch 1.13 (Debian), numpy 1.26, pandas 2.3, and
    github.com/byungdoh/wt_decoding at 0bef9e0: DYAD_BUILD_DIR=… python record_words.py FOLDER_OF_WT_DECODING

Their code runs as it is, on Hugging Face's own networks with the weights as `dyad-convert densify` multiplies them out, in
float32. One thing is set right: wordsprobability counts EOS twice where a text begins; here it counts once.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers

# minicons imports it for models of images; this transformers may not have it, and none is used.
if not hasattr(transformers, "AutoModelForImageTextToText"):
    transformers.AutoModelForImageTextToText = None
import minicons  # noqa: E402
import wordsprobability.main  # noqa: E402
from minicons.scorer import IncrementalLMScorer  # noqa: E402
from wordsprobability.models import bow_lm  # noqa: E402

from support import word_cases  # noqa: E402
from support.server import BUILD, SOURCE  # noqa: E402


def of_minicons(model, tokenizer, bos):
    return word_cases.minicons_answers(IncrementalLMScorer(model, "cpu", tokenizer), bos)


def of_wordsprobability(model, tokenizer):
    """[(word, surprisal in nats)] of each text."""
    base = bow_lm.PythiaBaseModel if hasattr(model, "embed_out") else bow_lm.GPT2BaseModel

    class Ours(base):
        def _initialise_model(self):
            return model, tokenizer

        def _initialise_vocab_masks(self):
            super()._initialise_vocab_masks()
            self.vocab_masks["mid"][tokenizer.eos_token_id] = 0

    wordsprobability.models.MODELS["ours"] = Ours
    answers = []
    for text in word_cases.TEXTS:
        if word_cases.has_lone_blank(tokenizer.tokenize(text)):
            answers.append(None)
            continue
        frame = wordsprobability.main.get_surprisal_per_word(text, "ours")
        # Bytes of a word, as the vocabulary writes them.
        answers.append([[tokenizer.convert_tokens_to_string([word]), float(value)]
                        for word, value in zip(frame["word"], frame["surprisal"])])
    return answers


def of_wt_decoding(code, folder, tokenizer):
    """[surprisal in nats] of each text's words."""
    answers = []
    for text in word_cases.TEXTS:
        if word_cases.has_lone_blank(tokenizer.tokenize(text)):
            answers.append(None)
            continue
        (folder / "story").write_text(f"!ARTICLE\n{text}\n")
        tokens = run(code / "get_llm_surprisal.py", folder / "story", folder, "main")
        (folder / "tokens").write_text(tokens)
        values = []
        # A row for each token, in bits; the last is the end, which is no word.
        for row in run(code / "postprocess_bi.py", folder / "tokens").splitlines()[1:-1]:
            *_, value, place, _, _ = row.split(" ")
            values += [0.0] if place == "B" or not values else []
            values[-1] += float(value) * 0.6931471805599453
        answers.append(values)
    return answers


def run(*command):
    return subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True, text=True).stdout


def main():
    code = pathlib.Path(sys.argv[1])
    answers = {}
    with tempfile.TemporaryDirectory() as name:
        for model, served in word_cases.models(pathlib.Path(name)).items():
            is_opt = model != "gpt_neox"
            folder = pathlib.Path(name, "opt-" + model if is_opt else "pythia-" + model)
            subprocess.run([BUILD / "bin" / "dyad-convert", "densify", served, folder], check=True, capture_output=True)
            specials = dict(bos_token="</s>", eos_token="</s>", unk_token="</s>", pad_token="<pad>")
            text = (served / "tokenizer.json").read_text()
            (folder / "tokenizer.json").write_text(text)
            tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **specials)
            tokenizer.save_pretrained(folder)
            unframed = json.loads(text)
            unframed["post_processor"] = unframed["decoder"]
            (folder / "unframed.json").write_text(json.dumps(unframed))
            plain = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "unframed.json"), **specials)
            network = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
            answers[model] = {"minicons": of_minicons(network, tokenizer, not is_opt),
                              "wordsprobability": of_wordsprobability(network, plain),
                              "wt_decoding": of_wt_decoding(code, folder, tokenizer)}
    path = SOURCE / "tests" / "fixtures" / "words.json"
    versions = {"minicons": minicons.__version__ if hasattr(minicons, "__version__") else "0.3.39",
                "wordsprobability": "0.17", "wt_decoding": "0bef9e056a5627a8037e24cbd0db0c829a80b90e",
                "transformers": transformers.__version__, "torch": torch.__version__}
    lines = [f"{json.dumps(f'{model}, {package}')}: {json.dumps(answer, ensure_ascii=False)}"
             for model, packages in answers.items() for package, answer in packages.items()]
    path.write_text(f'{{"versions": {json.dumps(versions)},\n"answers": {{\n' + ",\n".join(lines) + "\n}}\n")
    print(f"{len(lines)} answers")


if __name__ == "__main__":
    main()
