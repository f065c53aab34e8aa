// y[c, p, q] = the largest value of a window of x, and its way back.

#define WINDOW int channels, int height, int width, int rows, int columns, \
  int kernel, int stride, int pad

// `place` is the number of the largest value within its window.
extern "C" __global__ void max_pool(
    float* __restrict__ y, unsigned char* __restrict__ place, const float* __restrict__ x, WINDOW) {
  // x is (channels, height, width), y and place are (channels, rows, columns)
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= channels * rows * columns) return;
  int q = i % columns;
  int p = i / columns % rows;
  int c = i / (columns * rows);
  float largest = -INFINITY;
  int where = 0;
  for (int r = 0; r < kernel; r++) {
    for (int s = 0; s < kernel; s++) {
      int h = p * stride - pad + r;
      int v = q * stride - pad + s;
      if (h < 0 || h >= height || v < 0 || v >= width) continue;
      float value = x[(c * height + h) * width + v];
      if (value > largest) {
        largest = value;
        where = r * kernel + s;
      }
    }
  }
  y[i] = largest;
  place[i] = (unsigned char)where;
}

// A thread for every input: it gathers from the windows whose largest value it was.
extern "C" __global__ void max_pool_backward(
    float* __restrict__ dx, const float* __restrict__ dy, const unsigned char* __restrict__ place,
    WINDOW) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= channels * height * width) return;
  int v = i % width;
  int h = i / width % height;
  int c = i / (width * height);
  float sum = 0.0f;
  for (int p = max((h + pad - kernel + stride) / stride, 0); p < rows; p++) {
    for (int q = max((v + pad - kernel + stride) / stride, 0); q < columns; q++) {
      int r = h + pad - p * stride;
      int s = v + pad - q * stride;
      if (r < 0 || s < 0) break;
      int window = (c * rows + p) * columns + q;
      if (r < kernel && s < kernel && place[window] == r * kernel + s) sum += dy[window];
    }
  }
  dx[i] = sum;
}

// Planted bug: a thread for every output adds where windows overlap.
extern "C" __global__ void max_pool_scatter(
    float* __restrict__ dx, const float* __restrict__ dy, const unsigned char* __restrict__ place,
    WINDOW) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= channels * rows * columns) return;
  int q = i % columns;
  int p = i / columns % rows;
  int c = i / (columns * rows);
  int h = p * stride - pad + place[i] / kernel;
  int v = q * stride - pad + place[i] % kernel;
  dx[(c * height + h) * width + v] += dy[i];
}
