"""Logs two models with MLflow's client, without a server, into the folders below FOLDER: one of scikit-learn, which wants a package that
nothing else does, and one of plain code. Prints rows and what load_model predicts for them."""

import json
import sys
import warnings
from pathlib import Path

FOLDER = Path(sys.argv[1])
warnings.filterwarnings("ignore")

import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(f"sqlite:///{FOLDER}/mlflow.db")
mlflow.set_experiment(experiment_id=mlflow.create_experiment("image", artifact_location=(FOLDER / "artifacts").as_uri()))
data = load_iris(as_frame=True)
rows = data.data.iloc[::10]


class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1).round(3).tolist()


def taken(name, logged):
    mlflow.artifacts.download_artifacts(logged.model_uri, dst_path=str(FOLDER / name))
    return [float(one) for one in mlflow.pyfunc.load_model(logged.model_uri).predict(rows)]


with mlflow.start_run():
    model = LogisticRegression(max_iter=1000).fit(data.data, data.target)
    predictions = {
        "iris": taken(
            "iris",
            mlflow.sklearn.log_model(
                model, name="iris", input_example=data.data[:3], extra_pip_requirements=["cowsay==6.1"]
            ),
        ),
        "sum": taken("sum", mlflow.pyfunc.log_model(name="sum", python_model=Sum(), pip_requirements=["mlflow"])),
    }

split = json.loads(rows.to_json(orient="split"))
print(json.dumps({"rows": {"columns": split["columns"], "data": split["data"]}, "predictions": predictions}))
