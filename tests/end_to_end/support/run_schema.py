"""Whether the header of a run is as client/schema/run.schema.json says."""
import json
import re

from support.server import SOURCE

SCHEMA = json.loads((SOURCE / "client" / "schema" / "run.schema.json").read_text())
KINDS = {"object": dict, "string": str, "integer": int}


def faults(value, schema, path="$"):
    """What of `value` the schema does not allow; of JSON Schema only what ours has."""
    assert set(schema) <= {"$schema", "$id", "title", "description", "type", "required", "additionalProperties",
                           "properties", "const", "enum", "pattern", "minimum"}, f"a word that this test lacks: {schema}"
    found = []
    if "type" in schema and not isinstance(value, KINDS[schema["type"]]):
        return [f"{path} is no {schema['type']}"]
    if "const" in schema and value != schema["const"] or "enum" in schema and value not in schema["enum"]:
        found.append(f"{path} is {value}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{path} is {value}")
    if "minimum" in schema and value < schema["minimum"]:
        found.append(f"{path} is {value}")
    found += [f"{path} lacks {key}" for key in schema.get("required", ()) if key not in value]
    for key, member in value.items() if isinstance(value, dict) else ():
        if key in schema.get("properties", {}):
            found += faults(member, schema["properties"][key], f"{path}.{key}")
        elif schema.get("additionalProperties") is False:
            found.append(f"{path} has {key}")
    return found
