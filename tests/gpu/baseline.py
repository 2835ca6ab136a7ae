#!/usr/bin/env python3
"""Times of PyTorch on this GPU, beside those of gpu_bench: what memory and products reach, cuBLAS's dense
layers, and DYAD as the reference computes it, by two batched products."""
import torch

torch.backends.cuda.matmul.allow_tf32 = False
SHAPES = ((4096, 16384), (768, 3072))


def median(run, repeats=15):
    times = []
    for i in range(-3, repeats):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        run(i + 3)
        last.record()
        last.synchronize()
        times.append(first.elapsed_time(last) * 1e-3)
    return sorted(times[3:])[repeats // 2]


def line(kind, name, shape, blocks, rows, seconds, bytes_read, flops):
    print(f"{kind:10} {name:6} {shape[0]:6} {shape[1]:6} {blocks:4} {rows:5} {seconds * 1e6:10.1f} "
          f"{bytes_read / seconds * 1e-12:10.2f} {flops / seconds * 1e-12:10.1f}", flush=True)


def ceilings():
    a, b = (torch.empty(1 << 29, device="cuda", dtype=torch.float32).normal_() for _ in range(2))
    print(f"copy {2 * a.numel() * 4 / median(lambda i: b.copy_(a)) * 1e-12:.2f} TB/s")
    for kind in (torch.bfloat16, torch.float32):
        x, y = (torch.randn(8192, 8192, device="cuda").to(kind) for _ in range(2))
        print(f"product of {kind}: {2 * 8192 ** 3 / median(lambda i: x @ y) * 1e-12:.0f} TFLOP/s")


def layers(kind, depth, outputs):
    size = torch.empty(0, dtype=kind).element_size()
    sets = max(1, (256 << 20) // (depth * outputs * size))
    weights = (torch.randn(sets, outputs, depth, device="cuda") * 0.02).to(kind)
    for rows in (1, 4, 16, 64, 256, 2048):
        x = torch.randn(rows, depth, device="cuda").to(kind)
        seconds = median(lambda i: torch.nn.functional.linear(x, weights[i % sets]))
        line(str(kind)[6:], "dense", (depth, outputs), 1, rows, seconds, depth * outputs * size,
             2 * rows * depth * outputs)
    for blocks in (4, 8):
        pairs = torch.randn(sets, 2, blocks, depth // blocks, outputs // blocks, device="cuda").to(kind)
        for rows in (1, 4, 16, 64, 256, 2048):
            x = torch.randn(rows, depth, device="cuda").to(kind)

            def dyad(i):
                plain = x.view(rows, blocks, -1).transpose(0, 1)
                strided = x.view(rows, -1, blocks).permute(2, 0, 1)
                lower, upper = pairs[i % sets]
                return (torch.bmm(plain, lower) + torch.bmm(strided, upper)).transpose(0, 1).reshape(rows, -1)

            line(str(kind)[6:], "bmm", (depth, outputs), blocks, rows, median(dyad),
                 2 * depth * outputs // blocks * size, 4 * rows * depth * outputs // blocks)


if __name__ == "__main__":
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    ceilings()
    print(f"{'type':10} {'what':6} {'in':>6} {'out':>6} {'DYAD':>4} {'rows':>5} {'us':>10} {'TB/s':>10} {'TFLOP/s':>10}")
    for element in (torch.float32, torch.bfloat16):
        for shape in SHAPES:
            layers(element, *shape)
