#!/usr/bin/env python3
"""Streams a continuation: generate.py TEXT [HOST:PORT]"""
import sys

from dyad_serve import Client

with Client(*sys.argv[2:]) as client:
    for piece in client.stream(sys.argv[1], max_new_tokens=32):
        print(piece.text, end="", flush=True)
