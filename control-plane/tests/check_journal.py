#!/usr/bin/env python3
"""Checks an exported journal from its documented form alone; knows nothing of Creditgate.

A line is {"entry":ENTRY,"hash":"HASH"}. HASH is the SHA-256 of the 32 bytes of the hash before it
in the same account (zeros before the first) and of the bytes of ENTRY as they are in the line.
"""

import hashlib
import json
import sys

heads = {}
for number, line in enumerate(sys.stdin.buffer, 1):
    line = line.rstrip(b"\n")
    document = json.loads(line)
    text = line[len(b'{"entry":') : -len(b',"hash":""}') - 64]
    assert json.loads(text) == document["entry"], f"line {number}: not of the documented form"
    account, due = document["entry"]["account"], document["entry"]["number"]
    entries, head = heads.get(account, (0, bytes(32)))
    if due != entries + 1:
        sys.exit(f"line {number}: {account} has entry {due} after {entries}")
    head = hashlib.sha256(head + text).digest()
    if head.hex() != document["hash"]:
        sys.exit(f"line {number}: the hash of entry {due} of {account} is another")
    heads[account] = (due, head)
for account, (entries, head) in sorted(heads.items()):
    print(account, entries, head.hex())
