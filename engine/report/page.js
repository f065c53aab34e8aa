"use strict";
// A click enlarges a picture; arrows go on to the next one, Escape or a click go back.
const pictures = [...document.querySelectorAll(".zoom img")];
const dialog = document.querySelector("dialog");
const [large, caption] = [dialog.querySelector("img"), dialog.querySelector("p")];
let shown = 0;

function show(k) {
  shown = (k + pictures.length) % pictures.length;
  const figure = pictures[shown].closest("figure");
  large.src = pictures[shown].src;
  large.alt = pictures[shown].alt;
  caption.textContent = [...figure.querySelectorAll("strong, figcaption > span:not(.scale)")]
    .map((part) => part.textContent)
    .join(" · ");
  if (!dialog.open) dialog.showModal();
}

pictures.forEach((picture, k) => {
  picture.parentElement.addEventListener("click", () => show(k));
});
dialog.addEventListener("click", () => dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") show(shown + 1);
  if (event.key === "ArrowLeft") show(shown - 1);
});
