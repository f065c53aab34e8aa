// Which pixels speak for a class, in Node: npm install onnxruntime-node
// oneiro export squeezenet1.1 saliency.onnx --what saliency
// node examples/saliency.mjs saliency.onnx photo.ppm map.pgm [CLASS]

import { readFileSync, writeFileSync } from "node:fs";
import ort from "onnxruntime-node";

const [model, photo, out, which = "-1"] = process.argv.slice(2);

// a binary PPM: "P6 width height 255", then the bytes of red, green and blue
const bytes = readFileSync(photo);
const [header, width, height] = bytes.toString("latin1").match(/^P6\s+(\d+)\s+(\d+)\s+255\s/);
const pixels = Float32Array.from(bytes.subarray(header.length));

const session = await ort.InferenceSession.create(model);
const { map, scores, chosen } = await session.run({
  picture: new ort.Tensor("float32", pixels, [1, Number(height), Number(width), 3]),
  class: new ort.Tensor("int64", [BigInt(which)], []),
});
const largest = map.data.reduce((a, b) => Math.max(a, b), 0);
const grey = Uint8Array.from(map.data, (value) => (255 * value) / largest);
writeFileSync(out, Buffer.concat([Buffer.from(`P5 ${width} ${height} 255\n`), grey]));
console.log(`class ${chosen.data[0]}, score ${scores.data[Number(chosen.data[0])].toFixed(2)}`);
