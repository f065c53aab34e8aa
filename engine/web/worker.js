// Runs models of the network, one after another, off the page's own thread.
//
// Takes {id, path, feeds}, gives {id, outputs, milliseconds} or {id, error}; without feeds it
// gives the model's {inputs: {name: shape}}. The first message is {provider}: "webgpu" or "wasm".

import { threads } from "./network.js";

const KEPT = 12; // sessions, of the models that were used last

const sessions = new Map(); // by path, the one used last at the end
let queue = Promise.resolve();
let opened; // a promise of {ort, provider, weights}

async function open(provider) {
  const ort = await import(`./ort/ort.${provider}.min.mjs`);
  ort.env.wasm.numThreads = threads();
  const { pools } = await (await fetched("net.json")).json();
  const weights = new Uint8Array(await (await fetched("weights")).arrayBuffer());
  return { ort, provider, pools, weights };
}

async function fetched(path) {
  const response = await fetch(new URL(path, import.meta.url));
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return response;
}

async function session(path) {
  const known = sessions.get(path);
  sessions.delete(path);
  const found = known ?? (await created(path));
  sessions.set(path, found);
  for (const [oldest, old] of sessions) {
    if (sessions.size <= KEPT) break;
    sessions.delete(oldest);
    await old.release();
  }
  return found;
}

async function created(path) {
  const { ort, provider, pools, weights } = await opened;
  const model = await (await fetched(path)).arrayBuffer();
  return ort.InferenceSession.create(model, {
    executionProviders: [
      // there max pools cannot tell where their maxima are
      { name: provider, ...(provider === "webgpu" && { forceCpuNodeNames: pools }) },
    ],
    externalData: [{ path: "weights", data: weights }],
    logSeverityLevel: 3, // of what a provider leaves to another nobody needs to hear
  });
}

async function answer({ path, feeds }) {
  const model = await session(path);
  if (!feeds) {
    const shapes = model.inputMetadata.map(({ name, shape }) => [name, shape]);
    return { inputs: Object.fromEntries(shapes) };
  }
  const { ort } = await opened;
  const tensors = Object.entries(feeds).map(
    ([name, { type, data, dims }]) => [name, new ort.Tensor(type, data, dims)],
  );
  const begun = performance.now();
  const results = await model.run(Object.fromEntries(tensors));
  const outputs = {};
  for (const [name, tensor] of Object.entries(results)) {
    outputs[name] = { data: await tensor.getData(true), dims: tensor.dims };
  }
  return { outputs, milliseconds: performance.now() - begun };
}

self.onmessage = ({ data: message }) => {
  if (message.provider) {
    opened = open(message.provider);
    opened.catch(() => {}); // each question tells of it
    return;
  }
  queue = queue.then(async () => {
    try {
      self.postMessage({ id: message.id, ...(await answer(message)) });
    } catch (error) {
      self.postMessage({ id: message.id, error: error.message ?? String(error) });
    }
  });
};
