"""What a model's function returned, as tensors of the Open Inference Protocol.

Numbers and truths keep their type and shape. Everything else is BYTES: texts as they are, other elements as the JSON that
`/invocations` answers for them, marked with MLServer's content type for that.
"""

import json

import numpy as np
import pandas as pd
from mlflow.utils.proto_json_utils import NumpyEncoder
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.codecs.utils import DefaultOutputPrefix, inject_batch_dimension
from mlserver.types import InferenceResponse, Parameters, ResponseOutput
from mlserver_mlflow.codecs import TensorDictCodec

FIRST = f"{DefaultOutputPrefix}1"
# Those of the protocol: neither complex numbers nor numbers of 16 bytes.
NUMERIC = {"bool", "float16", "float32", "float64"} | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def response_of(answer, name, version):
    """One output for each column of a table or entry of a dictionary; otherwise a single one."""
    answer = table_of(answer)
    if isinstance(answer, (pd.DataFrame, dict)):
        outputs = [tensor(str(key), values) for key, values in answer.items()]
        content_type = PandasCodec.ContentType if isinstance(answer, pd.DataFrame) else TensorDictCodec.ContentType
    else:
        named = isinstance(answer, pd.Series) and answer.name is not None
        outputs = [tensor(str(answer.name) if named else FIRST, answer)]
        content_type = outputs[0].parameters.content_type
    return InferenceResponse(
        model_name=name, model_version=version, outputs=outputs, parameters=Parameters(content_type=content_type)
    )


def table_of(answer):
    """Dictionaries with the same keys are the rows of a table."""
    if not isinstance(answer, list) or not answer or not all(isinstance(row, dict) for row in answer):
        return answer
    keys = answer[0].keys()
    if not keys or any(row.keys() != keys for row in answer):
        return answer
    return pd.DataFrame({key: pd.Series([row[key] for row in answer], dtype=object) for key in keys})


def tensor(name, value):
    array = array_of(value)
    if array.dtype.name in NUMERIC:
        return NumpyCodec.encode_output(name, array)
    elements = array.ravel().tolist()
    texts = all(isinstance(element, str) for element in elements)
    return ResponseOutput(
        name=name,
        datatype="BYTES",
        shape=inject_batch_dimension(list(array.shape)),
        data=[(element if texts else json.dumps(element, cls=NumpyEncoder)).encode() for element in elements],
        parameters=Parameters(content_type=StringCodec.ContentType if texts else PandasCodec.JsonContentType),
    )


def array_of(value):
    if isinstance(value, (pd.Series, pd.Index)):
        missing = pd.api.types.is_extension_array_dtype(value.dtype) and value.hasnans
        value = value.astype(object).where(value.notna(), None).tolist() if missing else value.to_numpy()
    if not isinstance(value, (np.ndarray, list, tuple)):
        value = [value]
    if isinstance(value, np.ndarray) and value.dtype != object:
        return np.datetime_as_string(value) if value.dtype.kind == "M" else value
    leaves = np.array(value, dtype=object)
    elements = leaves.ravel().tolist()
    if elements and all(isinstance(element, (bool, int, float, np.number, np.bool_, type(None))) for element in elements):
        # What is missing is null among the numbers, as NaN is.
        numbers = np.array(leaves.tolist(), dtype=float if None in elements else None)
        return numbers if numbers.dtype.name in NUMERIC else leaves
    if isinstance(value, np.ndarray) or all(isinstance(element, str) for element in elements):
        return leaves
    rows = np.empty(len(value), dtype=object)
    rows[:] = list(value)
    return rows
