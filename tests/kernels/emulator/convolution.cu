// y[o] = b[o] + the sum over c, r, s of w[o, c, r, s] * x[c, h + r - PAD, v + s - PAD], tiled.
//
// An implicit matrix product: TILE output channels times TILE pixels per block, one of each for a
// thread, summed over the C * KERNEL * KERNEL taps in strips of TILE.
// Planted bugs: OUT_OF_BOUNDS reads a row below the picture, MISSING_BARRIER overwrites a tile that
// others still read.

#define OUT_OF_BOUNDS 1
#define MISSING_BARRIER 2

#define TILE 16
#define KERNEL 3
#define PAD 1

extern "C" __global__ void __launch_bounds__(TILE * TILE) convolution(
    float* __restrict__ y, const float* __restrict__ x, const float* __restrict__ w,
    const float* __restrict__ b, int outputs, int channels, int height, int width,
    int bug) {
  // x is (channels, height, width), y is (outputs, height, width)
  __shared__ float weights[TILE][TILE];  // output channel, tap
  __shared__ float values[TILE][TILE];   // tap, pixel
  int taps = channels * KERNEL * KERNEL;
  int pixels = height * width;
  int output = blockIdx.y * TILE + threadIdx.y;
  int pixel = blockIdx.x * TILE + threadIdx.x;
  float sum = 0.0f;
  for (int first = 0; first < taps; first += TILE) {
    int column = first + threadIdx.x;
    weights[threadIdx.y][threadIdx.x] =
        output < outputs && column < taps ? w[output * taps + column] : 0.0f;

    int tap = first + threadIdx.y;
    int c = tap / (KERNEL * KERNEL);
    int h = pixel / width + tap / KERNEL % KERNEL - PAD;
    int v = pixel % width + tap % KERNEL - PAD;
    int last = bug == OUT_OF_BOUNDS ? height : height - 1;
    bool inside = h >= 0 && h <= last && v >= 0 && v < width && tap < taps && pixel < pixels;
    values[threadIdx.y][threadIdx.x] = inside ? x[(c * height + h) * width + v] : 0.0f;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < TILE; k++) {
      sum += weights[threadIdx.y][k] * values[k][threadIdx.x];
    }
    if (bug != MISSING_BARRIER) __syncthreads();
  }
  if (output < outputs && pixel < pixels) {
    y[output * pixels + pixel] = b[output] + sum;
  }
}
