"use strict";
// The arithmetic of the course's LeNet, written out: the page `stepper` shows it, and a test compares it with PyTorch.
(function (root) {
  // Order and shapes of the weights in the data files: that of PyTorch's state_dict.
  const SHAPES = [
    ["C1", [6, 1, 5, 5]],
    ["C3", [16, 6, 5, 5]],
    ["F5", [120, 400]],
    ["F6", [84, 120]],
    ["output", [10, 84]],
  ];
  const KERNEL = 5;
  const PADDING = { C1: 2, C3: 0 };
  const READS = { C1: "image", S2: "C1", C3: "S2", S4: "C3", F5: "S4", F6: "F5", output: "F6" };

  function bytes(base64) {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  }

  /** A number of 16 bits (IEEE 754 binary16) as a JavaScript number. */
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  /** Weights and biases of each layer, from little-endian half precision in base64. */
  function decodeWeights(base64) {
    const view = new DataView(bytes(base64).buffer);
    let place = 0;
    const take = (count) => Float64Array.from({ length: count }, () => half(view.getUint16(2 * place++, true)));
    const layers = {};
    for (const [name, shape] of SHAPES) {
      layers[name] = { weight: take(shape.reduce((a, b) => a * b)), bias: take(shape[0]) };
    }
    return layers;
  }

  /** Pixels from 0 to 1, from bytes in base64. */
  function decodePixels(base64) {
    return Float64Array.from(bytes(base64), (value) => value / 255);
  }

  const sigmoid = (a) => 1 / (1 + Math.exp(-a));

  function stack(count, side) {
    return { count, side, sums: null, values: new Float64Array(count * side * side) };
  }

  /** What one value of a convolution is made of: for each map that it reads the patch, the kernel and their sum. */
  function convolutionParts(layers, name, input, map, row, column) {
    const { weight, bias } = layers[name];
    const area = KERNEL * KERNEL;
    const top = row - PADDING[name];
    const left = column - PADDING[name];
    const parts = [];
    let sum = 0;
    for (let read = 0; read < input.count; read++) {
      const kernel = weight.subarray((map * input.count + read) * area, (map * input.count + read + 1) * area);
      const patch = new Float64Array(area);
      let partial = 0;
      for (let u = 0; u < KERNEL; u++) {
        for (let v = 0; v < KERNEL; v++) {
          const y = top + u;
          const x = left + v;
          const inside = y >= 0 && y < input.side && x >= 0 && x < input.side;
          patch[u * KERNEL + v] = inside ? input.values[(read * input.side + y) * input.side + x] : 0;
          partial += patch[u * KERNEL + v] * kernel[u * KERNEL + v];
        }
      }
      parts.push({ patch, kernel, partial });
      sum += partial;
    }
    return { kind: "convolution", top, left, size: KERNEL, parts, products: sum, bias: bias[map], sum: sum + bias[map] };
  }

  function convolution(layers, name, input) {
    const output = stack(layers[name].bias.length, input.side + 2 * PADDING[name] - KERNEL + 1);
    output.sums = new Float64Array(output.values.length);
    let place = 0;
    for (let map = 0; map < output.count; map++) {
      for (let row = 0; row < output.side; row++) {
        for (let column = 0; column < output.side; column++, place++) {
          output.sums[place] = convolutionParts(layers, name, input, map, row, column).sum;
          output.values[place] = sigmoid(output.sums[place]);
        }
      }
    }
    return output;
  }

  /** The four values whose mean a pooled value is. */
  function poolingParts(input, map, row, column) {
    const patch = Float64Array.from([0, 1, 2, 3], (n) => {
      const y = 2 * row + (n >> 1);
      const x = 2 * column + (n & 1);
      return input.values[(map * input.side + y) * input.side + x];
    });
    const products = patch.reduce((a, b) => a + b);
    return { kind: "pooling", top: 2 * row, left: 2 * column, size: 2, patch, products, sum: products / 4 };
  }

  function pooling(input) {
    const output = stack(input.count, input.side / 2);
    let place = 0;
    for (let map = 0; map < output.count; map++) {
      for (let row = 0; row < output.side; row++) {
        for (let column = 0; column < output.side; column++, place++) {
          output.values[place] = poolingParts(input, map, row, column).sum;
        }
      }
    }
    return output;
  }

  /** What one unit of a dense layer adds up, the largest products first. */
  function denseParts(layers, name, input, unit) {
    const { weight, bias } = layers[name];
    const length = input.values.length;
    const terms = Array.from(input.values, (value, place) => {
      const w = weight[unit * length + place];
      return { place, value, weight: w, product: value * w };
    });
    const products = terms.reduce((total, term) => total + term.product, 0);
    terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
    return { kind: "dense", terms, products, bias: bias[unit], sum: products + bias[unit] };
  }

  /** Units lie in one row: `count` of them, each a map of one value. */
  function dense(layers, name, input, squash) {
    const { weight, bias } = layers[name];
    const output = stack(bias.length, 1);
    output.sums = Float64Array.from(bias, (b, unit) => {
      let sum = b;
      const start = unit * input.values.length;
      for (let i = 0; i < input.values.length; i++) sum += weight[start + i] * input.values[i];
      return sum;
    });
    output.values = squash ? output.sums.map(sigmoid) : output.sums.slice();
    return output;
  }

  function softmax(logits) {
    const largest = Math.max(...logits);
    const powers = logits.map((z) => Math.exp(z - largest));
    const total = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / total);
  }

  /** The output of each layer for one image: `count` maps of `side` x `side` values, map after map, row after row. */
  function forward(layers, pixels) {
    const image = { count: 1, side: 28, sums: null, values: pixels };
    const C1 = convolution(layers, "C1", image);
    const S2 = pooling(C1);
    const C3 = convolution(layers, "C3", S2);
    const S4 = pooling(C3);
    const F5 = dense(layers, "F5", S4, true);
    const F6 = dense(layers, "F6", F5, true);
    const output = dense(layers, "output", F6, false);
    return { image, C1, S2, C3, S4, F5, F6, output, probabilities: softmax(output.values) };
  }

  /** How one value of a layer comes about. For dense layers `map` is the unit. */
  function explain(layers, outputs, name, map, row, column) {
    const input = outputs[READS[name]];
    if (name in PADDING) return convolutionParts(layers, name, input, map, row, column);
    if (name === "S2" || name === "S4") return poolingParts(input, map, row, column);
    return name === "image" ? null : denseParts(layers, name, input, map);
  }

  const api = { decodePixels, decodeWeights, explain, forward, READS };
  if (typeof module === "object") module.exports = api;
  else root.lenet = api;
})(globalThis);
