// y = exp(x) / sum of exp(x) along rows, and its adjoint. x is (rows / inner, count, inner): the
// elements of a row are `inner` apart, and lie side by side where inner is 1. How threads share the
// rows of a block stands in reduction.cuh.
//
// A row is gone over three times (twice on the way back), of which the caches pay all but the
// first: the cost is that of reading x once and writing y twice.

#include "reduction.cuh"

#define THREADS 1024  // in a block, at most

extern "C" __global__ void __launch_bounds__(THREADS) softmax(
    float* y, const float* x, int rows, int count, int inner, int lanes, int step) {
  __shared__ float values[THREADS];
  const Thread thread = this_thread(lanes, step);
  const int row = min(thread.column, rows - 1);
  const int end = thread.column < rows ? count : 0;
  x += row / inner * count * inner + row % inner;
  y += row / inner * count * inner + row % inner;

  const Largest larger;
  float largest = -__int_as_float(0x7f800000);
#pragma unroll 4
  for (int i = thread.lane; i < end; i += lanes) {
    largest = larger(largest, x[i * inner]);
  }
  largest = joined(largest, values, thread, larger);

  float sum = 0.0f;
#pragma unroll 4
  for (int i = thread.lane; i < end; i += lanes) {
    const float power = expf(x[i * inner] - largest);
    y[i * inner] = power;
    sum += power;
  }
  sum = joined(sum, values, thread, Sum());

#pragma unroll 4
  for (int i = thread.lane; i < end; i += lanes) {
    y[i * inner] /= sum;
  }
}

// dx = y * (dy - sum of dy * y along the row)
extern "C" __global__ void __launch_bounds__(THREADS) softmax_backward(
    float* dx, const float* y, const float* dy, int rows, int count, int inner, int lanes,
    int step) {
  __shared__ float values[THREADS];
  const Thread thread = this_thread(lanes, step);
  const int row = min(thread.column, rows - 1);
  const int end = thread.column < rows ? count : 0;
  dx += row / inner * count * inner + row % inner;
  y += row / inner * count * inner + row % inner;
  dy += row / inner * count * inner + row % inner;

  float sum = 0.0f;
#pragma unroll 4
  for (int i = thread.lane; i < end; i += lanes) {
    sum += dy[i * inner] * y[i * inner];
  }
  sum = joined(sum, values, thread, Sum());

#pragma unroll 4
  for (int i = thread.lane; i < end; i += lanes) {
    dx[i * inner] = y[i * inner] * (dy[i * inner] - sum);
  }
}
