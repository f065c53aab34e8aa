// Pooling over windows, and its adjoints. For each window o of x and each element i in it:
//
//   max_pool               y[o] = the largest x[i], where[o] = its i: the first of equals
//   max_pool_backward      dx[i] = the sum of dy[o] over the windows whose largest is i
//   average_pool           y[o] = the sum of x[i] / n[o]
//   average_pool_backward  dx[i] = the sum of dy[o] / n[o] over the windows that hold i
//
// n[o] counts the elements of the window, or with `padded` those of the padding too. `where` holds
// places as NumPy counts them, in the order (images, channels, d, h, w). NaN is larger than all.
//
// Memory has the channels innermost: x is (images, d, h, w, channels). Up to three axes are pooled,
// those that are not there have length 1. A thread makes LANES channels of one element. Backward
// gathers too: an element asks the windows that hold it, from the last to the first, which is the
// order in which the specification adds up averages, or from the first to the last, which is that
// of maxima. So nothing is added atomically, and results are the same each time.
//
// Cost: each element is read once for each window that holds it, all but the first time from the
// caches. Other versions would keep rows of overlapping windows in shared memory.

#include "hook.cuh"
#include "lanes.cuh"

// an axis of x and the windows along it
#define AXIS(a) int a##_size, int a##_count, int a##_kernel, int a##_stride, int a##_dilation, \
                int a##_before, int a##_after

struct Place {
  int image;
  int d;
  int h;
  int w;
  int channel;  // the first of LANES
};

// where this thread's element lies in an array of (images, depth, height, width, channels)
__device__ __forceinline__ Place this_place(int depth, int height, int width, int channels) {
  unsigned rest = blockIdx.x * blockDim.x + threadIdx.x;
  Place place;
  place.channel = rest % (channels / LANES) * LANES;
  rest /= channels / LANES;
  place.w = rest % width;
  rest /= width;
  place.h = rest % height;
  rest /= height;
  place.d = rest % depth;
  place.image = rest / depth;
  return place;
}

// what an epilogue calls the channel: the innermost axis, which is w where there are no channels
__device__ __forceinline__ int innermost(const Place& place, int channels) {
  return channels > 1 ? place.channel : place.w;
}

// The elements of a window that starts at `start` are those from here on ...
__device__ __forceinline__ int first_inside(int start, int dilation) {
  return start < 0 ? start + (-start + dilation - 1) / dilation * dilation : start;
}

// ... in steps of the dilation, and before this one.
__device__ __forceinline__ int end_inside(int start, int kernel, int dilation, int size) {
  return min(start + (kernel - 1) * dilation + 1, size);
}

// The windows that may hold the element at `place` are those from here on ...
__device__ __forceinline__ int first_window(int place, int kernel, int stride, int dilation,
                                            int before) {
  const int behind = place + before - (kernel - 1) * dilation;
  return behind > 0 ? (behind + stride - 1) / stride : 0;
}

// ... up to this one.
__device__ __forceinline__ int last_window(int place, int stride, int before, int count) {
  return min((place + before) / stride, count - 1);
}

// how many elements of a window lie in the picture, or in it and its padding
__device__ __forceinline__ int counted(int start, int kernel, int dilation, int size, int before,
                                       int after, int padded) {
  const int low = padded ? -before : 0;
  const int high = padded ? size + after : size;
  const int first = start < low ? (low - start + dilation - 1) / dilation : 0;
  const int end = start < high ? min((high - 1 - start) / dilation + 1, kernel) : 0;
  return end - first;
}

extern "C" __global__ void max_pool(float* __restrict__ y, int* __restrict__ where,
                                    const float* __restrict__ x, int images, int channels,
                                    AXIS(d), AXIS(h), AXIS(w)) {
  // y and where are (images, d_count, h_count, w_count, channels)
  const Place o = this_place(d_count, h_count, w_count, channels);
  if (o.image >= images) {
    return;
  }
  const int d_start = o.d * d_stride - d_before;
  const int h_start = o.h * h_stride - h_before;
  const int w_start = o.w * w_stride - w_before;
  const int d_first = first_inside(d_start, d_dilation);
  const int h_first = first_inside(h_start, h_dilation);
  const int w_first = first_inside(w_start, w_dilation);
  const int d_end = end_inside(d_start, d_kernel, d_dilation, d_size);
  const int h_end = end_inside(h_start, h_kernel, h_dilation, h_size);
  const int w_end = end_inside(w_start, w_kernel, w_dilation, w_size);

  const float* image = x + o.image * d_size * h_size * w_size * channels + o.channel;
  int winner[LANES];
  const int first = (d_first * h_size + h_first) * w_size + w_first;
  Lanes<float> largest = load(image + first * channels);
  #pragma unroll
  for (int l = 0; l < LANES; l++) {
    winner[l] = first;
  }
  for (int d = d_first; d < d_end; d += d_dilation) {
    for (int h = h_first; h < h_end; h += h_dilation) {
      for (int w = w_first; w < w_end; w += w_dilation) {
        const int at = (d * h_size + h) * w_size + w;
        const Lanes<float> value = load(image + at * channels);
        #pragma unroll
        for (int l = 0; l < LANES; l++) {
          if (value.at[l] > largest.at[l]) {
            largest.at[l] = value.at[l];
            winner[l] = at;
          } else if (value.at[l] != value.at[l]) {
            largest.at[l] = value.at[l];
          }
        }
      }
    }
  }

  Lanes<int> index;
  #pragma unroll
  for (int l = 0; l < LANES; l++) {
    const int plane = o.image * channels + o.channel + l;
    index.at[l] = plane * d_size * h_size * w_size + winner[l];
  }
  const int result = ((o.image * d_count + o.d) * h_count + o.h) * w_count + o.w;
  store(y + result * channels + o.channel, largest);
  store(where + result * channels + o.channel, index);
}

extern "C" __global__ void max_pool_backward(float* __restrict__ dx, const float* __restrict__ dy,
                                             const int* __restrict__ where, int images,
                                             int channels, AXIS(d), AXIS(h),
                                             AXIS(w) EPILOGUE_PARAMETERS) {
  // dx is (images, d_size, h_size, w_size, channels)
  const Place i = this_place(d_size, h_size, w_size, channels);
  if (i.image >= images) {
    return;
  }
  const int d_first = first_window(i.d, d_kernel, d_stride, d_dilation, d_before);
  const int h_first = first_window(i.h, h_kernel, h_stride, h_dilation, h_before);
  const int w_first = first_window(i.w, w_kernel, w_stride, w_dilation, w_before);
  const int d_last = last_window(i.d, d_stride, d_before, d_count);
  const int h_last = last_window(i.h, h_stride, h_before, h_count);
  const int w_last = last_window(i.w, w_stride, w_before, w_count);

  const int place = (i.d * h_size + i.h) * w_size + i.w;
  Lanes<int> self;
  Lanes<float> sum;
  #pragma unroll
  for (int l = 0; l < LANES; l++) {
    const int plane = i.image * channels + i.channel + l;
    self.at[l] = plane * d_size * h_size * w_size + place;
    sum.at[l] = 0.0f;
  }
  for (int d = d_first; d <= d_last; d++) {
    for (int h = h_first; h <= h_last; h++) {
      for (int w = w_first; w <= w_last; w++) {
        const int o = ((i.image * d_count + d) * h_count + h) * w_count + w;
        const Lanes<int> winner = load(where + o * channels + i.channel);
        const Lanes<float> diff = load(dy + o * channels + i.channel);
        #pragma unroll
        for (int l = 0; l < LANES; l++) {
          sum.at[l] += winner.at[l] == self.at[l] ? diff.at[l] : 0.0f;
        }
      }
    }
  }
  const int at = (i.image * d_size * h_size * w_size + place) * channels + i.channel;
  #pragma unroll
  for (int l = 0; l < LANES; l++) {
    sum.at[l] = EPILOGUE(sum.at[l], at + l, innermost(i, channels) + l);
  }
  store(dx + at, sum);
}

extern "C" __global__ void average_pool(float* __restrict__ y, const float* __restrict__ x,
                                        int images, int channels, AXIS(d), AXIS(h), AXIS(w),
                                        int padded EPILOGUE_PARAMETERS) {
  // y is (images, d_count, h_count, w_count, channels)
  const Place o = this_place(d_count, h_count, w_count, channels);
  if (o.image >= images) {
    return;
  }
  const int d_start = o.d * d_stride - d_before;
  const int h_start = o.h * h_stride - h_before;
  const int w_start = o.w * w_stride - w_before;
  const int d_end = end_inside(d_start, d_kernel, d_dilation, d_size);
  const int h_end = end_inside(h_start, h_kernel, h_dilation, h_size);
  const int w_end = end_inside(w_start, w_kernel, w_dilation, w_size);

  const float* image = x + o.image * d_size * h_size * w_size * channels + o.channel;
  Lanes<float> mean = {};
  for (int d = first_inside(d_start, d_dilation); d < d_end; d += d_dilation) {
    for (int h = first_inside(h_start, h_dilation); h < h_end; h += h_dilation) {
      for (int w = first_inside(w_start, w_dilation); w < w_end; w += w_dilation) {
        const Lanes<float> value = load(image + ((d * h_size + h) * w_size + w) * channels);
        #pragma unroll
        for (int l = 0; l < LANES; l++) {
          mean.at[l] += value.at[l];
        }
      }
    }
  }
  const float n =
      counted(d_start, d_kernel, d_dilation, d_size, d_before, d_after, padded) *
      counted(h_start, h_kernel, h_dilation, h_size, h_before, h_after, padded) *
      counted(w_start, w_kernel, w_dilation, w_size, w_before, w_after, padded);
  const int result = ((o.image * d_count + o.d) * h_count + o.h) * w_count + o.w;
  const int at = result * channels + o.channel;
  #pragma unroll
  for (int l = 0; l < LANES; l++) {
    mean.at[l] = EPILOGUE(mean.at[l] / n, at + l, innermost(o, channels) + l);
  }
  store(y + at, mean);
}

extern "C" __global__ void average_pool_backward(float* __restrict__ dx,
                                                 const float* __restrict__ dy, int images,
                                                 int channels, AXIS(d), AXIS(h), AXIS(w),
                                                 int padded EPILOGUE_PARAMETERS) {
  // dx is (images, d_size, h_size, w_size, channels)
  const Place i = this_place(d_size, h_size, w_size, channels);
  if (i.image >= images) {
    return;
  }
  const int d_first = first_window(i.d, d_kernel, d_stride, d_dilation, d_before);
  const int h_first = first_window(i.h, h_kernel, h_stride, h_dilation, h_before);
  const int w_first = first_window(i.w, w_kernel, w_stride, w_dilation, w_before);
  Lanes<float> sum = {};
  for (int d = last_window(i.d, d_stride, d_before, d_count); d >= d_first; d--) {
    const int d_start = d * d_stride - d_before;
    const int d_n = counted(d_start, d_kernel, d_dilation, d_size, d_before, d_after, padded);
    for (int h = last_window(i.h, h_stride, h_before, h_count); h >= h_first; h--) {
      const int h_start = h * h_stride - h_before;
      const int h_n = counted(h_start, h_kernel, h_dilation, h_size, h_before, h_after, padded);
      for (int w = last_window(i.w, w_stride, w_before, w_count); w >= w_first; w--) {
        const int w_start = w * w_stride - w_before;
        const int w_n = counted(w_start, w_kernel, w_dilation, w_size, w_before, w_after, padded);
        const bool between = (i.d - d_start) % d_dilation || (i.h - h_start) % h_dilation ||
                             (i.w - w_start) % w_dilation;
        if (between) {
          continue;  // the dilated window steps over this element
        }
        const float share = 1.0f / (d_n * h_n * w_n);
        const int o = ((i.image * d_count + d) * h_count + h) * w_count + w;
        const Lanes<float> diff = load(dy + o * channels + i.channel);
        #pragma unroll
        for (int l = 0; l < LANES; l++) {
          sum.at[l] += diff.at[l] * share;
        }
      }
    }
  }
  const int pixel = ((i.image * d_size + i.d) * h_size + i.h) * w_size + i.w;
  const int at = pixel * channels + i.channel;
  #pragma unroll
  for (int l = 0; l < LANES; l++) {
    sum.at[l] = EPILOGUE(sum.at[l], at + l, innermost(i, channels) + l);
  }
  store(dx + at, sum);
}
