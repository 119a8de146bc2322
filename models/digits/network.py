"""The digits network and its training, in plain numpy.

    pixels 8x8, 0..16 -> /16 -> conv 3x3 (1->16) -> relu -> max pool 2x2
                             -> conv 3x3 (16->32) -> relu -> max pool 2x2 -> dense 128->10 -> softmax

What lives here: the layers forwards and backwards, Adam, and `Network.probabilities`.
What does not: the data set, the split, and the files that are written (train.py, emit.py).

Images travel as N x height x width x channels; filters as 3 x 3 x in x out; so the emitted program uses the same layouts.
"""

import numpy as np


def patches(images):
    """Every 3x3 neighbourhood (zero outside): N,H,W,C -> N,H,W,9*C."""
    count, height, width, channels = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    views = [padded[:, y : y + height, x : x + width, :] for y in range(3) for x in range(3)]
    return np.stack(views, axis=3).reshape(count, height, width, 9 * channels)


def unpatch(gradient, channels):
    """The adjoint of `patches`."""
    count, height, width, _ = gradient.shape
    views = gradient.reshape(count, height, width, 9, channels)
    padded = np.zeros((count, height + 2, width + 2, channels), gradient.dtype)
    for index in range(9):
        y, x = divmod(index, 3)
        padded[:, y : y + height, x : x + width, :] += views[:, :, :, index, :]
    return padded[:, 1:-1, 1:-1, :]


class Convolution:
    """3x3, stride 1, zero padding, followed by relu."""

    def __init__(self, generator, inputs, outputs):
        scale = np.sqrt(2.0 / (9 * inputs))
        self.filter = (generator.standard_normal((9 * inputs, outputs)) * scale).astype(np.float32)
        self.bias = np.zeros(outputs, np.float32)
        self.inputs = inputs

    def forward(self, images):
        self.columns = patches(images)
        result = self.columns @ self.filter + self.bias
        self.active = result > 0
        return result * self.active

    def backward(self, gradient):
        gradient = gradient * self.active
        outputs = gradient.shape[-1]
        flat = gradient.reshape(-1, outputs)
        self.gradients = [self.columns.reshape(-1, self.filter.shape[0]).T @ flat, flat.sum(axis=0)]
        return unpatch(gradient @ self.filter.T, self.inputs)

    def parameters(self):
        return [self.filter, self.bias]


class MaxPool:
    """2x2, stride 2. A tie gives every winner its share, which keeps the step deterministic."""

    def forward(self, images):
        count, height, width, channels = images.shape
        blocks = images.reshape(count, height // 2, 2, width // 2, 2, channels)
        result = blocks.max(axis=(2, 4), keepdims=True)
        winners = (blocks == result).astype(np.float32)
        self.share = winners / winners.sum(axis=(2, 4), keepdims=True)
        return result[:, :, 0, :, 0, :]

    def backward(self, gradient):
        spread = self.share * gradient[:, :, None, :, None, :]
        count, rows, _, columns, _, channels = spread.shape
        return spread.reshape(count, rows * 2, columns * 2, channels)

    def parameters(self):
        return []


class Dense:
    """Flattens and multiplies."""

    def __init__(self, generator, inputs, outputs):
        scale = np.sqrt(1.0 / inputs)
        self.weight = (generator.standard_normal((inputs, outputs)) * scale).astype(np.float32)
        self.bias = np.zeros(outputs, np.float32)

    def forward(self, images):
        self.shape = images.shape
        self.flat = images.reshape(images.shape[0], -1)
        return self.flat @ self.weight + self.bias

    def backward(self, gradient):
        self.gradients = [self.flat.T @ gradient, gradient.sum(axis=0)]
        return (gradient @ self.weight.T).reshape(self.shape)

    def parameters(self):
        return [self.weight, self.bias]


class Adam:
    """Adam with decoupled weight decay."""

    def __init__(self, parameters, decay):
        self.parameters = parameters
        self.mean = [np.zeros_like(p) for p in parameters]
        self.square = [np.zeros_like(p) for p in parameters]
        self.decay = decay
        self.step_count = 0

    def step(self, gradients, rate):
        self.step_count += 1
        for parameter, mean, square, gradient in zip(self.parameters, self.mean, self.square, gradients, strict=True):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            unbiased_mean = mean / (1 - 0.9**self.step_count)
            unbiased_square = square / (1 - 0.999**self.step_count)
            parameter -= rate * (unbiased_mean / (np.sqrt(unbiased_square) + 1e-8) + self.decay * parameter)


def softmax(scores):
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def varied(images, generator):
    """Moves half of the images by -1, 0 or 1 pixels in both directions and adds a little noise to all.

    Half, because a shift cuts strokes off at the border: shifting every image costs a point of accuracy (three-fold cross-validation on
    the training images; the held-out ones took no part in it).
    """
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moved = generator.random(len(images)) < 0.5
    offsets = np.where(moved[:, None], generator.integers(0, 3, size=(len(images), 2)), 1)
    result = np.stack([p[y : y + 8, x : x + 8] for p, (y, x) in zip(padded, offsets, strict=True)])
    return result + 0.05 * generator.standard_normal(result.shape, dtype=np.float32)


class Network:
    """The whole classifier."""

    def __init__(self, generator):
        self.first = Convolution(generator, 1, 16)
        self.second = Convolution(generator, 16, 32)
        self.dense = Dense(generator, 128, 10)
        self.layers = [self.first, MaxPool(), self.second, MaxPool(), self.dense]

    def scores(self, images):
        """`images`: N,8,8,1 in 0..1."""
        value = images
        for layer in self.layers:
            value = layer.forward(value)
        return value

    def probabilities(self, pixels):
        """`pixels`: N,8,8 in 0..16, as the emitted program takes them."""
        return softmax(self.scores((pixels / 16).astype(np.float32)[..., None]))

    def train(self, pixels, labels, generator, epochs):
        images = (pixels / 16).astype(np.float32)[..., None]
        parameters = [p for layer in self.layers for p in layer.parameters()]
        optimizer = Adam(parameters, decay=1e-3)
        batch = 64
        for epoch in range(epochs):
            rate = np.float32(4e-3 * 0.5 * (1 + np.cos(np.pi * epoch / epochs)))
            order = generator.permutation(len(images))
            for start in range(0, len(order), batch):
                chosen = order[start : start + batch]
                self.learn(varied(images[chosen], generator), labels[chosen], optimizer, rate)

    def learn(self, images, labels, optimizer, rate):
        """One step on one batch."""
        gradient = softmax(self.scores(images))
        gradient[np.arange(len(labels)), labels] -= 1
        gradient /= len(labels)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        gradients = [g for layer in self.layers if layer.parameters() for g in layer.gradients]
        optimizer.step(gradients, rate)
