"""Bytes that two readers could read differently are refused before anything reads them."""

import pytest

from contracts.problems import MalformedError
from infra.strict_json import MAX_DEPTH, strict_loads

REFUSED = {
    "nothing": b"",
    "only space": b" \n",
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte that is not UTF-8": b'{"a":"\xff"}',
    "an overlong slash": b'{"a":"\xc0\xaf"}',
    "a surrogate encoded as three bytes": b'{"a":"\xed\xa0\x80"}',
    "a code point beyond Unicode": b'{"a":"\xf4\x90\x80\x80"}',
    "a cut multi-byte character": b'{"a":"\xe2\x82"}',
    "a lone high surrogate": rb'{"a":"\ud800"}',
    "a lone low surrogate": rb'{"a":"\udc00x"}',
    "surrogates the wrong way round": rb'{"a":"\udc00\ud800"}',
    "a lone surrogate as key": rb'{"\ud800":1}',
    "an escaped NUL": rb'{"a":"x\u0000"}',
    "NUL in a key": rb'{"\u0000":1}',
    "NUL deep inside": rb'[[{"a":["\u0000"]}]]',
    "a raw NUL": b'{"a":"\0"}',
    "a raw line feed in a string": b'{"a":"\n"}',
    "a duplicate key": b'{"a":1,"a":2}',
    "an equal duplicate key": b'{"a":1,"a":1}',
    "a duplicate key deep inside": b'[{"b":{"a":1,"a":1}}]',
    "a duplicate key in another spelling": rb'{"a":1,"\u0061":2}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "minus Infinity": b'{"a":-Infinity}',
    "a number that becomes infinite": b'{"a":1e999}',
    "minus a number that becomes infinite": b"[-1e400]",
    "a number of 5,000 digits": b"9" * 5000,
    "a leading zero": b"[01]",
    "a leading plus": b"[+1]",
    "a number without a whole part": b"[.5]",
    "a number without a fraction": b"[1.]",
    "a hexadecimal number": b"[0x10]",
    "full-width digits": "[\uff11]".encode(),
    "single quotes": b"{'a':1}",
    "a bare key": b"{a:1}",
    "a comment": b'{"a":1} // x',
    "a trailing comma": b'{"a":1,}',
    "two values": b'{"a":1}{"a":2}',
    "a bad escape": rb'{"a":"\x41"}',
    "an open string": b'{"a":"',
    "an open object": b'{"a":1',
    "Python's None": b'{"a":None}',
    "one list too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "a key that opens one object too deep": b'{"a":' * MAX_DEPTH + b"{}" + b"}" * MAX_DEPTH,
    "one object too deep": b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
    "a hundred thousand lists": b"[" * 100_000,
    "a hundred thousand objects": b'{"a":' * 100_000,
}
READ = {
    "an object": (b'{"a":1}', {"a": 1}),
    "space around": (b' {"a" : [ ] }\r\n', {"a": []}),
    "a pair of surrogates": (rb'"\ud83d\ude00"', "😀"),
    "a large number": (b"[1e308, -12345678901234567890]", [1e308, -12345678901234567890]),
    "equal keys of different objects": (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
    "the deepest lists": (b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH, None),
    "the deepest objects": (b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, None),
    "null": (b"null", None),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_ambiguous_bytes_are_refused(raw):
    with pytest.raises(MalformedError, match="malformed_json"):
        strict_loads(raw)


@pytest.mark.parametrize(("raw", "value"), READ.values(), ids=READ)
def test_plain_json_is_read(raw, value):
    found = strict_loads(raw)

    assert value is None or found == value
