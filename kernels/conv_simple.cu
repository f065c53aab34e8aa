// y[n, o] = b[o] + the sum over the o-th filter's channels and window of x * w[o], and its adjoint
// in x, over up to three axes and for any window: the first version, which the others are held
// against. A picture of fewer axes has axes of length 1 in front.
//
// Memory has the channels innermost: x is (images, *size, group * inputs), y is (images, *count,
// group * outputs), w is (group * outputs, *kernel, inputs).
//
// A thread makes one element. Nothing is kept for a neighbour: two reads from the caches for each
// multiplication, which bounds it at a small part of a GPU's arithmetic.

#include "hook.cuh"

#define GEOMETRY \
  int images, int group, int inputs, int outputs, int size_0, int size_1, int size_2, \
  int count_0, int count_1, int count_2, int kernel_0, int kernel_1, int kernel_2, \
  int stride_0, int stride_1, int stride_2, int pad_0, int pad_1, int pad_2, \
  int dilation_0, int dilation_1, int dilation_2

extern "C" __global__ void conv_simple(
    float* __restrict__ y, const float* __restrict__ x, const float* __restrict__ w,
    const float* __restrict__ b, GEOMETRY EPILOGUE_PARAMETERS) {
  const int channels = group * outputs;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= images * count_0 * count_1 * count_2 * channels) {
    return;
  }
  const int o = i % channels;
  const int p_2 = i / channels % count_2;
  const int p_1 = i / channels / count_2 % count_1;
  const int p_0 = i / channels / count_2 / count_1 % count_0;
  const int image = i / channels / count_2 / count_1 / count_0;
  const float* filter = w + o * kernel_0 * kernel_1 * kernel_2 * inputs;

  float sum = 0.0f;
  for (int r_0 = 0; r_0 < kernel_0; ++r_0) {
    const int h_0 = p_0 * stride_0 - pad_0 + r_0 * dilation_0;
    for (int r_1 = 0; r_1 < kernel_1; ++r_1) {
      const int h_1 = p_1 * stride_1 - pad_1 + r_1 * dilation_1;
      for (int r_2 = 0; r_2 < kernel_2; ++r_2) {
        const int h_2 = p_2 * stride_2 - pad_2 + r_2 * dilation_2;
        if (h_0 < 0 || h_0 >= size_0 || h_1 < 0 || h_1 >= size_1 || h_2 < 0 || h_2 >= size_2) {
          continue;
        }
        const int pixel = ((image * size_0 + h_0) * size_1 + h_1) * size_2 + h_2;
        const float* from = x + (pixel * group + o / outputs) * inputs;
        const int tap = (r_0 * kernel_1 + r_1) * kernel_2 + r_2;
        const float* by = filter + tap * inputs;
        for (int c = 0; c < inputs; ++c) {
          sum += from[c] * by[c];
        }
      }
    }
  }
  y[i] = EPILOGUE((b == nullptr ? sum : sum + b[o]), i, o);
}

// dx gathers what the windows that read it received: no two threads add to the same element.
extern "C" __global__ void conv_simple_backward(
    float* __restrict__ dx, const float* __restrict__ dy, const float* __restrict__ w,
    GEOMETRY EPILOGUE_PARAMETERS) {
  const int channels = group * inputs;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= images * size_0 * size_1 * size_2 * channels) {
    return;
  }
  const int c = i % channels;
  const int h_2 = i / channels % size_2;
  const int h_1 = i / channels / size_2 % size_1;
  const int h_0 = i / channels / size_2 / size_1 % size_0;
  const int image = i / channels / size_2 / size_1 / size_0;
  const int first = c / inputs * outputs;  // of the filters that read this channel
  const int filter_size = kernel_0 * kernel_1 * kernel_2 * inputs;

  float sum = 0.0f;
  for (int r_0 = 0; r_0 < kernel_0; ++r_0) {
    const int start_0 = h_0 + pad_0 - r_0 * dilation_0;  // p_0 * stride_0
    for (int r_1 = 0; r_1 < kernel_1; ++r_1) {
      const int start_1 = h_1 + pad_1 - r_1 * dilation_1;
      for (int r_2 = 0; r_2 < kernel_2; ++r_2) {
        const int start_2 = h_2 + pad_2 - r_2 * dilation_2;
        const int p_0 = start_0 / stride_0;
        const int p_1 = start_1 / stride_1;
        const int p_2 = start_2 / stride_2;
        if (start_0 < 0 || start_1 < 0 || start_2 < 0 ||
            p_0 * stride_0 != start_0 || p_1 * stride_1 != start_1 || p_2 * stride_2 != start_2 ||
            p_0 >= count_0 || p_1 >= count_1 || p_2 >= count_2) {
          continue;
        }
        const int pixel = ((image * count_0 + p_0) * count_1 + p_1) * count_2 + p_2;
        const float* from = dy + pixel * group * outputs + first;
        const int tap = (r_0 * kernel_1 + r_1) * kernel_2 + r_2;
        const float* by = w + first * filter_size + tap * inputs + c % inputs;
        for (int o = 0; o < outputs; ++o) {
          sum += from[o] * by[o * filter_size];
        }
      }
    }
  }
  dx[i] = EPILOGUE(sum, i, c);
}

// Results over one axis lie in memory with the channels outside: y is (images, channels, width) and
// x is (images, width, channels), without an epilogue yet.
extern "C" __global__ void as_line(
    float* __restrict__ y, const float* __restrict__ x, int channels, int width,
    int count EPILOGUE_PARAMETERS) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) {
    return;
  }
  const int column = i % width;
  const int c = i / width % channels;
  const int image = i / width / channels;
  const float v = x[(image * width + column) * channels + c];
  y[i] = EPILOGUE(v, i, column);
}
