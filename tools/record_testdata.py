"""Record what real models answer to two real pictures, for the tests in `inference`.

    python3 tools/record_testdata.py --dev-data FOLDER --bring FOLDER

writes inference/testdata. FOLDER (--dev-data) holds vtest.avi and fire_house6_CC0.mp4 at any
depth; --bring holds <name>/model.onnx for the manifests in models/bring. The expected lists come
from tools/detection_reference.py, computed from the recorded (rounded) tensors.

It refuses a picture whose answer hangs on rounding: a score within 0.001 of the
threshold, two overlapping candidates with equal scores, an overlap within 0.001 of the limit,
or one place with two classes above the threshold.
"""

import argparse
import json
import os
import pathlib

import cv2
import detection_reference as reference
import numpy as np
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "inference" / "testdata"
VTEST_FRAME = 720
FIRE_FRAME = 300


def frame(path, place):
    film = cv2.VideoCapture(str(path))
    for _ in range(place):
        film.grab()
    return film.read()[1]


def picture(source, place):
    """One frame, through JPEG and back: the picture that the Rust tests see is a JPEG as well."""
    _, jpeg = cv2.imencode(".jpg", frame(source, place), [cv2.IMWRITE_JPEG_QUALITY, 92])
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)


def answer(model, manifest, tensor):
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = [n for key, n in manifest["output"].items() if key in
             ("predictions", "scores", "boxes", "detections", "logit")]  # fmt: skip
    return dict(zip(names, session.run(names, {manifest["input"]["name"]: tensor})))


def entry(row):
    kind, score, *box = (float(value) for value in row)
    return {
        "class": int(kind),
        "score": round(score, 6),
        **{name: round(value, 6) for name, value in zip(("x0", "y0", "x1", "y1"), box)},
    }


def write_json(path, rows):
    lines = ",\n".join("  " + json.dumps(entry(row)) for row in rows)
    path.write_text(f"[\n{lines}\n]\n" if lines else "[]\n")


def check_margins(manifest, outputs, width, height):
    score, iou = manifest["threshold"]["score"], manifest["threshold"]["nms_iou"]
    near = reference.decode(manifest, outputs, width, height, score - 0.001)
    rows = reference.decode(manifest, outputs, width, height, score + 0.001)
    assert len(near) == len(rows), "a score is next to the threshold"
    corners = [tuple(row[2:]) for row in rows]
    assert len(set(corners)) == len(corners), "two classes above the threshold at one place"
    for place, row in enumerate(rows):
        others = np.delete(rows, place, 0)
        others = others[others[:, 0] == row[0]]
        shared = reference.overlap(row[2:], others[:, 2:])
        assert not np.any((others[:, 1] == row[1]) & (shared > iou - 0.001)), "equal scores"
        assert not np.any(np.abs(shared - iou) < 0.001), "an overlap is next to the limit"


def record_detector(family, manifest, model, shot, kind):
    height, width = shot.shape[:2]
    folder = OUT / family
    folder.mkdir(parents=True, exist_ok=True)
    outputs = answer(model, manifest, reference.fit(manifest["input"], shot))
    keys = {name: key for key, name in manifest["output"].items()}
    outputs = {name: value.astype(kind) for name, value in outputs.items()}
    for name, value in outputs.items():
        np.save(folder / f"{keys[name]}.npy", value)
    check_margins(manifest, outputs, width, height)
    rows = reference.decode(manifest, outputs, width, height, manifest["threshold"]["score"])
    rows = reference.suppress(rows, manifest["threshold"]["nms_iou"])
    write_json(folder / "expected.json", rows)
    shapes = {name: value.shape for name, value in outputs.items()}
    print(f"{family}: {len(rows)} detections, {shapes}")


def record_classifier(manifest, model, name, shot):
    folder = OUT / "classifier"
    folder.mkdir(parents=True, exist_ok=True)
    crops = reference.tiles(manifest, shot)
    # One at a time: inside the model the number of pictures is fixed to one.
    logits = np.concatenate(
        [
            next(iter(answer(model, manifest, reference.fit(manifest["input"], crop)).values()))
            for crop in crops
        ]
    )
    np.save(folder / f"{name}.npy", logits.astype("<f4"))
    columns, rows = manifest["tiles"]["columns"], manifest["tiles"]["rows"]
    boxes = [(0, 0, 1, 1)] + [
        (c / columns, r / rows, (c + 1) / columns, (r + 1) / rows)
        for r in range(rows)
        for c in range(columns)
    ]
    probabilities = reference.positive_probability(manifest, logits)
    write_json(folder / f"{name}.json", [(0, p, *box) for p, box in zip(probabilities, boxes)])
    print(f"classifier {name}: P(fire) {np.round(probabilities, 3)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev-data", required=not os.environ.get("XUELIANG_DEV_DATA"),
                        default=os.environ.get("XUELIANG_DEV_DATA"))  # fmt: skip
    parser.add_argument("--bring", type=pathlib.Path, required=True)
    options = parser.parse_args()
    data = pathlib.Path(options.dev_data)
    OUT.mkdir(parents=True, exist_ok=True)
    street = picture(next(data.rglob("vtest.avi")), VTEST_FRAME)
    fire = picture(next(data.rglob("fire_house6_CC0.mp4")), FIRE_FRAME)

    def brought(name):
        manifest = reference.read_manifest(ROOT / "models" / "bring" / f"{name}.toml")
        return manifest, options.bring / name / "model.onnx"

    default = ROOT / "models" / "centernet-mobilenetv3"
    record_detector("yolox", *brought("yolox-nano"), street, "<f2")
    record_detector("ssd", *brought("coco-ssd-mobilenetv2"), street, "<f2")
    record_detector(
        "centernet",
        reference.read_manifest(default / "manifest.toml"),
        default / "model.onnx",
        street,
        "<f4",
    )
    record_classifier(*brought("fire-shufflenet"), "frame", street)
    record_classifier(*brought("fire-shufflenet"), "fire", fire)


if __name__ == "__main__":
    main()
