// The network: questions to the worker that runs its models, and the tensors that they take.

const MOST = 8; // threads: small models gain nothing from more

export class Network {
  /** `provider` is "webgpu" or "wasm". */
  constructor(provider) {
    this.provider = provider;
    this.milliseconds = {}; // of the last run of each model, by path
    this.asked = new Map(); // {resolve, reject} by id
    this.broken = null; // why nothing can be asked any more
    this.count = 0;
    this.worker = bound("worker.js");
    this.worker.onmessage = ({ data }) => this.take(data);
    this.worker.onerror = (event) => this.fail(event.message || "the worker could not be loaded");
    this.worker.postMessage({ provider });
  }

  /** What a model gives, {name: {data, dims}}, for {name: tensor}. */
  async run(path, feeds) {
    const { outputs, milliseconds } = await this.ask({ path, feeds });
    this.milliseconds[path] = milliseconds;
    return outputs;
  }

  /** The shapes of a model's inputs: a size that is a string is free. */
  async inputs(path) {
    return (await this.ask({ path })).inputs;
  }

  ask(question) {
    if (this.broken) return Promise.reject(this.broken);
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.asked.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...question });
    });
  }

  take({ id, error, ...found }) {
    if (this.broken) return;
    const { resolve, reject } = this.asked.get(id);
    this.asked.delete(id);
    if (error === undefined) resolve(found);
    else reject(new Error(error));
  }

  fail(text) {
    this.broken = new Error(text);
    for (const { reject } of this.asked.values()) reject(this.broken);
    this.asked.clear();
  }

  close() {
    this.worker.terminate();
    this.fail("another way of running was chosen");
  }
}

/**
 * A worker that is bound by this page's rules on whom it may talk to.
 *
 * One that is loaded from a file has only those that the file's server sends with it.
 */
function bound(path) {
  const source = `import ${JSON.stringify(new URL(path, import.meta.url))};`;
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return new Worker(address, { type: "module" });
}

/** How many threads compute: they share memory, which browsers allow to isolated pages alone. */
export const threads = () =>
  globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST) : 1;

export const integers = (values, dims = [values.length]) => ({
  type: "int64", data: BigInt64Array.from(values, BigInt), dims,
});
export const integer = (value) => integers([value], []);
export const number = (value) => ({ type: "float32", data: Float32Array.of(value), dims: [] });
export const tensor = ({ data, height, width, channels }) => ({
  type: "float32", data, dims: [1, height, width, channels],
});
