# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hostile texts of tests/unit/hostile.h, and what must be true of text that was shown, written
anew from ccbufd(8)."""
import ast
import pathlib
import re

HEADER = pathlib.Path(__file__).resolve().parent.parent / 'unit' / 'hostile.h'
LITERAL = r'"(?:[^"\\]|\\.)*"'


def load():
    """{name: bytes}"""
    table = HEADER.read_text().split('hostile[] = {', 1)[1]
    texts = {}
    for name, literals in re.findall(rf'\{{\s*"([^"]*)",\s*((?:{LITERAL}\s*)+)\}}', table):
        texts[name] = ast.literal_eval(f"({re.sub(LITERAL, lambda m: 'b' + m[0], literals)})")
    assert len(texts) == table.count(' },'), 'a text that was not understood'
    return texts


TEXTS = load()


def read_back(text):
    """The bytes that a name stands for."""
    def replace(match):
        digits = match[1] or match[2] or match[3]
        value = int(digits, 16)
        if match[1]:
            if not (value < 0x20 or value == 0x5c or value >= 0x7f):
                return match[0].encode()
            return bytes([value])
        return chr(value).encode()
    pieces, at = [], 0
    for match in re.finditer(r'\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))', text):
        pieces += [text[at:match.start()].encode(), replace(match)]
        at = match.end()
    return b''.join(pieces + [text[at:].encode()])


def check_line(line):
    """A line that a terminal can be sent, and on which everything can be seen."""
    if isinstance(line, bytes):
        line = line.decode()
    assert line.isprintable(), line.encode('unicode_escape')
    return line


def check_lines(text):
    """Each of the lines of an output (bytes); returns them."""
    assert not text or text.endswith(b'\n'), text[-80:]
    return [check_line(line) for line in text.split(b'\n')[:-1]]
