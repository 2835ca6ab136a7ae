"""ctranslate2_convert.py FOLDER OUT WEIGHTS: ct2-transformers-converter, which asks for names that transformers 5 has
moved."""
import sys

import ctranslate2.converters
import transformers

CONFIG = transformers.GPTNeoXConfig
CONFIG.rotary_pct = property(lambda config: config.rope_parameters["partial_rotary_factor"])
CONFIG.rotary_emb_base = property(lambda config: config.rope_parameters["rope_theta"])

folder, out, weights = sys.argv[1:]
ctranslate2.converters.TransformersConverter(folder).convert(out, quantization=weights)
