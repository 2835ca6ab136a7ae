"""Reads the golden values: a safetensors file as {name: (shape, flat list of numbers)}."""
import array
import json
import struct

CODES = {"F32": "f", "I64": "q"}


def read(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = (entry["shape"], array.array(CODES[entry["dtype"]], data[first:last]))
    return tensors
