#!/usr/bin/env python3
"""Trains the digits classifier and writes everything in this folder except digits.vmfb.

    .venv/bin/python models/digits/train.py

Data: the 1797 8x8 digits bundled with scikit-learn; of every class a quarter is held out, chosen by a fixed seed; the held-out images
are never used for training or for choosing anything. Deterministic for one numpy build; another BLAS may round differently, so
the program in the repository, not a fresh training, is what the tests measure. Takes about ten seconds.
"""

import os
import pathlib
import time

# One thread: the products are small, and idle threads of the BLAS would spin on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import load_digits

import emit
from network import Network

HERE = pathlib.Path(__file__).parent
SEED = 7
EPOCHS = 150
HELD_OUT = 0.25


def split():
    """Stratified: (training pixels, labels, held-out pixels, labels)."""
    digits = load_digits()
    pixels = digits.images.astype(np.float32)
    labels = digits.target.astype(np.int32)
    generator = np.random.default_rng(SEED)
    held = np.zeros(len(labels), bool)
    for digit in range(10):
        members = generator.permutation(np.flatnonzero(labels == digit))
        held[members[: round(HELD_OUT * len(members))]] = True
    return pixels[~held], labels[~held], pixels[held], labels[held]


def write_images(pixels, labels, probabilities):
    """All held-out images in one pair of files, and the surest correctly classified example of each digit."""
    np.save(HERE / "heldout_images.npy", pixels)
    np.save(HERE / "heldout_labels.npy", labels)
    right = probabilities.argmax(axis=1) == labels
    for digit, name in enumerate(emit.NAMES):
        surest = np.where(right & (labels == digit), probabilities.max(axis=1), 0).argmax()
        np.save(HERE / f"{name}.npy", pixels[surest])


def main():
    train_pixels, train_labels, held_pixels, held_labels = split()
    started = time.monotonic()
    generator = np.random.default_rng(SEED)
    network = Network(generator)
    network.train(train_pixels, train_labels, generator, EPOCHS)
    probabilities = network.probabilities(held_pixels)
    right = int((probabilities.argmax(axis=1) == held_labels).sum())
    print(f"trained on {len(train_labels)} images in {time.monotonic() - started:.1f} s")
    print(f"held-out accuracy {right}/{len(held_labels)} = {100 * right / len(held_labels):.2f} %")
    (HERE / "digits.mlir").write_text(emit.program(network))
    write_images(held_pixels, held_labels, probabilities)


if __name__ == "__main__":
    main()
