#!/usr/bin/env python3
"""A second reader of AFS1 segment files, on Python's standard library alone (docs/format/segment.md).

    read_segment.py FILE.seg          one JSON object a block; damage on standard error, exit code 1

It shares no code with the Rust reader and is the oracle for it in tests.
"""

import json
import struct
import sys
import zlib

MAGIC = b"\x89AFS\r\n\x1a\n"
KINDS = {1: "DICT", 2: "SCALAR", 3: "HIST", 4: "EVENT", 5: "LEDGER", 6: "RECOVERY"}
DTYPES = {1: "B", 2: "H", 3: "I", 4: "Q", 5: "q", 6: "d"}
DATA_OFF = 12288


def frame_is_sound(data):
    """Whether header page and slot pages are what their checksums, copies and zeros say, the slots' own fields apart."""
    head = data[:256]
    sound = head[:8] == MAGIC and zlib.crc32(head[:248]) == struct.unpack_from("<I", data.ljust(256, b"\0"), 248)[0]
    sound = sound and zlib.crc32(data[256:4096]) == struct.unpack_from("<I", head, 252)[0]
    return sound and all(
        data[page + 128 : page + 384] == head and data[page + 384 : page + 4096] == bytes(3712) for page in (4096, 8192)
    )


def header_of(data):
    """File tag from the header page, or from the copy in a slot page."""
    for base in (0, 4096 + 128, 8192 + 128):
        head = data[base : base + 256]
        if len(head) == 256 and head[:8] == MAGIC and zlib.crc32(head[:248]) == struct.unpack_from("<I", head, 248)[0]:
            major, _minor, _compat, incompat = struct.unpack_from("<HHII", head, 16)
            if major != 1 or incompat != 0:
                sys.exit(f"version {major}, incompat bits {incompat:#x}: not for this reader")
            return struct.unpack_from("<I", head, 32)[0]
    sys.exit("not a segment file: no intact header")


def slots_of(data, tag):
    for at in (4096, 8192):
        slot = data[at : at + 128]
        if len(slot) == 128 and zlib.crc32(slot[:124]) == struct.unpack_from("<I", slot, 124)[0]:
            if struct.unpack_from("<I", slot, 104)[0] == tag:
                yield struct.unpack_from("<QQ", slot)


def block_at(data, at, tag):
    """Kind, number, rows, number of columns and body length of an intact header at this offset, else None."""
    head = data[at : at + 64]
    if len(head) < 64 or head[:4] != b"ABLK" or zlib.crc32(head[:60]) != struct.unpack_from("<I", head, 60)[0]:
        return None
    kind, _flags, number, body_len, _raw, rows, ncols, codec = struct.unpack_from("<HHQIIIHH", head, 4)
    own_tag, body_crc, position = struct.unpack_from("<III", head, 48)
    if own_tag != tag or position * 64 != at or body_len > 1 << 20 or body_len % 64 or ncols > 64 or (codec and kind in KINDS):
        return None
    return kind, number, rows, ncols, body_len, body_crc


def columns_of(body, ncols):
    out = {}
    for i in range(ncols):
        number, dtype, enc, off, length, items = struct.unpack_from("<HBBIII", body, 16 * i)
        if enc == 0 and dtype in DTYPES:
            if items * struct.calcsize(f"<{DTYPES[dtype]}") != length or off % 8 or off + length > len(body):
                raise ValueError(f"column {number}: length and items disagree")
            out[number] = struct.unpack_from(f"<{items}{DTYPES[dtype]}", body, off)
    return out


def main(path):
    with open(path, "rb") as file:
        data = file.read()
    tag = header_of(data)
    slots = sorted(slots_of(data, tag))
    damages = 2 - len(slots)
    if damages:
        print(f"damage: {damages} of 2 commit slots are not intact", file=sys.stderr)
    if not frame_is_sound(data):
        print("damage: the header page or the rest of a slot page is not intact", file=sys.stderr)
        damages += 1
    committed = slots[-1][1] if slots else DATA_OFF
    at, expected = DATA_OFF, 0
    while at < committed:
        block = block_at(data, at, tag)
        body = data[at + 64 : at + 64 + block[4]] if block else b""
        if block is None or block[1] < expected:
            print(f"damage: block {expected} at offset {at}: no intact header", file=sys.stderr)
            damages += 1
            at += 64
            while at < committed and not ((block := block_at(data, at, tag)) and block[1] >= expected):
                at += 64
            expected = block[1] if block else expected
            continue
        kind, number, rows, ncols, body_len, body_crc = block
        if len(body) < body_len or zlib.crc32(body) != body_crc:
            print(f"damage: block {number} at offset {at}: body checksum does not match", file=sys.stderr)
            damages += 1
        else:
            record = {"block": number, "offset": at, "kind": KINDS.get(kind, "unknown"), "rows": rows}
            try:
                columns = columns_of(body, ncols) if kind in KINDS else {}
                if 63 in columns:
                    text, off = bytes(columns[63]), columns[62]
                    record["strings"] = [text[a:b].decode() for a, b in zip(off, off[1:])]
                record["columns"] = {str(k): list(v) for k, v in columns.items() if k not in (62, 63)}
                print(json.dumps(record))
            # A checksum proves nothing about who wrote it: a directory of columns may be forged.
            except (KeyError, MemoryError, OverflowError, TypeError, UnicodeError, ValueError, struct.error) as error:
                print(f"damage: block {number} at offset {at}: cannot be understood: {error}", file=sys.stderr)
                damages += 1
        at += 64 + body_len
        expected = number + 1
    return 1 if damages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
