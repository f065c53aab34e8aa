// DeepDream, as oneiro.deepdream does it: the steps are a model's, the octaves are ours.

import { integer, integers, number, tensor } from "./network.js";

const ZOOM = "models/zoom.onnx";

/**
 * Dreams a picture, {data, height, width, channels}, with the model of a step at `path`.
 *
 * Gives {picture, done}, the picture so far and which part of the work is behind, after each step.
 * `step` is in grey values of 0..255, `jitter` in pixels; a `channel` of -1 is the whole layer.
 */
export async function* dream(network, path, picture, settings) {
  const { channel, octaves, scale, steps, step, jitter } = settings;
  const known = Object.keys(await network.inputs(path)); // a favourite leaves no unit open
  const bases = [picture];
  while (bases.length < octaves) {
    const { height, width } = bases[0];
    bases.unshift(await zoomed(network, bases[0], smaller(height, scale), smaller(width, scale)));
  }
  const work = bases.reduce((sum, base) => sum + base.data.length, 0);
  let behind = 0;
  let detail = null;
  for (const base of bases) {
    if (detail) detail = await zoomed(network, detail, base.height, base.width);
    let x = detail ? combined(base, detail, 1) : base;
    const reach = Math.min(jitter, base.height - 1, base.width - 1);
    for (let k = 1; k <= steps; k++) {
      const feeds = {
        picture: tensor(x),
        shift: integers([random(reach), random(reach)]),
        step: number(step),
        channel: integer(channel),
        row: integer(-1),
        column: integer(-1),
      };
      const asked = known.map((name) => [name, feeds[name]]);
      const found = await network.run(path, Object.fromEntries(asked));
      x = { ...base, data: found.dream.data };
      detail = combined(x, base, -1);
      const grown = await zoomed(network, detail, picture.height, picture.width);
      const done = (behind + (base.data.length * k) / steps) / work;
      yield { picture: combined(picture, grown, 1), done };
    }
    behind += base.data.length;
  }
}

async function zoomed(network, picture, height, width) {
  if (picture.height === height && picture.width === width) return picture;
  const feeds = { picture: tensor(picture), size: integers([height, width]) };
  const { zoomed } = await network.run(ZOOM, feeds);
  return { ...picture, data: zoomed.data, height, width };
}

/** a + sign * b */
function combined(a, b, sign) {
  return { ...a, data: a.data.map((value, k) => value + sign * b.data[k]) };
}

/** A side of the next octave, rounded to the nearest, halves to even. */
function smaller(side, scale) {
  const exact = side * (1 / scale);
  const low = Math.floor(exact);
  const up = exact - low > 0.5 || (exact - low === 0.5 && low % 2 === 1);
  return Math.max(1, low + (up ? 1 : 0));
}

/** A whole number of -reach..reach. */
function random(reach) {
  return Math.floor(Math.random() * (2 * reach + 1)) - reach;
}
