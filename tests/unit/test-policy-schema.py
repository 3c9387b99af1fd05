#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the JSON schema to the corpus that test-policy-corpus holds the parser to.

Usage: test-policy-schema.py SCHEMA CORPUS [POLICY...]. Files valid-* and the policies must pass,
invalid-* must not; parser-only-* has mistakes that a schema cannot know of and must pass. Exits 77
when there is no jsonschema module.
"""
import json
import pathlib
import re
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: needs the Python module jsonschema (Debian: python3-jsonschema)")
    sys.exit(77)


def load(path):
    """JSON with comments; what stands in strings is kept."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda m: m.group(1) or " ", text,
                  flags=re.DOTALL)
    return json.loads(text)


def main():
    schema = load(pathlib.Path(sys.argv[1]))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    wrong = checked = 0
    corpus = sorted(pathlib.Path(sys.argv[2]).glob("*.json"))
    for path in corpus + [pathlib.Path(name) for name in sys.argv[3:]]:
        errors = list(validator.iter_errors(load(path)))
        checked += 1
        if path.name.startswith("invalid-"):
            if not errors:
                print(f"{path.name}: the schema accepts it, the parser does not")
                wrong += 1
        elif errors:
            print(f"{path.name}: the schema refuses it: {errors[0].message}")
            wrong += 1
    print(f"{checked} documents checked, {wrong} wrong")
    return 1 if wrong or checked < 100 else 0


sys.exit(main())
