"""python magika_answers.py FILE … → {model, space, files: [{input, scores, label}]}: what Magika itself makes of them."""

import json
import sys
from pathlib import Path

import magika
from magika.types import Seekable

self = magika.Magika()
config = self._model_config
files = []
for path in map(Path, sys.argv[1:]):
    with path.open("rb") as stream:
        features = self._extract_features_from_seekable(
            Seekable(stream),
            config.beg_size,
            config.mid_size,
            config.end_size,
            config.padding_token,
            config.block_size,
            config.use_inputs_at_offsets,
        )
    files.append(
        {
            "input": [*features.beg, *features.end],
            "scores": self._get_raw_predictions([(path, features)])[0],
            "label": str(self.identify_path(path).dl.label),
        }
    )
model = next(Path(magika.__file__).parent.glob(f"models/{self.get_model_name()}/model.onnx"))
print(json.dumps({"model": str(model), "space": list(map(str, config.target_labels_space)), "files": files}))
