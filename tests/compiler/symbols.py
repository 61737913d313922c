"""The symbols that an object file asks others for: read from its bytes, as ELF, Mach-O and COFF for 64 bits lay them
out.
"""

import struct
from collections.abc import Iterator


def undefined(payload: bytes) -> set[str]:
    """Names that the file uses and does not define, as C writes them."""
    if payload[:4] == b"\x7fELF":
        return set(_elf(payload))
    if payload[:4] == b"\xcf\xfa\xed\xfe":
        return {name.removeprefix("_") for name in _macho(payload)}
    return set(_coff(payload))


def _name(payload: bytes, at: int) -> str:
    return payload[at : payload.index(b"\0", at)].decode()


def _elf(payload: bytes) -> Iterator[str]:
    """Source: Tool Interface Standard, ELF Specification 1.2, and its 64-bit form in the System V ABI."""
    (sections,) = struct.unpack_from("<Q", payload, 40)
    size, count = struct.unpack_from("<HH", payload, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", payload, sections + n * size) for n in range(count)]
    for _, kind, _, _, offset, length, link, _, _, entry in headers:
        if kind == 2:  # SHT_SYMTAB
            names = headers[link][4]
            for at in range(offset + entry, offset + length, entry):  # the first one is empty
                name, _, _, section = struct.unpack_from("<IBBH", payload, at)
                if section == 0:
                    yield _name(payload, names + name)


def _macho(payload: bytes) -> Iterator[str]:
    """Source: Apple, mach-o/loader.h and mach-o/nlist.h."""
    (commands,) = struct.unpack_from("<I", payload, 16)
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<II", payload, at)
        if command == 2:  # LC_SYMTAB
            offset, count, names, _ = struct.unpack_from("<IIII", payload, at + 8)
            for n in range(count):
                name, kind, _, _, _ = struct.unpack_from("<IBBHQ", payload, offset + 16 * n)
                if kind & 0x0E == 0 and kind & 0x01:  # N_UNDF and N_EXT
                    yield _name(payload, names + name)
        at += size


def _coff(payload: bytes) -> Iterator[str]:
    """Source: Microsoft, PE Format, "COFF Symbol Table"."""
    offset, count = struct.unpack_from("<II", payload, 8)
    names, n = offset + 18 * count, 0
    while n < count:
        short, value, section, _, storage, more = struct.unpack_from("<8sIhHBB", payload, offset + 18 * n)
        if section == 0 and value == 0 and storage == 2:  # IMAGE_SYM_UNDEFINED, IMAGE_SYM_CLASS_EXTERNAL
            zeros, place = struct.unpack("<II", short)
            yield _name(payload, names + place) if zeros == 0 else short.rstrip(b"\0").decode()
        n += 1 + more
