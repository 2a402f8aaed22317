"""What a data scientist does with MLflow's client, against the server at URI; fails where the client does or an answer is wrong."""

import json
import math
import os
import subprocess
import sys
import tempfile
import warnings

URI, FOLDER = sys.argv[1:]
warnings.filterwarnings("ignore")
os.environ["MLFLOW_TRACKING_URI"] = URI
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

import lightgbm
import mlflow
import numpy as np
import onnx
import onnxruntime
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(URI)
client = MlflowClient()
rng = np.random.default_rng(7)
X = rng.random((60, 4)).astype(np.float32)
y = (X[:, 0] + X[:, 1] > 1).astype(int)
done = []


def ok(what, condition=True):
    assert condition, what
    done.append(what)


def refused(call, code):
    try:
        call()
    except MlflowException as error:
        return error.error_code == code
    return False


def cli(*args, ok_code=0):
    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    result = subprocess.run([sys.executable, "-m", "mlflow", *args], capture_output=True, text=True, env=env)
    assert result.returncode == ok_code, result.stdout + result.stderr
    return result.stdout


# Every flavour: log and register in one call, load by version and by alias
mlflow.set_experiment("flavours")
with mlflow.start_run(run_name="sklearn") as run:
    model = LogisticRegression().fit(X, y)
    mlflow.log_params({"C": 1.0, "long": "v" * 7000})
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("nan", float("nan"))
    mlflow.log_metric("inf", float("inf"))
    mlflow.log_text("hello", "notes/hello.txt")
    mlflow.log_dict({"a": [1, 2]}, "data.json")
    mlflow.log_table({"q": ["x"], "a": ["y"]}, "table.json")
    mlflow.log_input(mlflow.data.from_pandas(pd.DataFrame(X), name="train"), context="training")
    sk = mlflow.sklearn.log_model(model, name="model", input_example=X[:2], registered_model_name="sk")
SK_RUN = run.info.run_id
loaded = mlflow.sklearn.load_model("models:/sk/1")
ok("sklearn by version", (loaded.predict(X) == model.predict(X)).all())
client.set_registered_model_alias("sk", "champion", "1")
ok("sklearn by alias", (mlflow.pyfunc.load_model("models:/sk@champion").predict(X) == model.predict(X)).all())
ok("sklearn by logged model", (mlflow.sklearn.load_model(sk.model_uri).predict(X) == model.predict(X)).all())
again = mlflow.register_model(f"runs:/{SK_RUN}/model", "sk")
ok("register_model of a run", again.version in ("2", 2) and again.status == "READY")
ok("version of a run", (mlflow.sklearn.load_model("models:/sk/2").predict(X) == model.predict(X)).all())
ok("latest", mlflow.sklearn.load_model("models:/sk/latest") is not None)

stored = client.get_run(SK_RUN)
ok("metrics", math.isnan(stored.data.metrics["nan"]) and math.isinf(stored.data.metrics["inf"]))
ok("history", [m.step for m in client.get_metric_history(SK_RUN, "loss")] == [0, 1, 2])
ok("a long parameter is whole", len(stored.data.params["long"]) == 7000)
ok("dataset", stored.inputs.dataset_inputs[0].dataset.name == "train")
ok("run finished", stored.info.status == "FINISHED" and stored.info.end_time is not None)
ok("text", mlflow.artifacts.load_text(f"runs:/{SK_RUN}/notes/hello.txt") == "hello")
ok("table", len(mlflow.load_table("table.json", run_ids=[SK_RUN])) == 1)
ok("list", {f.path for f in client.list_artifacts(SK_RUN)} >= {"notes", "data.json", "table.json"})

graph = helper.make_graph(
    [helper.make_node("Add", ["x", "x"], ["y"])],
    "double",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])],
)
net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
with mlflow.start_run(run_name="onnx"):
    mlflow.onnx.log_model(net, name="net", input_example=X[:2], registered_model_name="net")
onnx.checker.check_model(mlflow.onnx.load_model("models:/net/1"))
answer = mlflow.pyfunc.load_model("models:/net/1").predict(X[:3])
ok("onnx", np.allclose(answer["y"], X[:3] * 2))

with mlflow.start_run(run_name="lightgbm"):
    booster = lightgbm.train({"verbosity": -1, "min_data_in_leaf": 1}, lightgbm.Dataset(X, y), 3)
    mlflow.lightgbm.log_model(booster, name="trees", registered_model_name="trees")
ok("lightgbm", np.allclose(mlflow.lightgbm.load_model("models:/trees/1").predict(X), booster.predict(X)))

helper_module = os.path.join(FOLDER, "shout_helper.py")
with open(helper_module, "w") as f:
    f.write("def shout(text):\n    return text.upper()\n")
sys.path.insert(0, FOLDER)


class Shouting(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["suffix"]) as f:
            self.suffix = f.read()

    def predict(self, context, model_input: list[str]) -> list[str]:
        from shout_helper import shout

        return [shout(text) + self.suffix for text in model_input]


suffix = os.path.join(FOLDER, "suffix.txt")
with open(suffix, "w") as f:
    f.write("!")
with mlflow.start_run(run_name="pyfunc"):
    mlflow.pyfunc.log_model(
        name="shouting",
        python_model=Shouting(),
        artifacts={"suffix": suffix},
        code_paths=[helper_module],
        registered_model_name="shouting",
    )
ok("pyfunc with code", mlflow.pyfunc.load_model("models:/shouting/1").predict(["a", "b"]) == ["A!", "B!"])

# Autologging, nested runs
mlflow.sklearn.autolog()
mlflow.set_experiment("auto")
with mlflow.start_run(run_name="parent") as parent:
    with mlflow.start_run(run_name="child", nested=True) as child:
        LogisticRegression().fit(X, y)
mlflow.sklearn.autolog(disable=True)
auto = client.get_run(child.info.run_id)
ok("autologging", "training_score" in auto.data.metrics and "C" in auto.data.params)
children = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'", output_format="list")
ok("nested runs", [r.info.run_id for r in children] == [child.info.run_id])
ok("autologged model", len(mlflow.search_logged_models(output_format="list")) == 1)

# The registry
ok("search by name", [m.name for m in client.search_registered_models("name LIKE 's%'")] == ["shouting", "sk"])
ok("search versions", {v.version for v in mlflow.search_model_versions(filter_string="name = 'sk'")} == {1, 2} or {"1", "2"})
ok("search by run", len(client.search_model_versions(f"run_id = '{SK_RUN}'")) == 2)
copy = client.copy_model_version("models:/sk/1", "sk-production")
ok("copy", (mlflow.sklearn.load_model("models:/sk-production/1").predict(X) == model.predict(X)).all())
client.set_model_version_tag("sk", "1", "validated", "yes")
ok("version tag", client.get_model_version("sk", "1").tags == {"validated": "yes"})
client.update_model_version("sk", "1", "Good.")
client.transition_model_version_stage("sk", "1", "Production")
ok("stage", client.get_latest_versions("sk", ["Production"])[0].version in ("1", 1))
ok("load by stage", mlflow.sklearn.load_model("models:/sk/Production") is not None)
client.rename_registered_model("trees", "forest")
ok("renamed", np.allclose(mlflow.lightgbm.load_model("models:/forest/1").predict(X), booster.predict(X)))
foreign = client.create_model_version("sk", "s3://bucket/elsewhere")
ok("reference", foreign.status == "READY" and client.get_model_version_download_uri("sk", foreign.version) == "s3://bucket/elsewhere")
ok("missing alias", refused(lambda: client.get_model_version_by_alias("sk", "none"), "INVALID_PARAMETER_VALUE"))
ok("missing model", refused(lambda: client.get_registered_model("none"), "RESOURCE_DOES_NOT_EXIST"))
ok("exists", refused(lambda: client.create_registered_model("sk"), "RESOURCE_ALREADY_EXISTS"))
client.delete_model_version("sk", foreign.version)
client.delete_registered_model("sk-production")
ok("deleted", [m.name for m in client.search_registered_models("name = 'sk-production'")] == [])

# Prompts
prompt = mlflow.genai.register_prompt(name="greeting", template="Hello {{ name }}!", commit_message="first")
mlflow.genai.register_prompt(name="greeting", template="Hi {{ name }}!")
mlflow.genai.set_prompt_alias("greeting", alias="production", version=2)
ok("prompt", mlflow.genai.load_prompt("prompts:/greeting/1").format(name="Ann") == "Hello Ann!")
ok("prompt alias", mlflow.genai.load_prompt("prompts:/greeting@production").format(name="Ann") == "Hi Ann!")
ok("prompts are no models", "greeting" not in {m.name for m in client.search_registered_models()})
ok("prompt search", [p.name for p in mlflow.genai.search_prompts()] == ["greeting"])

# Artifacts in parts and by signed URLs
big = os.path.join(FOLDER, "big.bin")
data = rng.bytes(12 * 1024 * 1024 + 17)
with open(big, "wb") as f:
    f.write(data)
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "true"
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(5 * 1024 * 1024)
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str(5 * 1024 * 1024)
os.environ["MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE"] = str(5 * 1024 * 1024)
os.environ["MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"] = str(5 * 1024 * 1024)
client.log_artifact(SK_RUN, big, "parts")
with tempfile.TemporaryDirectory() as target:
    path = client.download_artifacts(SK_RUN, "parts/big.bin", target)
    with open(path, "rb") as f:
        ok("multipart upload", f.read() == data)
del os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"]

# A trace is refused without breaking what is traced
with mlflow.start_span("step") as span:
    span.set_inputs({"x": 1})
ok("traced code runs on")

# The command line
ok("cli experiments", "flavours" in cli("experiments", "search"))
ok("cli runs", SK_RUN in cli("runs", "list", "--experiment-id", stored.info.experiment_id))
with tempfile.TemporaryDirectory() as target:
    cli("artifacts", "download", "--artifact-uri", "models:/sk/1", "--dst-path", target)
    ok("cli artifacts download", os.path.exists(os.path.join(target, "MLmodel")))
    rows = os.path.join(target, "rows.json")
    out = os.path.join(target, "out.json")
    with open(rows, "w") as f:
        json.dump({"inputs": X[:2].tolist()}, f)
    cli("models", "predict", "-m", "models:/sk/1", "-i", rows, "-o", out, "--env-manager", "local")
    with open(out) as f:
        ok("cli models predict", json.load(f)["predictions"] == model.predict(X[:2]).tolist())

# Deletion and restoration
client.delete_run(child.info.run_id)
ok("deleted run", client.get_run(child.info.run_id).info.lifecycle_stage == "deleted")
client.restore_run(child.info.run_id)
print(json.dumps({"version": mlflow.__version__, "done": done}))
