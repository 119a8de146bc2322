#!/usr/bin/env python3
"""What onnxruntime needs for one call of the encoder: the peer of `cargo bench -p weft-bench --bench encoder`.

    python models/encoder/onnx_peer.py FOLDER THREADS    # FOLDER as build.py writes it; prints the median in nanoseconds

Needs numpy, onnx and onnxruntime. The graph is written here, of the operators that onnxruntime has for such encoders, without a mask:
as many tokens as `count.npy` says, padded to `ids.npy`, are computed in any case, and the mask costs nothing that would show.
"""

import json
import pathlib
import statistics
import struct
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

sys.dont_write_bytecode = True
HEAD = 32


def weights_of(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    body = data[8 + length :]
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        for name, entry in json.loads(data[8 : 8 + length]).items()
        if name != "__metadata__"
    }


class Graph:
    """Nodes and constants by name."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def add(self, kind, *inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, name, array):
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def dense(self, value, name):
        product = self.add("MatMul", value, self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T))
        return self.add("Add", product, self.constant(f"{name}.bias", self.weights[f"{name}.bias"]))

    def normal(self, value, name):
        parts = [self.constant(f"{name}.{part}", self.weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self.add("LayerNormalization", value, *parts, axis=-1, epsilon=1e-12)

    def heads(self, value, name, order):
        shape = self.constant("apart", np.array([1, 0, -1, HEAD], np.int64))
        return self.add("Transpose", self.add("Reshape", self.dense(value, name), shape), perm=order)

    def layer(self, value, at):
        query = self.heads(value, f"{at}.attention.self.query", [0, 2, 1, 3])
        key = self.heads(value, f"{at}.attention.self.key", [0, 2, 3, 1])
        worth = self.heads(value, f"{at}.attention.self.value", [0, 2, 1, 3])
        scaled = self.add("Mul", self.add("MatMul", query, key), self.constant("scale", np.float32(HEAD**-0.5)))
        mixed = self.add("Transpose", self.add("MatMul", self.add("Softmax", scaled, axis=-1), worth), perm=[0, 2, 1, 3])
        flat = self.add("Reshape", mixed, self.constant("together", np.array([1, 0, -1], np.int64)))
        value = self.normal(self.add("Add", value, self.dense(flat, f"{at}.attention.output.dense")), f"{at}.attention.output.LayerNorm")
        bent = self.add("Gelu", self.dense(value, f"{at}.intermediate.dense"))
        return self.normal(self.add("Add", value, self.dense(bent, f"{at}.output.dense")), f"{at}.output.LayerNorm")


def model(weights, size):
    graph = Graph(weights)
    rows = weights["embeddings.position_embeddings.weight"][:size] + weights["embeddings.token_type_embeddings.weight"][0]
    words = graph.add("Gather", graph.constant("words", weights["embeddings.word_embeddings.weight"]), "ids")
    value = graph.normal(graph.add("Add", words, graph.constant("rows", rows)), "embeddings.LayerNorm")
    layers = sum(name.endswith("intermediate.dense.bias") for name in weights)
    for index in range(layers):
        value = graph.layer(value, f"encoder.layer.{index}")
    mean = graph.add("ReduceMean", value, graph.constant("tokens", np.array([1], np.int64)), keepdims=0)
    answer = graph.add("LpNormalization", mean, axis=-1, p=2)
    made = helper.make_graph(
        graph.nodes,
        "encoder",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, size])],
        [helper.make_tensor_value_info(answer, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def main():
    folder, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    ids, count = np.load(folder / "ids.npy"), int(np.load(folder / "count.npy"))
    weights, options = weights_of(folder / "encoder.safetensors"), onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1

    def session(size):
        content = model(weights, size).SerializeToString()
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    # Without padding no mask is needed, so here the answer must be the same.
    (answer,) = session(count).run(None, {"ids": ids[:, :count]})
    assert np.abs(answer[0] - np.load(folder / "expected.npy")).max() < 1e-4
    full, times = session(ids.shape[1]), []
    for _ in range(60):
        start = time.perf_counter_ns()
        full.run(None, {"ids": ids})
        times.append(time.perf_counter_ns() - start)
    print(statistics.median(times[10:]))


if __name__ == "__main__":
    main()
