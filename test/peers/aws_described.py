"""Judges requests by AWS's own descriptions of its services, those that botocore brings: reads {service, operation, input}, one a line,
and prints {request, problem} for what does not fit. botocore's validator looks at types, required and unknown members and lower bounds;
upper bounds, patterns and enumerations are in the descriptions as well and are looked at here.
"""

import base64
import json
import re
import sys

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator


class Validator(ParamValidator):
    def _validate(self, params, shape, errors, name):
        # The SDK's ListParts takes a part's number as text, which it is in an address.
        if shape.serialization.get("location") == "querystring" and shape.type_name == "integer" and str(params).isdigit():
            params = int(params)
        super()._validate(params, shape, errors, name)
        limits = shape.metadata
        size = params if isinstance(params, (int, float)) else len(params) if hasattr(params, "__len__") else None
        if size is not None and shape.type_name != "structure" and size > limits.get("max", float("inf")):
            self.found.append(f"{name}: {size} is more than {limits['max']}")
        if shape.type_name != "string" or not isinstance(params, str):
            return
        if shape.enum and params not in shape.enum:
            self.found.append(f"{name}: {params!r} is none of {', '.join(shape.enum)}")
        # Patterns are Java's. Python knows neither \p{…} nor ranges of surrogate pairs, with which they take all letters and all text.
        pattern = limits.get("pattern")
        if pattern and not re.search(r"\\p\{|\\uD800", pattern) and not re.fullmatch(pattern, params):
            self.found.append(f"{name}: {params!r} does not match {pattern}")

    def problems(self, params, shape):
        self.found = []
        report = self.validate(params, shape)
        return self.found + ([report.generate_report()] if report.has_errors() else [])


def bytes_of(value):
    return base64.b64decode(value["$bytes"]) if set(value) == {"$bytes"} else value


loader = Loader()
models = {}
for line in sys.stdin:
    request = json.loads(line, object_hook=bytes_of)
    service = request["service"]
    if service not in models:
        models[service] = ServiceModel(loader.load_service_model(service, "service-2"))
    shape = models[service].operation_model(request["operation"]).input_shape
    for problem in Validator().problems(request["input"], shape):
        print(json.dumps({"request": f"{service}:{request['operation']}", "problem": problem}))
