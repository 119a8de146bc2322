"""Writes a BERT-like sentence encoder as an MLIR program whose weights are parameters.

The program knows shapes alone; the weights are found by name when it is loaded, under the names that the file of weights has.
What does not live here: where weights come from and compiling (build.py).

Exports, for each number of tokens N that is asked for:

    embed_N(ids: tensor<1xNxi64>, count: tensor<i64>) -> tensor<384xf32>

`ids` holds `count` tokens and then anything; the result has length 1.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a configuration says about an encoder."""

    vocabulary: int
    positions: int
    width: int
    inner: int
    heads: int
    layers: int
    epsilon: float


def type_of(*extents):
    return f"tensor<{'x'.join([*map(str, extents), 'f32'])}>"


class Body:
    """The text of a function, value by value."""

    def __init__(self):
        self.lines, self.count = [], 0

    def add(self, text):
        """A new value; `text` may take several lines."""
        self.count += 1
        self.lines.append(f"    %v{self.count} = {text}")
        return f"%v{self.count}"

    def empty(self, *extents):
        return self.add(f"tensor.empty() : {type_of(*extents)}")

    def filled(self, value, *extents):
        constant = self.add(f"arith.constant {value} : f32")
        return self.add(f"linalg.fill ins({constant} : f32) outs({self.empty(*extents)} : {type_of(*extents)}) -> {type_of(*extents)}")

    def weight(self, scope, name, *extents):
        symbol = name.replace(".", "_")
        return self.add(f"util.global.load @{scope}_{symbol} : {type_of(*extents)}")

    def each(self, result, maps, inputs, code):
        """An element-wise operation over `result`; `inputs` are (value, type); `code` names them %a, %b, ... and yields %r."""
        extents, rank = result, len(result)
        dimensions = ", ".join(f"d{index}" for index in range(rank))
        whole = f"affine_map<({dimensions}) -> ({dimensions})>"
        maps = [f"affine_map<({dimensions}) -> ({chosen})>" for chosen in maps] + [whole]
        kinds = ", ".join(['"parallel"'] * rank)
        names = "abcdefg"[: len(inputs)]
        arguments = ", ".join(f"%{name}: {kind.split('x')[-1].rstrip('>').split('<')[-1]}" for name, (_, kind) in zip(names, inputs))
        values, types = ", ".join(value for value, _ in inputs), ", ".join(kind for _, kind in inputs)
        ins = f"ins({values} : {types}) " if inputs else ""
        out = self.empty(*extents)
        arguments = f"{arguments}, %out: f32" if arguments else "%out: f32"
        body = "\n".join(f"      {line}" for line in code.strip().splitlines())
        return self.add(
            f"linalg.generic {{indexing_maps = [{', '.join(maps)}], iterator_types = [{kinds}]}}\n"
            f"      {ins}outs({out} : {type_of(*extents)}) {{\n    ^bb0({arguments}):\n{body}\n      linalg.yield %r : f32\n    }} -> {type_of(*extents)}"
        )

    def row_sum(self, value, rows, columns, code="%r = arith.addf %a, %out : f32"):
        """Sums over the columns; `code` may do something to %a before."""
        start = self.filled("0.0", rows)
        return self.add(
            "linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], "
            'iterator_types = ["parallel", "reduction"]}\n'
            f"      ins({value} : {type_of(rows, columns)}) outs({start} : {type_of(rows)}) {{\n    ^bb0(%a: f32, %out: f32):\n"
            + "\n".join(f"      {line}" for line in code.splitlines())
            + f"\n      linalg.yield %r : f32\n    }} -> {type_of(rows)}"
        )


def normalized(body, value, rows, shape, gain, bias):
    """Each row with mean 0 and variance 1, then scaled and shifted."""
    width = shape.width
    total = body.row_sum(value, rows, width)
    centred = body.each(
        [rows, width],
        ["d0, d1", "d0"],
        [(value, type_of(rows, width)), (total, type_of(rows))],
        f"%width = arith.constant {float(width)} : f32\n%mean = arith.divf %b, %width : f32\n%r = arith.subf %a, %mean : f32",
    )
    squares = body.row_sum(centred, rows, width, "%s = arith.mulf %a, %a : f32\n%r = arith.addf %s, %out : f32")
    return body.each(
        [rows, width],
        ["d0, d1", "d0", "d1", "d1"],
        [(centred, type_of(rows, width)), (squares, type_of(rows)), (gain, type_of(width)), (bias, type_of(width))],
        f"%width = arith.constant {float(width)} : f32\n%variance = arith.divf %b, %width : f32\n"
        f"%epsilon = arith.constant {shape.epsilon:e} : f32\n%more = arith.addf %variance, %epsilon : f32\n"
        "%scale = math.rsqrt %more : f32\n%unit = arith.mulf %a, %scale : f32\n"
        "%long = arith.mulf %unit, %c : f32\n%r = arith.addf %long, %d : f32",
    )


def dense(body, value, rows, inputs, outputs, weight, bias):
    """`value` times the transposed weight, plus the bias."""
    start = body.each([rows, outputs], ["d1"], [(bias, type_of(outputs))], "%zero = arith.constant 0.0 : f32\n%r = arith.addf %a, %zero : f32")
    maps = "affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>"
    return body.add(
        f"linalg.matmul indexing_maps = [{maps}]\n      ins({value}, {weight} : {type_of(rows, inputs)}, {type_of(outputs, inputs)}) "
        f"outs({start} : {type_of(rows, outputs)}) -> {type_of(rows, outputs)}"
    )


def split(body, value, rows, shape):
    """Rows of all heads as one matrix for each head."""
    size = shape.width // shape.heads
    apart = body.add(
        f"tensor.expand_shape {value} [[0], [1, 2]] output_shape [{rows}, {shape.heads}, {size}] : "
        f"{type_of(rows, shape.width)} into {type_of(rows, shape.heads, size)}"
    )
    target = body.empty(shape.heads, rows, size)
    return body.add(
        f"linalg.transpose ins({apart} : {type_of(rows, shape.heads, size)}) outs({target} : {type_of(shape.heads, rows, size)}) permutation = [1, 0, 2]"
    )


def attention(body, value, rows, shape, weights, count):
    """What each token takes from the others, of which those behind `count` give nothing."""
    width, heads, size = shape.width, shape.heads, shape.width // shape.heads
    query, key, worth = (
        split(body, dense(body, value, rows, width, width, *weights(f"attention.self.{name}", width, width)), rows, shape) for name in ("query", "key", "value")
    )
    square = type_of(heads, rows, rows)
    maps = "affine_map<(b, m, n, k) -> (b, m, k)>, affine_map<(b, m, n, k) -> (b, n, k)>, affine_map<(b, m, n, k) -> (b, m, n)>"
    scores = body.add(
        f"linalg.batch_matmul indexing_maps = [{maps}]\n      ins({query}, {key} : {type_of(heads, rows, size)}, {type_of(heads, rows, size)}) "
        f"outs({body.filled('0.0', heads, rows, rows)} : {square}) -> {square}"
    )
    masked = body.each(
        [heads, rows, rows],
        ["d0, d1, d2"],
        [(scores, square)],
        f"%scale = arith.constant {size**-0.5!r} : f32\n%scaled = arith.mulf %a, %scale : f32\n%column = linalg.index 2 : index\n"
        f"%is_token = arith.cmpi ult, %column, {count} : index\n%lowest = arith.constant -3.0e38 : f32\n"
        "%r = arith.select %is_token, %scaled, %lowest : f32",
    )
    shares = body.add(f"linalg.softmax dimension(2) ins({masked} : {square}) outs({body.empty(heads, rows, rows)} : {square}) -> {square}")
    mixed = body.add(
        f"linalg.batch_matmul ins({shares}, {worth} : {square}, {type_of(heads, rows, size)}) "
        f"outs({body.filled('0.0', heads, rows, size)} : {type_of(heads, rows, size)}) -> {type_of(heads, rows, size)}"
    )
    target = body.empty(rows, heads, size)
    together = body.add(
        f"linalg.transpose ins({mixed} : {type_of(heads, rows, size)}) outs({target} : {type_of(rows, heads, size)}) permutation = [1, 0, 2]"
    )
    flat = body.add(f"tensor.collapse_shape {together} [[0], [1, 2]] : {type_of(rows, heads, size)} into {type_of(rows, width)}")
    return dense(body, flat, rows, width, width, *weights("attention.output.dense", width, width))


def added(body, left, right, rows, width):
    kind = type_of(rows, width)
    return body.each([rows, width], ["d0, d1", "d0, d1"], [(left, kind), (right, kind)], "%r = arith.addf %a, %b : f32")


GELU = """%half = arith.constant 0.5 : f32
%one = arith.constant 1.0 : f32
%root = arith.constant 0.707106769 : f32
%scaled = arith.mulf %a, %root : f32
%erf = math.erf %scaled : f32
%share = arith.addf %erf, %one : f32
%part = arith.mulf %share, %half : f32
%r = arith.mulf %a, %part : f32"""


def layer(body, value, rows, shape, weights, count):
    width, inner = shape.width, shape.inner
    taken = added(body, value, attention(body, value, rows, shape, weights, count), rows, width)
    value = normalized(body, taken, rows, shape, *weights("attention.output.LayerNorm", width))
    wide = dense(body, value, rows, width, inner, *weights("intermediate.dense", inner, width))
    bent = body.each([rows, inner], ["d0, d1"], [(wide, type_of(rows, inner))], GELU)
    narrow = dense(body, bent, rows, inner, width, *weights("output.dense", width, inner))
    return normalized(body, added(body, value, narrow, rows, width), rows, shape, *weights("output.LayerNorm", width))


def embedded(body, scope, rows, shape):
    """The sum of what a token, its position and its kind (always the first) stand for."""
    words = body.weight(scope, "embeddings.word_embeddings.weight", shape.vocabulary, shape.width)
    positions = body.weight(scope, "embeddings.position_embeddings.weight", shape.positions, shape.width)
    kinds = body.weight(scope, "embeddings.token_type_embeddings.weight", 2, shape.width)
    summed = body.each(
        [rows, shape.width],
        ["0, d0"],
        [("%ids", f"tensor<1x{rows}xi64>")],
        "%row = linalg.index 0 : index\n%column = linalg.index 1 : index\n"
        f"%most = arith.constant {shape.vocabulary - 1} : i64\n%none = arith.constant 0 : i64\n"
        "%above = arith.maxsi %a, %none : i64\n%within = arith.minsi %above, %most : i64\n%id = arith.index_cast %within : i64 to index\n"
        f"%word = tensor.extract {words}[%id, %column] : {type_of(shape.vocabulary, shape.width)}\n"
        f"%place = tensor.extract {positions}[%row, %column] : {type_of(shape.positions, shape.width)}\n"
        "%first = arith.constant 0 : index\n"
        f"%kind = tensor.extract {kinds}[%first, %column] : {type_of(2, shape.width)}\n"
        "%both = arith.addf %word, %kind : f32\n%r = arith.addf %both, %place : f32",
    )
    gain = body.weight(scope, "embeddings.LayerNorm.weight", shape.width)
    bias = body.weight(scope, "embeddings.LayerNorm.bias", shape.width)
    return normalized(body, summed, rows, shape, gain, bias)


def pooled(body, value, rows, shape, count):
    """The mean of the tokens' rows, made one long."""
    width = shape.width
    whole = body.add(
        'linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}\n'
        f"      ins({value} : {type_of(rows, width)}) outs({body.filled('0.0', width)} : {type_of(width)}) {{\n    ^bb0(%a: f32, %out: f32):\n"
        f"      %row = linalg.index 1 : index\n      %is_token = arith.cmpi ult, %row, {count} : index\n"
        "      %zero = arith.constant 0.0 : f32\n      %part = arith.select %is_token, %a, %zero : f32\n"
        f"      %r = arith.addf %part, %out : f32\n      linalg.yield %r : f32\n    }} -> {type_of(width)}"
    )
    squares = body.add(
        'linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}\n'
        f"      ins({whole} : {type_of(width)}) outs({body.filled('0.0')} : tensor<f32>) {{\n    ^bb0(%a: f32, %out: f32):\n"
        "      %s = arith.mulf %a, %a : f32\n      %r = arith.addf %s, %out : f32\n      linalg.yield %r : f32\n    } -> tensor<f32>"
    )
    # The mean's divisor does not change a direction.
    return body.each(
        [width],
        ["d0", ""],
        [(whole, type_of(width)), (squares, "tensor<f32>")],
        "%least = arith.constant 1.0e-24 : f32\n%more = arith.maximumf %b, %least : f32\n%scale = math.rsqrt %more : f32\n%r = arith.mulf %a, %scale : f32",
    )


def function(scope, rows, shape):
    body = Body()
    number = body.add("tensor.extract %count[] : tensor<i64>")
    one, most = body.add("arith.constant 1 : i64"), body.add(f"arith.constant {rows} : i64")
    number = body.add(f"arith.maxsi {number}, {one} : i64")
    number = body.add(f"arith.minsi {number}, {most} : i64")
    count = body.add(f"arith.index_cast {number} : i64 to index")
    value = embedded(body, scope, rows, shape)
    for index in range(shape.layers):

        def weights(name, *extents, at=f"encoder.layer.{index}"):
            weight = body.weight(scope, f"{at}.{name}.weight", *extents)
            return weight, body.weight(scope, f"{at}.{name}.bias", extents[0])

        value = layer(body, value, rows, shape, weights, count)
    value = pooled(body, value, rows, shape, count)
    kind = type_of(shape.width)
    text = "\n".join(body.lines)
    return f"  func.func @embed_{rows}(%ids: tensor<1x{rows}xi64>, %count: tensor<i64>) -> {kind} {{\n{text}\n    return {value} : {kind}\n  }}\n"


def globals_of(scope, shape):
    width, inner = shape.width, shape.inner
    weights = [
        ("embeddings.word_embeddings.weight", (shape.vocabulary, width)),
        ("embeddings.position_embeddings.weight", (shape.positions, width)),
        ("embeddings.token_type_embeddings.weight", (2, width)),
        ("embeddings.LayerNorm.weight", (width,)),
        ("embeddings.LayerNorm.bias", (width,)),
    ]
    for index in range(shape.layers):
        at = f"encoder.layer.{index}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            weights += [(f"{at}.{name}.weight", (width, width)), (f"{at}.{name}.bias", (width,))]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights += [(f"{at}.{name}.weight", (width,)), (f"{at}.{name}.bias", (width,))]
        weights += [(f"{at}.intermediate.dense.weight", (inner, width)), (f"{at}.intermediate.dense.bias", (inner,))]
        weights += [(f"{at}.output.dense.weight", (width, inner)), (f"{at}.output.dense.bias", (width,))]
    return weights


def program(scope, shape, sizes):
    """The whole module, with one function for each number of tokens."""
    lines = ["// Written by models/encoder/emit.py.", f"module @{scope} {{"]
    for name, extents in globals_of(scope, shape):
        symbol = name.replace(".", "_")
        lines.append(f'  util.global private @{scope}_{symbol} = #flow.parameter.named<"{scope}"::"{name}"> : {type_of(*extents)}')
    lines += [function(scope, rows, shape) for rows in sizes]
    lines.append("}")
    return "\n".join(lines) + "\n"
