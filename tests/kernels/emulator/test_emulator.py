"""The emulator: kernels that are right give right numbers, and planted bugs are found."""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from oneiro.kernels.emulator import EmulatorError, Module

pytestmark = pytest.mark.emulator

FOLDER = Path(__file__).parent
MODES = ["fast", "check"]
SCHEDULES = ["order", "reverse", "random"]
WARP = ((1,), (32,))  # a grid and a block


@pytest.fixture
def random():
    return np.random.default_rng(7)


@functools.cache
def module(file, mode):
    text = (FOLDER / file).read_text("utf-8")
    return Module(f'#line 1 "{file}"\n{text}', mode)


def kernel(file, function, mode="check"):
    """A kernel of a file beside this one."""
    return module(file, mode).function(function)


def variant(file, name):
    """The number that a file gives to one of its variants, most of them planted bugs."""
    text = (FOLDER / file).read_text("utf-8")
    return np.int32(re.search(rf"^#define {name} (\d+)$", text, re.MULTILINE)[1] if name else 0)


def ints(*values):
    return tuple(map(np.int32, values))


def floats(random, *shape):
    return random.standard_normal(shape, dtype=np.float32)


def unwritten(*shape):
    return np.full(shape, np.nan, np.float32)


def blocks(count, threads):
    return (-(-count // threads),)


def error(y, reference):
    return np.linalg.norm(y - reference) / np.linalg.norm(reference)


# -- a tiled convolution: barriers, shared memory, borders -----------------------------------------


def convolution(random, mode, schedule="order", bug=""):
    """How far the kernel is from NumPy: 20 filters of 3 x 3 over 5 x 13 x 11."""
    x = floats(random, 5, 13, 11)
    w = floats(random, 20, 5, 3, 3)
    b = floats(random, 20)
    y = unwritten(20, 13, 11)
    grid = (*blocks(13 * 11, 16), *blocks(20, 16))
    args = (y, x, w, b, *ints(20, 5, 13, 11), variant("convolution.cu", bug))
    kernel("convolution.cu", "convolution", mode)(grid, (16, 16), args, schedule=schedule)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x.astype(float), ((0, 0), (1, 1), (1, 1))), (3, 3), axis=(1, 2)
    )
    return error(y, np.einsum("chvrs,ocrs->ohv", windows, w.astype(float)) + b[:, None, None])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("mode", MODES)
def test_a_tiled_convolution(random, mode, schedule):
    assert convolution(random, mode, schedule) < 1e-6


def test_a_read_below_the_picture_is_out_of_bounds(random):
    with pytest.raises(EmulatorError) as raised:
        convolution(random, "check", bug="OUT_OF_BOUNDS")
    assert str(raised.value).startswith(
        "convolution: out-of-bounds read of 4 bytes at byte 2860 of args[1] "
        "(const float* __restrict__ x, float32 (5, 13, 11)) at convolution.cu:"
    )


def test_a_missing_barrier_is_a_race(random):
    with pytest.raises(EmulatorError, match=r"data race .* static shared memory.*cu:\d+, in block"):
        convolution(random, "check", bug="MISSING_BARRIER")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_missing_barrier_gives_wrong_numbers_in_fast_mode(random, schedule):
    assert not convolution(random, "fast", schedule, "MISSING_BARRIER") < 1e-2


# -- pooling: bytes, gathers, a scatter that races -------------------------------------------------

POOLS = [(8, 24, 26, 3, 2, 1), (4, 33, 31, 3, 1, 1), (4, 16, 18, 2, 2, 0)]


def pooled(random, mode, channels, height, width, size, stride, pad):
    """The kernel's result and what the kernels take; NumPy's result is checked against."""
    rows = (height + 2 * pad - size) // stride + 1
    columns = (width + 2 * pad - size) // stride + 1
    x = floats(random, channels, height, width)
    y = unwritten(channels, rows, columns)
    place = np.full(y.shape, 255, np.uint8)
    window = ints(channels, height, width, rows, columns, size, stride, pad)
    kernel("pool.cu", "max_pool", mode)(blocks(y.size, 64), (64,), (y, place, x, *window))
    full = np.pad(x, ((0, 0), (pad, pad), (pad, pad)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(full, (size, size), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].reshape(*y.shape, -1)
    np.testing.assert_array_equal(y, windows.max(axis=-1))
    np.testing.assert_array_equal(place, windows.argmax(axis=-1))
    return y, place, window


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", POOLS)
def test_max_pooling_and_its_way_back(random, case, mode):
    channels, height, width, size, stride, pad = case
    _, place, window = pooled(random, mode, *case)
    dy = floats(random, *place.shape)
    dx = unwritten(channels, height, width)
    run = kernel("pool.cu", "max_pool_backward", mode)
    run(blocks(dx.size, 64), (64,), (dx, dy, place, *window))
    c, p, q = np.indices(place.shape)
    reference = np.zeros((channels, height + 2 * pad, width + 2 * pad))
    np.add.at(reference, (c, p * stride + place // size, q * stride + place % size), dy)
    inside = reference[:, pad : pad + height, pad : pad + width]
    assert error(dx, inside) < 1e-6


def test_adding_where_windows_overlap_is_a_race(random):
    dy, place, window = pooled(random, "check", *POOLS[0])
    dx = np.zeros((8, 24, 26), np.float32)
    run = kernel("pool.cu", "max_pool_scatter")
    with pytest.raises(EmulatorError, match=r"data race .* of args\[0\] \(float\* __restrict__ dx"):
        run(blocks(dy.size, 64), (64,), (dx, dy, place, *window))


# -- threads that wait for nobody ------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", [1, 2, 3])
def test_a_relu_by_four_elements_and_a_rest(random, rule, mode):
    count = 1027
    y = np.maximum(floats(random, count), 0)
    dy = floats(random, count)
    dx = unwritten(count)
    run = kernel("pointwise.cu", "relu_backward", mode)
    run(blocks(count, 256), (64,), (dx, y, dy, *ints(rule, count - 1)))
    reference = {1: dy * (y > 0), 2: np.maximum(dy, 0) * (y > 0), 3: np.maximum(dy, 0)}[rule]
    np.testing.assert_array_equal(dx, reference)


@pytest.mark.parametrize("mode", MODES)
def test_a_roll(random, mode):
    x = floats(random, 3, 17, 13)
    y = unwritten(3, 17, 13)
    run = kernel("pointwise.cu", "roll", mode)
    run(blocks(x.size, 96), (96,), (y, x, *ints(3, 17, 13, -5, 30)))
    np.testing.assert_array_equal(y, np.roll(x, (-5, 30), (1, 2)))


def test_mathematics_is_cudas(random):
    a = np.concatenate([floats(random, 60) * 3, np.float32([0.5, 2.5, np.nan, -np.inf, 1])])
    b = np.concatenate([floats(random, 60), np.float32([-2, 0.3, 1, 1, np.nan])])
    y = unwritten(14, 65)
    kernel("pointwise.cu", "mathematics", "fast")((1,), (96,), (y, a, b, np.int32(65)))
    x, z = a.astype(float), b.astype(float)
    with np.errstate(all="ignore"):
        reference = [
            np.exp(x), np.log(abs(x)), np.tanh(x), special.erf(x), abs(x) ** z, np.fmax(x, z),
            np.fmin(x, z), np.rint(x), np.floor(x), np.fmod(x, z), np.copysign(x, z),
            1 / np.sqrt(abs(x)), np.isnan(x), np.isinf(x),
        ]  # fmt: skip
    np.testing.assert_allclose(y, reference, rtol=2e-6)


# -- what warps and blocks do together -------------------------------------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("mode", MODES)
def test_a_sum_by_shuffles_and_an_atomic(random, mode, schedule):
    x = floats(random, 1999)
    total = np.zeros(1, np.float32)
    run = kernel("reduction.cu", "absolute_sum", mode)
    run((3,), (128,), (total, x, *ints(x.size, 0)), schedule=schedule)
    assert abs(total[0] / np.abs(x).sum() - 1) < 1e-5


def test_reading_the_sums_of_warps_too_early_is_found(random):
    x = floats(random, 1000)
    args = (
        np.zeros(1, np.float32),
        x,
        np.int32(x.size),
        variant("reduction.cu", "MISSING_BARRIER"),
    )
    with pytest.raises(EmulatorError, match=r"uninitialised static shared|data race"):
        kernel("reduction.cu", "absolute_sum")((1,), (256,), args)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("width", [32, 8])
def test_shuffles(random, width, schedule):
    x = random.integers(-99, 99, 32).astype(np.int32)
    y = np.zeros((4, 32), np.int32)
    kernel("warp.cu", "shuffles")(*WARP, (y, x, *ints(3, width)), schedule=schedule)
    lane = np.arange(32)
    segment = lane // width * width
    np.testing.assert_array_equal(y[0], x[segment + 3])
    np.testing.assert_array_equal(y[1], x[np.where(lane - 3 < segment, lane, lane - 3)])
    np.testing.assert_array_equal(y[2], x[np.where(lane + 3 >= segment + width, lane, lane + 3)])
    np.testing.assert_array_equal(y[3], x[lane ^ 3])


def test_votes(random):
    x = random.integers(-9, 9, 32).astype(np.int32)
    y = np.zeros((3, 32), np.uint32)
    kernel("warp.cu", "votes")(*WARP, (y, x))
    assert set(y[0]) == {sum(1 << lane for lane in range(32) if x[lane] > 0)}
    assert set(y[1]) == {1}
    assert set(y[2]) == {0}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_halves_of_a_warp_go_their_own_ways(random, schedule):
    x = random.integers(-9, 9, 32).astype(np.int32)
    y = np.zeros(32, np.int32)
    kernel("warp.cu", "halves")(*WARP, (y, x), schedule=schedule)
    np.testing.assert_array_equal(y[:16], x[np.arange(16) ^ 1])
    assert set(y[16:]) == {np.count_nonzero(x[16:] > 0)}


def test_atomics():
    sums = np.zeros(1, np.int32)
    ring, largest = np.zeros((2, 1), np.uint32)
    total = np.zeros(1, np.float32)
    kernel("warp.cu", "counters")((3,), (40,), (sums, ring, largest, total))
    assert sums[0] == 3 * sum(range(-10, 30))
    assert ring[0] == 120 % 7
    assert largest[0] == 28
    assert total[0] == 60


def test_syncwarp_puts_the_lanes_of_a_warp_in_order():
    x = np.float32([40, 2])
    y = unwritten(32)
    run = kernel("warp.cu", "within_warp")
    run(*WARP, (y, x, np.int32(0)))
    assert set(y) == {42}
    with pytest.raises(EmulatorError, match=r"data race .* at warp.cu:\d+"):
        run(*WARP, (y, x, variant("warp.cu", "MISSING_SYNCWARP")), schedule="reverse")


# -- the last block of a sum reads what the others wrote -------------------------------------------


def last_block_sum(random, mode, schedule, name=""):
    x = floats(random, 1999)
    total = unwritten(1)
    partial = unwritten(5, 64)
    count = np.zeros(1, np.uint32)
    args = (total, partial, count, x, np.int32(x.size), variant("last_block.cu", name))
    for _ in range(2):  # the second launch finds the counter reset
        kernel("last_block.cu", "deterministic_sum", mode)((5,), (64,), args, schedule=schedule)
        assert abs(total[0] - x.sum(dtype=float)) < 1e-4
    return total[0]


@pytest.mark.parametrize("name", ["", "FENCE_BY_ONE"])
def test_the_last_block_may_read_what_others_published(name):
    sums = {
        last_block_sum(np.random.default_rng(3), mode, schedule, name)
        for mode in MODES
        for schedule in SCHEDULES
    }
    assert len(sums) == 1  # not a bit depends on the order of the blocks


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("bug", ["MISSING_FENCE", "MISSING_ATOMIC", "MISSING_BARRIER"])
def test_reading_what_nobody_published_is_a_race(random, bug, schedule):
    message = r"data race .* of args\[1\] \(float\* partial.* another block"
    with pytest.raises(EmulatorError, match=message):
        last_block_sum(random, "check", schedule, bug)


# -- tensor cores and cp.async ---------------------------------------------------------------------


def bfloat16(x):
    """The upper half of a float32, rounded to the nearest even."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["", "F16_IN_TWO", "BF16"])
def test_half_precision_by_ldmatrix_and_tensor_cores(random, name, mode):
    a = floats(random, 16, 16)
    b = floats(random, 8, 16)
    if name == "BF16":
        bits = bfloat16(a), bfloat16(b)
        a, b = ((half.astype(np.uint32) << 16).view(np.float32) for half in bits)
    else:
        bits = a.astype(np.float16), b.astype(np.float16)
        a, b = (half.astype(np.float32) for half in bits)
    d = unwritten(16, 8)
    run = kernel("tensor_core.cu", "half_precision", mode)
    run(*WARP, (d, *bits, variant("tensor_core.cu", name)))
    assert error(d, a.astype(float) @ b.astype(float).T) < 1e-6


def tf32_product(random, mode="check", schedule="order", shared=3 * 48 * 12 * 4, bug=""):
    a = floats(random, 32, 44)
    b = floats(random, 64, 44)
    d = unwritten(32, 64)
    args = (d, a, b, *ints(64, 44), variant("tensor_core.cu", bug))
    kernel("tensor_core.cu", "tf32", mode)((2, 2), (128,), args, shared, schedule)
    return error(d, a.astype(float) @ b.astype(float).T)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("mode", MODES)
def test_tf32_behind_a_ring_of_copies(random, mode, schedule):
    assert 1e-6 < tf32_product(random, mode, schedule) < 5e-4  # it is tf32 indeed


@pytest.mark.parametrize(
    ("bug", "message"),
    [
        ("MISSING_WAIT", "read of uninitialised dynamic shared memory"),
        ("MISSING_BARRIER", "data race|uninitialised"),
        ("EARLY_COPY", "data race .* dynamic shared memory"),
    ],
)
def test_a_copy_out_of_step_is_found(random, bug, message):
    with pytest.raises(EmulatorError, match=message):
        tf32_product(random, bug=bug)
    assert not tf32_product(random, "fast", "random", bug=bug) < 5e-4


def test_too_little_shared_memory_is_found(random):
    with pytest.raises(EmulatorError, match=r"out-of-bounds write .* of dynamic shared memory"):
        tf32_product(random, shared=2 * 48 * 12 * 4)


CONVERSIONS = """
extern "C" __global__ void convert(unsigned* y, float* back, const float* x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  y[i] = emulator::pack_f16(x[i], -x[i]);
  y[n + i] = emulator::pack_bf16(x[i], -x[i]);
  y[2 * n + i] = emulator::to_tf32(x[i]);
  back[i] = emulator::from_f16((unsigned short)y[i]);
  back[n + i] = emulator::from_bf16((unsigned short)y[n + i]);
}
"""


def test_conversions_round_as_hardware_does(random):
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (halves[1:] + halves[:-1]) / 2
    near = np.nextafter(between, np.float32([[0], [np.inf]])).reshape(-1)
    largest = np.float32([65519, 65520, 1e6, 3.4028235e38, np.inf])
    others = floats(random, 5000) * np.float32(10.0) ** random.integers(-12, 9, 5000)
    x = np.concatenate([halves, between, near, largest, others]).astype(np.float32)
    y = np.zeros((3, x.size), np.uint32)
    back = unwritten(2, x.size)
    run = Module(CONVERSIONS).function("convert")
    run(blocks(x.size, 256), (256,), (y, back, x, np.int32(x.size)))
    with np.errstate(over="ignore"):
        half = x.astype(np.float16)
    np.testing.assert_array_equal(y[0] & 0xFFFF, half.view(np.uint16))
    np.testing.assert_array_equal(y[0] >> 16, (-half).view(np.uint16))
    np.testing.assert_array_equal(back[0], half.astype(np.float32))
    np.testing.assert_array_equal(y[1] & 0xFFFF, bfloat16(x))
    np.testing.assert_array_equal(back[1].view(np.uint32), bfloat16(x).astype(np.uint32) << 16)
    # tf32 keeps 10 bits; of the two nearest it takes the one farther from 0
    step = 2.0 ** (np.frexp(x.astype(float))[1] - 11)
    tf32 = np.copysign(np.floor(np.abs(x / step) + 0.5) * step, x)
    normal = np.isfinite(x) & (np.abs(x) > 1e-37) & (np.abs(x) < 3e38)
    np.testing.assert_array_equal(y[2].view(np.float32)[normal], tf32[normal])
    assert y[2][x == np.inf] == 0x7F800000


# -- mistakes --------------------------------------------------------------------------------------

MISTAKES = {
    "divergent_barrier": "divergent __syncthreads: threads 0 and 16",
    "shuffle_after_exit": "__shfl_xor_sync waits for lanes fff00000 .* which never arrive",
    "different_operations": "lane 31 is at a vote .* but lane 0 at __shfl_xor_sync",
    "misaligned": "misaligned access to 'const struct float4'",
    "local_array": r"index 4 out of bounds for 'float \[4\]'",
    "shared_array": r"index 8 out of bounds for 'float \[8\]'",
    "missing_barrier": "uninitialised static shared memory",
    "between_blocks": r"data race .* of args\[0\] .* another block",
    "overflow": "integer overflow in a multiplication",
    "division": "division by 0",
    "copy_to_global": "cp.async into memory that is not shared",
    "matrix_from_global": "ldmatrix_x1 from memory that is not shared",
    "through_a_function": r"out-of-bounds read of 4 bytes at byte 128 of args\[1\]",
}
MORE = {
    "misaligned": (np.ones(40, np.float32),),
    "local_array": ints(4),
    "shared_array": ints(4),
    "division": ints(0),
    "overflow": ints(65536),
    "copy_to_global": (np.ones(32, np.float32),),
    "matrix_from_global": (np.ones(32, np.float32),),
    "through_a_function": (np.ones(32, np.float32),),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_and_its_line_named(name):
    y = np.ones(32, np.int32 if name in ("overflow", "division") else np.float32)
    lines = (FOLDER / "mistake.cu").read_text("utf-8").splitlines()
    begin = next(i for i, line in enumerate(lines) if f" {name}(" in line)
    marked = next(i for i, line in enumerate(lines[begin:], begin + 1) if line.endswith("//!"))
    with pytest.raises(EmulatorError, match=rf"{MISTAKES[name]}.* at mistake.cu:{marked}\b"):
        kernel("mistake.cu", name)((2,), (32,), (y, *MORE.get(name, ())))


def test_a_mistake_in_a_function_says_who_called_it():
    y, x = np.ones((2, 32), np.float32)
    with pytest.raises(EmulatorError, match=r"mistake.cu:\d+, called at mistake.cu:\d+, in block"):
        kernel("mistake.cu", "through_a_function")(*WARP, (y, x[1:]))


def test_what_one_order_of_threads_hides_another_one_shows(random):
    x = floats(random, 64)
    right = {}
    for schedule in SCHEDULES:
        y = unwritten(64)
        run = kernel("shift.cu", "shift", "fast")
        run((1,), (64,), (y, x), schedule=schedule, seed=3)
        right[schedule] = np.array_equal(y[1:], x[:-1])
    assert right == {"order": True, "reverse": False, "random": False}
    with pytest.raises(EmulatorError, match=r"data race|uninitialised"):
        kernel("shift.cu", "shift")((1,), (64,), (y, x))


# -- arguments and memory --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (2, 4, r"absolute_sum: args\[2\] \(int n\) takes numpy.int32, got int 4"),
        (2, np.float32(4), r"args\[2\] \(int n\) takes numpy.int32, got float32"),
        (1, np.ones(4), r"args\[1\] \(const float\* x\) takes float32, got float64 \(4,\)"),
        (1, 7, r"args\[1\] \(const float\* x\) takes an array, got int 7"),
        (0, np.broadcast_to(np.float32(0), 3), r"args\[0\] \(float\* sum\) may be written"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(position, value, message):
    args = [np.zeros(1, np.float32), np.ones(4, np.float32), *ints(4, 0)]
    args[position] = value
    with pytest.raises(TypeError, match=message):
        kernel("reduction.cu", "absolute_sum")((1,), (32,), args)


def test_too_few_arguments_are_refused():
    message = r"takes 4 arguments \(float\* sum, const float\* x, int n, int bug\), got 1"
    with pytest.raises(TypeError, match=message):
        kernel("reduction.cu", "absolute_sum")((1,), (32,), (np.zeros(1, np.float32),))


@pytest.mark.parametrize(
    ("grid", "block", "shared"),
    [((0,), (32,), 0), ((1, 70000), (32,), 0), ((1,), (32, 33), 0), ((1,), (32,), 300_000)],
)
def test_a_launch_that_no_gpu_runs_is_refused(grid, block, shared):
    args = (np.zeros(1, np.float32), np.ones(4, np.float32), *ints(4, 0))
    with pytest.raises(ValueError, match="absolute_sum"):
        kernel("reduction.cu", "absolute_sum")(grid, block, args, shared)


def test_a_block_larger_than_the_launch_bounds_is_refused():
    args = (*(np.zeros(9, np.float32) for _ in range(4)), *ints(1, 1, 3, 3, 0))
    run = kernel("convolution.cu", "convolution")
    with pytest.raises(ValueError, match=r"convolution: .* runs 256 at most"):
        run((1,), (32, 16), args)


ADD = """
extern "C" __global__ void add(float* y, const float* x, int step, int n) {
  int i = threadIdx.x;
  if (i < n) y[i * step] += x[i * step];
}
"""


@pytest.mark.parametrize("mode", MODES)
def test_views_are_passed_by_their_first_element(mode):
    run = Module(ADD, mode).function("add")
    memory = np.arange(20, dtype=np.float32)
    run((1,), (32,), (memory[19:9:-2], memory[9::-2], *ints(-2, 5)))
    wanted = np.arange(20)
    wanted[11:20:2] += wanted[1:10:2]
    np.testing.assert_array_equal(memory, wanted)


def test_the_bounds_are_those_of_the_memory_behind_a_view():
    run = Module(ADD, "check").function("add")
    memory = np.ones((4, 6), np.float32)
    x = np.ones(24, np.float32)
    run((1,), (32,), (memory[2], x, *ints(1, 12)))  # it runs over into the next row
    np.testing.assert_array_equal(memory.reshape(-1), [1] * 12 + [2] * 12)
    with pytest.raises(EmulatorError, match=r"byte 96 of args\[0\] \(float\* y, float32 \(6,\)\)"):
        run((1,), (32,), (memory[2], x, *ints(1, 13)))


def test_a_null_pointer_is_none():
    code = """
    extern "C" __global__ void fill(float* y, const float* value) {
      y[threadIdx.x] = value ? *value : 3;
    }
    """
    y = unwritten(5)
    Module(code).function("fill")((1,), (5,), (y, None))
    assert set(y) == {3}


# -- compilation -----------------------------------------------------------------------------------


def test_a_kernel_that_does_not_compile_says_where():
    code = '#define N 3\n#line 1 "wrong.cu"\nextern "C" __global__ void f(int* y) {\n  y[0] = M;\n}'
    message = r"^the kernel does not compile: wrong.cu:2: 'M' was not declared in this scope$"
    with pytest.raises(EmulatorError, match=message):
        Module(code)


def test_an_unknown_kernel_is_refused_with_those_that_exist():
    with pytest.raises(EmulatorError, match="no kernel 'multiply', but add"):
        Module(ADD).function("multiply")


def test_kernels_are_found_behind_macros():
    code = """
    #define KERNEL(name) extern "C" __global__ void __launch_bounds__((8 * (4 + 4))) name
    #define EXTRA , int by
    #if 0
    KERNEL(absent)(int* y) {}
    #endif
    KERNEL(count)(int* y EXTRA) { y[threadIdx.x] = by * warpSize; }
    """
    module = Module(code)
    assert module.parameters == {"count": ["int* y", "int by"]}
    y = np.zeros(3, np.int32)
    module.function("count")((1,), (3,), (y, np.int32(2)))
    assert set(y) == {64}


def run_python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_libraries_are_kept_and_complete_when_two_processes_build_them(tmp_path):
    code = f"from oneiro.kernels.emulator import Module; print(Module('''{ADD}''').parameters)"
    environment = {**os.environ, "ONEIRO_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "emulator").iterdir()}
    assert sorted(Path(name).suffix for name in kept) == [".o", ".so"]
    run_python(code, ONEIRO_CACHE=str(tmp_path))
    assert kept == {p.name: p.stat().st_mtime_ns for p in (tmp_path / "emulator").iterdir()}


def test_without_a_compiler_the_error_says_what_to_install(tmp_path):
    code = f"""
from oneiro.kernels.emulator import EmulatorError, Module
try:
    Module('''{ADD}''')
except EmulatorError as error:
    print(error)
"""
    said = run_python(code, PATH=str(tmp_path))
    assert said == "the emulator needs g++ and finds none: install g++ (and binutils)\n"
