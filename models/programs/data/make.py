#!/usr/bin/env python3
"""Writes the input files of this folder."""

import pathlib

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
