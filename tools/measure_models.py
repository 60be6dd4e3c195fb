"""Measure detection models: time on one CPU thread, and AP50 for persons on an annotated clip.

    python3 tools/measure_models.py --dev-data FOLDER [--bring FOLDER] [CANDIDATE ...]

needs Python 3.11 with numpy, opencv-python-headless and onnxruntime. A candidate is a folder with
model.onnx and manifest.toml; without any named, the default model is measured. --bring FOLDER
measures FOLDER/<name>/model.onnx beside models/bring/<name>.toml; these are not chosen from.

FOLDER (--dev-data, or XUELIANG_DEV_DATA) holds, at any depth,
- vtest.avi, from the Debian package opencv-doc, and
- vtest_PETS09-S2L1_gt.txt, its persons in MOT format (PETS 2009 S2.L1; not shipped, its licence
  excludes commercial use).
Without them the script prints `no data` and succeeds.

Two figures of AP50 (all-point interpolation, IoU 0.5):
- vtest: every fifth frame;
- halved: four frames of those, far apart in time, halved and set side by side into one picture
  of the same size. Nine in ten persons are 30 to 63 pixels tall, as on a wide street view.

The threshold is the greatest score, in steps of 0.05, at which the mean F1 of both is within 0.01
of its best: where it hardly matters, fewer false detections are preferred.

Milliseconds are CPU time of one run, the minimum over rounds that take turns between the models,
so that a busy machine slows all alike.
"""

import argparse
import math
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEP = 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("candidates", nargs="*", type=pathlib.Path)
    parser.add_argument("--bring", type=pathlib.Path)
    parser.add_argument("--dev-data", default=os.environ.get("XUELIANG_DEV_DATA"))
    parser.add_argument("--step", type=int, default=STEP, help="look at every n-th frame")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--least-vtest", type=float, default=0.85)
    parser.add_argument("--least-halved", type=float, default=0.70)
    return parser.parse_args()


def find(folder, name):
    return next(iter(sorted(pathlib.Path(folder).rglob(name))), None) if folder else None


def frames_and_truth(film_path, truth_path, step):
    """Every step-th frame, and for each the boxes of persons in parts of the picture."""
    film = cv2.VideoCapture(str(film_path))
    truth = {}
    for line in truth_path.read_text().splitlines():
        frame, _, x, y, width, height = map(float, line.split(",")[:6])
        truth.setdefault(int(frame) - 1, []).append((x, y, x + width, y + height))
    pictures, boxes, place = [], [], 0
    while True:
        there, picture = film.read()
        if not there:
            return pictures, boxes
        if place % step == 0:
            high, wide = picture.shape[:2]
            corners = np.array(truth.get(place, [])).reshape(-1, 4) / (wide, high, wide, high)
            pictures.append(picture)
            boxes.append(np.clip(corners, 0, 1))
        place += 1


def halved(pictures, boxes):
    """Four frames at half size in one picture, a quarter of the clip apart from each other."""
    apart = len(pictures) // 4
    high, wide = pictures[0].shape[:2]
    sheets, truth = [], []
    for first in range(apart):
        sheet, corners = np.zeros_like(pictures[0]), []
        for quarter in range(4):
            place = first + quarter * apart
            row, column = divmod(quarter, 2)
            small = cv2.resize(
                pictures[place], (wide // 2, high // 2), interpolation=cv2.INTER_AREA
            )
            y, x = row * (high // 2), column * (wide // 2)
            sheet[y : y + small.shape[0], x : x + small.shape[1]] = small
            corners.append(boxes[place] / 2 + np.array([column, row, column, row]) / 2)
        sheets.append(sheet)
        truth.append(np.concatenate(corners))
    return sheets, truth


class Candidate:
    def __init__(self, name, model, manifest, eligible):
        self.name, self.eligible, self.bytes = name, eligible, model.stat().st_size
        self.manifest = reference.read_manifest(manifest)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.persons = [c["index"] for c in self.manifest["class"] if c["meaning"] == "person"]
        self.ms = math.inf

    def run(self, tensor):
        values = self.session.run(self.outputs, {self.manifest["input"]["name"]: tensor})
        return dict(zip(self.outputs, values))

    def time(self, picture, runs=4):
        tensor = reference.fit(self.manifest["input"], picture)
        self.run(tensor)
        for _ in range(runs):
            start = time.process_time()
            self.run(tensor)
            self.ms = min(self.ms, (time.process_time() - start) * 1e3)

    def score(self, pictures, truth):
        found = []
        for picture in pictures:
            high, wide = picture.shape[:2]
            outputs = self.run(reference.fit(self.manifest["input"], picture))
            rows = reference.decode(self.manifest, outputs, wide, high, 0.01)
            rows = rows[np.isin(rows[:, 0], self.persons)]
            found.append(reference.suppress(rows, self.manifest["threshold"]["nms_iou"])[:, 1:])
        return reference.average_precision(found, truth)


def threshold(f1, f1_halved):
    def mean_f1(score):
        return (f1(score) + f1_halved(score)) / 2

    steps = [n / 20 for n in range(1, 20)]
    best = max(map(mean_f1, steps))
    return max(score for score in steps if mean_f1(score) >= best - 0.01)


def candidates(options):
    folders = options.candidates or [ROOT / "models" / "centernet-mobilenetv3"]
    for folder in folders:
        yield Candidate(folder.name, folder / "model.onnx", folder / "manifest.toml", True)
    for manifest in sorted((ROOT / "models" / "bring").glob("*.toml")) if options.bring else []:
        model = options.bring / manifest.stem / "model.onnx"
        detects = reference.read_manifest(manifest)["family"] != "classifier"
        if model.exists() and detects:
            yield Candidate(f"{manifest.stem} (bring)", model, manifest, False)


def main():
    options = arguments()
    film = find(options.dev_data, "vtest.avi")
    truth = find(options.dev_data, "vtest_PETS09-S2L1_gt.txt")
    if not film or not truth:
        print("no data")
        return
    # Imported here so that a machine without data needs nothing installed.
    global cv2, np, onnxruntime, reference
    import cv2
    import detection_reference as reference
    import numpy as np
    import onnxruntime

    pictures, boxes = frames_and_truth(film, truth, options.step)
    sheets, sheet_boxes = halved(pictures, boxes)
    measured = list(candidates(options))
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", end="\r", file=sys.stderr)
        for candidate in measured:
            candidate.time(pictures[0])
    for candidate in measured:
        print(f"AP50 of {candidate.name:40}", end="\r", file=sys.stderr)
        candidate.ap, f1 = candidate.score(pictures, boxes)
        candidate.ap_halved, f1_halved = candidate.score(sheets, sheet_boxes)
        candidate.threshold = threshold(f1, f1_halved)
    passing = [
        c
        for c in measured
        if c.eligible and c.ap >= options.least_vtest and c.ap_halved >= options.least_halved
    ]
    chosen = max(passing, key=lambda c: c.ap / c.ms, default=None)
    print(
        "| candidate | bytes | ms, one thread | AP50 vtest | AP50 halved | AP50 per s of CPU "
        "| threshold | chosen |\n|---|---|---|---|---|---|---|---|"
    )
    for c in sorted(measured, key=lambda c: c.ms):
        print(
            f"| {c.name} | {c.bytes:,} | {c.ms:.1f} | {c.ap:.3f} | {c.ap_halved:.3f} "
            f"| {c.ap / c.ms * 1e3:.1f} | {c.threshold:.2f} | {'yes' if c is chosen else ''} |"
        )
    print(
        f"\n{len(pictures)} frames, {sum(map(len, boxes))} persons; halved: {len(sheets)} pictures. "
        f"onnxruntime {onnxruntime.__version__}, 1 thread. Least AP50: vtest "
        f"{options.least_vtest:.2f}, halved {options.least_halved:.2f}."
    )


if __name__ == "__main__":
    main()
