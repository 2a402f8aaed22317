"""Logs models to be served with MLflow's client, at the server at URI; prints rows and what load_model predicts for them."""

import json
import os
import sys
import warnings
from pathlib import Path

URI, = sys.argv[1:]
warnings.filterwarnings("ignore")
os.environ["MLFLOW_TRACKING_URI"] = URI
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

data = load_iris(as_frame=True)
X, y = data.data, data.target
rows = X.iloc[::10]
mlflow.set_experiment("serving")

predictions = {}
for version, labels in ((1, y), (2, 2 - y)):
    with mlflow.start_run():
        model = LogisticRegression(max_iter=1000).fit(X, labels)
        logged = mlflow.sklearn.log_model(model, name="model", input_example=X[:3], registered_model_name="iris")
    predictions[version] = mlflow.pyfunc.load_model(f"models:/iris/{version}").predict(rows).tolist()

needs = Path(mlflow.pyfunc.get_model_dependencies("models:/iris/1")).read_text().split("\n")


class Probe(mlflow.pyfunc.PythonModel):
    """Tries what a model must not be able to do; answers what it got."""

    def predict(self, context, model_input, params=None):
        tried = []
        for path in model_input["path"]:
            try:
                with open(path, "rb") as file:
                    tried.append(f"read {len(file.read())} bytes")
            except OSError as error:
                tried.append(type(error).__name__)
        written = "written"
        try:
            with open(context.artifacts["note"], "ab") as file:
                file.write(b"x")
        except OSError as error:
            written = type(error).__name__
        secrets = [name for name in os.environ if "TOKEN" in name or "SECRET" in name or "KEY" in name]
        parent = f"/proc/{os.getppid()}/environ"
        try:
            with open(parent, "rb") as file:
                written += f", parent: {len(file.read())} bytes"
        except OSError as error:
            written += f", parent: {type(error).__name__}"
        try:
            os.kill(os.getppid(), 0)
            signalled = "signalled"
        except OSError as error:
            signalled = type(error).__name__
        return [*tried, written, signalled, json.dumps(secrets)]


HELPER = '''
import time

HELD = []


def answer(value):
    """What a model could do to its replica: -1 fills the memory and keeps it, below it takes its time, -0.5 fails."""
    if value == -0.5:
        raise ValueError("a broken model")
    if value == -1:
        HELD.append(bytearray(2_000_000_000))
        time.sleep(600)
    if value < -1:
        print(f"takes its time: {value:.0f}", flush=True)
        time.sleep(6)
    return value * value + 0.5
'''


class Coded(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        from cairn_test_helper import answer

        return [answer(float(value)) for value in model_input["x"]]


import lightgbm

# One environment for both.
more = [*needs, "lightgbm==4.7.0"]
booster = lightgbm.train({"verbosity": -1, "num_leaves": 4}, lightgbm.Dataset(X, y), 5)
helper = Path("cairn_test_helper.py")
helper.write_text(HELPER)
with mlflow.start_run():
    mlflow.lightgbm.log_model(booster, name="trees", pip_requirements=more, registered_model_name="trees")
    mlflow.pyfunc.log_model(
        name="coded",
        python_model=Coded(),
        code_paths=[str(helper)],
        pip_requirements=more,
        registered_model_name="coded",
    )
helper.unlink()


class Returns(mlflow.pyfunc.PythonModel):
    """Answers with what it is asked for: everything that a function of Python may return."""

    def predict(self, context, model_input, params=None):
        import numpy as np
        import pandas as pd

        table = pd.DataFrame({"n": [1, 2], "day": pd.to_datetime(["2026-01-01", "2026-01-02"]), 3: [{"k": 1}, None]})
        return {
            "numbers": [1.5, 2],
            "missing": [1, None],
            "texts": ["a", "é"],
            "mixed": [1, "a"],
            "nested": [[1, 2], [3, 4]],
            "ragged": [[1], [2, 3]],
            "scalar": 2.5,
            "text": "a",
            "array": np.array([[1, 2], [3, 4]], dtype="float32"),
            "objects": np.array(["a", "b"], dtype=object),
            "series": pd.Series([True, False], name="flag"),
            "nullable": pd.Series([1, None], dtype="Int64"),
            "table": table,
            "lists": {"n": [1, 2], "label": ["a", "b"], "more": {"k": 1}},
            "rows": [{"n": 1, "label": "a"}, {"n": 2, "label": "b"}],
            "odd rows": [{"n": 1}, {"label": "b"}],
        }[model_input["kind"].iloc[0]]


with mlflow.start_run():
    mlflow.pyfunc.log_model(name="returns", python_model=Returns(), pip_requirements=more, registered_model_name="returns")
trees = mlflow.pyfunc.load_model("models:/trees/1").predict(rows).tolist()

note = Path("note.txt")
note.write_text("a note")
with mlflow.start_run():
    mlflow.pyfunc.log_model(
        name="model", python_model=Probe(), artifacts={"note": str(note)}, pip_requirements=needs, registered_model_name="probe"
    )
    mlflow.pyfunc.log_model(
        name="odd",
        python_model=Probe(),
        artifacts={"note": str(note)},
        pip_requirements=["mlflow", "no-such-package-of-cairn==9.9"],
        registered_model_name="odd",
    )
note.unlink()

split = json.loads(rows.to_json(orient="split"))
print(json.dumps({"rows": {"columns": split["columns"], "data": split["data"]}, "predictions": predictions, "trees": trees}))
