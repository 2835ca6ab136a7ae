#!/usr/bin/env python3
"""Margins of minimal pairs, as JSON lines of a file have them: pairs.py FILE [HOST:PORT]"""
import json
import sys

from dyad_serve import Client

with open(sys.argv[1], encoding="utf-8") as file, Client(*sys.argv[2:]) as client:
    for pair in client.pairs(map(json.loads, file)):
        print(pair.index, pair.error or pair.margin, sep="\t")
