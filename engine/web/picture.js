// Pictures as numbers, {data, height, width, channels} with values of 0..255, and on canvases.

/** The whole of an image (a bitmap, a video) as numbers, `height` x `width` of them. */
export function whole(image, height, width, channels) {
  return numbers(image, [0, 0, ...sides(image)], height, width, channels);
}

/** The middle of an image, as much as fills `height` x `width`. */
export function middle(image, height, width, channels) {
  const [across, down] = sides(image);
  const factor = Math.min(across / width, down / height);
  const [w, h] = [width * factor, height * factor];
  return numbers(image, [(across - w) / 2, (down - h) / 2, w, h], height, width, channels);
}

/** Its width and height. */
export function sides(image) {
  return [image.videoWidth ?? image.width, image.videoHeight ?? image.height];
}

function numbers(image, part, height, width, channels) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, ...part, 0, 0, width, height);
  const bytes = context.getImageData(0, 0, width, height).data; // red, green, blue, alpha
  const data = new Float32Array(height * width * channels);
  for (let k = 0; k < height * width; k++) {
    const colour = bytes.subarray(4 * k, 4 * k + 3);
    if (channels === 3) data.set(colour, 3 * k);
    else data[k] = grey(...colour);
  }
  return { data, height, width, channels };
}

/** A picture's numbers on a canvas, which takes its size. */
export function draw(canvas, { data, height, width, channels }) {
  paint(canvas, height, width, (k, bytes) => {
    for (let c = 0; c < 3; c++) bytes[4 * k + c] = data[channels * k + (c % channels)];
  });
}

/** Signed numbers as a picture round mid-grey; but for a few, none is beyond black and white. */
export function drawSigned(canvas, { data, ...size }) {
  const limit = quantile(data.map(Math.abs), SHOWN) || 1;
  draw(canvas, { ...size, data: data.map((value) => 127.5 + (127.5 * value) / limit) });
}

/** A map (height x width of numbers from 0 on) in colours over a picture that turns grey. */
export function drawOver(canvas, map, { data, height, width, channels }, ramp) {
  const high = quantile(map, SHOWN) || 1;
  paint(canvas, height, width, (k, bytes) => {
    const strength = Math.min(map[k] / high, 1);
    const share = VEIL * Math.sqrt(strength);
    const colour = ramp[Math.round(strength * (ramp.length - 1))];
    const own = [0, 1, 2].map((c) => data[channels * k + (c % channels)]);
    const below = grey(...own);
    for (let c = 0; c < 3; c++) bytes[4 * k + c] = below + share * (colour[c] - below);
  });
}

/** Colours for numbers: from dark at 0 to light, or from blue to red where some are negative. */
export function scaleOf(data, { sequential, diverging }) {
  let least = 0;
  for (const value of data) least = Math.min(least, value);
  if (least < 0) {
    const limit = quantile(sample(data).map(Math.abs), SHOWN) || 1;
    return (value) => looked(diverging, 0.5 + (0.5 * value) / limit);
  }
  const high = quantile(sample(data), SHOWN) || 1;
  return (value) => looked(sequential, value / high);
}

/** A map on a canvas: `part` of the numbers, height x width. */
export function drawMap(canvas, part, height, width, scale) {
  paint(canvas, height, width, (k, bytes) => bytes.set(scale(part[k]), 4 * k));
}

/** Maps side by side, in rows of `columns`, enlarged by a whole factor; a frame round one. */
export function drawMaps(canvas, data, [count, height, width], columns, scale, framed) {
  const factor = Math.max(1, Math.floor(ACROSS / (columns * width)));
  const [right, down] = [width * factor + GAP, height * factor + GAP];
  const rows = Math.ceil(count / columns);
  [canvas.width, canvas.height] = [columns * right - GAP, rows * down - GAP];
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const map = new OffscreenCanvas(width, height);
  const corner = (k) => [(k % columns) * right, Math.floor(k / columns) * down];
  for (let k = 0; k < count; k++) {
    drawMap(map, data.subarray(k * height * width, (k + 1) * height * width), height, width, scale);
    context.drawImage(map, ...corner(k), width * factor, height * factor);
  }
  if (framed === undefined) return;
  const [x, y] = corner(framed);
  context.strokeStyle = FRAME;
  context.lineWidth = 2 * GAP; // half of it lies outside
  context.strokeRect(x, y, width * factor, height * factor);
}

const SHOWN = 0.995; // the part of the numbers that colours tell apart, as in oneiro
const VEIL = 0.9; // how much of a picture the largest numbers of a map hide
const FRAME = "#4cc2ff"; // no colour of the scales
const ACROSS = 900; // pixels of a row of maps, about
const GAP = 2; // pixels between maps
const SAMPLE = 20000; // numbers from which a scale is made

function paint(canvas, height, width, pixel) {
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  const bytes = image.data.fill(255);
  for (let k = 0; k < height * width; k++) pixel(k, bytes);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** How bright a colour is (ITU-R BT.601). */
function grey(red, green, blue) {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

function looked(ramp, share) {
  return ramp[Math.round(Math.min(Math.max(share, 0), 1) * (ramp.length - 1))];
}

function sample(data) {
  const step = Math.ceil(data.length / SAMPLE);
  return step === 1 ? data : data.filter((_, k) => k % step === 0);
}

/** The number that a share of them does not exceed, or the largest where that is 0. */
function quantile(data, share) {
  const sorted = Float32Array.from(data).sort();
  const last = sorted.length - 1;
  const low = Math.floor(share * last);
  const more = sorted[Math.min(low + 1, last)] - sorted[low];
  return sorted[low] + (share * last - low) * more || sorted[last];
}
