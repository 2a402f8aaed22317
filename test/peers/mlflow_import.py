"""Fills an MLflow server, and checks that another has the same."""

import sys
import warnings

DO, URI = sys.argv[1:]
warnings.filterwarnings("ignore")

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(URI)
client = MlflowClient()
X = np.arange(40).reshape(20, 2) / 40
y = (X[:, 0] > 0.5).astype(int)

if DO == "fill":
    mlflow.set_experiment("churn")
    with mlflow.start_run(run_name="parent"):
        with mlflow.start_run(run_name="child", nested=True) as run:
            mlflow.log_param("C", 1)
            for step in range(3):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_text("hello", "deep/er/note.txt")
            model = LogisticRegression().fit(X, y)
            mlflow.sklearn.log_model(model, name="model", registered_model_name="churn")
    client.create_model_version("churn", "s3://bucket/deleted")
    client.create_model_version("churn", "s3://bucket/model", tags={"from": "s3"}, description="Elsewhere.")
    client.delete_model_version("churn", "2")
    client.set_registered_model_alias("churn", "champion", "1")
    client.set_registered_model_tag("churn", "team", "a")
    client.transition_model_version_stage("churn", "1", "Production")
    mlflow.genai.register_prompt(name="greeting", template="Hello {{ name }}!")
elif DO == "many":
    mlflow.set_experiment("many")
    for number in range(40):
        with mlflow.start_run(run_name=f"run {number}"):
            mlflow.log_param("number", number)
            mlflow.log_text("x" * 1_000_000 + str(number), "big.txt")
elif DO == "check-many":
    runs = mlflow.search_runs(experiment_names=["many"], output_format="list", max_results=1000)
    assert sorted(int(run.data.params["number"]) for run in runs) == list(range(40)), len(runs)
    for run in runs[::8]:
        assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/big.txt").endswith("x" + run.data.params["number"])
    print("checked")
else:
    child = mlflow.search_runs(experiment_names=["churn"], filter_string="run_name = 'child'", output_format="list")[0]
    parent = mlflow.search_runs(experiment_names=["churn"], filter_string="run_name = 'parent'", output_format="list")[0]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.params == {"C": "1"} and child.info.status == "FINISHED"
    assert [m.value for m in client.get_metric_history(child.info.run_id, "loss")] == [1, 1 / 2, 1 / 3]
    assert mlflow.artifacts.load_text(f"runs:/{child.info.run_id}/deep/er/note.txt") == "hello"
    model = client.get_registered_model("churn")
    assert model.aliases == {"champion": "1"} and model.tags["team"] == "a"
    versions = {int(v.version): v for v in client.search_model_versions("name = 'churn'")}
    assert sorted(versions) == [1, 3], versions
    assert versions[1].run_id == child.info.run_id and versions[1].current_stage == "Production"
    assert versions[3].source == "s3://bucket/model" and versions[3].description == "Elsewhere."
    expected = LogisticRegression().fit(X, y).predict(X)
    assert (mlflow.sklearn.load_model("models:/churn@champion").predict(X) == expected).all()
    assert mlflow.genai.load_prompt("prompts:/greeting/1").format(name="Ann") == "Hello Ann!"
    print("checked")
