"""Two hundred create_model_version calls at once, and eight processes that log runs: nothing is lost, repeated or left out."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

URI = sys.argv[1]
os.environ["MLFLOW_TRACKING_URI"] = URI


def log_run(index):
    import mlflow

    mlflow.set_tracking_uri(URI)
    mlflow.set_experiment("parallel")
    with mlflow.start_run(run_name=f"run {index}") as run:
        mlflow.log_param("index", index)
        for step in range(20):
            mlflow.log_metric("loss", step / 10, step=step)
        mlflow.log_text(str(index), "index.txt")
        return run.info.run_id


if __name__ == "__main__":
    import requests

    headers = {"Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}"}

    def post(path, body):
        answer = requests.post(f"{URI}/api/2.0/mlflow/{path}", json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    post("registered-models/create", {"name": "busy"})

    def create(index):
        body = {"name": "busy", "source": f"s3://bucket/{index}"}
        return int(post("model-versions/create", body)["model_version"]["version"])

    with ThreadPoolExecutor(50) as pool:
        versions = sorted(pool.map(create, range(200)))
    assert versions == list(range(1, 201)), versions

    import mlflow
    from mlflow import MlflowClient

    mlflow.set_experiment("parallel")
    with get_context("spawn").Pool(8) as pool:
        runs = pool.map(log_run, range(16))
    client = MlflowClient()
    for index, run in enumerate(runs):
        assert client.get_run(run).data.params == {"index": str(index)}
        assert len(client.get_metric_history(run, "loss")) == 20
        assert mlflow.artifacts.load_text(f"runs:/{run}/index.txt") == str(index)
    found = mlflow.search_runs(experiment_names=["parallel"], output_format="list")
    assert {run.info.run_id for run in found} == set(runs)
    print(json.dumps({"versions": len(versions), "runs": len(runs)}))
