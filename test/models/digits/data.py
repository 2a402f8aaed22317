"""Writes digits.csv.gz and test.json from the copy of the UCI digits that scikit-learn ships.

A fixed, stratified split: 1437 images to train on, 360 to test. Run once; train.py reads the files.
"""

import gzip
import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    images = images.astype(int)
    _, test = train_test_split(np.arange(len(labels)), test_size=360, random_state=0, stratify=labels)
    in_test = set(test.tolist())

    lines = ["split,label," + ",".join(f"p{n}" for n in range(64))]
    for n, (label, image) in enumerate(zip(labels, images)):
        split = "test" if n in in_test else "train"
        lines.append(",".join([split, str(label), *map(str, image)]))
    csv = "\n".join(lines) + "\n"
    (HERE / "digits.csv.gz").write_bytes(gzip.compress(csv.encode(), mtime=0))

    kept = sorted(in_test)
    text = json.dumps(
        {"images": images[kept].tolist(), "labels": labels[kept].tolist()}, separators=(",", ":")
    )
    (HERE / "test.json").write_text(text + "\n")


main()
