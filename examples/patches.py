"""Cut the photos beside this file into patches of 96 px: `python examples/patches.py FOLDER`."""

import sys
from pathlib import Path

import oneiro
from oneiro.image import shrunk

LONGEST, SIDE, STEP = 384, 96, 48  # px of a photo's longer side, of a patch, between patches

target = Path(sys.argv[1])
for path in sorted(Path(__file__).parent.iterdir()):
    if path.suffix not in (".jpg", ".png") or path.stem == "brushes":
        continue
    photo = shrunk(oneiro.load_image(path), LONGEST)
    folder = target / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    height, width = photo.shape[:2]
    for y in range(0, height - SIDE + 1, STEP):
        for x in range(0, width - SIDE + 1, STEP):
            oneiro.save_image(folder / f"{y:03}-{x:03}.png", photo[y : y + SIDE, x : x + SIDE])
