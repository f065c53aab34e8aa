// The total variation of pictures and its gradient (see variation.py). At each element, with its
// differences d to the next row and to the next column, which are 0 behind the last,
//
//   v = (d_row ^ 2 + d_column ^ 2) ^ (beta / 2)
//   g = beta * max(v, least) ^ (2 * (beta / 2 - 1) / beta)
//   dx = what comes by g * d from the row above and from the column to the left, less its own
//
// Memory: x and dx are (images, h, w, channels). A thread makes one element of dx from those around
// it, and works out v there again: a picture is small, and a launch is not. A block adds up the v
// of its elements in a tree; partial (blocks) is what they come to, for another launch to add up.
// The cost is that of six powers for each element, two for each v, and of the bytes.

#define THREADS 256

struct Slope {
  float row;
  float column;
  float value;
};

// the differences at row j and column k, each times g, and v
__device__ __forceinline__ Slope slope(const float* x, int j, int k, int h, int w, int channels,
                                       float beta, float least) {
  const float* here = x + (j * w + k) * channels;
  const float row = j < h - 1 ? here[w * channels] - here[0] : 0.0f;
  const float column = k < w - 1 ? here[channels] - here[0] : 0.0f;
  const float value = powf(row * row + column * column, 0.5f * beta);
  const float gain = beta * powf(fmaxf(value, least), 2.0f * (0.5f * beta - 1.0f) / beta);
  return {gain * row, gain * column, value};
}

extern "C" __global__ void variation(float* __restrict__ dx, float* __restrict__ partial,
                                     const float* __restrict__ x, int images, int h, int w,
                                     int channels, float beta, float least) {
  __shared__ float values[THREADS];
  const unsigned item = blockIdx.x * blockDim.x + threadIdx.x;
  const int channel = item % channels;
  const int k = item / channels % w;
  const int j = item / channels / w % h;
  const int image = item / channels / w / h;
  float value = 0.0f;
  if (image < images) {
    const float* picture = x + image * h * w * channels + channel;
    const Slope here = slope(picture, j, k, h, w, channels, beta, least);
    float sum = -here.row - here.column;
    if (j > 0) {
      sum += slope(picture, j - 1, k, h, w, channels, beta, least).row;
    }
    if (k > 0) {
      sum += slope(picture, j, k - 1, h, w, channels, beta, least).column;
    }
    dx[item] = sum;
    value = here.value;
  }
  values[threadIdx.x] = value;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      values[threadIdx.x] += values[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = values[0];
  }
}
