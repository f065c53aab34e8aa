// Where pictures come from: a photo, or the camera. The last one that was asked for counts.

import { sides } from "./picture.js";

export class Source {
  /** `changed` is told when there is another image. */
  constructor(changed) {
    this.changed = changed;
    this.image = null; // a photo's bitmap, the camera's video, or its last frame
    this.turns = 0; // how often one was asked for
  }

  /** Whether it is the camera. */
  get live() {
    return this.image instanceof HTMLVideoElement;
  }

  /** Takes a photo from a file; false if another image was asked for meanwhile. */
  async open(file) {
    const turn = ++this.turns;
    const bitmap = await createImageBitmap(file).catch(() => {
      throw new Error(`${file.name ?? "the photo"} is no picture that this browser knows`);
    });
    return this.taken(bitmap, turn);
  }

  /** Takes the camera; false if another image was asked for meanwhile. */
  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("browsers give a camera to https and localhost alone");
    }
    const turn = ++this.turns;
    const stream = await navigator.mediaDevices.getUserMedia({ video: true }).catch((error) => {
      throw new Error(`the camera cannot be had: ${error.message}`);
    });
    const video = document.createElement("video");
    video.playsInline = true; // or telephones show nothing but it
    video.srcObject = stream;
    await video.play();
    return this.taken(video, turn);
  }

  /** Ends the camera: its last frame stays. */
  stop() {
    const still = new OffscreenCanvas(...sides(this.image));
    still.getContext("2d").drawImage(this.image, 0, 0);
    this.take(still);
  }

  taken(image, turn) {
    if (turn === this.turns) this.take(image);
    else release(image);
    return turn === this.turns;
  }

  take(image) {
    release(this.image);
    this.image = image;
    this.changed();
  }
}

/** Ends a camera; gives back what a photo holds, which may be hundreds of megabytes. */
function release(image) {
  if (image instanceof HTMLVideoElement) {
    for (const track of image.srcObject.getTracks()) track.stop();
  }
  if (image instanceof ImageBitmap) image.close();
}
