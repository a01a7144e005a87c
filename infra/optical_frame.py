"""Numbers as light: how a lamp blinks 28 bits so that a photo cell reads them without mistake."""

PREAMBLE = "10101011"
END = "0"
VERSION = 2
VERSION_BITS, NUMBER_BITS, CHECK_BITS = 4, 28, 8
# A photo cell loses count in long runs; after so many equal symbols comes the opposite one, which says nothing.
LONGEST_RUN = 4
POLYNOMIAL = 0x07
SYMBOLS_PER_S = 20


def crc8(data: bytes) -> int:
    """Return the check value. Polynomial 0x07, start 0, most significant bit first; "123456789" gives 0xF4."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ POLYNOMIAL) & 0xFF if value & 0x80 else value << 1
    return value


def encode(number: int) -> str:
    """Return the symbols of `number` (28 bits), "1" for light: at most 58.

    Raises: ValueError when the number does not fit.
    """
    if not 0 <= number < 1 << NUMBER_BITS:
        raise ValueError("a frame holds 28 bits")
    head = (VERSION << NUMBER_BITS | number).to_bytes(4, "big")
    bits = "".join(f"{byte:08b}" for byte in (*head, crc8(head)))
    return PREAMBLE + _stuff(bits) + END


def decode(symbols: str) -> int:
    """Return the number that `symbols` spell. Raises: ValueError for anything but an intact frame."""
    if not symbols.startswith(PREAMBLE) or not symbols.endswith(END) or set(symbols) - {"0", "1"}:
        raise ValueError("not a frame")
    bits = _unstuff(symbols[len(PREAMBLE) : -len(END)])
    if len(bits) != VERSION_BITS + NUMBER_BITS + CHECK_BITS:
        raise ValueError("not a frame of 28 bits")
    raw = int(bits, 2).to_bytes(5, "big")
    if crc8(raw[:4]) != raw[4] or raw[0] >> 4 != VERSION:
        raise ValueError("the frame is damaged")
    return int.from_bytes(raw[:4], "big") & (1 << NUMBER_BITS) - 1


def _stuff(bits: str) -> str:
    made: list[str] = []
    for bit in bits:
        made.append(bit)
        if made[-LONGEST_RUN:] == [bit] * LONGEST_RUN:
            made.append("0" if bit == "1" else "1")
    return "".join(made)


def _unstuff(symbols: str) -> str:
    kept: list[str] = []
    run = 0
    for place, symbol in enumerate(symbols):
        if run == LONGEST_RUN:
            if symbol == symbols[place - 1]:
                raise ValueError("a run is too long")
            run = 1
            continue
        run = run + 1 if place and symbol == symbols[place - 1] else 1
        kept.append(symbol)
    return "".join(kept)
