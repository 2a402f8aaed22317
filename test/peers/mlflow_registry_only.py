"""Runs are tracked in a folder of this machine; only the registry is at URI (MLFLOW_REGISTRY_URI)."""

import json
import os
import sys

URI, FOLDER = sys.argv[1:]
os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{FOLDER}/local.db"
os.environ["MLFLOW_REGISTRY_URI"] = URI

import mlflow
import numpy as np
from mlflow import MlflowClient

client = MlflowClient()
client.create_registered_model("shared-model")
foreign = client.create_model_version("shared-model", "s3://bucket/model", tags={"from": "elsewhere"})
client.set_registered_model_alias("shared-model", "champion", foreign.version)
assert client.get_model_version_by_alias("shared-model", "champion").source == "s3://bucket/model"

# What the registry keeps is loaded from there, whatever the tracking server is.
with mlflow.start_run():
    mlflow.log_metric("here", 1)
loaded = mlflow.pyfunc.load_model("models:/net/1")
answer = loaded.predict(np.ones((1, 4), dtype=np.float32))
assert np.allclose(answer["y"], 2)
print(json.dumps({"loaded": True}))
