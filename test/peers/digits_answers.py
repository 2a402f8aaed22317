"""python digits_answers.py TEST_JSON MODEL.onnx … → [{labels, probabilities}, …] by Python's ONNX Runtime."""

import json
import sys

import numpy as np
import onnxruntime

images = np.array(json.load(open(sys.argv[1]))["images"], dtype=np.float32)
answers = []
for path in sys.argv[2:]:
    labels, probabilities = onnxruntime.InferenceSession(path).run(["label", "probabilities"], {"image": images})
    answers.append({"labels": labels.tolist(), "probabilities": probabilities.ravel().tolist()})
print(json.dumps(answers))
