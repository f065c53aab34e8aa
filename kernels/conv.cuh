// What the convolution kernels share: the sizes they are launched with, and which elements read
// which along an axis, forward and backward.
//
// The names are those of y = conv(x, w), whatever is computed: x is (images, height, width,
// group * inputs), y is (images, rows, columns, group * outputs), and w is (group * outputs,
// kernel_h, kernel_w, inputs). A kernel reads a source and writes a result: x and y, or, with
// BACKWARD defined as 1, dy and dx.

#include "hook.cuh"

#define GEOMETRY \
  int images, int group, int inputs, int outputs, int height, int width, int rows, int columns, \
  int kernel_h, int kernel_w, int stride_h, int stride_w, int pad_h, int pad_w, \
  int dilation_h, int dilation_w

// Along one axis, result i lies at first + i * spacing, for i = 0 .. count - 1, and is the sum of
// the source at origin + i * stride + t * step times the filter at tap + t * tap_step, for t = 0
// .. taps - 1. A source outside the picture counts as 0.
struct Axis {
  int count;
  int first;
  int spacing;
  int origin;
  int stride;
  int step;
  int taps;
  int tap;
  int tap_step;
};

__device__ __forceinline__ Axis forward_axis(
    int count, int kernel, int stride, int pad, int dilation) {
  return {count, 0, 1, -pad, stride, dilation, kernel, 0, 1};
}

// dx at h is read by the windows p with p * stride - pad + tap * dilation == h. Elements that lie
// a multiple of `stride` apart are read by the same taps: they are one of `stride` phases. So no
// phase meets a tap that would give it nothing.
__device__ __forceinline__ Axis backward_axis(
    int phase, int size, int kernel, int stride, int pad, int dilation) {
  const int count = (size - phase + stride - 1) / stride;
  int tap = 0;
  while (tap < kernel && (phase + pad - tap * dilation) % stride != 0) {
    ++tap;
  }
  int tap_step = 1;
  while (tap_step * dilation % stride != 0) {
    ++tap_step;
  }
  const int taps = (kernel - tap + tap_step - 1) / tap_step;
  const int origin = (phase + pad - tap * dilation) / stride;
  return {count, phase, stride, origin, 1, -(tap_step * dilation / stride), taps, tap, tap_step};
}
