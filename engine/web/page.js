// The page: what is seen of a picture at once, what a click asks, and a dream.

import { dream } from "./dream.js";
import { Network, integer, tensor, threads } from "./network.js";
import {
  draw, drawMap, drawMaps, drawOver, drawSigned, middle, scaleOf, sides, whole,
} from "./picture.js";
import { Source } from "./source.js";

const LARGEST = 5; // classes that are listed
const FAVOURITE = "favourite"; // what the network dreams best, as the dream's goal
const HINT = "A click on a map or the arrow keys show it here, and what in the picture causes it.";
const part = (id) => document.getElementById(id);

const source = new Source(() => {
  part("camera").setAttribute("aria-pressed", String(source.live));
});

const net = await (await fetch("net.json")).json();
let network; // that runs the models
let seen = null; // what the network sees of it, as numbers
let maps = null; // {layer, data, dims} that are shown, which lag behind the layer that is chosen
let unit = null; // {channel, row, column} of the layer, -1 for all places
let chosen = null; // the class whose saliency is shown
let dreaming = null; // {stopped} of the dream, while it lasts

// ---- what runs, and what is told of it

function tell(text) {
  part("status").textContent = text;
}

/** What an event does; an error is told on the page, until the next event. */
const told = (act) => async (...given) => {
  part("problem").textContent = "";
  try {
    await act(...given);
  } catch (error) {
    part("problem").textContent = advised(error.message ?? String(error));
    console.error(error);
  }
};

/** What went wrong, and what can be done where the runtime does not say it. */
function advised(text) {
  if (/bad_alloc|out of memory|allocation failed/i.test(text)) {
    return "there is not enough memory for that: a smaller picture may do";
  }
  return network?.provider === "webgpu" ? `${text} (WASM, above, may know how)` : text;
}

async function providers() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter ? { webgpu: "WebGPU", wasm: "WASM" } : { wasm: "WASM" };
}

function runOn(provider) {
  network?.close();
  network = new Network(provider);
}

// ---- looking: the maps, the classes and the unit's picture, again whenever something changes

let looking = null; // a promise, while it lasts
let again = false;

function look() {
  again = true;
  looking ??= (async () => {
    try {
      while (again) {
        again = false;
        try {
          if (source.image) await lookOnce();
        } catch (error) {
          if (!again) throw error; // else what failed is asked anew
        }
      }
    } finally {
      looking = null;
    }
  })();
  return looking;
}

async function lookOnce() {
  const [height, width] = net.size;
  seen = middle(source.image, height, width, net.channels);
  await showPhoto();
  const layer = part("layer").value;
  const path = `models/activations/${layer}.onnx`;
  const found = await network.run(path, { picture: tensor(seen) });
  maps = { layer, ...Object.values(found)[0] };
  showMaps();
  await showUnit(layer);
  if (net.classifies) await showClasses();
  tell(`${net.layers[layer].name}: ${network.milliseconds[path].toFixed(0)} ms · ${runs()}`);
}

function runs() {
  if (network.provider === "webgpu") return "WebGPU";
  return `WASM, ${threads()} thread${threads() > 1 ? "s" : ""}`;
}

function showMaps() {
  const [, count, height, width] = maps.dims;
  const scale = scaleOf(maps.data, net.ramps);
  drawMaps(part("maps"), maps.data, [count, height, width], columns(), scale, unit?.channel);
  part("maps-caption").textContent = `${count} maps of ${width} × ${height}, on one scale`;
}

/** How many maps stand in a row, so that all come out a little wider than high. */
function columns() {
  const [, count, height, width] = maps.dims;
  return Math.max(1, Math.round(Math.sqrt(((count * height) / width) * 1.35)));
}

async function showClasses() {
  const found = await network.run("models/scores.onnx", { picture: tensor(seen) });
  const [scores] = Object.values(found);
  const chances = softmax(averaged(scores));
  const order = [...chances.keys()].sort((a, b) => chances[b] - chances[a]);
  const list = part("classes");
  for (const [place, k] of order.slice(0, LARGEST).entries()) {
    if (!list.children[place]) list.append(classRow());
    const row = list.children[place].firstChild;
    const [name, share, bar] = row.children;
    name.textContent = className(k);
    share.textContent = `${(100 * chances[k]).toFixed(1)} %`;
    bar.value = chances[k];
    row.value = k;
    row.setAttribute("aria-pressed", String(k === chosen));
  }
}

function className(k) {
  return net.classes[k] ?? `class ${k}`;
}

/** A row for a class. It stays as classes change: a click may last longer than a camera's frame. */
function classRow() {
  const row = document.createElement("button");
  row.type = "button";
  row.append(...["span", "em", "meter"].map((tag) => document.createElement(tag)));
  row.onclick = told(() => choose(Number(row.value) === chosen ? null : Number(row.value)));
  const item = document.createElement("li");
  item.append(row);
  return item;
}

/** Scores (1, classes, ...), each the mean of its places. */
function averaged({ data, dims }) {
  const places = data.length / dims[1];
  return Float32Array.from({ length: dims[1] }, (_, k) => {
    const own = data.subarray(k * places, (k + 1) * places);
    return own.reduce((sum, value) => sum + value, 0) / places;
  });
}

function softmax(scores) {
  const high = scores.reduce((a, b) => Math.max(a, b));
  const powers = scores.map((score) => Math.exp(score - high));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** The picture, or a class's saliency over it. */
async function showPhoto() {
  if (chosen === null) {
    draw(part("photo"), seen);
    part("photo-caption").textContent = net.classifies
      ? "A click on the picture or on a class shows which pixels speak for it."
      : "What the network sees of it.";
    return;
  }
  const feeds = { picture: tensor(seen), class: integer(chosen) };
  const found = await network.run("models/saliency.onnx", feeds);
  const which = Number(found.chosen.data[0]);
  drawOver(part("photo"), found.map.data, seen, net.ramps.sequential);
  part("photo-caption").textContent =
    `How much each pixel moves the score of ${className(which)}. A click goes back.`;
}

function choose(which) {
  chosen = which;
  return look();
}

/** The chosen unit's map, and what in the picture moves it. */
async function showUnit(layer) {
  part("pair").hidden = !unit;
  part("unit").textContent = unit ? `Unit ${unit.channel}` : "A unit";
  if (!unit) {
    part("unit-caption").textContent = HINT;
    return;
  }
  const [, , height, width] = maps.dims;
  const { channel, row, column } = unit;
  const own = maps.data.subarray(channel * height * width, (channel + 1) * height * width);
  drawMap(part("map"), own, height, width, scaleOf(own, net.ramps));
  const [rule, name] = [part("rule").value, part("rule").selectedOptions[0].text];
  const feeds = {
    picture: tensor(seen),
    channel: integer(channel),
    row: integer(row),
    column: integer(column),
  };
  const found = await network.run(`models/${rule}/${layer}.onnx`, feeds);
  const [, h, w, channels] = found.gradient.dims;
  drawSigned(part("cause"), { data: found.gradient.data, height: h, width: w, channels });
  const place = row < 0 ? "all its places" : `row ${row}, column ${column}`;
  const value = Number(found.value.data[0].toPrecision(4));
  part("unit-caption").textContent =
    `Above what it holds, below its ${name} for ${place}: ${value}. ` +
    "A click on the map chooses one place, a second one all of them.";
}

function chooseUnit(channel) {
  unit = { channel, row: -1, column: -1 };
  offerGoals();
  return look();
}

/** Whether the maps on the page are those of the chosen layer, so that a unit can be chosen. */
function current() {
  return maps?.layer === part("layer").value;
}

/** The row and the column of a click on a canvas, of so many. */
function placed(event, canvas, rows, columns) {
  const box = canvas.getBoundingClientRect();
  const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
  const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
  return [Math.min(Math.max(row, 0), rows - 1), Math.min(Math.max(column, 0), columns - 1)];
}

// ---- dreaming

/** What can be dreamt: the network's favourite, the layer, and the unit if there is one. */
function offerGoals() {
  const goal = part("goal");
  const layer = net.layers[part("layer").value].name;
  const offers = {
    ...(net.dream.favourite && { [FAVOURITE]: `its favourite: ${net.dream.favourite}` }),
    layer,
    ...(unit && { unit: `${layer}, unit ${unit.channel}` }),
  };
  const kept = offers[goal.value] ? goal.value : Object.keys(offers)[0];
  goal.replaceChildren(...Object.entries(offers).map(([value, text]) => new Option(text, value)));
  goal.value = kept;
}

async function startDream() {
  if (!source.image) throw new Error("open a photo first");
  const goal = part("goal").value;
  const name = goal === FAVOURITE ? FAVOURITE : part("layer").value;
  const path = `models/step/${name}.onnx`;
  const settings = Object.fromEntries(
    ["octaves", "scale", "steps", "step", "jitter"].map((id) => [id, part(id).valueAsNumber]),
  );
  settings.channel = goal === "unit" ? unit.channel : -1;
  const [, height, width] = (await network.inputs(path)).picture;
  const free = typeof height === "string";
  if (!free) settings.octaves = 1; // the model takes pictures of one size alone
  const base = free
    ? whole(source.image, ...shrunk(), net.channels)
    : middle(source.image, height, width, net.channels);
  const canvas = part("dream");
  draw(canvas, base);
  canvas.hidden = false;
  for await (const { picture, done } of dream(network, path, base, settings)) {
    draw(canvas, picture);
    part("progress").value = done;
    part("save").disabled = false;
    if (dreaming.stopped) break;
  }
}

/** Height and width of the picture with its longer side as asked, or its own if that is less. */
function shrunk() {
  const [across, down] = sides(source.image);
  const factor = Math.min(1, part("side").valueAsNumber / Math.max(across, down));
  return [Math.max(1, Math.round(down * factor)), Math.max(1, Math.round(across * factor))];
}

/** The network's own number of octaves, or as many as keep the shorter side what it sees whole. */
function offerOctaves() {
  const [shorter, scale] = [Math.min(...shrunk()), part("scale").valueAsNumber];
  const more = Math.floor(Math.log(shorter / net.dream.smallest) / Math.log(scale));
  const fitting = Math.min(1 + Math.max(0, more), part("octaves").max);
  part("octaves").value = net.dream.octaves ?? fitting;
}

function save() {
  part("dream").toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "dream.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

// ---- where pictures come from

async function open(file) {
  if (!(await source.open(file))) return; // another was asked for meanwhile
  chosen = null;
  offerOctaves();
  await look();
}

async function watch() {
  if (!(await source.start())) return;
  offerOctaves();
  const video = source.image;
  try {
    while (source.image === video) {
      await look();
      await new Promise(requestAnimationFrame);
    }
  } finally {
    if (source.image === video) source.stop();
  }
}

// ---- the page itself

function wire() {
  part("file").onchange = told(() => {
    const [file] = part("file").files;
    part("file").value = ""; // or the same photo could not be opened again
    return file && open(file);
  });
  part("camera").onclick = told(() => {
    if (!source.live) return watch();
    source.stop();
    return look();
  });
  part("provider").onchange = told(() => {
    runOn(part("provider").value);
    return look();
  });
  part("layer").onchange = told(() => {
    unit = null;
    offerGoals();
    part("goal").value = "layer"; // who picks a layer will want to dream it
    return look();
  });
  part("rule").onchange = told(look);
  part("photo").onclick = told(() => net.classifies && seen && choose(chosen === null ? -1 : null));
  part("photo").onkeydown = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    part("photo").click();
  };
  part("maps").onclick = told((event) => {
    if (!current()) return;
    const [across, count] = [columns(), maps.dims[1]];
    const [row, column] = placed(event, part("maps"), Math.ceil(count / across), across);
    const channel = row * across + column;
    return channel < count ? chooseUnit(channel) : null;
  });
  part("maps").onkeydown = told((event) => {
    if (!current()) return;
    const across = columns();
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const channel = unit ? unit.channel + move : 0;
    return channel >= 0 && channel < maps.dims[1] ? chooseUnit(channel) : null;
  });
  part("map").onclick = told((event) => {
    if (!unit) return;
    const [row, column] = placed(event, part("map"), ...maps.dims.slice(2));
    unit = { ...unit, ...(unit.row < 0 ? { row, column } : { row: -1, column: -1 }) };
    return look();
  });
  part("settings").onsubmit = told(async (event) => {
    event.preventDefault();
    if (dreaming) {
      dreaming.stopped = true; // it ends after its step
      return;
    }
    dreaming = { stopped: false };
    part("start").textContent = "Stop";
    part("progress").value = 0;
    part("progress").hidden = false;
    try {
      await startDream();
    } finally {
      dreaming = null;
      part("start").textContent = "Dream";
      part("progress").hidden = true;
    }
  });
  part("side").onchange = part("scale").onchange = () => source.image && offerOctaves();
  part("save").onclick = save;
  document.ondragover = (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  };
  document.ondragleave = () => document.body.classList.remove("over");
  document.ondrop = told((event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    const file = event.dataTransfer.files[0];
    return file && open(file);
  });
}

async function begin() {
  part("name").textContent = document.title = net.name;
  part("layer").replaceChildren(
    ...net.layers.map(({ name, channels }, k) => new Option(`${name} (${channels})`, k)),
  );
  part("layer").value = net.dream.layer;
  for (const id of ["scale", "steps", "step", "jitter"]) part(id).value = net.dream[id];
  part("octaves").value = 1;
  offerGoals();
  const found = await providers();
  const offers = Object.entries(found).map(([value, text]) => new Option(text, value));
  part("provider").replaceChildren(...offers);
  runOn(part("provider").value);
  wire();
  tell("ready");
  if (net.photo) await open(await (await fetch(net.photo)).blob());
}

told(begin)();
