"""Logs a run and registers a model at the server in argv with the token that MLflow takes from its environment."""

import json
import sys

import mlflow

mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
client.create_registered_model("oidc-mlflow")
with mlflow.start_run() as run:
    mlflow.log_metric("loss", 0.5)
print(json.dumps({"run": run.info.run_id, "models": [m.name for m in client.search_registered_models()]}))
