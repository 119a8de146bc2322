#!/usr/bin/env python3
"""Writes the input files of this folder."""

import json
import pathlib
import struct

import numpy as np

HERE = pathlib.Path(__file__).parent


def save(name, *arrays):
    with open(HERE / name, "wb") as file:
        for array in arrays:
            np.save(file, array)


save("matrix_f32.npy", np.array([[1.5, -2], [0.1, 1e10]], np.float32))
save("vector_i32.npy", np.array([3, -4], np.int32))
save("vectors_i32.npy", np.array([30, 40], np.int32), np.array([1, 2], np.int32))
save("bool.npy", np.array([True, False, True]))
save("u8.npy", np.array([[0, 1], [128, 255]], np.uint8))
save("f16.npy", np.array([0.1, -2, 65504], np.float16))
save("complex64.npy", np.array([1 + 2j, -0.5j], np.complex64))
save("scalar_i32.npy", np.array(21, np.int32))
save("fortran.npy", np.asfortranarray(np.array([[1, 2], [3, 4]], np.float32)))
save("big_endian.npy", np.array([[1, 2], [3, 4]], ">f4"))
(HERE / "four_f32.bin").write_bytes(np.array([1, 2, 3, 4], "<f4").tobytes())
(HERE / "four_i32.bin").write_bytes(np.array([10, 20, 1, 2], "<i4").tobytes())
(HERE / "short.bin").write_bytes(bytes(15))


# Archives of parameters. `kernel` is 4x2xf32, `bias` 2xf32, `bytes` 5xi8, `counter` 4xi32.

KERNEL = np.arange(8, dtype="<f4").tobytes()
BIAS = np.array([0.5, -0.5], "<f4").tobytes()
BYTES = bytes([1, 2, 3, 4, 5])


def irpa(name, splats, datas):
    """Splats are (key, length, pattern), data are (key, bytes)."""
    keys = b"".join(key for key, *_ in [*splats, *datas])
    entries, at, key_at, storage = b"", 0, 0, b""
    for key, *rest in [*splats, *datas]:
        entries += bytes(-len(entries) % 16)
        names = struct.pack("<QQQQ", key_at, len(key), 0, 0)
        if len(rest) == 2:
            length, pattern = rest
            entries += struct.pack("<QIQ", 85, 1, 0) + names + struct.pack("<QQ16sB", 0, length, pattern, len(pattern))
        else:
            storage += bytes(-len(storage) % 64)
            entries += struct.pack("<QIQ", 76, 2, 0) + names + struct.pack("<QQQ", 64, len(storage), len(rest[0]))
            storage += rest[0]
        key_at += len(key)
    metadata = 96 + len(entries)
    start = metadata + len(keys) + -(metadata + len(keys)) % 64
    header = struct.pack("<IHHQQQ", 0x41505249, 0, 0, 88, 0, 0)
    header += struct.pack("<QQQQQQQ", len(splats) + len(datas), 96, len(entries), metadata, len(keys), start, len(storage))
    content = header.ljust(96, b"\0") + entries + keys
    content = content.ljust(start, b"\0") + storage
    (HERE / name).write_bytes(content + bytes(-len(content) % 4096))


def safetensors(name, tensors):
    """Tensors are (key, type, shape, bytes)."""
    header, data = {"__metadata__": {"made": "here"}}, b""
    for key, kind, shape, content in tensors:
        header[key] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    (HERE / name).write_bytes(struct.pack("<Q", len(text)) + text + data)


def gguf(name, tensors):
    """Tensors are (key, type, extents from the innermost, bytes)."""
    def string(text):
        return struct.pack("<Q", len(text)) + text.encode()

    head = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), 3)
    head += string("general.name") + struct.pack("<I", 8) + string("weights")
    head += string("general.alignment") + struct.pack("<II", 4, 64)
    head += string("tokens") + struct.pack("<IIQ", 9, 8, 2) + string("a") + string("bc")
    data = b""
    for key, kind, extents, content in tensors:
        data += bytes(-len(data) % 64)
        head += string(key) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, kind, len(data))
        data += content
    (HERE / name).write_bytes(head + bytes(-len(head) % 64) + data)


irpa("weights.irpa", [], [(b"kernel", KERNEL), (b"bias", BIAS), (b"bytes", BYTES)])
irpa("bias.irpa", [(b"bias", 8, struct.pack("<f", 9.25))], [])
irpa("state.irpa", [(b"counter", 16, struct.pack("<i", 21))], [])
irpa("short_state.irpa", [(b"counter", 8, struct.pack("<i", 21))], [])
# What the reference cannot load: long patterns.
irpa("patterns.irpa", [(b"kernel", 32, KERNEL[:16]), (b"bias", 8, BIAS), (b"bytes", 5, BYTES[:3])], [])
safetensors("weights.safetensors", [("kernel", "F32", [4, 2], KERNEL), ("bytes", "I8", [5], BYTES), ("bias", "F32", [2], BIAS)])
gguf("weights.gguf", [("kernel", 0, [2, 4], KERNEL), ("bias", 0, [2], BIAS), ("bytes", 16, [5], BYTES)])
