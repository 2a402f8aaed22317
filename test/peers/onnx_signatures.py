"""Prints a JSON line for each .onnx file of the installed `onnx` package: its signature by that package."""

import json
from pathlib import Path

import onnx

WORDS = {"FLOAT": "FP32", "DOUBLE": "FP64", "FLOAT16": "FP16", "STRING": "BYTES", "BFLOAT16": "BF16"}


def spec(value: onnx.ValueInfoProto) -> dict:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return {"name": value.name, "datatype": kind.removesuffix("_type").upper()}
    tensor = value.type.tensor_type
    word = onnx.TensorProto.DataType.Name(tensor.elem_type)
    told = {"name": value.name, "datatype": WORDS.get(word, word)}
    if tensor.HasField("shape"):
        told["shape"] = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
        names = [d.dim_param or None for d in tensor.shape.dim]
        if any(names):
            told["dimensions"] = names
    return told


for path in sorted(Path(onnx.__file__).parent.rglob("*.onnx")):
    model = onnx.load(path, load_external_data=False)
    fed = {i.name for i in model.graph.initializer} | {i.values.name for i in model.graph.sparse_initializer}
    told = {
        "path": str(path),
        "inputs": [spec(i) for i in model.graph.input if i.name not in fed],
        "outputs": [spec(o) for o in model.graph.output],
        "irVersion": model.ir_version,
        "opsets": {o.domain or "ai.onnx": o.version for o in model.opset_import},
        "graph": model.graph.name,
    }
    print(json.dumps(told))
