#!/usr/bin/env python3
"""Log-probabilities of the lines of standard input: score.py [HOST:PORT]"""
import sys

from dyad_serve import Client

lines = sys.stdin.read().splitlines()
with Client(*sys.argv[1:]) as client:
    for line, score in zip(lines, client.score(lines)):
        print(score.sum, score.scored_tokens, line, sep="\t")
