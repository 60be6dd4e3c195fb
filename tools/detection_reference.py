"""A plain numpy reference of what `inference` does with a model: fit a picture to the model's
input, decode the output of each family, suppress duplicates, and score the result against truth.

It is written from the manifest format alone (docs/models.md) and shares no code with the Rust
side, so that the recorded outputs in inference/testdata can disagree with either.

A picture here is a numpy array [height, width, 3], uint8, BGR, as OpenCV reads it.
A detection is (class index, score, x0, y0, x1, y1), the box in parts (0..1) of the picture.
"""

import pathlib
import tomllib

import cv2
import numpy as np


def read_manifest(path):
    """The manifest as nested dictionaries, with the optional fields filled in."""
    manifest = tomllib.loads(pathlib.Path(path).read_text())
    shape = manifest["input"]
    shape.setdefault("pad", 114)
    shape.setdefault("mean", [0.0, 0.0, 0.0])
    shape.setdefault("std", [1.0, 1.0, 1.0])
    return manifest


def placement(shape, picture_width, picture_height):
    """The part of the model's input that the picture covers: (width, height) in input pixels."""
    if shape["fit"] == "stretch":
        return shape["width"], shape["height"]
    ratio = min(shape["width"] / picture_width, shape["height"] / picture_height)
    return (
        max(1, min(shape["width"], int(picture_width * ratio))),
        max(1, min(shape["height"], int(picture_height * ratio))),
    )


def fit(shape, picture, interpolation=cv2.INTER_LINEAR):
    """The model's input tensor for one picture."""
    picture_height, picture_width = picture.shape[:2]
    width, height = placement(shape, picture_width, picture_height)
    resized = cv2.resize(picture, (width, height), interpolation=interpolation)
    canvas = np.full((shape["height"], shape["width"], 3), shape["pad"], np.uint8)
    canvas[:height, :width] = resized
    if shape["colour"] == "rgb":
        canvas = canvas[:, :, ::-1]
    if shape["type"] == "f32":
        canvas = canvas.astype(np.float32)
        mean, std = np.float32(shape["mean"]), np.float32(shape["std"])
        if mean.any() or (std != 1).any():
            canvas = (canvas - mean) / std
    if shape["layout"] == "nchw":
        canvas = canvas.transpose(2, 0, 1)
    return np.ascontiguousarray(canvas[None])


def decode(manifest, outputs, picture_width, picture_height, floor):
    """Detections with score > floor, before suppression: array [n, 6].

    `outputs` are the model's raw tensors by name.
    """
    outputs = {name: np.asarray(value, np.float32) for name, value in outputs.items()}
    shape, named = manifest["input"], manifest["output"]
    family = manifest["family"]
    if family == "yolox":
        rows = _decode_yolox(shape, outputs[named["predictions"]][0], floor)
    elif family == "ssd":
        rows = _decode_ssd(
            outputs[named["scores"]][0],
            outputs[named["boxes"]].reshape(-1, 4),
            named.get("first_class", 0),
            floor,
        )
        rows[:, [2, 4]] *= shape["width"]
        rows[:, [3, 5]] *= shape["height"]
    elif family == "centernet":
        table = outputs[named["detections"]].reshape(-1, 6)
        rows = table[table[:, 4] > floor][:, [5, 4, 0, 1, 2, 3]]
    else:
        raise ValueError(f"family {family} has no boxes")
    rows = np.array(rows, np.float32).reshape(-1, 6)
    width, height = placement(shape, picture_width, picture_height)
    rows[:, [2, 4]] = np.clip(rows[:, [2, 4]] / width, 0, 1)
    rows[:, [3, 5]] = np.clip(rows[:, [3, 5]] / height, 0, 1)
    return rows


def _decode_yolox(shape, table, floor):
    grids, strides = [], []
    for stride in (8, 16, 32):
        columns, rows = shape["width"] // stride, shape["height"] // stride
        y, x = np.mgrid[:rows, :columns]
        grids.append(np.stack([x.ravel(), y.ravel()], 1))
        strides.append(np.full((rows * columns, 1), stride))
    grid, stride = np.concatenate(grids), np.concatenate(strides)
    assert len(grid) == len(table), "the output does not belong to this input size"
    scores = table[:, 4:5] * table[:, 5:]
    anchor, kind = np.nonzero(scores > floor)
    centre = (table[anchor, :2] + grid[anchor]) * stride[anchor]
    half = np.exp(table[anchor, 2:4]) * stride[anchor] / 2
    return np.column_stack([kind, scores[anchor, kind], centre - half, centre + half])


def _decode_ssd(scores, boxes, first_class, floor):
    anchor, kind = np.nonzero(scores[:, first_class:] > floor)
    y0, x0, y1, x1 = boxes[anchor].T
    return np.column_stack([kind, scores[anchor, kind + first_class], x0, y0, x1, y1])


def overlap(box, boxes):
    """Intersection over union of one box with many; boxes are x0, y0, x1, y1."""
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return shared / np.maximum(area + areas - shared, 1e-12)


def suppress(rows, iou):
    """Keep the best of overlapping boxes, class by class; the result is sorted by score."""
    kept = []
    for kind in np.unique(rows[:, 0]):
        rest = rows[rows[:, 0] == kind]
        rest = rest[np.argsort(-rest[:, 1], kind="stable")]
        while len(rest):
            kept.append(rest[0])
            rest = rest[1:][overlap(rest[0, 2:], rest[1:, 2:]) <= iou]
    if not kept:
        return np.zeros((0, 6), np.float32)
    kept = np.array(kept)
    return kept[np.argsort(-kept[:, 1], kind="stable")]


def tiles(manifest, picture):
    """The crops a classifier looks at: the whole frame when asked for, then the tiles row by row."""
    layout = manifest["tiles"]
    height, width = picture.shape[:2]
    crops = [picture] if layout.get("frame", True) else []
    tile_width, tile_height = width / layout["columns"], height / layout["rows"]
    grow = layout.get("overlap", 0.0) / 2
    for row in range(layout["rows"]):
        for column in range(layout["columns"]):
            x0, x1 = (column - grow) * tile_width, (column + 1 + grow) * tile_width
            y0, y1 = (row - grow) * tile_height, (row + 1 + grow) * tile_height
            crops.append(
                picture[
                    max(0, int(y0)) : min(height, int(y1)), max(0, int(x0)) : min(width, int(x1))
                ]
            )
    return crops


def positive_probability(manifest, logit):
    """P(class) from a classifier's raw output [n, 1] (sigmoid) or [n, k] (softmax)."""
    logit = np.asarray(logit, np.float32)
    named = manifest["output"]
    if named["activation"] == "sigmoid":
        probability = 1 / (1 + np.exp(-logit[:, 0]))
        return 1 - probability if named.get("positive") == "negated" else probability
    powers = np.exp(logit - logit.max(1, keepdims=True))
    return (powers / powers.sum(1, keepdims=True))[:, int(named["positive"])]


def average_precision(found, truth, iou=0.5):
    """AP over all points of the precision-recall curve, and F1 as a function of the threshold.

    `found` and `truth` are lists, one entry a frame: found [n, 5] score and box, truth [m, 4] box.
    """
    hits = []
    for rows, boxes in zip(found, truth):
        free = np.ones(len(boxes), bool)
        for row in rows[np.argsort(-rows[:, 0], kind="stable")]:
            match = overlap(row[1:], boxes) * free if len(boxes) else np.zeros(0)
            hit = len(match) > 0 and match.max() >= iou
            if hit:
                free[match.argmax()] = False
            hits.append((row[0], hit))
    total = sum(len(boxes) for boxes in truth)
    if not hits:
        return 0.0, lambda threshold: 0.0
    hits.sort(key=lambda pair: -pair[0])
    right = np.cumsum([hit for _, hit in hits])
    precision = right / np.arange(1, len(hits) + 1)
    recall = right / total
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    scores = np.array([score for score, _ in hits])

    def f1_above(threshold):
        count = int((scores > threshold).sum())
        return float(f1[count - 1]) if count else 0.0

    return float(np.sum(np.diff(recall, prepend=0) * envelope)), f1_above
