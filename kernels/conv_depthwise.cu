// Convolution over two axes, or with BACKWARD its adjoint in the picture, where a result reads few
// channels: depthwise convolution (a group for each channel, one or more filters a group), and
// other groups of few channels. Memory and sizes: see conv.cuh.
//
// Versions: conv_simple (conv_simple.cu), which reads a filter element for each multiplication;
// this one, bound by memory: each element of source and result passes once, the overlaps of windows
// come from L1. A block keeps the filters of its channels in shared memory; a thread makes STRIP
// neighbours of a row (of a phase, see conv.cuh) for VECTOR channels, so that a filter element is
// read once for STRIP * VECTOR multiplications.
//
// VECTOR is 4 for depthwise convolution with one filter a group and channels divisible by 4, else
// 1. Blocks are (channels / VECTOR, strips); blockIdx.x counts strips, y channels, z phases.
// Dynamic shared memory holds (sources, kernel_h, kernel_w, channels of the block + 4) floats.

#include "conv.cuh"

struct Vector {
  float v[VECTOR];
};

__device__ __forceinline__ Vector read(const float* p) {
  Vector result;
#if VECTOR == 4
  const float4 four = *reinterpret_cast<const float4*>(p);
  result.v[0] = four.x;
  result.v[1] = four.y;
  result.v[2] = four.z;
  result.v[3] = four.w;
#else
  result.v[0] = *p;
#endif
  return result;
}

__device__ __forceinline__ void write(float* p, Vector value) {
#if VECTOR == 4
  *reinterpret_cast<float4*>(p) =
      make_float4(value.v[0], value.v[1], value.v[2], value.v[3]);
#else
  *p = value.v[0];
#endif
}

extern "C" __global__ void __launch_bounds__(256, 3) conv_depthwise(
    float* __restrict__ result, const float* __restrict__ source, const float* __restrict__ w,
    const float* __restrict__ b, GEOMETRY EPILOGUE_PARAMETERS) {
  extern __shared__ __align__(16) float filters[];
  // source is (images, source_h, source_w, group * sources)
  // result is (images, result_h, result_w, group * results), of it this block's phase
#if BACKWARD
  const int sources = outputs, source_h = rows, source_w = columns;
  const int results = inputs, result_h = height, result_w = width;
  const Axis down =
      backward_axis(blockIdx.z / stride_w, height, kernel_h, stride_h, pad_h, dilation_h);
  const Axis along =
      backward_axis(blockIdx.z % stride_w, width, kernel_w, stride_w, pad_w, dilation_w);
#else
  const int sources = inputs, source_h = height, source_w = width;
  const int results = outputs, result_h = rows, result_w = columns;
  const Axis down = forward_axis(rows, kernel_h, stride_h, pad_h, dilation_h);
  const Axis along = forward_axis(columns, kernel_w, stride_w, pad_w, dilation_w);
#endif
  const int channels = group * results;
  const int taps = kernel_h * kernel_w;
  const int here = blockDim.x * VECTOR;  // channels of this block
  const int pitch = here + 4;            // of a tap in shared memory: spreads writes over banks
  const int first_channel = blockIdx.y * here;

  // As they lie in w: a channel's taps are neighbours.
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  for (int e = thread; e < here * taps * sources; e += blockDim.x * blockDim.y) {
    const int k = e % sources;
    const int tap = e / sources % taps;
    const int c = first_channel + e / sources / taps;
    if (c < channels) {
#if BACKWARD
      const int from = ((c / results * sources + k) * taps + tap) * results + c % results;
#else
      const int from = (c * taps + tap) * sources + k;
#endif
      filters[(k * taps + tap) * pitch + c - first_channel] = w[from];
    }
  }
  __syncthreads();

  const int strips = (along.count + STRIP - 1) / STRIP;
  const int strip = blockIdx.x * blockDim.y + threadIdx.y;
  const int c = first_channel + threadIdx.x * VECTOR;
  if (strip >= images * down.count * strips || c >= channels) {
    return;
  }
  const int line = strip / strips;
  const int image = line / down.count;
  const int top = down.origin + line % down.count * down.stride;
  const int begin = strip % strips * STRIP;
  const int left = along.origin + begin * along.stride;

  Vector sums[STRIP] = {};
  for (int tap_h = 0; tap_h < down.taps; ++tap_h) {
    const int row = top + tap_h * down.step;
    if (row < 0 || row >= source_h) {
      continue;
    }
    const float* from =
        source + (image * source_h + row) * source_w * group * sources + c / results * sources;
    #pragma unroll 1
    for (int tap_w = 0; tap_w < along.taps; ++tap_w) {
      const int r = down.tap + tap_h * down.tap_step;
      const int s = along.tap + tap_w * along.tap_step;
      #pragma unroll 1
      for (int k = 0; k < sources; ++k) {
        const int tap = (k * kernel_h + r) * kernel_w + s;
        const Vector filter = read(filters + tap * pitch + threadIdx.x * VECTOR);
        #pragma unroll
        for (int i = 0; i < STRIP; ++i) {
          const int column = left + i * along.stride + tap_w * along.step;
          if (column >= 0 && column < source_w) {
            const Vector value = read(from + column * group * sources + k);
            #pragma unroll
            for (int j = 0; j < VECTOR; ++j) {
              sums[i].v[j] += value.v[j] * filter.v[j];
            }
          }
        }
      }
    }
  }

  const int row = down.first + line % down.count * down.spacing;
  #pragma unroll
  for (int i = 0; i < STRIP; ++i) {
    if (begin + i < along.count) {
      const int column = along.first + (begin + i) * along.spacing;
      const int at = ((image * result_h + row) * result_w + column) * channels + c;
      #pragma unroll
      for (int j = 0; j < VECTOR; ++j) {
        const float v = b == nullptr ? sums[i].v[j] : sums[i].v[j] + b[c + j];
        sums[i].v[j] = EPILOGUE(v, at + j, c + j);
      }
      write(result + at, sums[i]);
    }
  }
}
