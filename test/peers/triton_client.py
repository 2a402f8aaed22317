"""python triton_client.py HOST:PORT TEST_JSON → what NVIDIA's Triton client gets from the model server, as JSON."""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

images = np.array(json.load(open(sys.argv[2]))["images"], dtype=np.float32)
client = triton.InferenceServerClient(sys.argv[1], concurrency=4)


def ask(batch: np.ndarray, binary: bool):
    image = triton.InferInput("image", batch.shape, "FP32")
    image.set_data_from_numpy(batch, binary_data=binary)
    return image


def told(result) -> dict:
    return {
        "labels": result.as_numpy("label").tolist(),
        "probabilities": result.as_numpy("probabilities").ravel().tolist(),
    }


def refused(call) -> str:
    try:
        call()
    except InferenceServerException as error:
        return f"{error.status()}: {error.message()}"
    return "not refused"


outputs = [triton.InferRequestedOutput("label", binary_data=False), triton.InferRequestedOutput("probabilities")]
pending = [client.async_infer("digits", [ask(images[n : n + 1], True)]) for n in range(20)]
text = triton.InferInput("image", [1, 64], "INT64")
text.set_data_from_numpy(np.zeros([1, 64], dtype=np.int64))
print(
    json.dumps(
        {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "modelReady": client.is_model_ready("digits", "1"),
            "server": client.get_server_metadata(),
            "model": client.get_model_metadata("digits"),
            "binary": told(client.infer("digits", [ask(images, True)])),
            "json": told(client.infer("digits", [ask(images, False)], outputs=outputs, request_id="7")),
            "id": client.infer("digits", [ask(images[:1], True)], request_id="7").get_response()["id"],
            "pending": [told(each.get_result())["labels"][0] for each in pending],
            "wrongModel": refused(lambda: client.infer("x", [ask(images, True)])),
            "wrongShape": refused(lambda: client.infer("digits", [ask(images[:, 1:], True)])),
            "wrongType": refused(lambda: client.infer("digits", [text])),
        }
    )
)
