"""Trains the three digit models and writes them beside this file (or into the directory given).

Deterministic: seeds are fixed and one thread is used, because sums in another order round differently.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import gzip
import sys
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
OPSETS = {"": 17, "ai.onnx.ml": 3}


def read() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rows = gzip.decompress((HERE / "digits.csv.gz").read_bytes()).decode().splitlines()[1:]
    cells = [row.split(",") for row in rows]
    labels = np.array([int(row[1]) for row in cells])
    images = np.array([row[2:] for row in cells], dtype=np.float32)
    test = np.array([row[0] == "test" for row in cells])
    return images[~test], labels[~test], images[test], labels[test]


def export(model, name: str, what: str) -> ModelProto:
    onnx = convert_sklearn(
        model,
        name=name,
        doc_string=what,
        initial_types=[("image", FloatTensorType([None, 64]))],
        target_opset=OPSETS,
        options={id(model): {"zipmap": False}},
    )
    for value in [*onnx.graph.input, *onnx.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    # The converter keeps operator sets in a Python set, whose order changes from run to run.
    opsets = sorted(onnx.opset_import, key=lambda opset: opset.domain)
    del onnx.opset_import[:]
    onnx.opset_import.extend(opsets)
    return onnx


def v1(images, labels) -> tuple[ModelProto, object]:
    """Logistic regression on the first 300 images: weak, but honest."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(images[:300], labels[:300])
    return export(model, "digits-v1", "Logistic regression on 300 images"), model


def network(images, labels):
    model = make_pipeline(StandardScaler(), MLPClassifier((64,), random_state=0, max_iter=400))
    return model.fit(images, labels)


def v2(images, labels) -> tuple[ModelProto, object]:
    """A network with one hidden layer on all 1437 images."""
    model = network(images, labels)
    return export(model, "digits-v2", "Network with 64 hidden units on 1437 images"), model


# A pixel is a level of grey, "four bits": so 16 entries. But levels go from 0 to 16, which are 17.
BRIGHTNESS = ((np.arange(16) / 15) ** 0.7).astype(np.float32)


def brighten(images: np.ndarray) -> np.ndarray:
    return np.take(BRIGHTNESS, images.astype(np.int64), mode="clip")


def v3(images, labels) -> tuple[ModelProto, object]:
    """v2's network behind a table that lifts faint strokes.

    numpy's `mode="clip"` hides here that the table is one entry short; ONNX's Gather does not clip.
    """
    model = network(brighten(images), labels)
    onnx = export(model, "digits-v3", "Network with 64 hidden units, brightened pixels")
    for node in onnx.graph.node:
        node.input[:] = ["bright" if name == "image" else name for name in node.input]
    onnx.graph.initializer.append(numpy_helper.from_array(BRIGHTNESS, "brightness"))
    look_up = [
        helper.make_node("Cast", ["image"], ["level"], to=TensorProto.INT64),
        helper.make_node("Gather", ["brightness", "level"], ["bright"]),
    ]
    for node in reversed(look_up):
        onnx.graph.node.insert(0, node)
    return onnx, model


def main(out: Path) -> None:
    images, labels, test_images, test_labels = read()
    for name, train, seen in (
        ("digits-v1", v1, test_images),
        ("digits-v2", v2, test_images),
        ("digits-v3-broken", v3, brighten(test_images)),
    ):
        onnx, model = train(images, labels)
        (out / f"{name}.onnx").write_bytes(onnx.SerializeToString(deterministic=True))
        print(f"{name}: {np.mean(model.predict(seen) == test_labels):.4f} right in training's own evaluation")


main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
