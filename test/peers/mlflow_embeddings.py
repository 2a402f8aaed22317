"""Logs a sentence-transformers model that a package ships and a transformers pipeline, registers them, and loads them."""

import os
import sys
import warnings
from pathlib import Path

URI, FOLDER = sys.argv[1:]
warnings.filterwarnings("ignore")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

import importlib.util

import mlflow
import numpy as np
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, StaticEmbedding
from tokenizers import Tokenizer

shipped = Path(importlib.util.find_spec("wordllama").origin).parent
weights = load_file(shipped / "weights/l2_supercat_256.safetensors")["embedding.weight"].float().numpy()
tokenizer = Tokenizer.from_file(str(shipped / "tokenizers/l2_supercat_tokenizer_config.json"))
model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights), Normalize()], device="cpu")

sentences = ["a cat sat on the mat", "the kitten is asleep", "corporate tax law", "", "naïve café ☕"]
expected = model.encode(sentences)
# It is a model that has learned something, and not noise.
assert expected[0] @ expected[1] > 0.25 > expected[0] @ expected[2], expected @ expected.T

mlflow.set_tracking_uri(URI)
mlflow.set_experiment("embeddings")
client = mlflow.MlflowClient()
with mlflow.start_run():
    logged = mlflow.sentence_transformers.log_model(
        model, name="model", pip_requirements=["sentence-transformers"], registered_model_name="embedder"
    )
with mlflow.start_run():
    mlflow.sentence_transformers.log_model(model, name="model", pip_requirements=["sentence-transformers"], registered_model_name="embedder")
client.set_registered_model_alias("embedder", "champion", "1")

version = client.get_model_version("embedder", "1")
assert version.status == "READY", version
for uri in ("models:/embedder/1", "models:/embedder@champion", logged.model_uri):
    assert np.array_equal(mlflow.sentence_transformers.load_model(uri).encode(sentences), expected), uri
    assert np.allclose(mlflow.pyfunc.load_model(uri).predict(sentences), expected, atol=1e-6), uri
assert [m.name for m in mlflow.search_registered_models()] == ["embedder"]
path = Path(mlflow.artifacts.download_artifacts("models:/embedder/2", dst_path=FOLDER))
names = sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())
assert any(name.endswith("model.safetensors") for name in names), names
print("checked", len(names))

# A transformers pipeline, made here: no hub is asked.
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast, pipeline

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "model"]
vocabulary = Path(FOLDER) / "vocab.txt"
vocabulary.write_text("\n".join(words))
torch.manual_seed(0)
config = BertConfig(vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
bert = BertForSequenceClassification(config).eval()
classify = pipeline("text-classification", model=bert, tokenizer=BertTokenizerFast(str(vocabulary)))
with mlflow.start_run():
    mlflow.transformers.log_model(
        classify, name="model", pip_requirements=["transformers"], input_example="good model", registered_model_name="tiny-bert"
    )
[expected] = classify("bad model")
[answer] = mlflow.transformers.load_model("models:/tiny-bert/1")("bad model")
[row] = mlflow.pyfunc.load_model("models:/tiny-bert/1").predict(["bad model"]).to_dict("records")
for got in (answer, row):
    assert got["label"] == expected["label"] and abs(got["score"] - expected["score"]) < 1e-6, (got, expected)
print("classified", expected["label"])
