"use strict";
// The figure of the page `stepper`: pick an image and an epoch, go through LeNet's layers, take a value apart. The
// arithmetic is in lenet.js. Data come as scripts, one for each epoch, when they are first asked for.
(function () {
  const folder = new URL("stepper/", document.currentScript.src);
  const LAYERS = ["image", "C1", "S2", "C3", "S4", "F5", "F6", "output"];
  const TEXTS = {
    image: "The image: 28 x 28 values from 0, black, to 1, white.",
    C1: "C1: six maps of 28 x 28. A kernel of 5 x 5 slides over the image, with two rows of zeros around it.",
    S2: "S2: six maps of 14 x 14. Each value is the mean of four.",
    C3: "C3: sixteen maps of 10 x 10. Each has a kernel of 5 x 5 for each of the six maps of S2.",
    S4: "S4: sixteen maps of 5 x 5. Each value is the mean of four.",
    F5: "F5: 120 units. Each reads all 400 values of S4.",
    F6: "F6: 84 units. Each reads all 120 of F5.",
    output: "Output: ten logits, one for each class. Each reads all 84 units of F6.",
  };
  const ROW_OF_UNITS = { F5: 20, F6: 14, output: 10 };
  const state = { image: 9, epoch: 10, layer: "C1", map: 3, row: 12, column: 14, read: 0 };
  const weights = {}; // epoch -> decoded weights
  let data, outputs, spoken;

  /** An element with properties and children. */
  function make(tag, properties, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name in element && name !== "list") element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  const number = (value, digits = 3) => value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "\u2212");
  const shown = (name) => (name === "image" ? "the image" : name);
  const isDense = (name) => name in ROW_OF_UNITS;
  const per_cent = (share) => `${(100 * share).toFixed(1)} %`;

  function load(name) {
    return new Promise((resolve, reject) => {
      const script = make("script", { src: new URL(`${name}.js`, folder).href });
      script.onload = resolve;
      script.onerror = () => reject(new Error(name));
      document.head.append(script);
    });
  }

  /** Draw values as gray pixels, `low` black and `high` white. */
  function paint(canvas, values, width, low, high) {
    canvas.width = width;
    canvas.height = Math.ceil(values.length / width);
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(canvas.width, canvas.height);
    values.forEach((value, place) => {
      const gray = high > low ? (255 * (value - low)) / (high - low) : 128;
      pixels.data.set([gray, gray, gray, 255], 4 * place);
    });
    context.putImageData(pixels, 0, 0);
  }

  /** A group of radio buttons; `label` gives what stands beside each. */
  function choice(title, name, values, chosen, label, change) {
    const options = values.map((value) => {
      const input = make("input", { type: "radio", name: `ls-${name}`, value: String(value), checked: value === chosen });
      input.addEventListener("change", () => change(value));
      return make("label", {}, input, ...label(value));
    });
    return make("fieldset", { className: `ls-choice ls-${name}` }, make("legend", {}, title), ...options);
  }

  function thumbnail(place) {
    const picture = make("canvas", { "aria-hidden": "true" });
    paint(picture, lenet.decodePixels(data.images[place].pixels), 28, 0, 1);
    return [picture, make("span", {}, data.classes[data.images[place].label])];
  }

  // The parts of the figure that change.
  const parts = {
    status: make("p", { className: "ls-status" }),
    layerText: make("p", {}),
    maps: make("div", { className: "ls-maps", tabIndex: 0, role: "application", "aria-describedby": "ls-help" }),
    sentence: make("p", { className: "ls-sentence" }),
    live: make("p", { className: "ls-unseen", "aria-live": "polite" }),
    arithmetic: make("div", { className: "ls-arithmetic" }),
    scores: make("tbody", {}),
    common: make("input", { type: "checkbox" }),
    fields: {},
  };
  const marker = make("span", { className: "ls-marker" });

  function field(name, title) {
    const input = make("input", { type: "number", min: "0", step: "1" });
    input.addEventListener("change", () => {
      const value = Math.round(Number(input.value));
      if (Number.isFinite(value)) state[name] = value;
      update();
    });
    parts.fields[name] = input;
    return make("label", { className: `ls-field-${name}` }, `${title} `, input);
  }

  /** Keep the chosen place inside the layer. */
  function clamp() {
    const output = outputs[state.layer];
    const between = (value, count) => Math.min(Math.max(value, 0), count - 1);
    state.map = between(state.map, output.count);
    state.row = between(state.row, output.side);
    state.column = between(state.column, output.side);
    const input = outputs[lenet.READS[state.layer]];
    state.read = input ? between(state.read, input.count) : 0;
  }

  const place = () => {
    const side = outputs[state.layer].side;
    return (state.map * side + state.row) * side + state.column;
  };

  function where() {
    if (isDense(state.layer)) {
      const name = state.layer === "output" ? `, ${data.classes[state.map]}` : "";
      return `${state.layer}, unit ${state.map}${name}`;
    }
    const map = state.layer === "image" ? "Image" : `${state.layer}, map ${state.map}`;
    return `${map}, row ${state.row}, column ${state.column}`;
  }

  /** The arithmetic of the chosen value in one sentence. */
  function sentence(found) {
    const output = outputs[state.layer];
    const value = output.values[place()];
    if (!found) return `${where()}: ${number(value)}.`;
    if (found.kind === "pooling") {
      return `${where()}: the mean of ${Array.from(found.patch, (v) => number(v)).join(", ")} is ${number(value)}.`;
    }
    const count = found.kind === "dense" ? found.terms.length : 25 * found.parts.length;
    const sum =
      `${where()}: ${count} products add up to ${number(found.products)}; with the bias ${number(found.bias)} ` +
      `that is ${number(found.sum)}`;
    if (state.layer !== "output") return `${sum}, and the sigmoid of it is ${number(value)}.`;
    return `${sum}, the logit; softmax makes it a probability of ${number(outputs.probabilities[state.map])}.`;
  }

  function grid(title, values, width, colored) {
    const largest = Math.max(...values.map(Math.abs)) || 1;
    const rows = [];
    for (let start = 0; start < values.length; start += width) {
      const cells = Array.from(values.slice(start, start + width), (value) => {
        const cell = make("td", {}, number(value, 2));
        if (colored) {
          cell.className = value < 0 ? "ls-minus" : "ls-plus";
          cell.style.setProperty("--ls-share", `${Math.round((35 * Math.abs(value)) / largest)}%`);
        }
        return cell;
      });
      rows.push(make("tr", {}, ...cells));
    }
    return make("table", { className: "ls-grid" }, make("caption", {}, title), make("tbody", {}, ...rows));
  }

  function lastLine(found) {
    const bias = found.bias < 0 ? `\u2212 ${number(-found.bias)}` : `+ ${number(found.bias)}`;
    const sum = `${number(found.products)} ${bias} = ${number(found.sum)}`;
    const value = number(outputs[state.layer].values[place()]);
    const end = state.layer === "output" ? "" : `; sigmoid(${number(found.sum)}) = ${value}`;
    return make("p", { className: "ls-sum" }, `products and bias: ${sum}${end}`);
  }

  /** A map that the chosen value reads, with a frame around the patch. */
  function source(name, map, found) {
    const input = outputs[name];
    const area = input.side * input.side;
    const values = input.values.slice(map * area, (map + 1) * area);
    const canvas = make("canvas", { "aria-hidden": "true" });
    paint(canvas, values, input.side, ...range(values));
    const frame = make("span", { className: "ls-frame" });
    Object.assign(frame.style, {
      top: `${(100 * found.top) / input.side}%`,
      left: `${(100 * found.left) / input.side}%`,
      width: `${(100 * found.size) / input.side}%`,
      height: `${(100 * found.size) / input.side}%`,
    });
    const title = name === "image" ? "reads here in the image" : `reads here in map ${map} of ${name}`;
    return make("figure", {}, make("div", { className: "ls-picture" }, canvas, frame), make("figcaption", {}, title));
  }

  function termName(index) {
    const name = lenet.READS[state.layer];
    if (name !== "S4") return `${name}, unit ${index}`;
    return `S4, map ${Math.floor(index / 25)}, row ${Math.floor((index % 25) / 5)}, column ${index % 5}`;
  }

  function largestTerms(found) {
    const first = found.terms.slice(0, 8);
    const rest = found.products - first.reduce((total, term) => total + term.product, 0);
    const head = ["reads", "value", "weight", "product"].map((text) => make("th", { scope: "col" }, text));
    const rows = first.map((term) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, termName(term.place)),
        ...[term.value, term.weight, term.product].map((value) => make("td", {}, number(value)))
      )
    );
    const others = make("th", { scope: "row", colSpan: 3 }, `the other ${found.terms.length - first.length} together`);
    rows.push(make("tr", {}, others, make("td", {}, number(rest))));
    const caption = make("caption", {}, "the eight largest products");
    const body = make("tbody", {}, ...rows);
    return make("table", { className: "ls-terms" }, caption, make("thead", {}, make("tr", {}, ...head)), body);
  }

  function arithmetic(found) {
    if (!found) return [];
    const reads = lenet.READS[state.layer];
    if (found.kind === "pooling") {
      return [make("div", { className: "ls-row" }, source(reads, state.map, found), grid("four values", found.patch, 2))];
    }
    if (found.kind === "dense") return [largestTerms(found), lastLine(found)];
    const { patch, kernel, partial } = found.parts[state.read];
    const products = patch.map((value, n) => value * kernel[n]);
    const row = make(
      "div",
      { className: "ls-row" },
      source(reads, state.read, found),
      grid("patch", patch, 5),
      grid("times kernel", kernel, 5, true),
      grid(`products, sum ${number(partial)}`, products, 5, true)
    );
    if (found.parts.length === 1) return [row, lastLine(found)];
    const sums = found.parts.map((part) => number(part.partial)).join(" + ").replaceAll("+ \u2212", "\u2212 ");
    return [row, make("p", { className: "ls-sum" }, `all ${found.parts.length} maps: ${sums} = ${number(found.products)}`), lastLine(found)];
  }

  function range(values) {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return parts.common.checked ? [Math.min(low, 0), Math.max(high, 1)] : [low, high];
  }

  /** Draw all maps of the layer. */
  function drawMaps() {
    const output = outputs[state.layer];
    const wide = ROW_OF_UNITS[state.layer];
    const area = wide ? output.values.length : output.side * output.side;
    const pictures = [];
    for (let start = 0; start < output.values.length; start += area) {
      const values = output.values.slice(start, start + area);
      const canvas = make("canvas", { "aria-hidden": "true" });
      const [low, high] = range(values);
      paint(canvas, values, wide || output.side, low, high);
      const map = start / area;
      const name = wide || state.layer === "image" ? "" : `map ${map}: `;
      const limits = `${name}${number(Math.min(...values), 2)} to ${number(Math.max(...values), 2)}`;
      const picture = make("div", { className: "ls-picture" }, canvas);
      picture.addEventListener("pointermove", (event) => point(event, picture, map));
      picture.addEventListener("pointerdown", (event) => point(event, picture, map));
      pictures.push(make("figure", {}, picture, make("figcaption", {}, limits)));
    }
    parts.maps.replaceChildren(...pictures);
    parts.maps.dataset.layer = state.layer;
    const what = wide ? `Units of ${state.layer}` : state.layer === "image" ? "Image" : `Maps of ${state.layer}`;
    parts.maps.setAttribute("aria-label", `${what}: choose a value with the arrow keys`);
  }

  /** Choose the value under the pointer. */
  function point(event, picture, map) {
    const box = picture.getBoundingClientRect();
    const wide = ROW_OF_UNITS[state.layer];
    const output = outputs[state.layer];
    const columns = wide || output.side;
    const rows = wide ? Math.ceil(output.count / wide) : output.side;
    const column = Math.min(columns - 1, Math.max(0, Math.floor((columns * (event.clientX - box.left)) / box.width)));
    const row = Math.min(rows - 1, Math.max(0, Math.floor((rows * (event.clientY - box.top)) / box.height)));
    const chosen = wide ? { map: row * wide + column, row: 0, column: 0 } : { map, row, column };
    if (Object.keys(chosen).every((key) => chosen[key] === state[key])) return;
    Object.assign(state, chosen);
    update();
  }

  /** Show the value that is chosen now, and how it comes about. */
  function update() {
    clamp();
    const output = outputs[state.layer];
    const wide = ROW_OF_UNITS[state.layer];
    const columns = wide || output.side;
    const rows = wide ? Math.ceil(output.count / wide) : output.side;
    const [row, column] = wide ? [Math.floor(state.map / wide), state.map % wide] : [state.row, state.column];
    Object.assign(marker.style, {
      top: `${(100 * row) / rows}%`,
      left: `${(100 * column) / columns}%`,
      width: `${100 / columns}%`,
      height: `${100 / rows}%`,
    });
    parts.maps.querySelectorAll(".ls-picture")[wide ? 0 : state.map].append(marker);
    const input = outputs[lenet.READS[state.layer]];
    const limits = { map: output.count, row: output.side, column: output.side, read: input ? input.count : 1 };
    for (const [name, field] of Object.entries(parts.fields)) {
      field.value = String(state[name]);
      field.max = String(limits[name] - 1);
      const useless = limits[name] === 1 || (name === "read" && state.layer !== "C3");
      field.parentElement.hidden = useless;
    }
    parts.fields.map.previousSibling.data = wide ? "unit " : "map ";
    const found = lenet.explain(weights[state.epoch], outputs, state.layer, state.map, state.row, state.column);
    const text = sentence(found);
    parts.sentence.textContent = text;
    parts.arithmetic.replaceChildren(...arithmetic(found));
    clearTimeout(spoken);
    spoken = setTimeout(() => {
      parts.live.textContent = text;
    }, 400);
  }

  function drawScores() {
    const { output, probabilities } = outputs;
    const label = data.images[state.image].label;
    const best = probabilities.indexOf(Math.max(...probabilities));
    const rows = data.classes.map((name, k) => {
      const bar = make("span", { className: "ls-bar" });
      bar.style.width = per_cent(probabilities[k]).replace(" ", "");
      const marks = [k === best ? "answer" : "", k === label ? "label" : ""].filter(Boolean).join(", ");
      return make(
        "tr",
        {},
        make("th", { scope: "row" }, marks ? `${name} (${marks})` : name),
        make("td", {}, number(output.values[k], 2)),
        make("td", {}, number(probabilities[k])),
        make("td", { className: "ls-bars", "aria-hidden": "true" }, bar)
      );
    });
    parts.scores.replaceChildren(...rows);
    const { train_loss: loss, test_accuracy: accuracy } = globalThis.lenetStepper.epochs[state.epoch];
    const trained = loss === null ? "Before training" : `After epoch ${state.epoch}: training loss ${number(loss, 2)}`;
    const verdict = best === label ? "right" : `wrong, the label is ${data.classes[label]}`;
    parts.status.textContent =
      `${trained}, test accuracy ${per_cent(accuracy)}. This image: ${data.classes[best]}, ` +
      `probability ${number(probabilities[best], 2)}; ${verdict}.`;
  }

  function showLayer() {
    parts.layerText.textContent = TEXTS[state.layer];
    const at = LAYERS.indexOf(state.layer);
    parts.back.disabled = at === 0;
    parts.next.disabled = at === LAYERS.length - 1;
    for (const radio of document.getElementsByName("ls-layer")) radio.checked = radio.value === state.layer;
    drawMaps();
    update();
  }

  /** Fetch the weights if need be, run the network, show everything. */
  async function run() {
    const epoch = state.epoch;
    if (!weights[epoch]) {
      try {
        await load(`epoch-${epoch}`);
        weights[epoch] = lenet.decodeWeights(globalThis.lenetStepper.epochs[epoch].weights);
      } catch (error) {
        parts.status.textContent = `The weights of epoch ${epoch} could not be loaded.`;
        return;
      }
    }
    if (epoch !== state.epoch) return; // another one was chosen in the meantime
    outputs = lenet.forward(weights[epoch], lenet.decodePixels(data.images[state.image].pixels));
    drawScores();
    showLayer();
  }

  const MOVES = {
    ArrowUp: [0, -1, 0],
    ArrowDown: [0, 1, 0],
    ArrowLeft: [0, 0, -1],
    ArrowRight: [0, 0, 1],
    PageUp: [-1, 0, 0],
    PageDown: [1, 0, 0],
  };

  function onKey(event) {
    const move = MOVES[event.key];
    if (!move || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const [map, row, column] = move;
    const wide = ROW_OF_UNITS[state.layer];
    if (wide) state.map += map + wide * row + column;
    else Object.assign(state, { map: state.map + map, row: state.row + row, column: state.column + column });
    update();
  }

  function step(by) {
    state.layer = LAYERS[LAYERS.indexOf(state.layer) + by];
    showLayer();
  }

  function build(home) {
    const change = (name, show) => (value) => {
      state[name] = value;
      show();
    };
    parts.back = make("button", { type: "button", onclick: () => step(-1) }, "Previous layer");
    parts.next = make("button", { type: "button", onclick: () => step(1) }, "Next layer");
    parts.common.addEventListener("change", showLayer);
    parts.maps.addEventListener("keydown", onKey);
    const head = ["class", "logit", "probability"].map((text) => make("th", { scope: "col" }, text));
    head.push(make("td", { className: "ls-bars" }));
    const fields = [field("map", "map"), field("row", "row"), field("column", "column"), field("read", "read map")];
    const help = "Point at a value, or move to the maps with the Tab key: arrow keys choose a value, Page Up and Page Down a map.";
    home.replaceChildren(
      choice("Image", "image", [...data.images.keys()], state.image, thumbnail, change("image", run)),
      choice("Weights after epoch", "epoch", data.epochs, state.epoch, (n) => [String(n)], change("epoch", run)),
      parts.status,
      choice("Layer", "layer", LAYERS, state.layer, (name) => [name], change("layer", showLayer)),
      make("p", { className: "ls-buttons" }, parts.back, parts.next),
      parts.layerText,
      parts.maps,
      make("p", { className: "ls-help", id: "ls-help" }, help),
      make("p", { className: "ls-fields" }, ...fields),
      make("p", {}, make("label", {}, parts.common, " one gray scale for all maps: black is 0, white is 1")),
      parts.sentence,
      parts.live,
      parts.arithmetic,
      make(
        "table",
        { className: "ls-scores" },
        make("caption", {}, "What the network makes of the image"),
        make("thead", {}, make("tr", {}, ...head)),
        parts.scores
      )
    );
  }

  async function start() {
    const home = document.getElementById("lenet-stepper");
    if (!home) return;
    try {
      await load("images");
    } catch (error) {
      return; // the text that stands there says what to do without the figure
    }
    data = globalThis.lenetStepper.images;
    build(home);
    await run();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
