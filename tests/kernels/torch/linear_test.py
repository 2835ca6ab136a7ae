#!/usr/bin/env python3
"""torch.classes.dyad.Linear against its own matrix and against the plain formulas, in Debian's Python.

Sizes: 1, primes, and one either side of the vector lanes and of the panels of 32 outputs. Tolerance: the
bound that kernels/README.md promises, computed for every output in double.
"""
import concurrent.futures
import copy
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import torch

SOURCE = pathlib.Path(__file__).resolve().parents[3]
LIBRARY = pathlib.Path(os.environ.get("DYAD_BUILD_DIR", SOURCE / "build/release"),
                       "lib/libdyad_torch.so")
torch.ops.load_library(str(LIBRARY))
Linear = torch.classes.dyad.Linear

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "int8": None}
ACTIVATIONS = {
    "none": lambda x: x,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
}
KINDS = ("dense", "it", "ot", "dt")
# blocks, in / blocks, out / blocks
SIZES = ((1, 1, 1), (2, 7, 5), (3, 17, 31), (4, 15, 33))
UNIT = 2.0**-24


class Layer:
    """Random tensors of one kind, the layer made of them, and its matrix by the plain formula."""

    def __init__(self, kind, size, dtype="float32", bias=True):
        blocks, block_in, block_out = size
        self.kind, self.dtype = kind, dtype
        self.inputs, self.outputs = blocks * block_in, blocks * block_out
        if kind == "dense":
            self.tensors = {"weight": torch.randn(self.outputs, self.inputs)}
        else:
            self.tensors = {name: torch.randn(blocks, block_out, block_in) for name in ("wl", "wu")}
        self.bias = torch.randn(self.outputs) if bias else torch.zeros(self.outputs)
        if bias:
            self.tensors["bias"] = self.bias if kind == "dense" else self.bias[:, None]

    def make(self):
        if self.kind == "dense":
            return Linear("dense", self.tensors, "{}", self.dtype)
        return Linear("dyad", self.tensors, json.dumps({"variant": self.kind}), self.dtype)

    def rounded(self, name):
        if self.dtype == "int8":
            # One scale for a row; of "it" for the rows of both tensors, which are one output.
            rows = [self.tensors[n] for n in (("wl", "wu") if self.kind == "it" else (name,))]
            scale = torch.stack([row.abs().amax(-1, keepdim=True) for row in rows]).amax(0) / 127
            return (self.tensors[name] / scale).round() * scale
        return self.tensors[name].to(DTYPES[self.dtype]).float()

    def parts(self):
        """The matrices [out, in], float32, whose sum the layer is."""
        if self.kind == "dense":
            return [self.rounded("weight")]
        result = []
        for name in ("wl", "wu"):
            weight = self.rounded(name)
            blocks, block_out, block_in = weight.shape
            block = torch.arange(blocks)[:, None]
            strided_in = name == "wu" and self.kind in ("it", "dt")
            strided_out = name == "wu" and self.kind in ("ot", "dt")
            i = torch.arange(block_in)
            o = torch.arange(block_out)
            columns = i * blocks + block if strided_in else block * block_in + i
            rows = o * blocks + block if strided_out else block * block_out + o
            matrix = torch.zeros(self.outputs, self.inputs)
            matrix[rows[:, :, None], columns[:, None, :]] = weight
            result.append(matrix)
        return result

    def first_wrong(self, y, x, matrices, activation):
        """Index of the first output outside the bound, or None. NaN is outside."""
        wide = x.double().reshape(-1, self.inputs)
        total = sum(wide @ m.double().T for m in matrices) + self.bias.double()
        size = sum(wide.abs() @ m.double().abs().T for m in matrices) + self.bias.double().abs()
        terms = sum((m != 0).sum(1) for m in matrices)
        expected = ACTIVATIONS[activation](total)
        # int8: one rounding for each scale, at most two, and one in the matrix given here.
        extra = 3 if self.dtype == "int8" else 0
        bound = (terms + 1 + extra) * UNIT * size
        if activation != "none":  # as tests/kernels/sample_layers.h derives it
            exponent = 0 if activation == "relu" else 2 * total.abs() * (1 + total**2 / 20)
            bound = 1.13 * bound + (8 + 6 * exponent) * UNIT * expected.abs() + 1e-37
        bound += UNIT * expected.abs()
        error = (y.double().reshape(expected.shape) - expected).abs()
        wrong = (~(error <= bound)).nonzero()
        return wrong[0].tolist() if len(wrong) else None


class FormulaTest(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)
        torch.set_num_threads(1)

    def test_forward_is_the_plain_formula(self):
        for kind, size, dtype, activation in itertools.product(KINDS, SIZES, DTYPES, ACTIVATIONS):
            layer = Layer(kind, size, dtype)
            linear = layer.make()
            for tokens in (1, 2, 13):
                x = torch.randn(tokens, layer.inputs)
                with self.subTest(kind=kind, size=size, dtype=dtype, act=activation, tokens=tokens):
                    y = linear.forward(x, activation)
                    self.assertEqual(list(y.shape), [tokens, layer.outputs])
                    self.assertIsNone(layer.first_wrong(y, x, layer.parts(), activation))
                    self.assertIsNone(layer.first_wrong(y, x, [linear.dense()], activation))

    def test_dense_is_the_matrix_of_the_rounded_weights(self):
        for kind, size, dtype, bias in itertools.product(KINDS, SIZES, DTYPES, (True, False)):
            layer = Layer(kind, size, dtype, bias)
            with self.subTest(kind=kind, size=size, dtype=dtype, bias=bias):
                # Where both parts have an element, the sum is rounded to float32 once.
                dense, parts = layer.make().dense(), layer.parts()
                if dtype == "int8":  # each part given here is a rounded product
                    limit = 2 * UNIT * sum(part.abs() for part in parts)
                    self.assertTrue(((dense - sum(parts)).abs() <= limit).all())
                else:
                    self.assertTrue(torch.equal(dense, sum(parts)))

    def test_two_factors(self):
        v, u, bias = torch.randn(3, 7), torch.randn(5, 3), torch.randn(5)
        x = torch.randn(4, 7)
        low_rank = Linear("low_rank", {"lr_weight1": v, "lr_weight2": u, "bias": bias}, "{}", "float32")
        expected = (x.double() @ v.double().T @ u.double().T + bias.double()).float()
        self.assertTrue(torch.allclose(low_rank.forward(x, "none"), expected, atol=1e-5))
        self.assertTrue(torch.allclose(low_rank.dense(), u @ v, atol=1e-5))
        first, second = torch.randn(4, 2, 3), torch.randn(4, 5, 2)
        x = torch.randn(4, 12)
        monarch = Linear("monarch", {"blkdiag1": first, "blkdiag2": second}, "{}", "float32")
        h = torch.einsum("bji,tbi->tbj", first, x.view(4, 4, 3)).reshape(4, 2, 4)  # [t, j, block]
        expected = torch.einsum("boj,tjb->tob", second, h).reshape(4, 20)
        self.assertTrue(torch.allclose(monarch.forward(x, "none"), expected, atol=1e-5))

    def test_by_hand(self):
        """Catches wl and wu swapped, in the layer and in the formula above alike."""
        tensors = {"wl": torch.tensor([[[1.0, 10]], [[100, 1000]]]),
                   "wu": torch.tensor([[[5.0, 7]], [[11, 13]]])}
        x = torch.tensor([1.0, 2, 3, 4])
        it = Linear("dyad", tensors, "{}", "float32").forward(x, "none")
        self.assertEqual(it.tolist(), [1 + 20 + 5 + 21, 300 + 4000 + 22 + 52])

    def test_the_comparison_notices_one_wrong_weight_and_nan(self):
        layer = Layer("it", (4, 17, 8))
        x = torch.ones(2, layer.inputs)
        y = layer.make().forward(x, "gelu")
        layer.tensors["wu"][3, 7, 16] += 1e-3
        self.assertEqual(layer.first_wrong(y, x, layer.parts(), "gelu"), [0, 31])
        y[0, 2] = float("nan")
        self.assertEqual(layer.first_wrong(y, x, layer.parts(), "gelu"), [0, 2])

    def test_a_layer_of_a_real_model(self):
        torch.set_num_threads(2)
        layer = Layer("it", (4, 192, 768), "bfloat16")
        x = torch.randn(7, 768)
        y = layer.make().forward(x, "relu")
        self.assertIsNone(layer.first_wrong(y, x, layer.parts(), "relu"))


class InputTest(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(2)
        torch.set_num_threads(2)

    def test_threads_and_company_do_not_change_a_bit(self):
        for kind, dtype in itertools.product(KINDS, DTYPES):
            layer = Layer(kind, (4, 65, 192), dtype)  # enough work to be shared
            linear = layer.make()
            x = torch.randn(600, layer.inputs)  # more than the kernels take at once
            torch.set_num_threads(1)
            one = linear.forward(x, "gelu")
            torch.set_num_threads(2)
            two = linear.forward(x, "gelu")
            with self.subTest(kind=kind, dtype=dtype):
                self.assertTrue(torch.equal(one, two))
                for row in (0, 11, 12, 511, 512, 599):
                    self.assertTrue(torch.equal(linear.forward(x[row], "gelu"), one[row]))

    def test_any_strides_and_leading_dimensions(self):
        layer = Layer("ot", (2, 6, 5))
        linear = layer.make()
        whole = torch.randn(4, 3, 12)
        flat = linear.forward(whole.reshape(12, 12), "none")
        for name, x in {
            "leading": whole,
            "feature first": whole.permute(2, 0, 1).contiguous().permute(1, 2, 0),
            "column slice": torch.cat([whole, whole], 2)[:, :, :12],
            "every second": whole.repeat_interleave(2, 2)[:, :, ::2],
            "shifted": torch.cat([torch.zeros(1), whole.flatten()])[1:].view(4, 3, 12),
            "negative view": torch._neg_view(-whole),
        }.items():
            with self.subTest(name):
                self.assertTrue(torch.equal(linear.forward(x, "none"), flat.view(4, 3, 10)))
        one = linear.forward(whole[0, 0].expand(5, 12), "none")
        self.assertTrue(torch.equal(one, flat[0].expand(5, 10)))
        single = Layer("dense", (1, 1, 3)).make()  # one feature: its stride means nothing
        x = torch.randn(5, 4)
        self.assertTrue(torch.equal(single.forward(x[:, 1:2], "none"),
                                    single.forward(x[:, 1:2].clone(), "none")))

    def test_empty_batches(self):
        linear = Layer("dt", (2, 6, 5)).make()
        for shape in ((0,), (0, 3), (3, 0), (2, 0, 3)):
            self.assertEqual(list(linear.forward(torch.empty(*shape, 12), "relu").shape), [*shape, 10])

    def test_the_result_is_new_and_has_no_gradient(self):
        layer = Layer("dense", (1, 8, 8))
        layer.tensors["weight"].requires_grad_()
        linear = layer.make()
        x = torch.randn(3, 8, requires_grad=True)
        y = linear.forward(x, "none")
        self.assertFalse(y.requires_grad)
        self.assertFalse(linear.dense().requires_grad)
        before = y.clone()
        linear.forward(torch.randn(3, 8), "none")
        self.assertTrue(torch.equal(y, before))

    def test_the_layer_keeps_copies(self):
        layer = Layer("it", (2, 6, 5))
        linear = layer.make()
        x = torch.randn(2, 12)
        y, matrix = linear.forward(x, "none"), linear.dense()
        for tensor in layer.tensors.values():
            tensor.zero_()
        self.assertTrue(torch.equal(linear.forward(x, "none"), y))
        self.assertTrue(torch.equal(linear.dense(), matrix))

    def test_tensors_of_any_floating_type_and_strides(self):
        layer = Layer("it", (2, 6, 5))
        layer.tensors = {name: tensor.half().float() for name, tensor in layer.tensors.items()}
        matrix = layer.make().dense()
        for change in (torch.Tensor.double, torch.Tensor.half,
                       lambda t: t.transpose(0, -1).contiguous().transpose(0, -1)):
            other = copy.copy(layer)
            other.tensors = {name: change(tensor) for name, tensor in layer.tensors.items()}
            self.assertTrue(torch.equal(other.make().dense(), matrix))

    def test_many_python_threads_share_a_layer(self):
        layer = Layer("it", (4, 65, 192))
        linear = layer.make()
        inputs = [torch.randn(n, layer.inputs) for n in range(1, 33)]
        alone = [linear.forward(x, "relu") for x in inputs]

        def run(i):
            torch.set_num_threads(1 + i % 2)
            return all(torch.equal(linear.forward(inputs[i], "relu"), alone[i]) for _ in range(20))

        with concurrent.futures.ThreadPoolExecutor(4) as executor:
            self.assertTrue(all(executor.map(run, range(32))))

    def test_a_forked_child_has_threads_of_its_own(self):
        layer = Layer("it", (4, 65, 192))
        linear = layer.make()
        x = torch.randn(64, layer.inputs)
        torch.set_num_threads(2)
        y = linear.forward(x, "relu")
        child = os.fork()
        if child == 0:  # nothing here may need torch's own threads, which did not come along
            same = linear.forward(x, "relu").tolist() == y.tolist()
            threads = len(os.listdir("/proc/self/task"))
            os._exit(0 if same and threads == 2 else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


class ErrorTest(unittest.TestCase):
    """Each message names the field, the value and what was expected."""

    def expect(self, parts, call, *arguments):
        with self.assertRaises(ValueError) as caught:
            call(*arguments)
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_constructor(self):
        weight, block = torch.randn(4, 6), torch.randn(2, 2, 3)
        dense, dyad = {"weight": weight}, {"wl": block, "wu": block}
        nan = torch.full((4, 6), float("nan"))
        for parts, arguments in (
            (["kind", "'nonesuch'", "dense, dyad"], ("nonesuch", dense, "{}", "float32")),
            (["weight_dtype", "'int4'", "bfloat16"], ("dense", dense, "{}", "int4")),
            (["options_json", "'[1]'", "JSON object"], ("dense", dense, "[1]", "float32")),
            (["options_json", "'{'", "JSON object"], ("dense", dense, "{", "float32")),
            (["options_json", "'variant'", "dense"], ("dense", dense, '{"variant": "it"}', "float32")),
            (["options_json", "'blocks'", "dyad"], ("dyad", dyad, '{"blocks": 2}', "float32")),
            (["variant", "'xt'", "it, ot or dt"], ("dyad", dyad, '{"variant": "xt"}', "float32")),
            (["variant", "number", "string"], ("dyad", dyad, '{"variant": 1}', "float32")),
            (["tensors", "weight", "wl, wu"], ("dyad", dense, "{}", "float32")),
            (["tensors", "wl, wu", "weight"], ("dense", dyad, "{}", "float32")),
            (["tensors", "none", "weight"], ("dense", {}, "{}", "float32")),
            (["tensors", "scale, weight", "bias"],
             ("dense", {**dense, "scale": weight}, "{}", "float32")),
            (["tensors['weight']", "[2, 2, 3]", "[out, in]"],
             ("dense", {"weight": block}, "{}", "float32")),
            (["tensors['weight']", "[0, 3]"], ("dense", {"weight": weight[:0, :3]}, "{}", "float32")),
            (["tensors['wl']", "[4, 6]", "[blocks, out/blocks, in/blocks]"],
             ("dyad", {"wl": weight, "wu": weight}, "{}", "float32")),
            (["tensors['wu']", "[2, 2, 2]", "[2, 2, 3]"],
             ("dyad", {"wl": block, "wu": block[:, :, :2]}, "{}", "float32")),
            (["tensors['bias']", "[3]", "[4] or [4, 1]"],
             ("dyad", {**dyad, "bias": torch.zeros(3)}, "{}", "float32")),
            (["tensors['bias']", "[4, 1]", "expected [4]"],
             ("dense", {**dense, "bias": torch.zeros(4, 1)}, "{}", "float32")),
            (["tensors['weight']", "Int", "float32"],
             ("dense", {"weight": weight.int()}, "{}", "float32")),
            (["tensors['weight']", "finite"], ("dense", {"weight": nan}, "{}", "float32")),
            (["tensors['weight']", "overflows float16"],
             ("dense", {"weight": weight * 1e6}, "{}", "float16")),
            (["tensors['weight']", "meta", "cpu"],
             ("dense", {"weight": weight.to("meta")}, "{}", "float32")),
            (["tensors['weight']", "Sparse", "Strided"],
             ("dense", {"weight": weight.to_sparse()}, "{}", "float32")),
        ):
            with self.subTest(parts):
                self.expect(parts, Linear, *arguments)

    def test_forward(self):
        linear = Linear("dense", {"weight": torch.randn(4, 6)}, "{}", "float32")
        good = torch.randn(2, 6)
        for parts, arguments in (
            (["activation", "'tanh'", "gelu_tanh"], (good, "tanh")),
            (["x", "[2, 5]", "in = 6"], (good[:, :5], "none")),
            (["x", "[]", "in = 6"], (torch.tensor(1.0), "none")),
            (["x", "Double", "float32"], (good.double(), "none")),
            (["x", "meta", "cpu"], (good.to("meta"), "none")),
            (["x", "Sparse", "Strided"], (good.to_sparse(), "none")),
        ):
            with self.subTest(parts):
                self.expect(parts, linear.forward, *arguments)

    def test_wrong_python_types_and_pickling(self):
        linear = Linear("dense", {"weight": torch.randn(4, 6)}, "{}", "float32")
        with self.assertRaisesRegex(RuntimeError, "weight_dtype"):
            Linear("dense", {"weight": torch.randn(4, 6)}, "{}", 32)
        with self.assertRaises(RuntimeError):
            linear.forward([1.0] * 6, "none")
        with tempfile.TemporaryFile() as file, self.assertRaisesRegex(RuntimeError, "serialize"):
            torch.save(linear, file)


class ExampleTest(unittest.TestCase):
    def test_runs(self):
        for flags in ([], ["--weight_dtype=bfloat16", "--blocks=8", "--tokens=5", "--threads=1"]):
            result = subprocess.run(
                [sys.executable, str(SOURCE / "kernels/torch/example.py"), f"--library={LIBRARY}",
                 "--in_features=64", "--out_features=128", "--megabytes=1", *flags],
                capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stderr)
            for name in ("this library", "torch, dense", "torch, reference form"):
                self.assertRegex(result.stdout, rf"{name} +[0-9.]+ us")


if __name__ == "__main__":
    unittest.main()
